"""Files of clicks: what was clicked, stroked or boxed on a mask, as JSON.

::

    {
      "format": 1,
      "space": "voxel",
      "grid": "3f0c9a51d2e88b17",
      "clicks": [
        {"at": [77, 120, 98], "sign": "+", "label": "WT"},
        {"stroke": [[77, 90, 101], [77, 91, 103]], "sign": "-", "label": "WT"},
        {"box": [[70, 80, 80], [84, 120, 130]], "sign": "+", "label": 1}
      ]
    }

In the space ``voxel`` a place is (z, y, x) of the mask as this package holds it: z towards the head, y
towards the back, x towards the left of the patient, all from 0. In the space ``mm`` it is (x, y, z) in RAS
coordinates, as in the affine of a NIfTI file, and the nearest voxel counts. ``grid`` is the checksum of the
mask's grid (`grid_checksum`); where it is given, clicks are refused on any other grid. ``label`` is the
number or the abbreviation of a label, or the name of a region; ``paint`` the label that a click on a region
adds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_tumorseg.edit.clicks import Click
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.regions import LabelConvention

FORMAT = 1
_MOST_BYTES = 16 << 20
_MOST_CLICKS = 10_000
_SPACES = ("voxel", "mm")
_SHAPES = ("at", "stroke", "box")
_SIGNS = ("+", "-")


def grid_checksum(grid: Grid) -> str:
    """Return 16 hexadecimal digits for a grid's shape, place and voxel size."""
    affine = np.round(grid.affine, 3) + 0.0  # no negative zero
    told = json.dumps([list(grid.shape), affine.tolist(), grid.unit])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def read_clicks(path: Path, grid: Grid, convention: LabelConvention) -> tuple[Click, ...]:
    """Read the clicks in a file for a mask.

    Parameters
    ----------
    path : Path
        JSON as described above.
    grid : Grid
        Grid of the mask.
    convention : LabelConvention
        Of the mask, for the names of labels and regions.

    Raises
    ------
    InputError
        If it cannot be read, is no file of clicks, or does not fit the mask.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} is too large to be a file of clicks")
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"the clicks {path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"the clicks {path} are not valid JSON: {error}") from error
    try:
        return clicks_of(content, grid, convention)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def clicks_of(content: object, grid: Grid, convention: LabelConvention) -> tuple[Click, ...]:
    """Return the clicks in the content of a file; errors are those of `read_clicks`."""
    if not isinstance(content, dict) or not isinstance(content.get("clicks"), list):
        raise InputError("this is no file of clicks: it has no list `clicks`")
    if content.get("format") != FORMAT:
        raise InputError(f"clicks are read in format {FORMAT}, not {content.get('format')!r}")
    space, entries = content.get("space", "voxel"), content["clicks"]
    if space not in _SPACES:
        raise InputError(f"the space of clicks is voxel or mm, not {space!r}")
    if space == "mm" and grid.unit != "mm":
        raise InputError("the clicks are in mm, but the mask has no voxel size; give voxels")
    wanted = content.get("grid")
    if wanted is not None and wanted != grid_checksum(grid):
        raise InputError(f"the clicks were made on the grid {wanted}, the mask lies on {grid_checksum(grid)}")
    if len(entries) > _MOST_CLICKS:
        raise InputError(f"these are {len(entries)} clicks; at most {_MOST_CLICKS} are read")
    found = []
    for number, entry in enumerate(entries, start=1):
        try:
            found.append(_click(entry, space, grid, convention))
        except InputError as error:
            raise InputError(f"click {number}: {error}") from error
    return tuple(found)


def clicks_to_dict(clicks: Sequence[Click], grid: Grid, convention: LabelConvention) -> dict[str, Any]:
    """Return the content of a file of clicks, as `clicks_of` reads it and provenance keeps it."""
    entries = [_entry(click, convention) for click in clicks]
    return {"format": FORMAT, "space": "voxel", "grid": grid_checksum(grid), "clicks": entries}


def _entry(click: Click, convention: LabelConvention) -> dict[str, Any]:
    shape = "box" if click.is_box else "at" if len(click.voxels) == 1 else "stroke"
    places = [[int(p) for p in voxel] for voxel in click.voxels]
    label: int | str = click.label
    if click.region:
        label = next((n for n, m in convention.regions.items() if set(m) == click.members), "*")
    told = {shape: places[0] if shape == "at" else places, "sign": "+" if click.adds else "-", "label": label}
    return told if label == click.label else {**told, "paint": click.label}


def _click(entry: object, space: str, grid: Grid, convention: LabelConvention) -> Click:
    if not isinstance(entry, Mapping):
        raise InputError('this is no click: {"at": [z, y, x], "sign": "+"}')
    shapes = [name for name in _SHAPES if name in entry]
    if len(shapes) != 1:
        raise InputError("a click has one of `at`, `stroke` and `box`")
    if entry.get("sign", "+") not in _SIGNS:
        raise InputError(f"the sign of a click is + or -, not {entry['sign']!r}")
    places = _places([entry["at"]] if shapes == ["at"] else entry[shapes[0]], space, grid)
    label, region = _label(entry.get("label"), convention)
    paint = entry.get("paint", label)
    if not isinstance(paint, int) or paint not in convention.values:
        raise InputError(f"the label {paint!r} is not one of {convention.title}")
    click = Click(places, entry.get("sign", "+") == "+", paint, region, shapes == ["box"])
    click.check_inside(grid.shape)
    return click


def _places(values: object, space: str, grid: Grid) -> tuple[tuple[int, int, int], ...]:
    try:
        points = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        points = np.empty(0)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise InputError("a place is three numbers")
    if space == "mm":
        points = (points - grid.affine[:3, 3]) @ np.linalg.inv(grid.affine[:3, :3]).T
    if np.abs(points).max(initial=0) > 1e6:
        raise InputError("a place lies far outside the mask")
    return tuple((int(z), int(y), int(x)) for z, y, x in np.rint(points))


def _label(name: object, convention: LabelConvention) -> tuple[int, frozenset[int]]:
    """Return the label to paint and the region, empty for the label itself."""
    if name is None and len(convention.labels) == 1:
        return convention.labels[0].value, frozenset()
    if name == "*":
        return convention.labels[0].value, convention.values
    if isinstance(name, str) and name in convention.regions:
        return convention.own_label(name), frozenset(convention.regions[name])
    for label in convention.labels:
        if name in (label.value, label.short, str(label.value)) and not isinstance(name, bool):
            return label.value, frozenset()
    known = ", ".join([label.short for label in convention.labels] + list(convention.regions))
    if name is None:
        raise InputError(f"the click names no label; {convention.title} has {known}")
    raise InputError(f"the label {name!r} is not one of {convention.title}: {known}")
