"""Corrections of a segmentation by clicks, with the probabilities of a model where there are some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from napari_tumorseg.edit.clicks import Click, Evidence, refine
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.evidence import tumour_levels
from napari_tumorseg.io.click_files import clicks_to_dict
from napari_tumorseg.models.card import Output
from napari_tumorseg.regions import CONVENTIONS, LabelConvention
from napari_tumorseg.scan import Scan, Segmentation


def region_levels(
    probabilities: Mapping[str, Array], output: Output, convention: LabelConvention, members: frozenset[int]
) -> Array | None:
    """Return a model's probability of a region of a mask, None where its outputs do not give one.

    Parameters
    ----------
    probabilities : mapping of str to array of uint8
        Per output, 255 for 1.
    output : Output
        Of the model's card.
    convention : LabelConvention
        Of the mask.
    members : frozenset of int
        Labels of the region in that convention; those that it lacks are ignored.

    Returns
    -------
    array of uint8 or None
        255 for 1. A region that is a part of one output and excludes others gets what is left of it.
    """
    wanted = members & convention.values
    stack = np.stack([probabilities[name] for name in output.names])
    if wanted == convention.values or wanted == set(convention.regions.get("WT", ())):
        return tumour_levels(stack, output)
    if convention.name != output.scheme:
        return None
    if output.activation == "softmax":
        chosen = [label in wanted for label in output.labels]
        return np.asarray(np.minimum(stack[chosen].sum(axis=0, dtype=np.uint16), 255), dtype=np.uint8)
    return _nested(stack, output, wanted)


def _nested(stack: Array, output: Output, wanted: frozenset[int]) -> Array | None:
    """Return the probability of the smallest output around a region, less the outputs inside it."""
    regions = CONVENTIONS[output.scheme].regions
    held = [
        frozenset(regions.get(name, (label,)))
        for name, label in zip(output.names, output.labels, strict=True)
    ]
    around = [index for index, members in enumerate(held) if wanted <= members]
    if not around:
        return None
    best = min(around, key=lambda index: len(held[index]))
    inner = [i for i, members in enumerate(held) if members < held[best] and not members & wanted]
    left = 255 - stack[inner].max(axis=0, initial=0)
    return np.asarray(np.minimum(stack[best], left), dtype=np.uint8)


def evidence_for(
    scan: Scan,
    click: Click,
    convention: LabelConvention,
    result: Segmentation | None = None,
    output: Output | None = None,
    images: Evidence | None = None,
) -> Evidence:
    """Return the evidence that a click is judged by.

    Parameters
    ----------
    scan : Scan
        Images on the grid of the mask.
    click : Click
        For its region.
    convention : LabelConvention
        Of the mask.
    result : Segmentation, optional
        Run of a model that kept its probabilities.
    output : Output, optional
        Of that model's card.
    images : Evidence, optional
        Evidence of the same scan, whose scales are used again.
    """
    found = images or Evidence.of([image.data for image in scan.images], scan.grid.spacing_mm)
    if result is None or output is None or not result.probabilities or result.probability_box is None:
        return found.with_probability(None)
    levels = region_levels(result.probabilities, output, convention, click.members)
    z, y, x = result.probability_box
    return found.with_probability(levels, (z, y, x))


def refined(
    seg: Segmentation,
    scan: Scan,
    clicks: Sequence[Click],
    result: Segmentation | None = None,
    output: Output | None = None,
) -> Segmentation:
    """Return a mask after some clicks, in their order, with the clicks in its provenance.

    Parameters
    ----------
    seg : Segmentation
        The mask; not modified.
    scan : Scan
        Its scan, on the same grid.
    clicks : sequence of Click
        The clicks.
    result : Segmentation, optional
        Run of a model that kept its probabilities.
    output : Output, optional
        Of that model's card.

    Raises
    ------
    InputError
        If the scan lies on another grid.
    """
    if not seg.grid.same_space(scan.grid):
        raise InputError(f"the scan {scan.case} lies on another grid than the mask {seg.source or seg.name}")
    labels, evidence = seg.labels.copy(), None
    for number, click in enumerate(clicks):
        evidence = evidence_for(scan, click, seg.convention, result, output, evidence)
        change = refine(labels, evidence, click, clicks[:number])
        if change is not None:
            change.apply(labels)
    earlier = seg.provenance.get("clicks", [])
    told = clicks_to_dict(clicks, seg.grid, seg.convention)
    provenance = {**seg.provenance, "clicks": [*earlier, told], "corrected_by_hand": True}
    return replace(seg, labels=labels, provenance=provenance)
