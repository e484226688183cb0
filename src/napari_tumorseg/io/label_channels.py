"""Channels of a mask, one-hot classes or the nested regions WT, TC and ET, merged into labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.regions import CONVENTIONS, LabelConvention

_NESTED = 0.95
"""Smallest share of a region that lies inside the region around it."""

_BORDER = 0.9
"""Smallest share of the border of an array that its background fills."""


@dataclass(frozen=True, eq=False)
class MergedChannels:
    """Labels of several channels, and how these were read.

    Attributes
    ----------
    labels : array of uint8
        The labels, without the channel axis.
    note : str
        Sentence for the user on how the channels were read.
    convention : LabelConvention or None
        The convention of the labels, where the channels are regions.
    """

    labels: Array
    note: str
    convention: LabelConvention | None = None


def merge_channels(hot: Array, where: object, are_classes: bool = False) -> MergedChannels:
    """Return the labels of several channels.

    Channels that overlap are the regions WT, TC and ET. Others are classes: labels 1, 2, ... in their order,
    where the background has a channel of its own (the first or the last) or none.

    Parameters
    ----------
    hot : array of bool
        The channels, first axis, each of which holds something other than 0.
    where : object
        The file, for the message.
    are_classes : bool
        Whether it is known that the channels are classes rather than regions.

    Raises
    ------
    InputError
        If the channels are neither, or could be both: of three channels only one is filled.
    """
    covered = hot.sum(axis=0, dtype=np.uint8)
    if covered.max() > 1:
        return _of_regions(hot, where)
    background = _background(hot, where) if covered.min() == 1 else None
    classes = hot if background is None else np.delete(hot, background, axis=0)
    if not are_classes:
        _refuse_unclear(classes, where)
    labels = np.zeros(hot.shape[1:], np.uint8)
    for value, channel in enumerate(classes, start=1):
        labels[channel] = value
    return MergedChannels(labels, _note_on_classes(len(classes), background))


def _note_on_classes(count: int, background: int | None) -> str:
    numbers = f"the labels 1 to {count} in their order" if count > 1 else "the label 1"
    place = "last" if background else "first"
    rest = "" if background is None else f"; the {place} one was read as the background"
    return f"its channels were read as classes, {numbers}{rest}"


def _refuse_unclear(classes: Array, where: object) -> None:
    """Raise if three channels may be regions as well as classes, since at most one of them is filled."""
    filled = sum(bool(channel.any()) for channel in classes)
    if len(classes) == 3 and filled == 1:
        raise InputError(
            f"{where} has three channels of which two are empty: they may be regions (whole tumour, tumour "
            "core, enhancing tumour) or classes (one label each); save it as one array of labels"
        )


# --- background ------------------------------------------------------------------------------


def _background(hot: Array, where: object) -> int:
    """Return which of channels that fill the array together is the background: the first or the last one."""
    borders = _on_border(hot)
    sizes = hot.reshape(len(hot), -1).sum(axis=1)
    found = int(np.argmax(borders))
    if borders[found] < _BORDER * borders.sum():
        found = int(np.argmax(sizes))
    if sizes[found] < sizes.sum() / 2 and borders[found] < _BORDER * borders.sum():
        raise InputError(
            f"{where} has {len(hot)} channels that fill it together, and none of them is clearly the "
            "background; save it as one array of labels"
        )
    if found not in (0, len(hot) - 1):
        raise InputError(
            f"{where} has its background in channel {found + 1} of {len(hot)}, neither the first nor the "
            "last, so the order of its labels is not known; save it as one array of labels"
        )
    return found


def _on_border(hot: Array) -> Array:
    """Return how many voxels of each channel lie on the border of the array."""
    border = np.zeros(hot.shape[1:], bool)
    for axis in range(border.ndim):
        if border.shape[axis] > 1:  # a single slice is not all border
            np.moveaxis(border, axis, 0)[[0, -1]] = True
    return np.asarray(hot[:, border].sum(axis=1))


# --- regions ---------------------------------------------------------------------------------


def _of_regions(hot: Array, where: object) -> MergedChannels:
    """Return the labels of nested regions; a background channel among them is left out."""
    regions = [c for n, c in enumerate(hot) if not _is_rest(c, np.delete(hot, n, axis=0))]
    regions.sort(key=np.count_nonzero, reverse=True)
    if len(regions) != 3 or not (_inside(regions[1], regions[0]) and _inside(regions[2], regions[1])):
        raise InputError(
            f"{where} has {len(hot)} channels that overlap: they are regions, but not the whole tumour, its "
            "core and the enhancing tumour inside each other; save it as one array of labels"
        )
    convention = CONVENTIONS["brats-2023"]
    labels = np.zeros(hot.shape[1:], np.uint8)
    for name, region in zip(("WT", "TC", "ET"), regions, strict=True):
        labels[region] = convention.own_label(name)
    return MergedChannels(labels, _note_on_regions(regions), convention)


def _note_on_regions(regions: list[Array]) -> str:
    if all(np.array_equal(regions[0], region) for region in regions[1:]):
        return "its three channels are equal, and were read as whole tumour, tumour core, enhancing tumour"
    return "its three channels inside each other were read as whole tumour, tumour core, enhancing tumour"


def _is_rest(channel: Array, others: Array) -> bool:
    return bool(np.array_equal(channel, ~others.any(axis=0)))


def _inside(inner: Array, outer: Array) -> bool:
    return bool(np.count_nonzero(inner & outer) >= _NESTED * np.count_nonzero(inner))
