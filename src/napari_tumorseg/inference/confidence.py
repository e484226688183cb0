"""Regions that a model found and its confidence in each, in numbers and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_tumorseg.geometry import Array
from napari_tumorseg.models.card import Output
from napari_tumorseg.regions import CONVENTIONS, region_mask


@dataclass(frozen=True)
class RegionConfidence:
    """One output of a model.

    Attributes
    ----------
    name : str
        Of the output: a region or a class.
    voxels : int
        Of its region in the mask; 0 if it was not found.
    mean : float or None
        Mean probability inside the region, as far as the probabilities reach; None if there is none.
    largest : float
        The largest probability anywhere.
    """

    name: str
    voxels: int
    mean: float | None
    largest: float

    @property
    def found(self) -> bool:
        """True if the mask holds any of it."""
        return self.voxels > 0


def find(
    labels: Array, probabilities: Mapping[str, Array], box: tuple[slice, ...], output: Output
) -> list[RegionConfidence]:
    """Return the size of each output of a model in a mask, and the model's confidence in it.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        The mask, as predicted or corrected.
    probabilities : mapping of str to array of uint8
        Per output, 255 for 1, in `box`.
    box : tuple of slice
        Where they lie.
    output : Output
        Of the model's card. Where an output has the name of a region of its convention, all labels of that
        region count, else its own label. The background is left out.
    """
    if not probabilities:
        return []
    regions = CONVENTIONS[output.scheme].regions
    found = []
    for name, label in zip(output.names, output.labels, strict=True):
        if not label:
            continue
        mask = region_mask(labels, regions.get(name, (label,)))
        levels = _levels(probabilities[name], mask[box])
        mean = levels[1] / levels[0] / 255 if levels[0] else None
        largest = float(probabilities[name].max(initial=0)) / 255
        found.append(RegionConfidence(name, int(np.count_nonzero(mask)), mean, largest))
    return found


def in_words(found: Sequence[RegionConfidence]) -> str:
    """Return one sentence on the regions that were found, and how near the model came to the others.

    A probability is the model's own estimate, not how often it is right.
    """
    there = [one for one in found if one.found]
    absent = [one for one in found if not one.found]
    parts = []
    if there:
        means = ", ".join(f"{one.name} {_chance(one.mean)}" for one in there)
        parts.append(f"mean probability inside: {means}")
    if absent:
        names = ", ".join(f"{one.name} {_chance(one.largest)}" for one in absent)
        parts.append(f"not found, largest probability anywhere: {names}")
    return "; ".join(parts)


def as_dict(found: Sequence[RegionConfidence]) -> dict[str, dict[str, float | int | None]]:
    """Return findings by name, for JSON."""
    return {
        one.name: {
            "voxels": one.voxels,
            "mean_probability": None if one.mean is None else round(one.mean, 4),
            "largest_probability": round(one.largest, 4),
        }
        for one in found
    }


def _chance(p: float | None) -> str:
    """Return a probability with two decimals; never 0.00 or 1.00, which would mean certainty."""
    if p is None:
        return "unknown"
    if p < 0.005:
        return "below 0.01"
    return "above 0.99" if p > 0.995 else f"{p:.2f}"


def _levels(volume: Array, mask: Array) -> tuple[int, int]:
    """Return how many voxels lie in a mask and the sum of their levels."""
    counts = np.bincount(volume[mask], minlength=256)
    return int(counts.sum()), int((counts * np.arange(counts.size)).sum())
