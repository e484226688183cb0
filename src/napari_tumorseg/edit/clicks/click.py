"""Clicks, scribbles and boxes of a user, as voxels of a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array

Voxel = tuple[int, int, int]


@dataclass(frozen=True)
class Click:
    """Voxels that a user says belong to a region, or do not.

    Attributes
    ----------
    voxels : tuple of (z, y, x)
        One for a click, many for a scribble, two opposite corners for a box.
    adds : bool
        Whether they belong to the region.
    label : int
        Label to paint, and the region where `region` is empty.
    region : frozenset of int
        Labels that form the region, such as those of a tumour core; ``ANY`` for the whole lesion.
    is_box : bool
        Whether the voxels are the corners of a box: all of the region that lies in it is looked for.
    """

    voxels: tuple[Voxel, ...]
    adds: bool = True
    label: int = 1
    region: frozenset[int] = frozenset()
    is_box: bool = False

    def __post_init__(self) -> None:
        if not self.voxels:
            raise InputError("a click has no voxel; give at least one")
        if self.is_box and len(self.voxels) != 2:
            raise InputError(f"a box has two corners, not {len(self.voxels)}")
        if not 1 <= self.label <= 255:
            raise InputError(f"a click is for a label from 1 to 255, not {self.label}")

    @property
    def members(self) -> frozenset[int]:
        """Labels that count as the region."""
        return self.region | {self.label}

    def check_inside(self, shape: Sequence[int]) -> None:
        """Raise an `InputError` that names the voxel if one lies outside an array of this shape."""
        for voxel in self.voxels:
            if not all(0 <= p < n for p, n in zip(voxel, shape, strict=True)):
                raise InputError(
                    f"the click at voxel {list(voxel)} lies outside the mask of {list(shape)} voxels"
                )

    def points(self, most: int = 10) -> Array:
        """Return voxels that are of what was clicked, as (N, 3) int.

        Of a scribble up to `most`, evenly spread along it; of a box its middle.
        """
        if self.is_box:
            return np.asarray(np.asarray(self.voxels, dtype=np.intp).sum(axis=0, keepdims=True) // 2)
        some = np.unique(np.linspace(0, len(self.voxels) - 1, min(most, len(self.voxels))).astype(int))
        return np.asarray(np.asarray(self.voxels, dtype=np.intp)[some])

    def outline(self) -> Array:
        """Return eight points just outside a box, in its middle across the shortest side, as (N, 3) int."""
        low, high = np.sort(np.asarray(self.voxels, dtype=np.intp), axis=0)
        middle, flat = (low + high) // 2, int(np.argmin(high - low))
        one, other = (axis for axis in range(3) if axis != flat)
        sides = [
            [side[axis] + shift for side, shift in ((low, -2), (middle, 0), (high, 2))]
            for axis in (one, other)
        ]
        found = []
        for i, a in enumerate(sides[0]):
            for j, b in enumerate(sides[1]):
                if (i, j) != (1, 1):
                    point = middle.copy()
                    point[one], point[other] = a, b
                    found.append(point)
        return np.array(found)

    def limits(self, steps: Sequence[float], shape: Sequence[int]) -> tuple[slice, slice, slice]:
        """Return the voxels of a box; one drawn in a slice reaches half its shorter side beyond it."""
        low, high = np.sort(np.asarray(self.voxels), axis=0)
        flat = int(np.argmin(high - low))
        if high[flat] == low[flat]:
            sides = [(high[axis] - low[axis]) * steps[axis] for axis in range(3) if axis != flat]
            reach = round(min(sides) / 2 / steps[flat])
            low[flat], high[flat] = low[flat] - reach, high[flat] + reach
        z, y, x = (
            slice(max(int(a), 0), min(int(b) + 1, n)) for a, b, n in zip(low, high, shape, strict=True)
        )
        return z, y, x
