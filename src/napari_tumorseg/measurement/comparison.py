"""Comparison of a mask with its reference: voxel counts, surface distances, difference in volume."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.measurement.confusion import Confusion
from napari_tumorseg.measurement.max_diameter import longest_diagonal
from napari_tumorseg.measurement.surface_distance import Directed, hd95, nsd, surface_distances


class Comparison:
    """A mask and its reference, and what metrics are computed from.

    Parameters
    ----------
    seg_mask, ref_mask : (Z, Y, X) array of bool
        Both cut out of their images by the same box.
    grid : Grid
        Of the whole images.
    """

    def __init__(self, seg_mask: Array, ref_mask: Array, grid: Grid) -> None:
        self._masks = seg_mask, ref_mask
        self._grid = grid
        self.counts = Confusion.of(seg_mask, ref_mask, total=int(np.prod(grid.shape)))

    @property
    def hd95_mm(self) -> float | None:
        """HD95; with one mask empty the diagonal of the image; None where the voxel size is unknown."""
        if self._grid.unit != "mm":
            return None
        if self._surfaces is not None:
            return hd95(self._surfaces)
        return image_diagonal(self._grid) if self._one_is_empty else 0.0

    def nsd(self, tolerance_mm: float) -> float | None:
        """Return the normalised surface distance; None where the voxel size is unknown."""
        if self._grid.unit != "mm":
            return None
        if self._surfaces is not None:
            return nsd(self._surfaces, tolerance_mm)
        return 0.0 if self._one_is_empty else 1.0

    @property
    def volume_error_ml(self) -> float | None:
        """Volume of the mask less that of the reference; None where the voxel size is unknown."""
        return self._grid.volume_ml(self._excess)

    @property
    def volume_error_percent(self) -> float | None:
        """The same in % of the reference; None where only the reference is empty."""
        if self.counts.reference_voxels:
            return 100 * self._excess / self.counts.reference_voxels
        return None if self._excess else 0.0

    @cached_property
    def _surfaces(self) -> Directed | None:
        """Surface distances in both directions; None where a mask is empty."""
        if not (self.counts.voxels and self.counts.reference_voxels):
            return None
        return surface_distances(*self._masks, self._grid.affine)

    @property
    def _one_is_empty(self) -> bool:
        return bool(self.counts.voxels or self.counts.reference_voxels)

    @property
    def _excess(self) -> int:
        return self.counts.voxels - self.counts.reference_voxels


def image_diagonal(grid: Grid) -> float:
    """Return the longest diagonal of a grid over the outer edges of its voxels, in the grid's unit."""
    return longest_diagonal(grid.shape, grid.affine)
