"""Bidimensional diameters of lesions on axial slices, in the way of RANO.

For each lesion (26-connected component): on each axial slice the longest chord that stays inside the lesion,
and the longest chord inside it that is perpendicular to that one (within 1 degree); of all slices that one
is taken whose product is largest. Lengths are in mm, by the slice's own spacing, and run from edge to edge of
voxels. What is not lesion is not crossed: necrosis that enhancing tumour surrounds counts as outside
(measurable disease: Wen et al. 2010, doi:10.1200/JCO.2009.26.3541).

These are numbers, not a judgement: no response is derived from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, Grid, Unit, bounding_box
from napari_tumorseg.measurement.bidimensional import TOLERANCE_DEGREES, Pair, bidimensional_diameters
from napari_tumorseg.measurement.max_diameter import components
from napari_tumorseg.measurement.volumes import Point
from napari_tumorseg.regions import region_mask
from napari_tumorseg.scan import Segmentation

FORMAT = 1
"""Version of the format of `Rano.to_dict`."""

MIN_LENGTH_MM = 10.0
MAX_SLICE_MM = 5.0
"""A lesion is measurable if both diameters reach the one, on slices no thicker than the other."""

UNKNOWN_SPACING = "the voxel size is unknown, so there are no lengths in mm; state it to get them"

_ROUNDING = 1e-5
"""Headers hold float32, and 5.0000001 mm is meant as 5."""

Ends = tuple[Point, Point]


@dataclass(frozen=True)
class Line:
    """A straight line in a slice.

    Attributes
    ----------
    start, end : (z, y, x)
        Canonical voxel coordinates; voxel k reaches from k - 0.5 to k + 0.5.
    start_mm, end_mm : (R, A, S) or None
        The same in mm; None where the voxel size is unknown.
    length_mm : float or None
        Its length.
    """

    start: Point
    end: Point
    start_mm: Point | None
    end_mm: Point | None
    length_mm: float | None


@dataclass(frozen=True)
class LesionDiameters:
    """Both diameters of a lesion.

    Attributes
    ----------
    number : int
        From 1 on, the largest product first.
    slice_index : int
        Canonical Z index of the slice they lie on.
    voxels : int
        Size of the lesion.
    longest, perpendicular : Line
        The diameters.
    product_mm2 : float or None
        One times the other.
    angle_degrees : float or None
        Between them, 90 at most; None where the voxel size is unknown.
    measurable : bool or None
        At least 10 mm both, on slices no thicker than 5 mm; None where the voxel size is unknown.
    reason : str
        Why it is not measurable; else empty.
    edited : bool
        Whether a person has moved an end.
    """

    number: int
    slice_index: int
    voxels: int
    longest: Line
    perpendicular: Line
    product_mm2: float | None
    angle_degrees: float | None
    measurable: bool | None
    reason: str
    edited: bool = False


@dataclass(frozen=True)
class Rano:
    """Bidimensional diameters of all lesions of a segmentation.

    Attributes
    ----------
    case, convention : str
        Names of the segmentation and its label convention.
    region : str
        Region of the lesions: ET, or WT if there is no ET.
    unit : {"mm", "unknown"}
        Whether the voxel size is known.
    slice_mm : float or None
        Distance between slices.
    lesions : tuple of LesionDiameters
        The largest product first.
    notes : tuple of str
        Remarks, one sentence each.
    """

    case: str
    convention: str
    region: str
    unit: Unit
    slice_mm: float | None
    lesions: tuple[LesionDiameters, ...]
    notes: tuple[str, ...] = ()

    @property
    def sum_of_products_mm2(self) -> float | None:
        """Sum of the products of the measurable lesions; None where the voxel size is unknown."""
        return self._sum(lambda lesion: bool(lesion.measurable))

    @property
    def sum_of_all_products_mm2(self) -> float | None:
        """Sum of the products of all lesions, measurable or not; None where the voxel size is unknown."""
        return self._sum(lambda lesion: True)

    def to_dict(self) -> dict[str, Any]:
        """Return the diameters as plain types, for JSON."""
        sums = {
            "sum_of_products_mm2": self.sum_of_products_mm2,
            "sum_of_all_products_mm2": self.sum_of_all_products_mm2,
        }
        content = _plain(self)
        return {
            "format": FORMAT,
            "case": content.pop("case"),
            "scheme": content.pop("convention"),
            **content,
            **sums,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Rano:
        """Return the diameters that `to_dict` wrote.

        Raises
        ------
        InputError
            If the content is of another kind.
        """
        try:
            if content["format"] != FORMAT:
                raise InputError(f"these lines have the format {content['format']}, not {FORMAT}")
            lesions = tuple(_lesion_from(lesion) for lesion in content["lesions"])
            facts = {name: content[name] for name in ("case", "region", "unit", "slice_mm")}
            return cls(**facts, convention=content["scheme"], lesions=lesions, notes=tuple(content["notes"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"these are no lines of a lesion: {error!r}") from error

    def _sum(self, wanted: Any) -> float | None:
        if self.unit != "mm":
            return None
        return float(sum(lesion.product_mm2 or 0.0 for lesion in self.lesions if wanted(lesion)))


def rano(seg: Segmentation, region: str | None = None) -> Rano:
    """Measure the bidimensional diameters of every lesion.

    Parameters
    ----------
    seg : Segmentation
        Labels on a grid; its slices are those of the first axis.
    region : str, optional
        ``"ET"``, ``"TC"`` or ``"WT"``; by default ET, and WT where there is no ET.

    Raises
    ------
    InputError
        If the convention has no such region.
    """
    name, notes = _region(seg, region)
    found = _measured(seg, seg.convention.regions[name])
    found.sort(key=lambda item: (-item.pair.product, -item.voxels))
    lesions = tuple(
        _lesion(number, voxels, *_lines(pair, index), seg.grid)
        for number, (pair, index, voxels) in enumerate(found, start=1)
    )
    if seg.grid.unit != "mm":
        notes.append(UNKNOWN_SPACING)
    if not lesions:
        notes.append(f"there is no {name} to measure")
    elif seg.grid.unit == "mm" and not any(lesion.measurable for lesion in lesions):
        notes.append(f"none of the {name} lesions is measurable")
    steps = seg.grid.spacing_mm
    return Rano(
        seg.name,
        seg.convention.name,
        name,
        seg.grid.unit,
        steps[0] if steps else None,
        lesions,
        tuple(notes),
    )


def with_ends(
    found: Rano, number: int, grid: Grid, *, longest: Ends | None = None, perpendicular: Ends | None = None
) -> Rano:
    """Return the diameters with new ends of a lesion's lines; its lengths are computed anew.

    Parameters
    ----------
    found : Rano
        Diameters.
    number : int
        Number of the lesion.
    grid : Grid
        Of the segmentation.
    longest, perpendicular : pair of (z, y, x), optional
        New ends in canonical voxel coordinates; a line that is left out stays.

    Raises
    ------
    InputError
        If there is no such lesion, or the ends do not lie on one slice.
    """
    old = next((lesion for lesion in found.lesions if lesion.number == number), None)
    if old is None:
        raise InputError(f"there is no lesion {number}; there are {len(found.lesions)}")
    lines = (
        longest or (old.longest.start, old.longest.end),
        perpendicular or (old.perpendicular.start, old.perpendicular.end),
    )
    new = replace(_lesion(number, old.voxels, *lines, grid), edited=True)
    lesions = tuple(new if lesion is old else lesion for lesion in found.lesions)
    return replace(found, lesions=lesions)


def _region(seg: Segmentation, wanted: str | None) -> tuple[str, list[str]]:
    regions = seg.convention.regions
    if wanted is not None:
        if wanted not in regions:
            raise InputError(f"{seg.convention.name} has no region {wanted!r}; it has {', '.join(regions)}")
        return wanted, []
    if "ET" not in regions:
        return "WT", [f"the labels ({seg.convention.title}) tell no enhancing tumour, so WT was measured"]
    if not any((seg.labels == value).any() for value in regions["ET"]):
        return "WT", ["there is no enhancing tumour, so WT was measured"]
    return "ET", []


class _Found(NamedTuple):
    """The pair of a lesion in coordinates of the whole grid's corners, its slice and its size."""

    pair: Pair
    slice_index: int
    voxels: int


