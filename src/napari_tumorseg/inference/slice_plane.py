"""The three anatomical planes in which a canonical array is sliced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.models.card import AnyPlane, Plane


@dataclass(frozen=True)
class SlicePlane:
    """Order of axes in a plane: slice axis first, then rows downwards and columns rightwards.

    Axial slices have anterior on top and the patient's left on the right; coronal and sagittal ones have
    the head on top.
    """

    axes: tuple[int, int, int]
    flip_rows: bool
    left_right: bool  # whether the columns run from the patient's right to left

    def apply(self, array: Array) -> Array:
        """Return the (slice, row, column) view."""
        view = np.transpose(array, self.axes)
        return view[:, ::-1] if self.flip_rows else view

    def apply_each(self, arrays: Array) -> Array:
        """Return the (n, slice, row, column) view of n canonical arrays."""
        return np.stack([self.apply(array) for array in arrays])

    def canonical_box(self, box: tuple[slice, slice, slice], shape: Sequence[int]) -> tuple[slice, ...]:
        """Return a box (slice, row, column) of a cut array of this shape as a box of the canonical one."""
        along, rows, columns = box
        if self.flip_rows:
            rows = slice(shape[1] - rows.stop, shape[1] - rows.start)
        parts = (along, rows, columns)
        return tuple(parts[self.axes.index(axis)] for axis in range(3))

    def reorder(self, values: Sequence[float]) -> tuple[float, ...]:
        """Return three values given for (Z, Y, X) in the order (slice, row, column)."""
        return tuple(values[a] for a in self.axes)


PLANES: dict[Plane, SlicePlane] = {
    "axial": SlicePlane((0, 1, 2), False, True),
    "coronal": SlicePlane((1, 0, 2), True, True),
    "sagittal": SlicePlane((2, 0, 1), True, False),
}
"""Planes by name."""


def plane_for(wanted: AnyPlane, grid: Grid) -> Plane:
    """Return the plane in which a scan is sliced.

    Parameters
    ----------
    wanted : {"axial", "coronal", "sagittal", "acquired", "volume"}
        As a model's card states it. The result of a volume is given as axial slices.
    grid : Grid
        Grid of the scan. With ``acquired``, its only slice or its thickest side decides; a scan whose voxels
        are equally long in all directions, or of unknown size, is sliced axially.
    """
    if wanted == "volume":
        return "axial"
    if wanted != "acquired":
        return wanted
    return next(plane for plane, found in PLANES.items() if found.axes[0] == grid.slice_axis)


def slice_plane_for(wanted: AnyPlane, grid: Grid) -> SlicePlane:
    """Return the order of axes in the plane that `plane_for` chooses."""
    return PLANES[plane_for(wanted, grid)]
