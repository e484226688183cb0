"""Cleaning of a brain mask: one piece without holes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_tumorseg.geometry import Array, Grid, bounding_box


def largest_component(mask: Array) -> Array:
    """Return the largest piece of a mask, its voxels joined by faces; an empty mask stays empty."""
    box = bounding_box(mask)
    kept = np.zeros(mask.shape, dtype=bool)
    if box is None:
        return kept
    pieces, _ = ndimage.label(mask[box])
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    kept[box] = pieces == sizes.argmax()
    return kept


def without_specks(mask: Array, grid: Grid) -> Array:
    """Return a brain without detached specks and holes.

    Pieces that hang on by a few voxels in the neck or the orbits go with an opening by one voxel in the
    plane of the slices. Voxels at the edge of the brain that the opening removes are restored.
    """
    in_plane = _cross(grid.slice_axis)
    core = largest_component(ndimage.binary_opening(mask, in_plane))
    near = ndimage.binary_dilation(core, in_plane) & mask
    return np.asarray(_filled(largest_component(near if core.any() else mask)))


def _cross(axis: int) -> Array:
    """Return a voxel and its four neighbours in the plane across an axis."""
    cross = ndimage.generate_binary_structure(3, 1)
    np.moveaxis(cross, axis, 0)[[0, 2]] = False
    return np.asarray(cross)


def _filled(mask: Array) -> Array:
    box = bounding_box(mask)
    if box is None:
        return mask
    filled = mask.copy()
    filled[box] = ndimage.binary_fill_holes(mask[box])
    return filled
