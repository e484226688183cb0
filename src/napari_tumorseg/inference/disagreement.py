"""Disagreement about a whole case, as one number: the Dice distance to expect between two predictions.

For an ensemble ``sum(d) / sum(2 p)``, with `d` the disagreement between its members at a voxel (twice the
standard deviation of their probabilities) and `p` their mean. For two members that are certain everywhere
this is 1 - Dice of their masks. Of a single network the two predictions are drawn from its probabilities,
voxel by voxel, which gives ``sum(2 p (1 - p)) / sum(2 p)``. In both, `p` is the probability of any tumour,
and voxels where it is not above 0.02 are left out. Post-processing does not affect it. The two kinds are not
comparable with each other.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from napari_tumorseg.geometry import Array
from napari_tumorseg.models.card import Output

_LEAST = 0.02


class DisagreementCounter:
    """Adds up the disagreement slice by slice.

    Parameters
    ----------
    output : Output
        Of the model's card.
    """

    def __init__(self, output: Output) -> None:
        self._softmax = output.activation == "softmax"
        self._tumour = [index for index, label in enumerate(output.labels) if label]
        self._differing = self._predicted = 0.0

    def add(self, logits: Array, members: Array | None = None, allowed: Array | None = None) -> None:
        """Add a slice.

        Parameters
        ----------
        logits : (outputs, rows, columns) array
            Of the slice.
        members : (rows, columns) array of uint8, optional
            Disagreement between the members of an ensemble, 255 for the most.
        allowed : (rows, columns) array of bool, optional
            Pixels that may have a label; all by default.
        """
        if self._softmax:
            chance = special.softmax(logits, axis=0)[self._tumour].sum(axis=0)
        else:
            chance = special.expit(logits.max(axis=0))
        near = chance > _LEAST if allowed is None else (chance > _LEAST) & allowed
        found = chance[near].astype(np.float64)
        self._predicted += 2 * float(found.sum())
        if members is None:
            self._differing += 2 * float((found * (1 - found)).sum())
        else:
            self._differing += float(members[near].sum(dtype=np.float64)) / 255

    @property
    def value(self) -> float | None:
        """Expected Dice distance, from 0 to 1; None if there is no trace of a tumour."""
        if not self._predicted:
            return None
        return round(min(self._differing / self._predicted, 1.0), 4)
