"""Voxel grids in space: shape, affine, unit, and the layout of the file.

Arrays are canonical everywhere in this package: axes (Z, Y, X), Z running towards the head, Y towards
the back, X towards the left (radiological, as BraTS files hold them). A file's own order is turned
into this one by transposing and flipping views, never by resampling, and `Grid` remembers the way
back, so that what is written for a scan equals it index for index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
import numpy.typing as npt

from napari_tumorseg.errors import InputError

Array = npt.NDArray[Any]
Affine = npt.NDArray[np.float64]
Unit = Literal["mm", "unknown"]

CANONICAL = ("S", "P", "L")
"""Directions in which the canonical axes Z, Y and X run."""

# RAS mm -> (S, P, L) mm: the world in which the viewer shows layers, one axis per canonical axis
_RAS_TO_SPL = np.array([[0, 0, 1, 0], [0, -1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]], dtype=float)

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From the world of DICOM and ITK to that of NIfTI and of this package, and back; (4, 4)."""

CONNECTED_26 = np.ones((3, 3, 3), dtype=bool)
"""Neighbours by a face, an edge or a corner, as `scipy.ndimage` takes a structuring element."""

_THICK = 1.25
"""Slices are those of the acquisition if they are thicker than pixels by this factor."""

_SAME_SPACE_TOLERANCE = 0.05
"""Two grids are one space if no corner differs by more than this share of a voxel."""


