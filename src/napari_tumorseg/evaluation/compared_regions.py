"""Labels and regions that are compared, with their label values in either mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from napari_tumorseg.conventions import get_convention
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.doubt import region_outputs
from napari_tumorseg.measurement import Agreement
from napari_tumorseg.models.card import Output
from napari_tumorseg.regions import LabelConvention, convert

Numbers = tuple[int, ...]


@dataclass(frozen=True)
class ComparedRegion:
    """One label or region.

    Attributes
    ----------
    name : str
        Abbreviation, as in `Agreement`.
    kind : {"label", "region"}
        Whether it is a label or a region.
    ours, theirs : tuple of int
        Its labels in the convention of the segmentation and of the reference.
    """

    name: str
    kind: Literal["label", "region"]
    ours: Numbers
    theirs: Numbers


def rows_of(agreed: Agreement) -> tuple[ComparedRegion, ...]:
    """Return the rows of an agreement, in its order."""
    ours, theirs = get_convention(agreed.convention), get_convention(agreed.reference_convention)
    common = get_convention(agreed.label_convention) if agreed.label_convention else None
    found = []
    for row in agreed.rows:
        if row.kind == "region" or common is None:
            numbers = ours.regions[row.name], theirs.regions[row.name]
        else:
            numbers = _sources(row.name, ours, common), _sources(row.name, theirs, common)
        found.append(ComparedRegion(row.name, row.kind, *numbers))
    return tuple(found)


def _sources(name: str, convention: LabelConvention, common: LabelConvention) -> Numbers:
    """Return the labels of a convention that become the label of this name in another one."""
    wanted = next(label.value for label in common.labels if label.short == name)
    values = np.array(sorted(convention.values), dtype=np.uint8)
    became = values if convention == common else convert(values, convention, common)
    return tuple(int(value) for value in values[became == wanted])


def tumour_slices(labels: Array, convention: LabelConvention) -> Array:
    """Return whether each slice (first axis) of a mask holds any tumour."""
    members = next(iter(convention.regions.values()))
    table = np.zeros(256, dtype=bool)
    table[list(members)] = True
    return np.array([table[plane].any() for plane in labels], dtype=bool)


def outputs_of(row: ComparedRegion, output: Output) -> tuple[str, ...]:
    """Return the model's outputs whose probabilities add up to that of a row; none if it has none."""
    return region_outputs(row.name, row.ours, output)
