"""Volume, extent, position and longest diameter of every label and region of a segmentation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from napari_tumorseg.geometry import Affine, Array, Grid, Unit, bounding_box
from napari_tumorseg.measurement.intervals import VolumeInterval, intervals_in
from napari_tumorseg.measurement.max_diameter import components, longest_diameter
from napari_tumorseg.measurement.rows import row_of
from napari_tumorseg.regions import REGION_NAMES, LabelConvention, region_mask
from napari_tumorseg.scan import Segmentation

Point = tuple[float, float, float]

FORMAT = 1
"""Version of the format of `Measurements.to_dict`."""


@dataclass(frozen=True)
class Interval:
    """Interval of the size of a region, from the errors of the model on other patients.

    Attributes
    ----------
    coverage : float
        Share of patients, like those of the model's cross-validation, whose size lies inside.
    low_ml, high_ml : float or None
        Ends; None if the voxel size is unknown.
    low_voxels, high_voxels : int
        Ends in voxels.
    patients : int
        Number of these patients.
    wide : bool
        Whether it is so wide that the case should be checked.
    """

    coverage: float
    low_ml: float | None
    high_ml: float | None
    low_voxels: int
    high_voxels: int
    patients: int
    wide: bool

    @classmethod
    def of(cls, found: VolumeInterval, grid: Grid) -> Interval:
        """Return the interval of a run, in the units of its grid."""
        ml = grid.volume_ml(1)
        return cls(
            coverage=found.coverage,
            low_ml=None if ml is None else found.low * ml,
            high_ml=None if ml is None else found.high * ml,
            low_voxels=math.floor(found.low),
            high_voxels=math.ceil(found.high),
            patients=found.patients,
            wide=found.is_wide,
        )


@dataclass(frozen=True)
class RegionStats:
    """Measurements of one label or region.

    Lengths, positions and volumes are None if the voxel size is unknown, positions also without voxels.

    Attributes
    ----------
    name : str
        Abbreviation of the label or name of the region.
    kind : {"label", "region"}
        Whether it is a label or a region.
    title : str
        Full name.
    labels : tuple of int
        Label values that make it up.
    voxels : int
        Number of voxels.
    volume_ml : float or None
        Their volume.
    components : int
        Number of 26-connected components.
    slices : (first, last) or None
        Canonical Z indices from 0, both included.
    centroid_mm : (R, A, S) or None
        Centre of gravity.
    box_mm : ((R, A, S), (R, A, S)) or None
        Lowest and highest coordinates, over the corners of voxels.
    longest_diameter_mm : float or None
        Longest 3-D diameter of any one component.
    interval : Interval or None
        Of the size, where the model that made the mask gives one and the mask was not corrected.
    """

    name: str
    kind: Literal["label", "region"]
    title: str
    labels: tuple[int, ...]
    voxels: int
    volume_ml: float | None
    components: int
    slices: tuple[int, int] | None
    centroid_mm: Point | None
    box_mm: tuple[Point, Point] | None
    longest_diameter_mm: float | None
    interval: Interval | None = None


@dataclass(frozen=True)
class Measurements:
    """Measurements of one segmentation.

    Attributes
    ----------
    case : str
        Name of the case.
    convention : str
        Name of the label convention.
    unit : {"mm", "unknown"}
        Whether the voxel size is known.
    voxel_volume_mm3 : float or None
        Volume of a voxel; correct under shear.
    spacing_mm : (Z, Y, X) or None
        Voxel size.
    rows : tuple of RegionStats
        Labels first, then regions from the outermost inwards; a label that is a region by itself (ET, or
        the one label of the binary convention) is listed once, as the region.
    """

    case: str
    convention: str
    unit: Unit
    voxel_volume_mm3: float | None
    spacing_mm: tuple[float, float, float] | None
    rows: tuple[RegionStats, ...]

    def row(self, name: str) -> RegionStats:
        """Return the row of this name, or raise `KeyError`."""
        return row_of(self.rows, name)

    def to_dict(self) -> dict[str, Any]:
        """Return the measurements as plain types, for JSON."""
        content = _plain(asdict(self))
        return {"format": FORMAT, "case": content.pop("case"), "scheme": content.pop("convention"), **content}


def measure(seg: Segmentation) -> Measurements:
    """Measure every label and region of a segmentation.

    Parameters
    ----------
    seg : Segmentation
        Labels on a grid.

    Returns
    -------
    Measurements
        A row for every label and region of the convention, the empty ones included.
    """
    box = bounding_box(seg.labels) or (slice(0), slice(0), slice(0))
    labels = np.ascontiguousarray(seg.labels[box])
    counts = np.bincount(labels.ravel(), minlength=256)
    offset = (box[0].start or 0, box[1].start or 0, box[2].start or 0)
    rows = []
    known = intervals_in(seg.provenance)
    for name, kind, title, members in listed(seg.convention):
        voxels = int(counts[list(members)].sum())
        found = _Place(seg.grid, region_mask(labels, members), offset) if voxels else None
        row = _row(name, kind, title, members, voxels, seg.grid, found)
        interval = interval_of(known, name, voxels, seg.grid) if kind == "region" else None
        rows.append(replace(row, interval=interval))
    return Measurements(
        seg.name,
        seg.convention.name,
        seg.grid.unit,
        seg.grid.voxel_volume_mm3,
        seg.grid.spacing_mm,
        tuple(rows),
    )


def interval_of(known: Mapping[str, VolumeInterval], name: str, voxels: int, grid: Grid) -> Interval | None:
    """Return the interval of a region; None if there is none, or it was for another size."""
    found = known.get(name)
    return Interval.of(found, grid) if found is not None and found.voxels == voxels else None


def listed(convention: LabelConvention) -> list[tuple[str, Literal["label", "region"], str, tuple[int, ...]]]:
    """Return name, kind, title and label numbers of each row that a convention has in tables."""
    alone = {members[0] for members in convention.regions.values() if len(members) == 1}
    found: list[tuple[str, Literal["label", "region"], str, tuple[int, ...]]] = [
        (label.short, "label", label.name, (label.value,))
        for label in convention.labels
        if label.value not in alone
    ]
    found += [(name, "region", REGION_NAMES[name], members) for name, members in convention.regions.items()]
    return found


def _row(
    name: str,
    kind: Literal["label", "region"],
    title: str,
    members: tuple[int, ...],
    voxels: int,
    grid: Grid,
    found: _Place | None,
) -> RegionStats:
    placed = found if grid.unit == "mm" else None
    return RegionStats(
        name=name,
        kind=kind,
        title=title,
        labels=members,
        voxels=voxels,
        volume_ml=grid.volume_ml(voxels),
        components=found.parts.count if found else 0,
        slices=found.slices if found else None,
        centroid_mm=placed.centroid if placed else None,
        box_mm=placed.box if placed else None,
        longest_diameter_mm=placed.diameter if placed else None,
    )


class _Place:
    """A region that is not empty, in its own box."""

    def __init__(self, grid: Grid, mask: Array, offset: tuple[int, int, int]) -> None:
        box = bounding_box(mask)
        assert box is not None
        self.grid = grid
        self.mask = mask[box]
        self.offset = np.array([s.start + o for s, o in zip(box, offset, strict=True)])
        self.parts = components(self.mask)

    @property
    def slices(self) -> tuple[int, int]:
        first = int(self.offset[0])
        return first, first + self.mask.shape[0] - 1

    @property
    def centroid(self) -> Point:
        profiles = (self.mask.sum(axis=(1, 2)), self.mask.sum(axis=(0, 2)), self.mask.sum(axis=(0, 1)))
        means = [np.average(np.arange(p.size), weights=p) for p in profiles]
        return _point(self.grid.to_world(np.array(means) + self.offset))

    @property
    def diameter(self) -> float | None:
        return longest_diameter(self.mask, self.grid.affine, self.parts)

    @property
    def box(self) -> tuple[Point, Point]:
        """Lowest and highest world coordinates; an extreme lies at the first or last voxel of a row."""
        rows = np.nonzero(self.mask.any(axis=-1))
        filled = self.mask[rows]
        first = filled.argmax(axis=-1)
        last = self.mask.shape[-1] - 1 - filled[:, ::-1].argmax(axis=-1)
        indices = np.concatenate([np.stack([*rows, ends], axis=-1) for ends in (first, last)])
        centres = self.grid.to_world(indices + self.offset)
        half = np.abs(self.grid.affine[:3, :3]).sum(axis=1) / 2
        return _point(centres.min(axis=0) - half), _point(centres.max(axis=0) + half)


def _plain(value: Any) -> Any:
    """Return lists for tuples, so that values read back from JSON are equal."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _point(values: Affine) -> Point:
    r, a, s = (float(value) for value in values)
    return r, a, s
