"""Replacement of voxels that a label loses by the labels of their neighbourhood."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from napari_tumorseg.geometry import Array


def nearest_others(labels: Array, label: int, lost: Array, spacing: Sequence[float]) -> Array:
    """Return, for each lost voxel, the value of the nearest voxel that is not of the label.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Labels before the loss; at least one voxel has another value.
    label : int
        Label that loses voxels.
    lost : array of bool
        Mask of the lost voxels.
    spacing : (Z, Y, X)
        Voxel size in mm.
    """
    nearest = ndimage.distance_transform_edt(
        labels == label, sampling=spacing, return_distances=False, return_indices=True
    )
    return np.asarray(labels[tuple(axis[lost] for axis in nearest)])


def strongest_others(labels: Array, label: int, lost: Array, sigma: Sequence[float]) -> Array:
    """Return, for each lost voxel, the other value (0 included) with the largest Gaussian weight.

    The Gaussian, of `sigma` voxels, is the one by which the label lost the voxels. Inside a tumour the
    result is another part of it, at its edge background.
    """
    values = [int(v) for v in np.flatnonzero(np.bincount(labels.ravel(), minlength=1)) if v != label]
    best = np.zeros(np.count_nonzero(lost), dtype=np.uint8)
    weight = np.zeros(best.size, dtype=np.float32)
    for value in values:
        found = membership(labels == value, sigma)[lost]
        best[found > weight] = value
        weight = np.maximum(weight, found)
    return best


def membership(mask: Array, sigma: Sequence[float]) -> Array:
    """Return a mask smoothed by a Gaussian of `sigma` voxels, 0 to 1; edge values are repeated outside."""
    return np.asarray(
        ndimage.gaussian_filter(mask.astype(np.float32), sigma, mode="nearest", truncate=TRUNCATE)
    )


TRUNCATE = 3.0
"""Radius of the Gaussian in sigma."""