def _measured(seg: Segmentation, members: tuple[int, ...]) -> list[_Found]:
    box = bounding_box(seg.labels)
    if box is None:
        return []
    parts = components(region_mask(seg.labels[box], members))
    sizes = np.bincount(parts.numbers.ravel())
    found = []
    for number, inner in enumerate(ndimage.find_objects(parts.numbers), start=1):
        index, pair = _largest(parts.numbers[inner] == number, seg.grid)
        corner = [b.start + i.start for b, i in zip(box, inner, strict=True)]
        found.append(_Found(_shifted(pair, corner[1:]), corner[0] + index, int(sizes[number])))
    return found


def _largest(part: Array, grid: Grid) -> tuple[int, Pair]:
    """Return the slice with the largest product, and its diameters; slices by area, the largest first."""
    basis = grid.affine[:3, 1:3]
    best: tuple[int, Pair] | None = None
    for index in np.argsort(-part.sum(axis=(1, 2)), kind="stable"):
        pair = bidimensional_diameters(part[index], basis, above=best[1].product if best else 0.0)
        if pair is not None:
            best = int(index), pair
    assert best is not None
    return best


def _shifted(pair: Pair, by: list[int]) -> Pair:
    return Pair(*(c._replace(start=c.start + by, end=c.end + by) for c in pair))


