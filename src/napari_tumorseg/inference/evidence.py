"""Evidence of components: the mean log-odds of tumour in their most certain voxels.

A large diffuse component of moderate probabilities and a small bright lesion differ in the certainty of their
most certain voxels, not reliably in volume. The evidence of a component is therefore the mean of the log-odds
in its most certain `VOLUME_MM3`. In a smaller component, the missing voxels count as log-odds of 0.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.models.card import Output

VOLUME_MM3 = 100.0
"""Volume of the most certain voxels that are averaged; voxels of unknown size count as 1 mm³."""

_LOG_ODDS = special.logit(np.clip(np.arange(256) / 255, 0.002, 0.998)).clip(min=0)
"""Log-odds of each stored level of probability; those below 0.5 give no evidence."""


def tumour_levels(probabilities: Array, output: Output) -> Array:
    """Return the probability of any tumour as uint8, 255 for 1.

    Parameters
    ----------
    probabilities : (outputs, ...) array of uint8
        Probabilities of the outputs of the card, 255 for 1.
    output : Output
        Activation and labels: classes exclude each other, regions may be nested.
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
        Number of most certain voxels that count, as `voxels_of` gives it.

    Returns
    -------
    (components,) array of float
        Mean log-odds, from 0 to 6.2.
    """
    inside = parts > 0
    keys = (parts[inside].astype(np.int64) - 1) * 256 + levels[inside]
    histogram = np.bincount(keys, minlength=int(parts.max(initial=0)) * 256).reshape(-1, 256)
    certain_first = np.minimum(np.cumsum(histogram[:, ::-1], axis=1), voxels)
    counted = np.diff(certain_first, axis=1, prepend=0)
    return np.asarray(counted @ _LOG_ODDS[::-1] / voxels)
