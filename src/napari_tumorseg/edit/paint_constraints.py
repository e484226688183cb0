"""Painting that keeps to where it may: an intensity range, the inside of a label, other labels spared."""

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
    spare: Collection[int] = (),
    box: Sequence[slice] | None = None,
) -> Array:
    """Return where one may paint.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        As they were before the stroke.
    image : array, optional
        Whose intensities count; of the shape of `labels`. Voxels that are NaN are in no range.
    low, high : float, optional
        The range, both ends included.
    inside : collection of int, optional
        Paint only over these labels.
    spare : collection of int
        Never paint over these labels.
    box : (slice, slice, slice), optional
        Tell it only there: the result has the box's shape.

    Returns
    -------
    array of bool

    Raises
    ------
    InputError
        If the image is of another shape, or the range is empty or has no image.
    """
    if image is None and (low is not None or high is not None):
        raise InputError("an intensity range needs an image; choose one")
    if low is not None and high is not None and not low <= high:
        raise InputError(f"the intensity range {low:g} to {high:g} is empty; swap its ends")
    if image is not None and image.shape != labels.shape:
        raise InputError(
            f"the image is of shape {image.shape}, the labels of {labels.shape}; choose one on their grid"
        )
    where = whole(labels.shape) if box is None else within(box, labels.shape)
    may = ~is_in(labels[where], spare)
    if inside is not None:
        may &= is_in(labels[where], inside)
    if image is not None:
        may &= _in_range(image[where], low, high)
    return may


def repair_stroke(
    before: Array,
    after: Array,
    may: Array | None = None,
    *,
    spare: Collection[int] = (),
    box: Sequence[slice] | None = None,
) -> Change | None:
    """Return the change that takes back what a stroke did where it must not; None if it kept to the rules.

    Parameters
    ----------
    before, after : (Z, Y, X) array of uint8
        The labels before and after the stroke.
    may : array of bool, optional
        Where one may paint (see `allowed`): of the shape of the labels, or of the box.
    spare : collection of int
        Labels of `before` that must stay.
    box : (slice, slice, slice), optional
        Where the stroke lies, if that is known.
    """
    stroke = find_change(before, after, box)
    if stroke is None:
        return None
    wrong = is_in(stroke.before, spare)
    if may is not None:
        wrong |= ~_cut(may, stroke, before.shape, box)
    return change_to(after, stroke.box, np.where(wrong, stroke.before, stroke.after))


def erase_outside(labels: Array, mask: Array, *, spare: Collection[int] = ()) -> Change | None:
    """Return the change that takes away all labels outside a mask, such as that of the brain.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Any order of axes.
    mask : array
        Of the same shape; zero is outside.
    spare : collection of int
        Labels that stay.

    Raises
    ------
    InputError
        If the mask is empty or of another shape.
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
    block[(mask[box] == 0) & ~is_in(block, spare)] = 0
    return change_to(labels, box, block)


def _in_range(values: Array, low: float | None, high: float | None) -> Array:
    found = np.ones(values.shape, dtype=bool) if values.dtype.kind != "f" else ~np.isnan(values)
    if low is not None:
        found &= values >= low
    if high is not None:
        found &= values <= high
    return found


def _cut(may: Array, stroke: Change, shape: Sequence[int], box: Sequence[slice] | None) -> Array:
    """Return where one may paint in the box of a stroke."""
    if may.shape == tuple(shape):
        return np.asarray(may[stroke.box], dtype=bool)
    outer = within(box, shape) if box is not None else None
    if outer is None or may.shape != tuple(s.stop - s.start for s in outer):
        raise ValueError(f"a mask of shape {may.shape} fits neither the labels ({shape}) nor the box")
    local = tuple(slice(s.start - o.start, s.stop - o.start) for s, o in zip(stroke.box, outer, strict=True))
    return np.asarray(may[local], dtype=bool)
