"""Images and probabilities that clicks are judged by, on comparable scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_tumorseg.edit.boxes import Box, Spacing, whole
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array

_SAMPLE = 100_000
"""Voxels of an image that its scale is taken from."""

_LEAST, _MOST = 0.002, 0.998
"""Probabilities are told apart between these."""

_SHIFTS = (1, 2, 3, 4, 6, 8, 10)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Images of a scan and, where there is one, a model's probability of a region.

    Attributes
    ----------
    channels : tuple of (Z, Y, X) array
        Images on the grid of the mask, in any order.
    steps : (Z, Y, X)
        Voxel size in mm; where it is unknown, in pixels, with the step between slices judged by the images.
    scales : tuple of (float, float)
        Median of each image's foreground, and its width from the 5th to the 95th percentile.
    probability : (Z, Y, X) array of uint8 or None
        Of the region, 255 for 1, in `box`; 0 elsewhere.
    box : (slice, slice, slice)
        Where the probability lies.
    """

    channels: tuple[Array, ...]
    steps: tuple[float, float, float]
    scales: tuple[tuple[float, float], ...]
    probability: Array | None
    box: Box

    @classmethod
    def of(
        cls,
        channels: Sequence[Array],
        spacing: Spacing = None,
        probability: Array | None = None,
        box: Box | None = None,
    ) -> Evidence:
        """Gather evidence.

        Parameters
        ----------
        channels : sequence of (Z, Y, X) array
            At least one image.
        spacing : (Z, Y, X), optional
            Voxel size in mm, None where it is unknown.
        probability : array of uint8, optional
            Of the region, 255 for 1.
        box : (slice, slice, slice), optional
            Where the probability lies; everywhere by default.

        Raises
        ------
        InputError
            If there is no image, or their shapes differ.
        """
        if not channels:
            raise InputError("clicks need the scan of the mask: open it, too")
        shapes = {image.shape for image in channels}
        if len(shapes) > 1:
            raise InputError(f"the images have the shapes {sorted(shapes)}; clicks need them on one grid")
        steps = (
            apparent_steps(channels[0])
            if spacing is None
            else (float(spacing[0]), float(spacing[1]), float(spacing[2]))
        )
        scales = tuple(_scale(image) for image in channels)
        return cls(tuple(channels), steps, scales, probability, box or whole(channels[0].shape))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the grid."""
        z, y, x = self.channels[0].shape
        return z, y, x

    def with_probability(self, probability: Array | None, box: Box | None = None) -> Evidence:
        """Return the same images with the probability of another region."""
        return Evidence(self.channels, self.steps, self.scales, probability, box or whole(self.shape))

    def images(self, box: Box) -> list[Array]:
        """Return each image in a box as float32: 0 is the foreground's median, 3.3 its width."""
        return [
            _normalised(image[box], middle, width)
            for image, (middle, width) in zip(self.channels, self.scales, strict=True)
        ]

    def log_odds(self, box: Box) -> Array | None:
        """Return the model's log-odds of the region in a box, -6.2 to 6.2; None without a model."""
        if self.probability is None:
            return None
        levels = np.zeros([side.stop - side.start for side in box], dtype=np.uint8)
        ours, theirs = _overlap(box, self.box)
        levels[ours] = self.probability[theirs]
        return np.asarray(_LOG_ODDS[levels])


_CHANCES = np.clip(np.arange(256) / 255, _LEAST, _MOST)
_LOG_ODDS = np.log(_CHANCES / (1 - _CHANCES)).astype(np.float32)


def apparent_steps(image: Array) -> tuple[float, float, float]:
    """Return voxel sizes in pixels where no size is known.

    The step between slices is the shift within a slice that changes the image as much as the next slice does.
    """
    if len(image) < 2:
        return 5.0, 1.0, 1.0
    some = np.nan_to_num(image.astype(np.float32), posinf=0, neginf=0)
    between = float(np.abs(np.diff(some, axis=0)).mean())
    within = [float(np.abs(some[:, :, k:] - some[:, :, :-k]).mean()) for k in _SHIFTS if k < image.shape[2]]
    return float(np.interp(between, within, _SHIFTS[: len(within)])), 1.0, 1.0


def _normalised(values: Array, middle: float, width: float) -> Array:
    found = np.clip((values.astype(np.float32) - np.float32(middle)) * np.float32(3.3 / width), -5, 5)
    return np.asarray(found if values.dtype.kind != "f" else np.nan_to_num(found, copy=False))


def _scale(image: Array) -> tuple[float, float]:
    """Return the median of what differs from the background, and its width; at least a tiny one."""
    values = image.reshape(-1)[:: max(image.size // _SAMPLE, 1)].astype(np.float32)
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    levels, counts = np.unique(values, return_counts=True)
    values = values[values != levels[counts.argmax()]]
    if not values.size:
        return float(levels[0]), 1.0
    low, middle, high = np.percentile(values[values >= np.percentile(values, 5)], [5, 50, 95])
    return float(middle), max(float(high - low), 1e-6)


def _overlap(outer: Box, inner: Box) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return where two boxes overlap, relative to each of them."""
    starts = [max(a.start, b.start) for a, b in zip(outer, inner, strict=True)]
    stops = [max(min(a.stop, b.stop), start) for a, b, start in zip(outer, inner, starts, strict=True)]
    ends = list(zip(starts, stops, strict=True))
    return tuple(
        tuple(slice(s - side.start, e - side.start) for (s, e), side in zip(ends, box, strict=True))
        for box in (outer, inner)
    )  # type: ignore[return-value]
