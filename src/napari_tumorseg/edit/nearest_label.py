"""What takes the place of voxels that a label gives up: what lies around them, not always background."""

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
        Before the loss; some voxel is of another value.
    label : int
        The label that gives voxels up.
    lost : array of bool
        Which ones.
    spacing : (Z, Y, X)
        Voxel size in mm.
    """
    nearest = ndimage.distance_transform_edt(
        labels == label, sampling=spacing, return_distances=False, return_indices=True
    )
    return np.asarray(labels[tuple(axis[lost] for axis in nearest)])


def strongest_others(labels: Array, label: int, lost: Array, sigma: Sequence[float]) -> Array:
    """Return, for each lost voxel, the other value, 0 included, that weighs most around it.

    Weights are those of a Gaussian of `sigma` voxels, the one that took the voxels from the label: a voxel
    goes to whatever comes second there. Inside a tumour that is another part of it, at its edge background.
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
    """Return a mask after a Gaussian of `sigma` voxels, 0 to 1; beyond the edge it goes on as it ends."""
    return np.asarray(
        ndimage.gaussian_filter(mask.astype(np.float32), sigma, mode="nearest", truncate=TRUNCATE)
    )


TRUNCATE = 3.0
"""How many sigma a Gaussian reaches."""
