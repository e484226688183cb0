"""Evidence of components: the model's log-odds of tumour where it is surest, whatever their size.

A large diffuse component of moderate probabilities and a small bright lesion differ in how sure the model is
at their best places, not in volume. The evidence of a component is therefore the mean of the log-odds in its
surest `VOLUME_MM3`. A component smaller than that lacks the rest, which counts as log-odds of 0.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, special

from napari_tumorseg.geometry import CONNECTED_26, Array, Grid
from napari_tumorseg.models.card import Output

VOLUME_MM3 = 100.0
"""Volume over which the surest voxels are averaged; voxels of unknown size are taken as 1 mm³."""

_LOG_ODDS = special.logit(np.clip(np.arange(256) / 255, 0.002, 0.998)).clip(min=0)
"""Of each stored level of probability; a model that is not in favour of tumour gives no evidence."""


def tumour_levels(probabilities: Array, output: Output) -> Array:
    """Return the probability of any tumour as uint8, 255 for 1.

    Parameters
    ----------
    probabilities : (outputs, ...) array of uint8
        Per output of the card, 255 for 1.
    output : Output
        Its activation and labels: classes exclude each other, regions may be nested.
    """
    if output.activation == "softmax":
        tumour = [label != 0 for label in output.labels]
        whole = probabilities[tumour].sum(axis=0, dtype=np.uint16)
        return np.asarray(np.minimum(whole, 255), dtype=np.uint8)
    return np.asarray(probabilities.max(axis=0))


def voxels_of(grid: Grid) -> float:
    """Return the number of voxels that `VOLUME_MM3` is, at least one."""
    return max(VOLUME_MM3 / (grid.voxel_volume_mm3 or 1.0), 1.0)


def component_evidence(parts: Array, levels: Array, voxels: float) -> Array:
    """Return the evidence of each component.

    Parameters
    ----------
    parts : (Z, Y, X) array of int
        Components 1, 2, ... without gaps; 0 is none.
    levels : (Z, Y, X) array of uint8
        Probability of tumour, 255 for 1.
    voxels : float
        Number of surest voxels that count, as `voxels_of` gives it.

    Returns
    -------
    (components,) array of float
        Mean log-odds, from 0 to 6.2.
    """
    inside = parts > 0
    keys = (parts[inside].astype(np.int64) - 1) * 256 + levels[inside]
    histogram = np.bincount(keys, minlength=int(parts.max(initial=0)) * 256).reshape(-1, 256)
    surest_first = np.minimum(np.cumsum(histogram[:, ::-1], axis=1), voxels)
    counted = np.diff(surest_first, axis=1, prepend=0)
    return np.asarray(counted @ _LOG_ODDS[::-1] / voxels)


def greatest_evidence(mask: Array, levels: Array, grid: Grid) -> float:
    """Return the evidence of the surest component of a mask (Z, Y, X); 0 if it is empty."""
    parts, _ = ndimage.label(mask, structure=CONNECTED_26)
    return float(component_evidence(parts, levels, voxels_of(grid)).max(initial=0.0))
