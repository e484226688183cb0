"""Agreement of a segmentation with a reference: overlap, surfaces and volume of every label and region.

Conventions, which differ between programs and change the numbers:

* Both masks empty: Dice 1, HD95 0, NSD 1, volume error 0. One empty: Dice 0, NSD 0, HD95 the diagonal of the
  image. Both are flagged, and nothing is ever NaN, so that no mean drops a case.
* HD95 is the larger of the two directed 95th percentiles over surface voxels; NSD is not weighted by area.
* Values in mm or mL are None where the voxel size is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from napari_tumorseg.errors import GeometryError, InputError
from napari_tumorseg.geometry import Array, Grid, Unit
from napari_tumorseg.measurement.comparison import Comparison
from napari_tumorseg.measurement.metrics import MASK_METRICS, RegionAgreement
from napari_tumorseg.measurement.rows import row_of
from napari_tumorseg.measurement.surface_distance import union_box
from napari_tumorseg.measurement.volumes import listed
from napari_tumorseg.regions import REGION_NAMES, LabelConvention, convert, region_mask
from napari_tumorseg.scan import Segmentation

FORMAT = 1
"""Version of the format of `Agreement.to_dict`."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of one segmentation with a reference.

    Attributes
    ----------
    case, reference : str
        Names of the segmentation and the reference.
    convention, reference_convention : str
        Names of their label conventions.
    label_convention : str or None
        Name of the convention in which labels were compared; None where neither converts to the other.
    unit : {"mm", "unknown"}
        Whether the voxel size is known.
    rows : tuple of RegionAgreement
        Labels first, then the regions that both conventions have, outermost first. A label that is a region
        by itself is listed once, as the region.
    """

    case: str
    reference: str
    convention: str
    reference_convention: str
    label_convention: str | None
    unit: Unit
    rows: tuple[RegionAgreement, ...]

    def row(self, name: str) -> RegionAgreement:
        """Return the row of this name, or raise `KeyError`."""
        return row_of(self.rows, name)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain types, for JSON."""
        return {
            "format": FORMAT,
            "case": self.case,
            "reference": self.reference,
            "scheme": self.convention,
            "reference_scheme": self.reference_convention,
            "label_scheme": self.label_convention,
            "unit": self.unit,
            "definitions": {name: metric.tip for name, metric in MASK_METRICS.items()},
            "rows": [row.to_dict() for row in self.rows],
        }


def agreement(seg: Segmentation, reference: Segmentation) -> Agreement:
    """Compare a segmentation to a reference on the same grid.

    Parameters
    ----------
    seg, reference : Segmentation
        Their conventions may differ. Regions are compared where both have them, labels in the convention to
        which the other converts (the coarser one, if possible).

    Returns
    -------
    Agreement
        Its rows follow from the conventions alone, not from the labels that occur in the masks.

    Raises
    ------
    GeometryError
        If they do not have the same voxels at the same places.
    InputError
        If a mask holds a label that its convention has not.
    """
    _check_grids(seg, reference)
    grid = reference.grid if seg.grid.unit == "mm" else seg.grid
    convention = _common_convention(seg.convention, reference.convention)
    rows = tuple(_row(pair, grid) for pair in _pairs(seg, reference, convention))
    return Agreement(
        case=seg.name,
        reference=reference.name,
        convention=seg.convention.name,
        reference_convention=reference.convention.name,
        label_convention=convention.name if convention else None,
        unit=grid.unit,
        rows=rows,
    )


class _Pair(NamedTuple):
    """Two masks to compare, cut out of their images."""

    name: str
    kind: Literal["label", "region"]
    title: str
    seg: Array
    ref: Array


def _check_grids(seg: Segmentation, reference: Segmentation) -> None:
    if not seg.grid.same_space(reference.grid):
        raise GeometryError(
            f"the segmentation {seg.name} {seg.grid.shape} cannot be compared to the reference "
            f"{reference.name} {reference.grid.shape}: they do not have the same voxels at the same places"
        )


def _common_convention(seg: LabelConvention, reference: LabelConvention) -> LabelConvention | None:
    """Return the convention to which the other converts; the one with fewer labels where both do."""
    if seg == reference:
        return reference
    coarse, fine = sorted((reference, seg), key=lambda convention: len(convention.labels))
    ways = ((coarse, fine), (fine, coarse))
    return next((target for target, source in ways if _converts(source, target)), None)


def _converts(source: LabelConvention, target: LabelConvention) -> bool:
    """Return whether every label of a convention has one in the other."""
    try:
        convert(np.array(sorted(source.values), np.uint8), source, target)
    except InputError:
        return False
    return True


def _pairs(seg: Segmentation, reference: Segmentation, convention: LabelConvention | None) -> Iterator[_Pair]:
    """Yield the masks of each row, labels first."""
    box = union_box(seg.labels, reference.labels)
    ours, theirs = _cut(seg, box), _cut(reference, box)
    if convention is not None:
        one = _converted(ours, seg.convention, convention)
        other = _converted(theirs, reference.convention, convention)
        for name, kind, title, members in listed(convention):
            if kind == "label":
                yield _Pair(name, kind, title, region_mask(one, members), region_mask(other, members))
    mine, yours = seg.convention.regions, reference.convention.regions
    for name, title in REGION_NAMES.items():
        if name in mine and name in yours:
            masks = region_mask(ours, mine[name]), region_mask(theirs, yours[name])
            yield _Pair(name, "region", title, *masks)


def _converted(labels: Array, source: LabelConvention, target: LabelConvention) -> Array:
    return labels if source == target else convert(labels, source, target)


def _cut(seg: Segmentation, box: tuple[slice, ...]) -> Array:
    """Return the labels in a box.

    Raises
    ------
    InputError
        If the convention does not know one of them.
    """
    labels = np.ascontiguousarray(seg.labels[box])
    found = {int(value) for value in np.flatnonzero(np.bincount(labels.ravel()))}
    unknown = sorted(found - seg.convention.values - {0})
    if unknown:
        raise InputError(
            f"{seg.name or 'a mask'} holds the label {unknown[0]}, which {seg.convention.name} has not"
        )
    return labels


def _row(pair: _Pair, grid: Grid) -> RegionAgreement:
    found = Comparison(pair.seg, pair.ref, grid)
    scores: dict[str, Any] = {name: metric.value(found) for name, metric in MASK_METRICS.items()}
    return RegionAgreement(
        name=pair.name,
        kind=pair.kind,
        title=pair.title,
        voxels=found.counts.voxels,
        reference_voxels=found.counts.reference_voxels,
        flags=found.counts.flags,
        **scores,
    )
