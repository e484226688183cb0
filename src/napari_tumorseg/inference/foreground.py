"""Foreground of an input channel by the rule of a model card."""

from __future__ import annotations

import numpy as np

from napari_tumorseg.geometry import Array
from napari_tumorseg.intensity import IntensityRange
from napari_tumorseg.models.card import Foreground

_NEAR_ZERO = 0.02
"""A background within this share of the maximum counts as zero."""


def foreground(values: Array, rule: Foreground, intensity_range: IntensityRange) -> Array:
    """Return where an array (or a slice of it) is foreground.

    Parameters
    ----------
    values : array
        Intensities.
    rule : Foreground
        The card's.
    intensity_range : IntensityRange
        Of the whole volume.
    """
    background = intensity_range.background
    if rule.rule == "fraction-of-max" and not intensity_range.tissue_on_both_sides:
        # a background near zero counts as zero, as it did where models were trained by this rule
        base = 0.0 if abs(background) <= _NEAR_ZERO * abs(intensity_range.maximum) else background
        return np.asarray(values > base + rule.fraction * (intensity_range.maximum - base))
    if values.dtype.kind in "iu" and rule.tolerance < 1:
        return np.asarray(values != background)
    return np.asarray(np.abs(values - np.float32(background)) > rule.tolerance)
