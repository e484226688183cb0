"""Measurements as CSV, as JSON, as a table for a terminal, and in one sentence."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_tumorseg.conventions import get_convention
from napari_tumorseg.measurement import OUTLINES, Agreement, Measurements, Rano, RegionStats
from napari_tumorseg.measurement.metrics import METRICS, NONE, in_table
from napari_tumorseg.notice import RESEARCH_USE
from napari_tumorseg.report.text import (
    COMPONENTS,
    SQUARE_MM,
    about_intervals,
    amount,
    compared,
    count,
    flagged,
    in_interval,
    interval_cell,
    millilitres,
    number,
    titled,
)

if TYPE_CHECKING:
    from rich.table import Table

_MOST_LESIONS = 5
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")

_COLUMNS = (
    "case",
    "scheme",
    "kind",
    "name",
    "title",
    "labels",
    "voxels",
    "volume_ml",
    "components",
    "first_slice",
    "last_slice",
    "longest_diameter_mm",
    *(f"{what}_{axis}_mm" for what in ("centroid", "min", "max") for axis in "ras"),
)


_DIAMETERS = (
    "rano_outline",
    "rano_slice",
    "rano_longest_mm",
    "rano_perpendicular_mm",
    "rano_product_mm2",
    "rano_sum_of_products_mm2",
)

_INTERVAL = (
    "interval_coverage",
    "interval_low_ml",
    "interval_high_ml",
    "interval_low_voxels",
    "interval_high_voxels",
    "interval_patients",
    "interval_wide",
)


def to_csv(*measurements: Measurements, diameters: Sequence[Rano] = ()) -> str:
    """Return one row for each label and region; unknown values are empty cells.

    Slices are Z indices from 0, the feet end first. Cells of text that a spreadsheet would run as a formula
    get a leading apostrophe; numbers stay numbers, negative ones included.

    Parameters
    ----------
    *measurements : Measurements
        One case, or several for one table.
    diameters : sequence of Rano, optional
        Of the same cases. They fill the last columns in the row of the region that was measured: the slice
        and both diameters of the largest lesion, and the sum of products of the measurable ones.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*_COLUMNS, *_DIAMETERS, *_INTERVAL))
    each: Sequence[Rano | None] = diameters or [None] * len(measurements)
    for m, found in zip(measurements, each, strict=True):
        for row in m.rows:
            values = (*_values(m, row), *_diameters(found, row), *_interval(row))
            writer.writerow([cell(value) for value in values])
    return text.getvalue()


