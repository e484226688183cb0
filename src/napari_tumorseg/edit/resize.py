"""Growing and shrinking of a label by a distance in mm, measured between centres of voxels."""

from __future__ import annotations

import math
from collections.abc import Collection

from scipy import ndimage

from napari_tumorseg.edit.boxes import (
    Spacing,
    checked_label,
    checked_mm,
    checked_spacing,
    is_in,
    wider,
)
from napari_tumorseg.edit.change import Change, change_to
from napari_tumorseg.edit.nearest_label import nearest_others
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, bounding_box

_ROUNDING = 1e-6
"""Relative tolerance of distances, since spacings in files are rounded."""


def grow(
    labels: Array,
    label: int,
    mm: float,
    spacing: Spacing,
    *,
    into: Collection[int] = (0,),
    where: Array | None = None,
) -> Change | None:
    """Return the change that grows a label by all voxels within `mm` of it.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Any order of axes.
    label : int
        Label to change.
    mm : float
        Distance from centre to centre.
    spacing : (Z, Y, X) or None
        Voxel size in mm.
    into : collection of int
        Labels that may be overwritten, 0 for background; all others are protected.
    where : array of bool, optional
        Mask of voxels into which it may grow, for example from `allowed`.

    Raises
    ------
    InputError
        If the voxel size is unknown, or `mm` is not a length or less than the distance of two voxels.
    """
    steps, mm = _checked(label, mm, spacing, "grow a label")
    inner = bounding_box(labels == label)
    if inner is None:
        return None
    box = wider(inner, _reach(mm, steps), labels.shape)
    block = labels[box].copy()
    target = is_in(block, into)
    if where is not None:
        target &= where[box].astype(bool, copy=False)
    block[target & (ndimage.distance_transform_edt(block != label, sampling=steps) <= _limit(mm))] = label
    return change_to(labels, box, block)


def shrink(
    labels: Array, label: int, mm: float, spacing: Spacing, *, leaving: int | None = None
) -> Change | None:
    """Return the change that removes all voxels of a label within `mm` of any other value.

    The edge of the array does not count as a border: a tumour that is cut off there continues beyond it.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Any order of axes.
    label : int
        Label to change.
    mm : float
        Distance from centre to centre.
    spacing : (Z, Y, X) or None
        Voxel size in mm.
    leaving : int, optional
        New value of the removed voxels; by default that of the nearest voxel of another value, so that no
        hole opens between parts of a tumour.

    Raises
    ------
    InputError
        If the voxel size is unknown, or `mm` is not a length or less than the distance of two voxels.
    """
    steps, mm = _checked(label, mm, spacing, "shrink a label")
    inner = bounding_box(labels == label)
    if inner is None:
        return None
    box = wider(inner, (1, 1, 1), labels.shape)
    block = labels[box].copy()
    own = block == label
    if own.all():
        return None
    lost = own & (ndimage.distance_transform_edt(own, sampling=steps) <= _limit(mm))
    if leaving is None:
        block[lost] = nearest_others(block, label, lost, steps)
    else:
        block[lost] = checked_label(leaving, background=True)
    return change_to(labels, box, block)


def _checked(label: int, mm: float, spacing: Spacing, what: str) -> tuple[tuple[float, float, float], float]:
    checked_label(label)
    steps, mm = checked_spacing(spacing, what), checked_mm(mm, what)
    if _limit(mm) < min(steps):
        raise InputError(
            f"{mm:g} mm is less than the distance of two voxels ({min(steps):.3g} mm): nothing would change"
        )
    return steps, mm


def _reach(mm: float, steps: tuple[float, float, float]) -> tuple[int, int, int]:
    z, y, x = (math.floor(_limit(mm) / step) for step in steps)
    return z, y, x


def _limit(mm: float) -> float:
    return mm * (1 + _ROUNDING)
