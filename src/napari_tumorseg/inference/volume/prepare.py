"""Preparation of a network's input from a scan, for windows of the whole volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage

from napari_tumorseg.geometry import Array, bounding_box
from napari_tumorseg.inference.foreground import foreground
from napari_tumorseg.inference.normalisation import Statistics, normalise
from napari_tumorseg.inference.prepare import Channel, brain_of, channels_of
from napari_tumorseg.inference.scan_analysis import ScanAnalysis
from napari_tumorseg.inference.slice_plane import PLANES, SlicePlane
from napari_tumorseg.inference.volume.orientation import Orientation
from napari_tumorseg.inference.volume.resampling import Resampling
from napari_tumorseg.models.card import Foreground, ModelCard
from napari_tumorseg.models.windows import Windows
from napari_tumorseg.scan import Scan

_SMALLEST = 32
"""Shorter sides of a window show too little of the surroundings."""

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class PreparedVolume:
    """A scan ready to be run in windows; its result is given as axial slices.

    Attributes
    ----------
    card : ModelCard
        The model's.
    windows : Windows
        The card's.
    shape : (slices, rows, columns)
        Of the scan.
    box : (slice, slice, slice)
        Part of the scan that the windows cover.
    data : (C, ...) array of float32
        The normalised box on the network's voxels, along the network's axes.
    orientation : Orientation
        Of these axes.
    resampling : Resampling
        Of the box.
    todo : tuple of int
        Slices in the box; none where the scan has no foreground.
    notes : tuple of str
        Sentences for the user.
    """

    card: ModelCard
    windows: Windows
    shape: tuple[int, int, int]
    box: Box
    data: Array
    orientation: Orientation
    resampling: Resampling
    todo: tuple[int, ...]
    notes: tuple[str, ...]
    _masks: tuple[Array | None, ...]  # where labels may be: in the brain, in the foreground of a channel

    @property
    def slice_plane(self) -> SlicePlane:
        """Plane of the slices that a result is given in."""
        return PLANES["axial"]

    def covered(self, index: int) -> tuple[slice, slice]:
        """Return the rows and columns that the windows cover; they are the same for each slice."""
        return self.box[1], self.box[2]

    def allowed(self, index: int) -> Array | None:
        """Return where labels may be on a slice, or None where nothing sets bounds."""
        bounds = [mask[index] for mask in self._masks if mask is not None]
        return np.logical_and.reduce(bounds) if bounds else None

    def samples(self, count: int) -> list[Array]:
        """Return up to `count` inputs of the network; one window, from the middle."""
        if not self.todo or not count:
            return []
        found = padded(self.data, self.windows.patch)
        middle = [(n - side) // 2 for n, side in zip(found.shape[1:], self.windows.patch, strict=True)]
        return [cut(found, middle, self.windows.patch)]

    def with_smaller_windows(self, strides: Sequence[int]) -> PreparedVolume | None:
        """Return the scan with windows halved along their longest side; None if they cannot be."""
        sides = list(self.windows.patch)
        longest = max(range(3), key=lambda axis: sides[axis])
        step = ([1] * (3 - len(strides)) + list(strides))[longest]
        half = sides[longest] // 2 // step * step
        if half < max(step, _SMALLEST):
            return None
        sides[longest] = half
        return replace(self, windows=self.windows.model_copy(update={"patch": tuple(sides)}))


def padded(data: Array, sides: Sequence[int]) -> Array:
    """Return data (C, ...) with zeros around it where it is smaller than a window of these sides."""
    lacking = [max(side - n, 0) for n, side in zip(data.shape[1:], sides, strict=True)]
    return np.pad(data, [(0, 0), *((n // 2, n - n // 2) for n in lacking)])


def cut(data: Array, starts: Sequence[int], sides: Sequence[int]) -> Array:
    """Return a window of data (C, ...)."""
    first, second, third = (slice(a, a + side) for a, side in zip(starts, sides, strict=True))
    return data[..., first, second, third]


def prepare_volume(scan: Scan, card: ModelCard, analysis: ScanAnalysis | None = None) -> PreparedVolume:
    """Return a scan ready to be run in windows.

    Parameters
    ----------
    scan : Scan
        Has the roles that the card needs.
    card : ModelCard
        The model's; its plane is ``volume``.
    analysis : ScanAnalysis, optional
        Of the scan, if there is one already.
    """
    windows = card.input.windows
    assert windows is not None  # the card has been checked
    brain = brain_of(scan, card, PLANES["axial"], analysis or ScanAnalysis(scan))
    channels = channels_of(scan, card, PLANES["axial"])
    masks = _foregrounds(channels, card.input.foreground, brain)
    either = np.logical_or.reduce(list(masks.values()))
    shape = scan.grid.shape
    found = bounding_box(either)
    box = found if windows.crop and found is not None else tuple(slice(0, n) for n in shape)
    box3: Box = (box[0], box[1], box[2])
    orientation = Orientation.of(windows)
    spacing = scan.grid.spacing_mm
    resampling = Resampling.of(
        orientation.reorder([side.stop - side.start for side in box]),
        orientation.reorder(spacing) if spacing else None,
        windows,
    )
    data = _network_data(channels, masks, card, brain, box3, orientation, resampling)
    role = card.output.inside_foreground_of
    bound = next((masks[id(c)] for c in channels if c and c.role is role), None) if role else None
    return PreparedVolume(
        card,
        windows,
        shape,
        box3,
        data,
        orientation,
        resampling,
        tuple(range(box[0].start, box[0].stop)) if found is not None else (),
        _notes(card, spacing is not None),
        (brain, bound),
    )


def _notes(card: ModelCard, known: bool) -> tuple[str, ...]:
    wanted = card.input.windows.spacing if card.input.windows else None
    if known or wanted is None or not any(wanted):
        return ()
    return (
        f"{card.name} works on voxels of a certain size, and that of the scan is not known: "
        "it was run on the scan's own voxels",
    )


def _foregrounds(
    channels: Sequence[Channel | None], rule: Foreground, brain: Array | None
) -> dict[int, Array]:
    """Return the foreground of each channel, by its identity; one for all of them where the rule says so."""
    found: dict[int, Array] = {}
    for channel in channels:
        if channel is not None and id(channel) not in found:
            found[id(channel)] = _tissue(channel, rule, brain)
    if rule.rule != "nonzero":
        return found
    filled = ndimage.binary_fill_holes(np.logical_or.reduce(list(found.values())))
    return dict.fromkeys(found, filled)


def _tissue(channel: Channel, rule: Foreground, brain: Array | None) -> Array:
    values = channel.volume()
    nonzero = rule.rule == "nonzero"
    found = values != 0 if nonzero else foreground(values, rule, channel.intensity_range)
    return found if brain is None else found & brain


def _network_data(
    channels: Sequence[Channel | None],
    masks: dict[int, Array],
    card: ModelCard,
    brain: Array | None,
    box: Box,
    orientation: Orientation,
    resampling: Resampling,
) -> Array:
    """Return the channels (C, ...) in the box, normalised, on the network's voxels; missing ones are 0."""
    made: dict[int, Array] = {}
    data = np.zeros((len(channels), *resampling.network), dtype=np.float32)
    for place, channel in zip(data, channels, strict=True):
        if channel is None:
            continue
        if id(channel) not in made:
            values = _normalised(channel, masks[id(channel)], card, brain, box)
            made[id(channel)] = resampling.to_network(orientation.to_network(values))
        place[:] = made[id(channel)]
    return data


def _normalised(channel: Channel, mask: Array, card: ModelCard, brain: Array | None, box: Box) -> Array:
    """Return a channel in the box, normalised with the statistics that the card wants."""
    wanted = card.input.normalisation
    values = channel.volume()
    if brain is not None:
        values = np.where(brain, values, np.asarray(channel.intensity_range.background, values.dtype))
    parts: dict[str, Any] = {"foreground": mask, "box": box, "all": ...}
    stats = Statistics.of(values[parts[wanted.statistics]].ravel(), wanted)
    found = normalise(values[box], stats, wanted)
    return found * mask[box] if wanted.background == "zero" else found