def to_json(
    m: Measurements,
    provenance: Mapping[str, Any] | None = None,
    agreed: Agreement | None = None,
    diameters: Rano | None = None,
) -> str:
    """Return measurements and their provenance; numbers that JSON cannot hold become null."""
    plain = {**m.to_dict(), "provenance": jsonable(provenance or {}), "notice": RESEARCH_USE}
    if agreed is not None:
        plain["agreement"] = agreed.to_dict()
    if diameters is not None:
        plain["diameters"] = diameters.to_dict()
    return json.dumps(jsonable(plain), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_rich(m: Measurements) -> Table:
    """Return measurements as a table for a terminal; unknown values are dashes."""
    from rich.table import Table
    from rich.text import Text

    convention = f"labels: {get_convention(m.convention).title}"
    size = "" if m.unit == "mm" else "; voxel size unknown: no mL, no mm"
    # Text, since names from files might hold what rich takes for markup
    components = f"components: {COMPONENTS}\n" if any(row.components > 1 for row in m.rows) else ""
    about = about_intervals(m.rows)
    caption = Text(f"{components}{about}{about and chr(10)}{RESEARCH_USE}{size}")
    table = Table(title=Text(f"{m.case} ({convention})"), caption=caption)
    table.add_column("region", overflow="fold")
    # an interval stands below its volume: a column of its own leaves no room for names in 80 characters
    volume_head = f"mL\n{_interval_head(m)}" if about else "mL"
    table.add_column(volume_head, justify="right", no_wrap=True)
    for column in ("voxels", "components", "slices", "longest diameter (mm)"):
        table.add_column(column, justify="right", min_width=max(map(len, column.split())))
    last_label = sum(row.kind == "label" for row in m.rows) - 1
    for index, row in enumerate(m.rows):
        name, volume, *others = _texts(row)
        if row.interval is not None:
            volume += f"\n{interval_cell(row.interval)}"
        table.add_row(*map(Text, (name, volume, *others)), end_section=index == last_label)
    return table


def diameters_table(found: Rano) -> Table:
    """Return the diameters of the largest lesions as a table for a terminal."""
    from rich.table import Table
    from rich.text import Text

    outline = f", {OUTLINES[found.outline]}" if found.outline else ""
    left = len(found.lesions) - _MOST_LESIONS
    more = f"and {count(left, 'smaller lesion')}\n" if left > 0 else ""
    title = f"Diameters of {found.case or 'the mask'} on axial slices ({found.region}{outline})"
    table = Table(title=Text(title), caption=f"{more}{RESEARCH_USE}")
    for heading in ("lesion", "slice", "longest (mm)", "perpendicular (mm)", f"product ({SQUARE_MM})"):
        table.add_column(heading, justify="right")
    for lesion in found.lesions[:_MOST_LESIONS]:
        lengths = (number(line.length_mm) for line in (lesion.longest, lesion.perpendicular))
        product = number(lesion.product_mm2, 0)
        table.add_row(str(lesion.number), str(lesion.slice_index), *lengths, product)
    return table


def agreement_table(a: Agreement) -> Table:
    """Return the agreement of a mask with a reference as a table for a terminal."""
    from rich.table import Table
    from rich.text import Text

    metrics, hd95 = in_table(METRICS, "agreement"), METRICS["hd95_mm"]
    table = Table(title=Text(compared(a)), caption=f"{hd95.title}: {hd95.definition}\n{RESEARCH_USE}")
    table.add_column("region")
    for metric in metrics.values():
        table.add_column(metric.column, justify="right")
    for row in a.rows:
        cells = (metric.text(row.metric(name)) for name, metric in metrics.items())
        table.add_row(flagged(row.name, row.flags), *cells)
    return table


def summary(m: Measurements) -> str:
    """Return the regions that were found and their sizes, in one sentence."""
    regions = [row for row in m.rows if row.voxels and row.kind == "region"]
    others = "".join(f"; {row.title} {_size(row)}" for row in _outside_regions(m))
    if not regions:
        return f"no tumour found{others}"
    sizes = [f"{row.name} {_size(row)}{_details(row, row is regions[0])}" for row in regions]
    unknown = "" if m.unit == "mm" else "; the voxel size is unknown"
    return f"tumour found: {', '.join(sizes)}{others}{unknown}"


def _outside_regions(m: Measurements) -> list[RegionStats]:
    """Return the labels that were found and are in no region, such as a cavity."""
    inside = {label for row in m.rows if row.kind == "region" for label in row.labels}
    return [row for row in m.rows if row.voxels and not inside.issuperset(row.labels)]


def _size(row: RegionStats) -> str:
    return amount(row.voxels, row.volume_ml)


def _details(row: RegionStats, extent: bool) -> str:
    """Return the interval, and longest diameter and number of components, in parentheses."""
    parts = [in_interval(row.interval, unit=False)] if row.interval else []
    if extent and row.longest_diameter_mm is not None:
        several = f", {row.components} components" if row.components > 1 else ""
        parts.append(f"longest diameter {row.longest_diameter_mm:.1f} mm{several}")
    return f" ({'; '.join(parts)})" if parts else ""


def _values(m: Measurements, row: RegionStats) -> list[Any]:
    nowhere = (None, None, None)
    first, last = row.slices or (None, None)
    low, high = row.box_mm or (nowhere, nowhere)
    places = [_rounded(v) for v in (*(row.centroid_mm or nowhere), *low, *high)]
    volume = None if row.volume_ml is None else round(row.volume_ml, 6)
    labels = " ".join(str(value) for value in row.labels)
    region = [m.case, m.convention, row.kind, row.name, row.title, labels]
    size = [row.voxels, volume, row.components, first, last, _rounded(row.longest_diameter_mm)]
    return [*region, *size, *places]


def _diameters(found: Rano | None, row: RegionStats) -> list[Any]:
    """Return the cells of `_DIAMETERS`; empty ones where nothing was measured, and for other regions."""
    if found is None or row.name != found.region or row.kind != "region":
        return [None] * len(_DIAMETERS)
    if not found.lesions:
        return [found.outline, None, None, None, None, _rounded(found.sum_of_products_mm2)]
    largest = found.lesions[0]
    lengths = largest.longest.length_mm, largest.perpendicular.length_mm, largest.product_mm2
    numbers = map(_rounded, (*lengths, found.sum_of_products_mm2))
    return [found.outline, largest.slice_index, *numbers]


def _interval(row: RegionStats) -> list[Any]:
    """Return the cells of `_INTERVAL`; empty ones where there is no interval."""
    found = row.interval
    if found is None:
        return [None] * len(_INTERVAL)
    volumes = (None if end is None else round(end, 6) for end in (found.low_ml, found.high_ml))
    wide = "yes" if found.wide else "no"
    return [_rounded(found.coverage), *volumes, found.low_voxels, found.high_voxels, found.patients, wide]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def cell(value: Any) -> Any:
    """Return text so that no spreadsheet runs it as a formula; other values unchanged."""
    if not isinstance(value, str):
        return value
    risky = value.startswith(_FORMULA_STARTS) or value.lstrip().startswith(_FORMULA_STARTS)
    # a line break within a cell is not quoted by every version of Python, and no name needs one
    line = value.replace("\r", " ").replace("\n", " ")
    return f"'{line}" if risky else line


def _interval_head(m: Measurements) -> str:
    return f"interval ({'mL' if m.unit == 'mm' else 'voxels'})"


def _texts(row: RegionStats) -> list[str]:
    volume = NONE if row.volume_ml is None else millilitres(row.volume_ml)
    slices = NONE if row.slices is None else f"{row.slices[0]}-{row.slices[1]}"
    longest = number(row.longest_diameter_mm)
    return [titled(row.name, row.title), volume, str(row.voxels), str(row.components), slices, longest]


def jsonable(value: Any) -> Any:
    """Return a value as plain types, for JSON: NumPy's types as Python's, paths and the like as text."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return jsonable(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item) for item in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    """Return a single value as JSON can hold it; None for a number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return value.as_posix() if isinstance(value, PurePath) else str(value)
