"""Doubt of a model about each region: how much its size depends on the threshold.

For each region the voxels are counted whose probability is above 0.2 and above 0.8. The doubt is
``log((n(0.2) + floor) / (n(0.8) + floor)) + 0.1``, with the floor of the intervals of volumes; the last
number keeps a case without any doubt from an interval without any width. Post-processing has no part in it.
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

    def add(self, logits: Array, may: Array | None = None) -> None:
        """Count a slice, where labels may be.

        Parameters
        ----------
        logits : (outputs, rows, columns) array
            Of the slice.
        may : (rows, columns) array of bool, optional
            Where the model may put a label.
        """
        chances = special.softmax(logits, axis=0) if self._softmax else logits
        limits = (LOW, HIGH) if self._softmax else special.logit((LOW, HIGH))
        for name, indices in self._outputs.items():
            values = chances[indices[0]] if len(indices) == 1 else chances[indices].sum(axis=0)
            inside = values if may is None else values[may]
            self._counts[name] += [np.count_nonzero(inside > limit) for limit in limits]

    def doubts(self, floor: float) -> dict[str, float]:
        """Return the doubt about each region; `floor` in voxels."""
        return {
            name: round(math.log((low + floor) / (high + floor)) + LEAST, 4)
            for name, (low, high) in self._counts.items()
        }


def region_outputs(region: str, labels: tuple[int, ...], output: Output) -> tuple[str, ...]:
    """Return the model's outputs whose probabilities add up to that of a region; none if it has none.

    A softmax class counts for every region that its label is in; a sigmoid output only for the one it is
    named after (or for the whole, where there is but one), since it may be painted over by the next.
    """
    if output.activation == "softmax":
        pairs = zip(output.names, output.labels, strict=True)
        return tuple(name for name, label in pairs if label in labels)
    named = tuple(name for name in output.names if name.casefold() == region.casefold())
    alone = len(output.names) == 1 and output.labels[0] in labels
    return named or (output.names if alone else ())
