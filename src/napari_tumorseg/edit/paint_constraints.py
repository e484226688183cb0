"""Constraints of painting: an intensity range, labels that may be painted over, protected labels."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from napari_tumorseg.edit.boxes import is_in, whole, within
from napari_tumorseg.edit.change import Change, change_to, find_change
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, bounding_box


def allowed(
    labels: Array,
    image: Array | None = None,
    low: float | None = None,
    high: float | None = None,
    *,
    inside: Collection[int] | None = None,
    protected: Collection[int] = (),
    box: Sequence[slice] | None = None,
) -> Array:
    """Return the mask of voxels that may be painted.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Labels before the stroke.
    image : array, optional
        Image of the intensity range, of the shape of `labels`. NaN is in no range.
    low, high : float, optional
        Intensity range, both ends included.
    inside : collection of int, optional
        Labels that may be painted over; by default all.
    protected : collection of int
        Labels that must not be painted over.
    box : (slice, slice, slice), optional
        Box of the result, which then has its shape; by default the whole array.

    Returns
    -------
    array of bool

    Raises
    ------
    InputError
        If the image has another shape, or the range is empty or has no image.
    """
    _check_range(image, low, high)
    if image is not None and image.shape != labels.shape:
        raise InputError(
            f"the image is of shape {image.shape}, the labels of {labels.shape}; choose one on their grid"
        )
    where = whole(labels.shape) if box is None else within(box, labels.shape)
    paintable = ~is_in(labels[where], protected)
    if inside is not None:
        paintable &= is_in(labels[where], inside)
    if image is not None:
        paintable &= _in_range(image[where], low, high)
    return paintable


def repair_stroke(
    before: Array,
    after: Array,
    paintable: Array | None = None,
    *,
    protected: Collection[int] = (),
    box: Sequence[slice] | None = None,
) -> Change | None:
    """Return the change that undoes a stroke where it was not allowed; None if all of it was.

    Parameters
    ----------
    before, after : (Z, Y, X) array of uint8
        Labels before and after the stroke.
    paintable : array of bool, optional
        Mask of voxels that may be painted (see `allowed`): of the shape of the labels, or of the box.
    protected : collection of int
        Labels of `before` that must stay.
    box : (slice, slice, slice), optional
        Box that contains the stroke, if known.
    """
    stroke = find_change(before, after, box)
    if stroke is None:
        return None
    wrong = is_in(stroke.before, protected)
    if paintable is not None:
        wrong |= ~_cut(paintable, stroke, before.shape, box)
    return change_to(after, stroke.box, np.where(wrong, stroke.before, stroke.after))


def erase_outside(labels: Array, mask: Array, *, protected: Collection[int] = ()) -> Change | None:
    """Return the change that erases all labels outside a mask, such as the brain.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Any order of axes.
    mask : array
        Mask of the same shape; zero is outside.
    protected : collection of int
        Labels that stay.

    Raises
    ------
    InputError
        If the mask is empty or has another shape.
    """
    if mask.shape != labels.shape:
        raise InputError(
            f"the mask is of shape {mask.shape}, the labels of {labels.shape}; choose one on their grid"
        )
    if not mask.any():
        raise InputError("the mask is empty, so everything would be erased; choose another one")
    box = bounding_box(labels)
    if box is None:
        return None
    block = labels[box].copy()
    block[(mask[box] == 0) & ~is_in(block, protected)] = 0
    return change_to(labels, box, block)


def _check_range(image: Array | None, low: float | None, high: float | None) -> None:
    """Raise if an intensity range is empty or has no image."""
    if image is None and (low is not None or high is not None):
        raise InputError("an intensity range needs an image; choose one")
    if low is not None and high is not None and not low <= high:
        raise InputError(f"the intensity range {low:g} to {high:g} is empty; swap its ends")


def _in_range(values: Array, low: float | None, high: float | None) -> Array:
    found = np.ones(values.shape, dtype=bool) if values.dtype.kind != "f" else ~np.isnan(values)
    if low is not None:
        found &= values >= low
    if high is not None:
        found &= values <= high
    return found


def _cut(mask: Array, stroke: Change, shape: Sequence[int], box: Sequence[slice] | None) -> Array:
    """Return the part of a mask, of the labels' shape or the box's, that lies in the box of a stroke."""
    if mask.shape == tuple(shape):
        return np.asarray(mask[stroke.box], dtype=bool)
    outer = within(box, shape) if box is not None else None
    if outer is None or mask.shape != tuple(s.stop - s.start for s in outer):
        raise ValueError(f"a mask of shape {mask.shape} fits neither the labels ({shape}) nor the box")
    local = tuple(slice(s.start - o.start, s.stop - o.start) for s, o in zip(stroke.box, outer, strict=True))
    return np.asarray(mask[local], dtype=bool)