def _lines(pair: Pair, index: int) -> tuple[Ends, Ends]:
    """Return the ends of both lines in voxel coordinates."""
    longest, perpendicular = (
        (_end(index, chord.start), _end(index, chord.end)) for chord in (pair.longest, pair.perpendicular)
    )
    return longest, perpendicular


def _end(index: int, corner: Array) -> Point:
    return float(index), float(corner[0]) - 0.5, float(corner[1]) - 0.5


def _lesion(number: int, voxels: int, longest: Ends, perpendicular: Ends, grid: Grid) -> LesionDiameters:
    index = _common_slice((*longest, *perpendicular), grid)
    one, other = _line(longest, grid), _line(perpendicular, grid)
    measurable, reason = _measurable(one.length_mm, other.length_mm, grid)
    product = None if one.length_mm is None or other.length_mm is None else one.length_mm * other.length_mm
    angle = _angle(one, other)
    return LesionDiameters(number, index, voxels, one, other, product, angle, measurable, reason)


def _common_slice(points: tuple[Point, ...], grid: Grid) -> int:
    values = np.array(points, dtype=float)
    if values.shape != (4, 3) or not np.isfinite(values).all():
        raise InputError("the end of a line is three numbers (z, y, x)")
    slices = np.unique(np.round(values[:, 0]))
    if len(slices) > 1:
        raise InputError("both diameters lie on one axial slice; move all four ends to it")
    if not 0 <= slices[0] < grid.shape[0]:
        raise InputError(f"there is no slice {slices[0]:.0f}; there are slices 0 to {grid.shape[0] - 1}")
    return int(slices[0])


def _line(ends: Ends, grid: Grid) -> Line:
    # a point dragged in a 3-D view is put onto the plane of its slice
    flat = np.array(ends, dtype=float)
    flat[:, 0] = np.round(flat[:, 0])
    start, end = _point(flat[0]), _point(flat[1])
    if grid.unit != "mm":
        return Line(start, end, None, None, None)
    places = grid.to_world(flat)
    length = float(np.linalg.norm(places[1] - places[0]))
    return Line(start, end, _point(places[0]), _point(places[1]), length)


def _angle(one: Line, other: Line) -> float | None:
    if one.start_mm is None or other.start_mm is None or not one.length_mm or not other.length_mm:
        return None
    assert one.end_mm is not None and other.end_mm is not None
    steps = np.subtract(one.end_mm, one.start_mm), np.subtract(other.end_mm, other.start_mm)
    cosine = abs(float(steps[0] @ steps[1])) / (one.length_mm * other.length_mm)
    return float(np.degrees(np.arccos(min(cosine, 1.0))))


def _measurable(longest: float | None, perpendicular: float | None, grid: Grid) -> tuple[bool | None, str]:
    """Return whether a lesion is measurable, and in words why not."""
    if longest is None or perpendicular is None or grid.spacing_mm is None:
        return None, UNKNOWN_SPACING
    against = []
    least = MIN_LENGTH_MM * (1 - _ROUNDING)
    for name, length in (("longest", longest), ("perpendicular", perpendicular)):
        if length < least:
            against.append(f"the {name} diameter is {length:.1f} mm, less than {MIN_LENGTH_MM:.0f} mm")
    thick = grid.spacing_mm[0]
    if thick > MAX_SLICE_MM * (1 + _ROUNDING):
        against.append(f"the slices are {thick:.2g} mm thick, more than {MAX_SLICE_MM:.0f} mm")
    return not against, "; ".join(against)


def warn_of_angle(lesion: LesionDiameters) -> str:
    """Return a sentence if lines that a person moved are no longer perpendicular; else an empty text."""
    angle = lesion.angle_degrees
    if angle is None or angle >= 90 - TOLERANCE_DEGREES - _ROUNDING:
        return ""
    return f"the lines of lesion {lesion.number} meet at {angle:.1f} degrees, not at a right angle"


def _lesion_from(content: Mapping[str, Any]) -> LesionDiameters:
    lines = {name: Line(**_tuples(content[name])) for name in ("longest", "perpendicular")}
    return LesionDiameters(**{**content, **lines})


def _tuples(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}


def _plain(value: Any) -> Any:
    """Return dictionaries for dataclasses and lists for tuples."""
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _point(values: Array) -> Point:
    first, second, third = (float(value) for value in values)
    return first, second, third
