"""Change between two time points, in plain numbers.

Volumes come from each segmentation on its own grid. Lesions are matched only after a registration that a
person approved. No clinical verdict is derived.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from napari_tumorseg.errors import GeometryError, InputError
from napari_tumorseg.geometry import Array, bounding_box
from napari_tumorseg.measurement.max_diameter import components
from napari_tumorseg.measurement.rano import Rano
from napari_tumorseg.measurement.rano_outline import Outline
from napari_tumorseg.measurement.registration import Rigid
from napari_tumorseg.measurement.rows import row_of
from napari_tumorseg.measurement.volumes import listed
from napari_tumorseg.regions import region_mask
from napari_tumorseg.scan import Segmentation

FORMAT = 1
"""Version of the format of `ChangeOverTime.to_dict`."""

Status = Literal["new", "vanished", "matched"]


@dataclass(frozen=True)
class RegionChange:
    """Change of one label or region.

    Volumes are None where the voxel size is unknown; the change in % also where there was nothing before.

    Attributes
    ----------
    name : str
        Abbreviation of the label or name of the region.
    kind : {"label", "region"}
        Whether it is a label or a region.
    title : str
        Full name.
    voxels_before, voxels_after : int
        Sizes on each grid.
    before_ml, after_ml : float or None
        Volumes.
    change_ml, change_percent : float or None
        After less before, and that in % of before.
    """

    name: str
    kind: Literal["label", "region"]
    title: str
    voxels_before: int
    voxels_after: int
    before_ml: float | None
    after_ml: float | None
    change_ml: float | None
    change_percent: float | None


@dataclass(frozen=True)
class ProductChange:
    """Change of the sum of the products of diameters of the measurable lesions, in mm2 and %."""

    region: str
    outline: Outline | None
    before_mm2: float
    after_mm2: float
    change_mm2: float
    change_percent: float | None


@dataclass(frozen=True)
class LesionChange:
    """A lesion, or lesions that merged or split, at both time points.

    Attributes
    ----------
    status : {"new", "vanished", "matched"}
        Matched are lesions of which at least one voxel overlaps.
    before, after : tuple of int
        Numbers of the 26-connected components at either time, the largest being 1.
    before_ml, after_ml : float or None
        Their volumes, each on its own grid; None where the voxel size is unknown.
    """

    status: Status
    before: tuple[int, ...]
    after: tuple[int, ...]
    before_ml: float | None
    after_ml: float | None


@dataclass(frozen=True)
class ChangeOverTime:
    """Change between two time points.

    Attributes
    ----------
    before, after : str
        Names of the segmentations.
    rows : tuple of RegionChange
        Labels (where both have one convention), then the regions that both conventions have.
    product : ProductChange or None
        Where diameters were given for both.
    region : str
        Region of the lesions.
    lesions : tuple of LesionChange or None
        None if no registration was approved.
    registration : dict or None
        From `Rigid.to_dict`.
    notes : tuple of str
        Remarks, one sentence each.
    """

    before: str
    after: str
    rows: tuple[RegionChange, ...]
    product: ProductChange | None
    region: str
    lesions: tuple[LesionChange, ...] | None
    registration: dict[str, Any] | None
    notes: tuple[str, ...] = ()

    def row(self, name: str) -> RegionChange:
        """Return the row of this name, or raise `KeyError`."""
        return row_of(self.rows, name)

    def count(self, status: Status) -> int | None:
        """Return how many entries of `lesions` have this status; None without a registration."""
        return None if self.lesions is None else sum(lesion.status == status for lesion in self.lesions)

    def to_dict(self) -> dict[str, Any]:
        """Return the change as plain types, for JSON."""
        lesions = None
        if self.lesions is not None:
            lesions = [{**asdict(x), "before": list(x.before), "after": list(x.after)} for x in self.lesions]
        rows = [asdict(row) for row in self.rows]
        return {"format": FORMAT, **asdict(self), "rows": rows, "lesions": lesions, "notes": list(self.notes)}


def change(
    before: Segmentation,
    after: Segmentation,
    *,
    rigid: Rigid | None = None,
    diameters: tuple[Rano, Rano] | None = None,
    region: str | None = None,
) -> ChangeOverTime:
    """Compare two time points of one patient.

    Parameters
    ----------
    before, after : Segmentation
        The earlier and the later one, each on its own grid; their conventions may differ.
    rigid : Rigid, optional
        From ``register(earlier scan, later scan)``; lesions are matched only if it is approved.
    diameters : (Rano, Rano), optional
        Of the earlier and the later one.
    region : str, optional
        Of which lesions are matched; by default ET, and WT where either has no ET.

    Raises
    ------
    InputError
        If a convention has no such region.
    GeometryError
        If the registration is not one of these scans.
    """
    notes: list[str] = []
    rows = tuple(_rows(before, after))
    if "unknown" in (before.grid.unit, after.grid.unit):
        notes.append("a voxel size is unknown, so volumes cannot be compared; state it to get them")
    product = _product(diameters, notes)
    name = _region(before, after, region)
    lesions = None
    if rigid is None or not rigid.approved:
        notes.append("no registration was approved, so lesions of both time points are not matched")
    else:
        _check(rigid, before, after)
        lesions = tuple(_lesions(before, after, rigid, name))
    registration = rigid.to_dict() if rigid is not None and rigid.approved else None
    return ChangeOverTime(before.name, after.name, rows, product, name, lesions, registration, tuple(notes))


def _rows(before: Segmentation, after: Segmentation) -> Iterator[RegionChange]:
    counts = [np.bincount(seg.labels.ravel(), minlength=256) for seg in (before, after)]
    theirs = {name: members for name, _, _, members in listed(after.convention)}
    for name, kind, title, members in listed(before.convention):
        # labels of one name need not mean the same in two conventions
        if name not in theirs or (kind == "label" and before.convention != after.convention):
            continue
        sizes = [int(c[list(m)].sum()) for c, m in zip(counts, (members, theirs[name]), strict=True)]
        old, new = before.grid.volume_ml(sizes[0]), after.grid.volume_ml(sizes[1])
        yield RegionChange(name, kind, title, sizes[0], sizes[1], old, new, *_difference(old, new))


def _difference(before: float | None, after: float | None) -> tuple[float | None, float | None]:
    """Return the change and the change in %."""
    if before is None or after is None:
        return None, None
    if before == 0:
        return after, None if after else 0.0
    return after - before, 100 * (after - before) / before


def _product(diameters: tuple[Rano, Rano] | None, notes: list[str]) -> ProductChange | None:
    if diameters is None:
        return None
    one, other = diameters
    if one.region != other.region:
        notes.append(f"diameters are of {one.region} before and of {other.region} after: not compared")
        return None
    if one.outline != other.outline:
        notes.append("the outlines of diameters differ before and after: not compared")
        return None
    before, after = one.sum_of_products_mm2, other.sum_of_products_mm2
    if before is None or after is None:
        return None
    more, percent = _difference(before, after)
    assert more is not None
    return ProductChange(one.region, one.outline, before, after, more, percent)


def _region(before: Segmentation, after: Segmentation, wanted: str | None) -> str:
    for seg in (before, after):
        if wanted is not None and wanted not in seg.convention.regions:
            names = ", ".join(seg.convention.regions)
            raise InputError(f"{seg.name} ({seg.convention.name}) has no region {wanted!r}; it has {names}")
    if wanted is not None:
        return wanted
    return "ET" if all(_has_enhancing(seg) for seg in (before, after)) else "WT"


def _has_enhancing(seg: Segmentation) -> bool:
    return any((seg.labels == value).any() for value in seg.convention.regions.get("ET", ()))


def _check(rigid: Rigid, before: Segmentation, after: Segmentation) -> None:
    if not (before.grid.same_space(rigid.fixed) and after.grid.same_space(rigid.moving)):
        raise GeometryError(
            f"the registration is not one of {after.name or 'the later scan'} to "
            f"{before.name or 'the earlier one'}"
        )


class _Lesions:
    """The 26-connected components of a region, numbered from the largest on."""

    def __init__(self, seg: Segmentation, region: str) -> None:
        self.grid = seg.grid
        self.numbers = np.zeros(seg.labels.shape, np.int32)
        self.sizes = np.zeros(1, np.int64)
        box = bounding_box(seg.labels)
        if box is not None:
            parts = components(region_mask(seg.labels[box], seg.convention.regions[region]))
            sizes = np.bincount(parts.numbers.ravel(), minlength=1)
            order = 1 + np.argsort(-sizes[1:], kind="stable")
            ranks = np.zeros(len(sizes), np.int32)
            ranks[order] = np.arange(1, len(sizes))
            self.numbers[box] = ranks[parts.numbers]
            self.sizes = np.concatenate([sizes[:1], sizes[order]])

    @property
    def count(self) -> int:
        return len(self.sizes) - 1

    def voxels(self, numbers: Sequence[int]) -> int:
        return int(self.sizes[list(numbers)].sum())

    def met_by(self, other: _Lesions, matrix: Array) -> Array:
        """Return pairs (mine, other's) of lesions that overlap once the other's voxels are moved here."""
        voxels = np.argwhere(other.numbers)
        steps = np.linalg.inv(self.grid.affine) @ matrix @ other.grid.affine
        at = np.round(voxels @ steps[:3, :3].T + steps[:3, 3]).astype(int)
        inside = ((at >= 0) & (at < self.numbers.shape)).all(axis=1)
        mine, theirs = self.numbers[tuple(at[inside].T)], other.numbers[tuple(voxels[inside].T)]
        return np.asarray(np.stack([mine, theirs], axis=1)[mine > 0])


def _lesions(before: Segmentation, after: Segmentation, rigid: Rigid, region: str) -> Iterator[LesionChange]:
    """Yield matched lesions first, then vanished and new ones."""
    old, new = _Lesions(before, region), _Lesions(after, region)
    # both ways, lest a small lesion slip between the voxels of a coarser grid
    pairs = np.concatenate(
        [old.met_by(new, rigid.matrix), new.met_by(old, np.linalg.inv(rigid.matrix))[:, ::-1]]
    )
    groups = _groups(np.unique(pairs, axis=0), old.count, new.count)
    order: dict[Status, int] = {"matched": 0, "vanished": 1, "new": 2}
    groups.sort(key=lambda g: (order[_status(*g)], -max(old.voxels(g[0]), new.voxels(g[1]))))
    for a, b in groups:
        volumes = old.grid.volume_ml(old.voxels(a)), new.grid.volume_ml(new.voxels(b))
        yield LesionChange(_status(a, b), a, b, *volumes)


def _groups(pairs: Array, before: int, after: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return the lesions that belong together: connected parts of the graph of overlaps."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = before + after
    ends = (pairs[:, 0] - 1, before + pairs[:, 1] - 1)
    count, part = connected_components(coo_matrix((np.ones(len(pairs)), ends), (size, size)), directed=False)
    members = [np.flatnonzero(part == number) for number in range(count)]
    return [
        (tuple(int(i) + 1 for i in m if i < before), tuple(int(i) - before + 1 for i in m if i >= before))
        for m in members
    ]


def _status(before: tuple[int, ...], after: tuple[int, ...]) -> Status:
    if before and after:
        return "matched"
    return "vanished" if before else "new"
