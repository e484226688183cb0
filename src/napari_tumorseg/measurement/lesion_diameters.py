"""Both diameters of a lesion: lines in a slice, their lengths, and whether the lesion is measurable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.measurement.volumes import Point

MIN_LENGTH_MM = 10.0
MAX_SLICE_MM = 5.0
"""A lesion is measurable if both diameters reach the one, on slices no thicker than the other."""

UNKNOWN_SPACING = "the voxel size is unknown, so there are no lengths in mm; state it to get them"

_ROUNDING = 1e-5
"""Headers hold float32, and 5.0000001 mm is meant as 5."""

Ends = tuple[Point, Point]
"""Both ends of a line (z, y, x), in canonical voxel coordinates."""


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


def lesion_diameters(
    number: int, voxels: int, longest: Ends, perpendicular: Ends, grid: Grid
) -> LesionDiameters:
    """Return the diameters of a lesion from the ends of both lines.

    Parameters
    ----------
    number, voxels : int
        Of the lesion.
    longest, perpendicular : pair of (z, y, x)
        Ends in canonical voxel coordinates, all on one slice.
    grid : Grid
        Of the segmentation.

    Raises
    ------
    InputError
        If the ends do not lie on one slice of the grid.
    """
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


def from_dict(content: Mapping[str, Any]) -> LesionDiameters:
    """Return the diameters that were written as plain types."""
    lines = {name: Line(**_tuples(content[name])) for name in ("longest", "perpendicular")}
    return LesionDiameters(**{**content, **lines})


def _tuples(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}


def _point(values: Array) -> Point:
    first, second, third = (float(value) for value in values)
    return first, second, third
