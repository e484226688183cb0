"""Bidimensional diameters of lesions on axial slices, in the way of RANO.

For each lesion (26-connected component): on each axial slice the longest chord that stays inside the lesion,
and the longest chord inside it that is perpendicular to that one (within 1 degree); of all slices the one
with the largest product is taken. Lengths are in mm, by the slice's own spacing, and run from edge to edge of
voxels. Measurable disease is that of Wen et al. 2010 (doi:10.1200/JCO.2009.26.3541) and 2023 (RANO 2.0,
doi:10.1200/JCO.23.01059).

The outline of an enhancing lesion is a choice, `OUTLINES`, since both are in use for a ring of enhancement.
The default is enhancing tumour only: RANO measures enhancing disease and takes cystic or necrotic tumour for
not measurable but for its solid part (summary in doi:10.1093/noajnl/vdad118, table 1), and published
programs measure the enhancing mask alone: AutoRANO (Chang et al. 2019, doi:10.1093/neuonc/noz106) and
RANO2.0-assist, whose lines must lie inside it as here. Lines across ring and necrosis are the older habit of
measuring the outer borders. A resection cavity is never crossed.

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
from napari_tumorseg.measurement.lesion_diameters import (
    UNKNOWN_SPACING,
    Ends,
    LesionDiameters,
    from_dict,
    lesion_diameters,
)
from napari_tumorseg.measurement.max_diameter import components
from napari_tumorseg.measurement.rano_outline import Outline, checked_outline, lesion_mask
from napari_tumorseg.measurement.volumes import Point
from napari_tumorseg.scan import Segmentation

FORMAT = 1
"""Version of the format of `Rano.to_dict`."""


@dataclass(frozen=True)
class Rano:
    """Bidimensional diameters of all lesions of a segmentation.

    Attributes
    ----------
    case, convention : str
        Names of the segmentation and its label convention.
    region : str
        Region of the lesions: ET, or WT if there is no ET.
    outline : {"enhancing-only", "with-necrosis"} or None
        Outline of the lesions, see `OUTLINES`; None for another region than ET.
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
    outline: Outline | None
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
            lesions = tuple(from_dict(lesion) for lesion in content["lesions"])
            facts = {name: content[name] for name in ("case", "region", "unit", "slice_mm")}
            # files of earlier versions have no outline: it was always this one
            outline = content.get("outline", "enhancing-only" if content["region"] == "ET" else None)
            facts |= {"convention": content["scheme"], "outline": outline}
            return cls(**facts, lesions=lesions, notes=tuple(content["notes"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"these are no lines of a lesion: {error!r}") from error

    def _sum(self, wanted: Any) -> float | None:
        if self.unit != "mm":
            return None
        return float(sum(lesion.product_mm2 or 0.0 for lesion in self.lesions if wanted(lesion)))


def rano(seg: Segmentation, region: str | None = None, outline: str = "enhancing-only") -> Rano:
    """Measure the bidimensional diameters of every lesion.

    Parameters
    ----------
    seg : Segmentation
        Labels on a grid; its slices are those of the first axis.
    region : str, optional
        ``"ET"``, ``"TC"`` or ``"WT"``; by default ET, and WT where there is no ET.
    outline : {"enhancing-only", "with-necrosis"}
        Outline of enhancing lesions; of no effect on other regions.

    Raises
    ------
    InputError
        If the convention has no such region, or there is no such outline.
    """
    chosen = checked_outline(outline)
    name, notes = _region(seg, region)
    found = _measured(seg, name, chosen)
    found.sort(key=lambda item: (-item.pair.product, -item.voxels))
    lesions = tuple(
        lesion_diameters(number, voxels, *_lines(pair, index), seg.grid)
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
        chosen if name == "ET" else None,
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
    new = replace(lesion_diameters(number, old.voxels, *lines, grid), edited=True)
    lesions = tuple(new if lesion is old else lesion for lesion in found.lesions)
    return replace(found, lesions=lesions)


def _region(seg: Segmentation, wanted: str | None) -> tuple[str, list[str]]:
    regions = seg.convention.regions
    if wanted is not None:
        if wanted not in regions:
            raise InputError(f"{seg.convention.name} has no region {wanted!r}; it has {', '.join(regions)}")
        return wanted, []
    if "ET" not in regions:
        return "WT", [f"the labels ({seg.convention.title}) have no enhancing tumour, so WT was measured"]
    if not any((seg.labels == value).any() for value in regions["ET"]):
        return "WT", ["there is no enhancing tumour, so WT was measured"]
    return "ET", []


class _Found(NamedTuple):
    """The pair of a lesion in coordinates of the whole grid's corners, its slice and its size."""

    pair: Pair
    slice_index: int
    voxels: int


def _measured(seg: Segmentation, region: str, outline: Outline) -> list[_Found]:
    box = bounding_box(seg.labels)
    if box is None:
        return []
    parts = components(lesion_mask(seg.labels[box], seg.convention, region, outline))
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


def warn_of_angle(lesion: LesionDiameters) -> str:
    """Return a sentence if lines that a person moved are no longer perpendicular; else an empty text."""
    angle = lesion.angle_degrees
    if angle is None or angle >= 90 - TOLERANCE_DEGREES - 1e-5:
        return ""
    return f"the lines of lesion {lesion.number} meet at {angle:.1f} degrees, not at a right angle"


def _plain(value: Any) -> Any:
    """Return dictionaries for dataclasses and lists for tuples."""
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
