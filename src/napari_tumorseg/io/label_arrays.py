"""Label arrays: the values of a mask, in any format, as uint8 labels."""

from __future__ import annotations

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array

_NEAR = 0.01
"""Largest distance of a label in a float file from a whole number."""

_MOST_LABELS = 16
"""An image of coarse grey levels holds more different integers than this."""

_MASK_VALUES = 6
"""An array with at most so many different whole numbers may be a mask: four labels, background, 255."""


def is_labels(data: Array, most: int = 255) -> bool:
    """Tell whether an array could be a label mask: nothing but a few different non-negative near-integers."""
    if data.dtype.kind == "b":
        return True
    low, high = data.min(), data.max()
    if not (np.isfinite(low) and np.isfinite(high)) or low < -_NEAR or high > most + _NEAR:
        return False
    if data.dtype.kind == "f" and np.abs(data - np.rint(data)).max() >= _NEAR:
        return False
    return bool(np.count_nonzero(np.bincount(to_labels(data).ravel())) <= _MOST_LABELS)


def looks_like_mask(array: Array) -> bool:
    """Tell whether an array holds so few whole numbers that it must be a mask rather than an image."""
    if array.dtype.kind == "b":
        return True
    some = array.ravel()[:: max(1, array.size // 100_000)]
    values = np.unique(some)
    few = 1 < values.size <= _MASK_VALUES
    if not few or not bool(np.all(np.abs(values - np.rint(values)) <= _NEAR)):
        return False
    return bool(values[0] >= 0 and (values[-1] < _MASK_VALUES or set(np.rint(values)) == {0, 255}))


def to_labels(data: Array) -> Array:
    """Return near-integers as uint8 labels (C-contiguous, writable); {0, 255} becomes {0, 1}."""
    labels = np.ascontiguousarray(np.rint(data) if data.dtype.kind == "f" else data).astype(np.uint8)
    if labels.max(initial=0) == 255 and not np.any((labels > 0) & (labels < 255)):
        labels //= 255
    return labels


def as_labels(array: Array, where: object) -> Array:
    """Return a mask as uint8 labels; near-integers count as labels, and a mask of {0, 255} as {0, 1}.

    Raises
    ------
    InputError
        If the values are no labels.
    """
    if array.dtype.kind == "f":
        rounded = np.rint(array)
        # written so that NaN and infinity fail, too
        if not bool(np.all(np.abs(array - rounded) <= _NEAR)):
            raise InputError(f"{where} holds values that are no whole numbers, so it is no label mask")
        array = rounded
    if array.size and (array.min() < 0 or array.max() > 255):
        raise InputError(f"{where} holds values outside 0 to 255, so it is no label mask")
    return to_labels(array)


def from_channels(array: Array, axis: int, where: object) -> Array:
    """Return the labels of a mask with a channel axis: one-hot, or the same mask in each channel.

    One-hot channels are labels 1, 2, ... in their order; where every voxel is in exactly one of them the
    first is the background.

    Raises
    ------
    InputError
        If the channels overlap (regions, not labels) or are no masks at all.
    """
    channels = np.moveaxis(array, axis, 0)
    if len(channels) == 1 or all(np.array_equal(channels[0], c) for c in channels[1:]):
        return as_labels(channels[0], where)
    hot = as_labels(channels, where)
    if hot.max() > 1:
        raise InputError(f"{where} has {len(hot)} channels that are not one-hot, so it is no label mask")
    covered = hot.sum(axis=0, dtype=np.uint8)
    if covered.max() > 1:
        raise InputError(f"{where} has channels that overlap: regions rather than labels")
    first = 0 if covered.min() == 1 else 1
    labels = np.zeros(hot.shape[1:], np.uint8)
    for value, channel in enumerate(hot, start=first):
        labels[channel > 0] = value
    return labels
