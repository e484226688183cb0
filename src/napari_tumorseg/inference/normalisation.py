"""Normalisation of intensities as a model card asks for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_tumorseg.geometry import Array
from napari_tumorseg.models.card import Normalisation


@dataclass(frozen=True, eq=False)
class Statistics:
    """Numbers that normalisation needs, of a volume or a slice."""

    low: float
    high: float
    mean: float
    std: float

    @classmethod
    def of(cls, values: Array, wanted: Normalisation) -> Statistics:
        """Return the statistics of a flat array, after clipping to the percentiles that are wanted."""
        if not values.size:
            return cls(0.0, 1.0, 0.0, 1.0)
        values = values.astype(np.float32, copy=False)
        low, high = float(values.min()), float(values.max())
        if wanted.percentiles is not None:
            low, high = (float(p) for p in np.percentile(values, wanted.percentiles))
            values = np.clip(values, low, high)
        mean = float(values.mean(dtype=np.float64))
        std = float(values.std(dtype=np.float64))
        return cls(low, high, mean, std or 1.0)


def normalise(values: Array, stats: Statistics, wanted: Normalisation) -> Array:
    """Return intensities as the card wants them, float32; background is not treated apart here."""
    out = values.astype(np.float32)
    if wanted.percentiles is not None:
        np.clip(out, stats.low, stats.high, out=out)
    if wanted.method == "zscore":
        out -= np.float32(stats.mean)
        out /= np.float32(stats.std)
    elif wanted.method == "minmax":
        out -= np.float32(stats.low)
        out /= np.float32((stats.high - stats.low) or 1.0)
    elif wanted.method == "divide":
        out /= np.float32(wanted.divisor)
    if wanted.clip is not None:
        np.clip(out, *wanted.clip, out=out)
    return out