@dataclass(frozen=True)
class AxisOrder:
    """A transposition and flips that lead from a file's 3-D array to the canonical one.

    Attributes
    ----------
    axes : tuple of int
        File axis that becomes canonical axis 0, 1, 2 (as in `numpy.transpose`).
    flips : tuple of bool
        Whether canonical axis 0, 1, 2 runs against the file's axis.
    """

    axes: tuple[int, int, int] = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)

    @classmethod
    def from_affine(cls, affine: Affine) -> AxisOrder:
        """Return the view that makes the axes of a file with this voxel-to-RAS affine canonical."""
        found = nib.orientations.io_orientation(affine)
        wanted = nib.orientations.axcodes2ornt(CANONICAL)
        step = nib.orientations.ornt_transform(found, wanted)
        axes = tuple(int(a) for a in np.argsort(step[:, 0]))
        flips = tuple(bool(step[a, 1] < 0) for a in axes)
        return cls(axes, flips)  # type: ignore[arg-type]

    def apply(self, array: Array) -> Array:
        """Return the canonical view of a file-ordered array (no copy)."""
        return np.transpose(array, self.axes)[self._slices()]

    def undo(self, array: Array) -> Array:
        """Return the file-ordered view of a canonical array (no copy)."""
        inverse = tuple(int(a) for a in np.argsort(self.axes))
        return np.transpose(array[self._slices()], inverse)

    def matrix(self, file_shape: Sequence[int]) -> Affine:
        """Return the 4x4 matrix that maps canonical indices to file indices."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for canonical, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            matrix[axis, canonical] = -1 if flip else 1
            matrix[axis, 3] = file_shape[axis] - 1 if flip else 0
        return matrix

    def _slices(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flips)


@dataclass(frozen=True, order=True)
class SliceFile:
    """A file that holds slices of a volume.

    Attributes
    ----------
    path : Path
        The file, or the archive that it lies in.
    member : str
        Its name within the archive; empty for a file of its own.
    """

    path: Path
    member: str = ""


@dataclass(frozen=True, eq=False)
class FileLayout:
    """Layout of an array in its file, as needed to write a mask that matches it.

    Attributes
    ----------
    shape : tuple of int
        Shape of the file's 3-D array.
    axis_order : AxisOrder
        From the file's array to the canonical one.
    affine : (4, 4) array
        The file's own voxel-to-RAS affine.
    fields : mapping
        Geometric fields of a NIfTI header (codes, quaternion, srow, pixdim, units), copied verbatim;
        empty for formats that have none. Free text and extensions are never kept (privacy).
    slice_names : tuple of str
        Where each slice is a file of its own: that file's name without its ending, for every canonical
        slice; empty for a slice that no file holds.
    slice_files : tuple of SliceFile
        The DICOM files of a series, in the order of the slices; empty for other formats.
    """

    shape: tuple[int, int, int]
    axis_order: AxisOrder
    affine: Affine
    fields: Mapping[str, Any] = field(default_factory=dict)
    slice_names: tuple[str, ...] = ()
    slice_files: tuple[SliceFile, ...] = ()


@dataclass(frozen=True, eq=False)
class Grid:
    """A canonical voxel grid in space.

    Attributes
    ----------
    shape : tuple of int
        (Z, Y, X).
    affine : (4, 4) array
        Maps canonical (z, y, x, 1) to RAS coordinates, in mm where `unit` is ``"mm"``, else in voxels.
    unit : {"mm", "unknown"}
        Whether the affine is in mm or its spacing means nothing.
    file_layout : FileLayout or None
        How the source file held it; None for a grid that no file holds.
    """

    shape: tuple[int, int, int]
    affine: Affine
    unit: Unit = "mm"
    file_layout: FileLayout | None = None

    @classmethod
    def from_file(
        cls,
        shape: Sequence[int],
        affine: Affine,
        unit: Unit = "mm",
        fields: Mapping[str, Any] | None = None,
    ) -> Grid:
        """Return the grid of a file-ordered 3-D array with this voxel-to-RAS affine."""
        file_shape = (int(shape[0]), int(shape[1]), int(shape[2]))
        affine = np.asarray(affine, dtype=float)
        axis_order = AxisOrder.from_affine(affine)
        canonical = tuple(file_shape[a] for a in axis_order.axes)
        file_layout = FileLayout(file_shape, axis_order, affine, dict(fields or {}))
        return cls(canonical, affine @ axis_order.matrix(file_shape), unit, file_layout)  # type: ignore[arg-type]

    @classmethod
    def from_codes(
        cls,
        shape: Sequence[int],
        codes: Sequence[str] = CANONICAL,
        spacing: Sequence[float] | None = None,
    ) -> Grid:
        """Return the grid of an array without an affine whose axes run towards `codes`.

        Parameters
        ----------
        shape : sequence of int
            The file's array shape.
        codes : sequence of str
            Direction of each file axis, such as ``("R", "A", "S")``.
        spacing : sequence of float, optional
            Voxel size along each file axis in mm; without it the unit is unknown.
        """
        affine = np.eye(4)
        steps = spacing if spacing is not None else (1.0, 1.0, 1.0)
        for axis, (world, sign) in enumerate(nib.orientations.axcodes2ornt(tuple(codes))):
            affine[:3, axis] = 0
            affine[int(world), axis] = sign * steps[axis]
        grid = cls.from_file(shape, affine, "mm" if spacing is not None else "unknown")
        # no file says where it lies: the first canonical voxel is put at the origin
        shift = np.eye(4)
        shift[:3, 3] = -grid.affine[:3, 3]
        assert grid.file_layout is not None
        file_layout = replace(grid.file_layout, affine=shift @ grid.file_layout.affine)
        return replace(grid, affine=shift @ grid.affine, file_layout=file_layout)

    @cached_property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between voxel centres along (Z, Y, X), in mm or voxels."""
        steps = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(steps[0]), float(steps[1]), float(steps[2])

    @property
    def spacing_mm(self) -> tuple[float, float, float] | None:
        """`spacing` where it is known, else None."""
        return self.spacing if self.unit == "mm" else None

    @property
    def voxel_volume_mm3(self) -> float | None:
        """Volume of a voxel, ``|det|`` of the affine (right under shear, too); None if unknown."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) if self.unit == "mm" else None

    def volume_ml(self, voxels: int) -> float | None:
        """Return the volume of so many voxels in mL; None if the voxel size is unknown."""
        size = self.voxel_volume_mm3
        return None if size is None else voxels * size / 1000

    @property
    def directions(self) -> Affine:
        """(3, 3) unit vectors: column k is the direction of canonical axis k in (S, P, L)."""
        columns = _RAS_TO_SPL[:3, :3] @ self.affine[:3, :3]
        return np.asarray(columns / np.linalg.norm(columns, axis=0))

    @property
    def origin_spl(self) -> Affine:
        """(3,) centre of the first voxel in (S, P, L)."""
        return np.asarray(_RAS_TO_SPL[:3, :3] @ self.affine[:3, 3])

    @property
    def obliquity_degrees(self) -> float:
        """Largest angle between an axis of the grid and the axis of the body it runs along."""
        cosines = np.clip(np.abs(np.diag(self.directions)), 0, 1)
        return float(np.degrees(np.arccos(cosines.min())))

    def is_parallel(self, other: Grid, degrees: float = 0.1) -> bool:
        """Return whether both grids' axes point in the same directions."""
        cosines = np.sum(self.directions * other.directions, axis=0)
        return bool(np.all(cosines > np.cos(np.radians(degrees))))

    def same_space(self, other: Grid) -> bool:
        """Return whether both grids have the same voxels at the same places."""
        if self.shape != other.shape:
            return False
        apart = np.abs(self._corners() - other._corners()).max()
        return bool(apart <= _SAME_SPACE_TOLERANCE * min(self.spacing))

    def overlap(self, other: Grid) -> float:
        """Return the share of the smaller box that lies inside the other, 0 to 1, in RAS boxes."""
        mine, theirs = self._box(), other._box()
        inside = np.prod(np.clip(np.minimum(mine[1], theirs[1]) - np.maximum(mine[0], theirs[0]), 0, None))
        smaller = min(np.prod(mine[1] - mine[0]), np.prod(theirs[1] - theirs[0]))
        return float(inside / smaller) if smaller > 0 else 0.0

    @property
    def slice_axis(self) -> int:
        """Canonical axis across the slices of the acquisition.

        That of a single slice, else that of the thickest side; 0 where the voxels are about equally long in
        all directions, or of unknown size.
        """
        if 1 in self.shape:
            return self.shape.index(1)
        sides = self.spacing_mm or (1.0, 1.0, 1.0)
        across = max(range(3), key=lambda axis: sides[axis])
        return across if sides[across] >= _THICK * sorted(sides)[1] else 0

    def to_world(self, indices: npt.ArrayLike) -> Affine:
        """Map canonical (..., 3) indices to RAS coordinates."""
        points = np.asarray(indices, dtype=float)
        return np.asarray(points @ self.affine[:3, :3].T + self.affine[:3, 3])

    @property
    def centre(self) -> Affine:
        """(3,) middle of the grid in RAS."""
        return self.to_world((np.asarray(self.shape) - 1) / 2)

    def to_file_order(self, array: Array) -> Array:
        """Return the view of a canonical array in the order in which the source file holds it."""
        if array.shape != self.shape:
            raise ValueError(f"an array of shape {array.shape} is not on a grid of shape {self.shape}")
        return self.file_layout.axis_order.undo(array) if self.file_layout else array

    def with_spacing(self, spacing: Sequence[float]) -> Grid:
        """Return the grid with a spacing (Z, Y, X) in mm that the user states.

        Raises
        ------
        InputError
            If it is not three positive numbers.
        """
        steps = np.asarray(spacing, dtype=float)
        if steps.shape != (3,) or not np.all(np.isfinite(steps)) or np.any(steps <= 0):
            raise InputError(f"a spacing is three positive numbers in mm (Z, Y, X), not {list(spacing)}")
        affine = self.affine.copy()
        affine[:3, :3] *= steps / np.asarray(self.spacing)
        file_layout = self.file_layout
        if file_layout is not None:
            to_canonical = np.linalg.inv(file_layout.axis_order.matrix(file_layout.shape))
            file_layout = replace(file_layout, affine=affine @ to_canonical, fields={})
        return replace(self, affine=affine, unit="mm", file_layout=file_layout)

    def with_slice_names(self, names: Sequence[str]) -> Grid:
        """Return the grid of a volume whose slices are files of these names."""
        if self.file_layout is None or len(names) != self.shape[0]:
            raise ValueError(f"{len(names)} names do not fit a stored grid of {self.shape[0]} slices")
        return replace(self, file_layout=replace(self.file_layout, slice_names=tuple(names)))

    def with_slice_files(self, files: Sequence[SliceFile]) -> Grid:
        """Return the grid of a volume that was read from these DICOM files."""
        if self.file_layout is None:
            raise ValueError("a grid that no file holds has no files of slices")
        return replace(self, file_layout=replace(self.file_layout, slice_files=tuple(files)))

    def _corners(self) -> Affine:
        last = np.asarray(self.shape) - 1
        return self.to_world(np.array(np.meshgrid(*[(0, n) for n in last])).reshape(3, -1).T)

    def _box(self) -> Affine:
        edges = np.asarray(self.shape) - 0.5
        corners = self.to_world(np.array(np.meshgrid(*[(-0.5, e) for e in edges])).reshape(3, -1).T)
        return np.array([corners.min(axis=0), corners.max(axis=0)])


def bounding_box(mask: Array) -> tuple[slice, ...] | None:
    """Return the slices that enclose what is non-zero in `mask`, or None where nothing is.

    Works axis by axis on a shrinking view, which is several times faster than `numpy.nonzero`.
    """
    box: list[slice] = []
    for axis in range(mask.ndim):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        hit = np.flatnonzero(mask[tuple(box)].any(axis=others))
        if not hit.size:
            return None
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return tuple(box)
