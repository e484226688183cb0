"""Frames of DICOM segmentation objects as one volume of labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array

_LARGEST_NUMBER = 65_535
"""Largest segment number that the standard allows."""


def painted(
    frames: Array,
    numbers: Sequence[int],
    slots: Sequence[int],
    labels: Mapping[int, int],
    shape: tuple[int, int, int],
    where: str,
) -> tuple[Array, list[str]]:
    """Return the labels of frames, and notes on them.

    Large segments are painted before small ones: of regions inside each other, each stays visible.

    Parameters
    ----------
    frames : (N, rows, columns) array
        Zero outside a segment; of a label map the numbers of its segments.
    numbers, slots : sequence of int
        Segment of each frame, 0 for a frame of a label map; slice of each frame.
    labels : mapping
        Label, 1 to 255, of each segment.
    shape : tuple of int
        Columns, rows and slices of the volume.
    where : str
        The file, for the message.

    Returns
    -------
    volume : (slices, rows, columns) array of uint8
        0 where no segment is.
    notes : list of str
        A sentence if segments with different labels overlap.

    Raises
    ------
    InputError
        If a label map holds numbers that no segment can have.
    """
    columns, rows, slices = shape
    volume = np.zeros((slices, rows, columns), np.uint8)
    is_shared = np.zeros(volume.shape, bool)
    for n in _large_to_small(frames, numbers):
        plane, slot = _labelled(frames[n], numbers[n], labels, where), slots[n]
        is_inside = plane != 0
        is_shared[slot] |= is_inside & (volume[slot] != 0) & (volume[slot] != plane)
        volume[slot][is_inside] = plane[is_inside]
    shared = np.count_nonzero(is_shared)
    return volume, [f"{shared} voxels lie in several segments; the smallest one counts"] if shared else []


def _large_to_small(frames: Array, numbers: Sequence[int]) -> list[int]:
    """Return the indices of frames by the size of their segment, then by its number."""
    sizes: dict[int, int] = defaultdict(int)
    for number, frame in zip(numbers, frames, strict=True):
        sizes[number] += int(np.count_nonzero(frame))
    return sorted(range(len(frames)), key=lambda n: (-sizes[numbers[n]], numbers[n]))


def _labelled(frame: Array, number: int, labels: Mapping[int, int], where: str) -> Array:
    """Return one frame as labels."""
    if number:
        return np.where(frame != 0, np.uint8(labels.get(number, 0)), np.uint8(0))
    if frame.min() < 0 or frame.max() > _LARGEST_NUMBER:
        raise InputError(f"{where} is damaged: its label map holds numbers that no segment can have")
    table = np.zeros(_LARGEST_NUMBER + 1, np.uint8)
    for segment, label in labels.items():
        if segment <= _LARGEST_NUMBER:
            table[segment] = label
    return table[frame]
