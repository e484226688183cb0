"""Doubt of a model about each region: the dependence of its size on the threshold.

For each region the voxels are counted whose probability is above 0.2 and above 0.8. The doubt is
``log((n(0.2) + floor) / (n(0.8) + floor)) + 0.1``, with the floor of the intervals of volumes; with the
last term, a case without any doubt has an interval of more than zero width. Post-processing does not
affect it.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from napari_tumorseg.geometry import Array
from napari_tumorseg.models.card import Output
from napari_tumorseg.regions import CONVENTIONS

LOW, HIGH = 0.2, 0.8
LEAST = 0.1


class DoubtCounter:
    """Counts voxels of each region above both probabilities, slice by slice.

    Parameters
    ----------
    output : Output
        Of the model's card.
    """

    def __init__(self, output: Output) -> None:
        self._softmax = output.activation == "softmax"
        self._outputs = {
            name: [output.names.index(one) for one in found]
            for name, labels in CONVENTIONS[output.scheme].regions.items()
            if (found := region_outputs(name, labels, output))
        }
        self._counts = {name: np.zeros(2, dtype=np.int64) for name in self._outputs}

    def add(self, logits: Array, allowed: Array | None = None) -> None:
        """Count the voxels of a slice where labels are allowed.

        Parameters
        ----------
        logits : (outputs, rows, columns) array
            Of the slice.
        allowed : (rows, columns) array of bool, optional
            Pixels that may have a label; all by default.
        """
        chances = special.softmax(logits, axis=0) if self._softmax else logits
        limits = (LOW, HIGH) if self._softmax else special.logit((LOW, HIGH))
        for name, indices in self._outputs.items():
            values = chances[indices[0]] if len(indices) == 1 else chances[indices].sum(axis=0)
            inside = values if allowed is None else values[allowed]
            self._counts[name] += [np.count_nonzero(inside > limit) for limit in limits]

    def doubts(self, floor: float) -> dict[str, float]:
        """Return the doubt about each region; `floor` in voxels."""
        return {
            name: round(math.log((low + floor) / (high + floor)) + LEAST, 4)
            for name, (low, high) in self._counts.items()
        }


def region_outputs(region: str, labels: tuple[int, ...], output: Output) -> tuple[str, ...]:
    """Return the model's outputs whose probabilities add up to that of a region; empty if there are none.

    A softmax class counts for every region that contains its label. A sigmoid output counts only for the
    region that it is named after (a single output for the whole tumour), since later outputs overwrite it.
    """
    if output.activation == "softmax":
        pairs = zip(output.names, output.labels, strict=True)
        return tuple(name for name, label in pairs if label in labels)
    named = tuple(name for name in output.names if name.casefold() == region.casefold())
    alone = len(output.names) == 1 and output.labels[0] in labels
    return named or (output.names if alone else ())
