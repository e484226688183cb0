"""How a segmentation agrees with a reference: overlap, surfaces and volume of every label and region.

Conventions, which differ between programs and change the numbers:

* Both masks empty: everything is right (Dice 1, HD95 0, NSD 1, volume error 0). One empty: Dice 0, NSD 0,
  HD95 the diagonal of the image. Both are flagged, and nothing is ever NaN, so that no mean drops a case.
* HD95 is the larger of the two directed 95th percentiles over surface voxels, NSD is not weighted by area.
* What is in mm or mL is None where the voxel size is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from napari_tumorseg.errors import GeometryError, InputError
from napari_tumorseg.geometry import Array, Grid, Unit
from napari_tumorseg.measure.confusion import Confusion
from napari_tumorseg.measure.rows import row_of
from napari_tumorseg.measure.surface_distance import hd95, nsd, surface_distances, union_box
from napari_tumorseg.measure.volumes import listed
from napari_tumorseg.regions import REGION_NAMES, LabelConvention, convert, region_mask
from napari_tumorseg.scan import Segmentation

FORMAT = 1
"""Version of what `Agreement.to_dict` gives."""


@dataclass(frozen=True)
class RegionAgreement:
    """How one label or region agrees with the reference.

    Attributes
    ----------
    name : str
        Abbreviation of the label or name of the region.
    kind : {"label", "region"}
        Which of the two it is.
    title : str
        Full name.
    voxels, reference_voxels : int
        Size in the segmentation and in the reference.
    dice, iou, accuracy, precision, sensitivity, specificity, f1 : float
        Over all voxels of the image, as `Confusion` defines them.
    hd95_mm : float or None
        Larger one of both directed 95th percentiles of surface distances.
    nsd_1mm, nsd_2mm : float or None
        Normalised surface distance at 1 and 2 mm.
    volume_error_ml : float or None
        Segmentation less reference.
    volume_error_percent : float or None
        The same in % of the reference; None where that alone is empty.
    flags : tuple of str
        ``"both empty"``, ``"segmentation empty"`` or ``"reference empty"`` where it is so.
    """

    name: str
    kind: Literal["label", "region"]
    title: str
    voxels: int
    reference_voxels: int
    dice: float
    iou: float
    accuracy: float
    precision: float
    sensitivity: float
    specificity: float
    f1: float
    hd95_mm: float | None
    nsd_1mm: float | None
    nsd_2mm: float | None
    volume_error_ml: float | None
    volume_error_percent: float | None
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Agreement:
    """How one segmentation agrees with a reference.

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
        """Return it as what JSON can hold."""
        rows = [{**asdict(row), "flags": list(row.flags)} for row in self.rows]
        return {"format": FORMAT, **asdict(self), "rows": rows}


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
        Which rows it has follows from the conventions alone, not from what the masks hold.

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


def image_diagonal(grid: Grid) -> float:
    """Return the longest diagonal of a grid over the outer edges of its voxels, in the grid's unit."""
    signs = np.array([(1, 1, 1), (1, 1, -1), (1, -1, 1), (1, -1, -1)])
    return float(np.linalg.norm((signs * grid.shape) @ grid.affine[:3, :3].T, axis=1).max())


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
    """Tell whether every label of a convention has one in the other."""
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
        one = ours if seg.convention == convention else convert(ours, seg.convention, convention)
        other = (
            theirs
            if reference.convention == convention
            else convert(theirs, reference.convention, convention)
        )
        for name, kind, title, members in listed(convention):
            if kind == "label":
                yield _Pair(name, kind, title, region_mask(one, members), region_mask(other, members))
    mine, yours = seg.convention.regions, reference.convention.regions
    for name, title in REGION_NAMES.items():
        if name in mine and name in yours:
            masks = region_mask(ours, mine[name]), region_mask(theirs, yours[name])
            yield _Pair(name, "region", title, *masks)


def _cut(seg: Segmentation, box: tuple[slice, ...]) -> Array:
    """Return the labels in a box, after a look whether the convention knows them all."""
    labels = np.ascontiguousarray(seg.labels[box])
    found = {int(value) for value in np.flatnonzero(np.bincount(labels.ravel()))}
    unknown = sorted(found - seg.convention.values - {0})
    if unknown:
        raise InputError(
            f"{seg.name or 'a mask'} holds the label {unknown[0]}, which {seg.convention.name} has not"
        )
    return labels


def _row(pair: _Pair, grid: Grid) -> RegionAgreement:
    counts = Confusion.of(pair.seg, pair.ref, total=int(np.prod(grid.shape)))
    hd95_mm, nsd_1mm, nsd_2mm = _surfaces(pair, counts, grid)
    more, volume = counts.voxels - counts.reference_voxels, grid.voxel_volume_mm3
    return RegionAgreement(
        name=pair.name,
        kind=pair.kind,
        title=pair.title,
        voxels=counts.voxels,
        reference_voxels=counts.reference_voxels,
        dice=counts.dice,
        iou=counts.iou,
        accuracy=counts.accuracy,
        precision=counts.precision,
        sensitivity=counts.sensitivity,
        specificity=counts.specificity,
        f1=counts.f1,
        hd95_mm=hd95_mm,
        nsd_1mm=nsd_1mm,
        nsd_2mm=nsd_2mm,
        volume_error_ml=None if volume is None else more * volume / 1000,
        volume_error_percent=_percent(more, counts.reference_voxels),
        flags=counts.flags,
    )


def _percent(more: int, reference: int) -> float | None:
    if reference:
        return 100 * more / reference
    return None if more else 0.0


def _surfaces(pair: _Pair, counts: Confusion, grid: Grid) -> tuple[float | None, float | None, float | None]:
    """Return HD95 and NSD at 1 and 2 mm."""
    if grid.unit != "mm":
        return None, None, None
    if counts.voxels and counts.reference_voxels:
        distances = surface_distances(pair.seg, pair.ref, grid.affine)
        return hd95(distances), nsd(distances, 1), nsd(distances, 2)
    if counts.voxels or counts.reference_voxels:
        return image_diagonal(grid), 0.0, 0.0
    return 0.0, 1.0, 1.0
