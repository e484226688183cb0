"""Choice of slices, frame and intensity window for pictures of a scan."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, bounding_box
from napari_tumorseg.scan import Segmentation

_WIDTH = 1280
"""Approximate width of all columns together, in pixels; none gets more than `_LARGEST`."""
_LARGEST = 900
MOST = 9
"""Number of slices in a picture, unless another one is asked for."""
_SAMPLES = 1_000_000
_NOISE, _AIR = 0.01, 0.12
"""Shares of the window: margin above the intensity of the borders, and upper limit of air."""

Rect = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class Grey:
    """An image and the window in which it is shown."""

    data: Array
    background: float
    low: float
    high: float
    air: float

    @classmethod
    def of(cls, data: Array, brain: Array | None) -> Grey:
        """Return the window from the 1st to the 99th percentile of the foreground."""
        step = max(1, math.ceil((data.size / _SAMPLES) ** (1 / 3)))
        coarse = (slice(None, None, step),) * 3
        values = np.asarray(data[coarse], dtype=np.float32)
        sides = _sides(data)
        background = _commonest(sides)
        inside = np.isfinite(values) & (values != background)
        if brain is not None and (inside & brain[coarse].astype(bool)).any():
            inside &= brain[coarse].astype(bool)
        low, high = np.percentile(values[inside], (1, 99)) if inside.any() else (background, background)
        # air may be noise, and a head may reach the sides
        width = high - low
        air = min(float(np.percentile(sides, 95)) + _NOISE * width, low + _AIR * width)
        return cls(data, background, float(low), float(high), float(air))

    def slice(self, index: int) -> Array:
        """Return a slice as uint8."""
        plane = np.nan_to_num(np.asarray(self.data[index], dtype=np.float32), nan=self.background)
        if not self.high > self.low:
            return np.zeros(plane.shape, np.uint8)
        share = np.clip((plane - self.low) / (self.high - self.low), 0, 1)
        # in z-scored scans air may be as bright as tissue; it is shown black
        share[plane == self.background] = 0
        return np.asarray(np.round(255 * share), dtype=np.uint8)

    def body(self, index: int) -> Array:
        """Return the mask of a slice without air, roughly; almost empty rows and columns are noise."""
        plane = np.asarray(self.data[index], dtype=np.float32)
        solid = (plane > self.air) & (plane != self.background)
        rows, columns = solid.mean(axis=1, keepdims=True), solid.mean(axis=0)
        return np.asarray(solid & (rows > 0.02) & (columns > 0.02))


@dataclass(frozen=True)
class Frame:
    """Part of each slice that is shown, and its size in pixels."""

    rect: Rect
    size: tuple[int, int]

    @classmethod
    def enclosing(
        cls,
        grey: Grey,
        indices: Sequence[int],
        seg: Segmentation,
        spacing: tuple[float, float, float],
        side: int | None = None,
    ) -> Frame:
        """Return the frame that holds the head and the tumour in all of the slices, `side` pixels long."""
        seen: Array = np.zeros(seg.labels.shape[1:], dtype=bool)
        for index in indices:
            seen |= grey.body(index) | (seg.labels[index] > 0)
        box = bounding_box(seen) or (slice(0, seen.shape[0]), slice(0, seen.shape[1]))
        rect = _padded(box[0], seen.shape[0]), _padded(box[1], seen.shape[1])
        high, wide = ((s.stop - s.start) * step for s, step in zip(rect, spacing[1:], strict=True))
        scale = (side or min(_WIDTH // columns(len(indices)), _LARGEST)) / max(high, wide)
        return cls(rect, (max(1, round(wide * scale)), max(1, round(high * scale))))


def columns(tiles: int) -> int:
    """Return the number of tiles in a row."""
    return math.ceil(math.sqrt(tiles))


def _padded(part: slice, size: int) -> slice:
    margin = max(2, round(0.04 * (part.stop - part.start)))
    return slice(max(part.start - margin, 0), min(part.stop + margin, size))


def _sides(data: Array) -> Array:
    """Return the voxels on the four sides of some slices, which are mostly air."""
    some = data[:: max(1, data.shape[0] // 16)]
    sides = np.concatenate([side.ravel() for side in (some[:, 0], some[:, -1], some[..., 0], some[..., -1])])
    return np.nan_to_num(sides.astype(np.float32), posinf=0, neginf=0)


def _commonest(values: Array) -> float:
    found, counts = np.unique(values, return_counts=True)
    return float(found[counts.argmax()])


def chosen(
    seg: Segmentation,
    reference: Segmentation | None,
    grey: Grey,
    wanted: Sequence[int] | None,
    most: int = MOST,
) -> list[int]:
    """Return the slices to show, from the feet upwards."""
    count = seg.labels.shape[0]
    if wanted is not None:
        strange = [index for index in wanted if not 0 <= index < count]
        if strange or not len(wanted):
            raise InputError(f"slices are numbered from 0 to {count - 1}; asked for {list(wanted)}")
        return [int(index) for index in wanted]
    weight = _tumour_area(seg, reference)
    if not weight.any():
        weight = _head_area(grey, count)
    hit = np.flatnonzero(weight) if weight.any() else np.arange(count)
    return spread(int(hit[0]), int(hit[-1]), int(weight.argmax()), most)


def _tumour_area(seg: Segmentation, reference: Segmentation | None) -> Array:
    masks = [mask.labels for mask in (seg, reference) if mask is not None]
    return np.asarray(sum(np.count_nonzero(labels, axis=(1, 2)) for labels in masks))


def _head_area(grey: Grey, count: int) -> Array:
    """Return the area of the head in each slice; 0 at its ends, where little of it is seen."""
    area = np.array([np.count_nonzero(grey.body(z)) for z in range(count)])
    return np.asarray(area * (area > 0.2 * area.max()))


def spread(first: int, last: int, best: int, most: int = MOST) -> list[int]:
    """Return indices in the middle of `most` equal parts, the closest one moved to the best slice.

    All of them where there are no more than that.
    """
    length = last - first + 1
    if length <= most:
        return list(range(first, last + 1))
    indices = [first + int((i + 0.5) * length / most) for i in range(most)]
    indices[min(range(most), key=lambda i: abs(indices[i] - best))] = best
    return indices
