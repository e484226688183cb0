"""Smoothing of a label; voxels that it loses get the labels of their neighbourhood."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
from scipy import ndimage

from napari_tumorseg.edit.boxes import Spacing, checked_label, checked_mm, checked_spacing, is_in, wider
from napari_tumorseg.edit.change import Change, change_to
from napari_tumorseg.edit.nearest_label import TRUNCATE, membership, strongest_others
from napari_tumorseg.geometry import Array, bounding_box

_MOST_MM = 20.0


def smooth(
    labels: Array, label: int, mm: float, spacing: Spacing, *, into: Collection[int] = (0,)
) -> Change | None:
    """Return the change that smooths a label: its mask after a Gaussian, thresholded at one half.

    Dents are filled, spurs and thin parts removed. A voxel that the label loses becomes the other value with
    the largest weight under the same Gaussian: inside a tumour another part of it, at its edge background.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Any order of axes.
    label : int
        Label to smooth.
    mm : float
        Standard deviation of the Gaussian.
    spacing : (Z, Y, X) or None
        Voxel size in mm.
    into : collection of int
        Labels that may be overwritten, 0 for background; all others are protected.

    Raises
    ------
    InputError
        If the voxel size is unknown or `mm` is not a length.
    """
    checked_label(label)
    steps = checked_spacing(spacing, "smooth a label")
    sigma = tuple(checked_mm(mm, "smooth a label", _MOST_MM) / step for step in steps)
    inner = bounding_box(labels == label)
    if inner is None:
        return None
    # twice the radius of the kernel, so that the border of the box has no influence
    margins = [2 * math.ceil(TRUNCATE * s) + 1 for s in sigma]
    box = wider(inner, margins, labels.shape)
    block = labels[box].copy()
    own = block == label
    after = membership(own, sigma) >= 0.5
    return change_to(labels, box, _replaced(block, label, own, after, sigma, into))


def smooth_median(labels: Array, label: int, size: int = 3, *, into: Collection[int] = (0,)) -> Change | None:
    """Return the change that smooths a label by the majority in a cube of `size` voxels.

    It is for masks whose voxel size is unknown; other parameters are those of `smooth`.
    """
    checked_label(label)
    inner = bounding_box(labels == label)
    if inner is None:
        return None
    box = wider(inner, (size,) * 3, labels.shape)
    block = labels[box].copy()
    own = block == label
    share = ndimage.uniform_filter(own.astype(np.float32), size, mode="nearest")
    return change_to(labels, box, _replaced(block, label, own, share > 0.5, (size / 3,) * 3, into))


def _replaced(
    block: Array,
    label: int,
    own: Array,
    after: Array,
    sigma: tuple[float, ...],
    into: Collection[int],
) -> Array:
    """Return the block with a label's new mask; labels not in `into` are not overwritten."""
    lost = own & ~after
    out = block.copy()
    if lost.any():
        out[lost] = strongest_others(block, label, lost, sigma)
    out[after & ~own & is_in(block, into)] = label
    return out
