"""Label arrays: the values of a mask, in any format, as uint8 labels.

Masks come as labels, as {0, 255} or {0, 0.5}, with soft edges, with NaN outside, one-hot in channels, or
as the nested regions of the BraTS challenge. `decode_mask` turns all of them into labels by the same
rules and refuses the rest, naming the values it found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.io.label_channels import merge_channels
from napari_tumorseg.regions import CONVENTIONS, LabelConvention

_NEAR = 0.01
"""Largest distance of a label in a float file from a whole number."""

_MOST_LABELS = 16
"""An image of coarse grey levels holds more different integers than this."""

_MASK_VALUES = 6
"""An array with at most so many different whole numbers may be a mask: four labels, background, 255."""

_KNOWN = frozenset().union(*(convention.values for convention in CONVENTIONS.values()))
"""Numbers that are labels; a mask of one other number is binary."""

GREY = 8
"""Greatest value of a mask that still counts labels; above it, values in between are grey levels."""

_PLATEAU = 0.05
"""Smallest share of a soft mask that is fully tumour; an image has few voxels at its maximum."""

_RINGING = 0.05
"""Share of the greatest value below which a value is what lossy compression left beside an edge."""

_CLASSES = range(2, 7)
"""Numbers of different values of a mask that may be labels at another scale, such as {85, 170, 255}."""

_STEPS = range(2, 7)
"""Numbers of equal steps into which such labels divide the greatest value."""


@dataclass(frozen=True, eq=False)
class LabelArray:
    """Labels of a mask, and how its values were read.

    Attributes
    ----------
    labels : array of uint8
        The labels, without the channel axis.
    notes : tuple of str
        Sentences for the user on values that were no plain labels.
    convention : LabelConvention or None
        The convention of the labels, where they were put together from regions.
    value : int
        The file's own number for the only label, where `labels` holds 1 for it; else 0.
    """

    labels: Array
    notes: tuple[str, ...] = ()
    convention: LabelConvention | None = None
    value: int = 0


def decode_mask(
    values: Array, where: object, channel_axis: int | None = None, are_classes: bool = False
) -> LabelArray:
    """Return the labels that the values of a mask stand for.

    NaN is background. Near-integers are labels. A mask of one value that is no label is binary. Values in
    between, as at soft edges, are cut at half. Channels are classes (labels 1, 2, ... in their order, with
    or without one for the background), the same mask in each, or the nested regions WT, TC and ET in any
    order, which become the labels of BraTS 2023; see `label_channels`.

    Parameters
    ----------
    values : array
        As read from the file.
    where : object
        File and dataset, for the message.
    channel_axis : int, optional
        Axis of the channels, where there is one.
    are_classes : bool
        Whether the layout of the file says that channels are classes rather than regions.

    Raises
    ------
    InputError
        If the values are no labels, which the message names some of, or channels can be read in two ways.
    """
    if channel_axis is None:
        return _decode_one(values, where)
    channels = np.moveaxis(values, channel_axis, 0)
    if len(channels) == 1 or _are_one_mask(channels):
        return _decode_one(channels[0], where)
    return _decode_channels(channels, where, are_classes)


def is_labels(data: Array, most: int = 255) -> bool:
    """Return whether an array could be a label mask: only a few different non-negative near-integers."""
    if data.dtype.kind == "b":
        return True
    low, high = data.min(), data.max()
    if not (np.isfinite(low) and np.isfinite(high)) or low < -_NEAR or high > most + _NEAR:
        return False
    if _is_float(data) and np.abs(data - np.rint(data)).max() >= _NEAR:
        return False
    return bool(np.count_nonzero(np.bincount(_as_bytes(data).ravel())) <= _MOST_LABELS)


def looks_like_mask(array: Array) -> bool:
    """Return whether an array holds so few whole numbers that it must be a mask rather than an image."""
    if array.dtype.kind == "b":
        return True
    some = array.ravel()[:: max(1, array.size // 100_000)]
    values = np.unique(some)
    few = 1 < values.size <= _MASK_VALUES
    if not few or not bool(np.all(np.abs(values - np.rint(values)) <= _NEAR)):
        return False
    return bool(values[0] >= 0 and (values[-1] < _MASK_VALUES or set(np.rint(values)) == {0, 255}))


def are_binary(channels: Sequence[Array]) -> bool:
    """Return whether each of several channels holds only 0 and 1: regions or one-hot classes, no images."""
    return all(is_labels(channel, 1) for channel in channels)


def present(labels: Array) -> list[int]:
    """Return the labels that a uint8 mask holds, without the background."""
    return [int(v) for v in np.flatnonzero(np.bincount(labels.ravel(), minlength=256)) if v]


# --- one array -------------------------------------------------------------------------------


def _decode_one(values: Array, where: object) -> LabelArray:
    if values.dtype.kind == "b":
        return LabelArray(_as_bytes(values))
    values, notes = _without_nan(values, where)
    flat = values.ravel(order="K")  # most of a mask is background, and need not be looked at again
    inside = flat[flat != 0]
    if inside.size and inside.min() < -_NEAR:
        raise _refusal(values, where)
    if not inside.size or inside.max() <= 0:
        return LabelArray(np.zeros(values.shape, np.uint8), notes)
    if bool(np.all(inside == inside[0])):
        found = _of_single(values, float(inside[0]))
    else:
        found = _of_several(values, inside, where)
    return replace(found, notes=(*notes, *found.notes))


def _without_nan(values: Array, where: object) -> tuple[Array, tuple[str, ...]]:
    if not _is_float(values) or np.isfinite(values.sum(dtype=np.float64)):
        return values, ()
    if np.isinf(values).any():
        raise _refusal(values, where)
    count = int(np.isnan(values).sum())
    note = f"{count} voxels that are no numbers (NaN) were taken as background"
    return np.nan_to_num(values, nan=0.0), (note,) if count else ()


def _of_single(values: Array, value: float) -> LabelArray:
    """Return the labels of a mask of one value: that label if it is one, else tumour or not."""
    label = round(value)
    if abs(value - label) <= _NEAR and label in _KNOWN:
        return LabelArray(_as_bytes(values))
    notes = () if value in (255, 65535) else (f"its only value, {value:g}, was taken as tumour",)
    is_number = value == label and 0 < label < 255
    return LabelArray((values != 0).astype(np.uint8), notes, value=label if is_number else 0)


def _of_several(values: Array, inside: Array, where: object) -> LabelArray:
    """Return the labels of a mask with several values beside 0, which are `inside`."""
    high = inside.max()
    whole = not _is_float(inside) or bool(np.abs(inside - np.rint(inside)).max() <= _NEAR)
    if whole and 0.5 < high <= 255 + _NEAR:
        counts = np.bincount(_as_bytes(inside), minlength=256)
        counts[0] = 1
        grey = counts[255] and counts[GREY + 1 : 255].any()  # between black and white
        if np.count_nonzero(counts) <= _MOST_LABELS and not grey:
            return LabelArray(_as_bytes(values))
    return _of_soft(values, inside, where)


def _of_soft(values: Array, inside: Array, where: object) -> LabelArray:
    """Cut a mask with soft edges at half of what stands for tumour: 1, or the greatest value."""
    high = float(inside.max())
    full = 1.0 if high <= 1 + _NEAR else high
    is_soft = full == 1 or full > GREY
    if not is_soft or np.count_nonzero(inside >= 0.98 * full) < _PLATEAU * inside.size:
        raise _refusal(values, where)
    _refuse_scaled(values, full, where)
    ends = f"black and white (0 and {full:g})" if full > GREY else "0 and 1"
    note = f"its values between {ends} were cut at half"
    return LabelArray((values > full / 2).astype(np.uint8), (note,))


def _refuse_scaled(values: Array, full: float, where: object) -> None:
    """Raise if the few values between 0 and `full` fill areas, as labels do, rather than edges."""
    partial = (values > _RINGING * full) & (values < 0.98 * full)
    between = np.unique(values[partial])
    if len(between) + 1 not in _CLASSES or not _fill_areas(values, partial, between / full):
        return
    listed = ", ".join(f"{value:g}" for value in between)
    raise InputError(
        f"{where} holds the values {listed} between 0 and {full:g} in whole areas: they are labels at "
        "another scale rather than soft edges; save it with whole numbers from 1"
    )


def _fill_areas(values: Array, partial: Array, shares: Array) -> bool:
    """Return whether partial values lie away from full ones, or fill an area of more than an edge's width.

    Values in equal steps must lie next to full ones to be an edge, and not outnumber them; others may be one
    voxel further out.
    """
    are_steps = _are_steps(shares)
    full = (values >= values[partial].max()) & ~partial
    if are_steps and len(shares) > 1 and np.count_nonzero(partial) > np.count_nonzero(full):
        return True
    reach = 1 if are_steps else 2
    around = ndimage.generate_binary_structure(values.ndim, values.ndim)
    if bool((partial & ~ndimage.binary_dilation(full, around, reach)).any()):
        return True
    cross = ndimage.generate_binary_structure(values.ndim, 1)
    same = ndimage.minimum_filter(values, footprint=cross) == ndimage.maximum_filter(values, footprint=cross)
    return bool((partial & same).any())


def _are_steps(shares: Array) -> bool:
    return any(np.all(np.abs(shares * n - np.rint(shares * n)) <= _NEAR * n) for n in _STEPS)


# --- channels --------------------------------------------------------------------------------


def _decode_channels(channels: Array, where: object, are_classes: bool) -> LabelArray:
    if _is_softmax(channels):
        winner = np.argmax(channels, axis=0)
        hot, are_classes = np.stack([winner == n for n in range(len(channels))]), True
    else:
        hot = np.stack([_one_channel(channel, where) for channel in channels])
    found = merge_channels(hot, where, are_classes)
    return LabelArray(found.labels, (found.note,), found.convention)


def _is_softmax(channels: Array) -> bool:
    """Return whether channels hold probabilities of classes: they add up to 1, and not all are 0 or 1."""
    if not _is_float(channels) or _are_zero_or_one(channels):
        return False
    return bool(np.allclose(channels.sum(axis=0, dtype=np.float32), 1, atol=2 * _NEAR))


def _one_channel(channel: Array, where: object) -> Array:
    labels = _decode_one(channel, where).labels
    if len(np.unique(labels[labels > 0])) > 1:
        raise InputError(f"{where} has channels that are not one-hot, so it is no label mask")
    return np.asarray(labels > 0)


def _are_one_mask(channels: Array) -> bool:
    """Return whether channels hold the same mask, such as a grey picture in three colours.

    Three equal channels of 0 and 1 are regions: no picture is as dark as that.
    """
    first = channels[0]
    if not all(np.array_equal(first, c, equal_nan=_is_float(c)) for c in channels[1:]):
        return False
    return len(channels) != 3 or not (_are_zero_or_one(first) and bool(first.any()))


def _are_zero_or_one(values: Array) -> bool:
    return bool(np.all((values == 0) | (values == 1)))


# --- values ----------------------------------------------------------------------------------


def _as_bytes(data: Array) -> Array:
    """Return near-integers as uint8 (C-contiguous, writable)."""
    return np.ascontiguousarray(np.rint(data) if _is_float(data) else data).astype(np.uint8)


def _is_float(data: Array) -> bool:
    return data.dtype.kind == "f"


def _refusal(values: Array, where: object) -> InputError:
    """Return the error about values that are no labels, with some of them."""
    some = values[:: max(1, len(values) // 64)].ravel()
    found = np.unique(np.append(some, [values.min(), values.max()]))
    shown = [f"{value:g}" for value in found]
    listed = ", ".join(shown) if len(shown) <= 6 else f"{', '.join(shown[:4])}, ... {shown[-1]}"
    return InputError(
        f"{where} holds no labels: its values {listed} are those of an image, or of labels that were "
        "interpolated"
    )
