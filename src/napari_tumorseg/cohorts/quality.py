"""Quality page of a cohort: distributions, flags, and every case with a thumbnail, to be sorted and filtered.

The page is one file without a path or a time in it: the same records and thumbnails give the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any, NamedTuple

from markupsafe import Markup

from napari_tumorseg.cohorts.flags import CORRECTED, FLAGS
from napari_tumorseg.cohorts.record import Record, picture_path
from napari_tumorseg.notice import RESEARCH_USE
from napari_tumorseg.report.distributions import Band, histogram, intervals
from napari_tumorseg.report.page import data_url, render
from napari_tumorseg.report.text import INTERVALS, amount, count, millilitres, percentage
from napari_tumorseg.report.thumbnail import KIND

FAILED = "failed"
"""Cases that failed are listed as if that were a flag."""

MOST_PICTURES = 5000
"""Thumbnails that a page holds at most; the cases with flags come first."""


class Size(NamedTuple):
    """Cell of a region: key to sort by, size, and interval; all empty if the case has no such region."""

    key: str = ""
    text: str = ""
    interval: str = ""


@dataclass(frozen=True)
class CaseRow:
    """Row of a case, as the template takes it.

    Attributes
    ----------
    name, reason, side, roles, model : str
        Texts of its cells.
    text : str
        Text that is searched.
    failed, outdated : bool
        Whether there is no mask, and whether the picture shows an earlier one.
    flags : sequence of str
        Flags, and `FAILED`.
    sizes : sequence of Size
        Of the regions of the page.
    picture : str
        Thumbnail as a URL; empty if there is none.
    """

    name: str
    text: str
    failed: bool
    reason: str
    flags: Sequence[str]
    sizes: Sequence[Size]
    side: str
    roles: str
    model: str
    picture: str
    outdated: bool


def quality_page(records: Sequence[Record], output: Path, missing: int = 0) -> str:
    """Return the page.

    Parameters
    ----------
    records : sequence of Record
        Of the cases, in any order.
    output : Path
        Folder that holds their thumbnails.
    missing : int
        Number of planned cases that have not been run.
    """
    records = sorted(records, key=lambda one: one.case)
    names = list(dict.fromkeys(row["name"] for record in records for row in record.regions))
    pictures = _pictures(records, output)
    return render(
        "quality.html",
        "quality.css",
        "quality.js",
        title="Quality of a cohort",
        notice=RESEARCH_USE,
        summary=_summary(records),
        missing=f"{count(missing, 'case')} of the plan not run yet." if missing else "",
        regions=[region for name in names if (region := _region(name, records))],
        about_intervals=INTERVALS,
        flags=_flags(records),
        heads=names,
        about_pictures=_about_pictures(records, pictures),
        cases=[_row(record, names, pictures.get(record.case, "")) for record in records],
    )


def _summary(records: Sequence[Record]) -> str:
    failures = sum(record.state == "failed" for record in records)
    flagged = sum(bool(record.flags) for record in records)
    told = f"{count(len(records), 'case')}: {len(records) - failures} segmented, {flagged} with a flag"
    return f"{told}, {failures} failed." if failures else f"{told}."


def _flags(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return the flags that were raised, with their numbers of cases."""
    found = Counter(flag for record in records for flag in _flags_of(record))
    meanings = {FAILED: "there is no mask; the reason stands beside the case", **FLAGS}
    order = [*meanings, *sorted(set(found) - set(meanings))]
    return [
        {"name": flag, "cases": found[flag], "meaning": meanings.get(flag, "")}
        for flag in order
        if found[flag]
    ]


def _flags_of(record: Record) -> tuple[str, ...]:
    return (FAILED,) if record.state == "failed" else record.flags


def _region(name: str, records: Sequence[Record]) -> dict[str, str | Markup] | None:
    """Return the charts of a region and their captions; None if no volume of it is known."""
    rows = [row for record in records for row in record.regions if row["name"] == name]
    volumes = [row["volume_ml"] for row in rows if row.get("volume_ml") is not None]
    if not volumes:
        return None
    bands = list(_bands(rows))
    wide = sum(band.wide for band in bands)
    return {
        "name": name,
        "about": _distribution(volumes, len(rows) - len(volumes)),
        "histogram": histogram(volumes, f"volumes of {name}"),
        "about_intervals": f"{count(len(bands), 'interval')}, {wide} wide",
        "intervals": intervals(bands, f"intervals of {name}") if bands else "",
    }


def _bands(rows: Sequence[Mapping[str, Any]]) -> Iterator[Band]:
    for row in rows:
        found = row.get("interval") or {}
        if row.get("volume_ml") is not None and found.get("low_ml") is not None:
            yield Band(row["volume_ml"], found["low_ml"], found["high_ml"], bool(found.get("wide")))


def _distribution(volumes: Sequence[float], unknown: int) -> str:
    """Return the median and the quartiles in words."""
    low, median, high = quantiles(volumes, n=4, method="inclusive") if len(volumes) > 1 else 3 * [volumes[0]]
    told = f"{count(len(volumes), 'case')}, median {millilitres(median)} mL"
    told += f" (quartiles {millilitres(low)} and {millilitres(high)})" if len(volumes) > 3 else ""
    return f"{told}; {count(unknown, 'case')} without a voxel size" if unknown else told


def _pictures(records: Sequence[Record], output: Path) -> dict[str, str]:
    """Return the thumbnails of cases as URLs, up to `MOST_PICTURES`; those with flags go before others."""
    first = sorted((r for r in records if r.state == "done" and r.model), key=lambda one: not one.flags)
    found = {}
    for record in first[:MOST_PICTURES]:
        try:
            found[record.case] = data_url(picture_path(output, record.case).read_bytes(), KIND)
        except OSError:
            continue
    return found


def _about_pictures(records: Sequence[Record], pictures: Mapping[str, str]) -> str:
    if not pictures:
        return "There are no thumbnails of these cases."
    about = (
        "Slices from the feet upwards, the one with most tumour among them, with the outlines of the mask. "
        "As far as the files tell they are seen from the feet: the patient's right is on the left."
    )
    left_out = sum(record.state == "done" for record in records) - len(pictures)
    return f"{about} {count(left_out, 'case')} without a thumbnail." if left_out else about


def _row(record: Record, names: Sequence[str], picture: str) -> CaseRow:
    regions = {row["name"]: row for row in record.regions}
    return CaseRow(
        name=record.case,
        text="\n".join((record.case, record.patient, record.time_point, record.reason)),
        failed=record.state == "failed",
        reason=record.reason,
        flags=_flags_of(record),
        sizes=[_size(regions[name]) if name in regions else Size() for name in names],
        side=_side(record.sides),
        roles=" ".join(record.roles),
        model=str(record.model.get("name", "")),
        picture=picture,
        outdated=bool(picture) and CORRECTED in record.flags,
    )


def _size(row: Mapping[str, Any]) -> Size:
    """Return the cell of a region; without a voxel size it is in voxels, and not sorted among the volumes."""
    volume = row.get("volume_ml")
    if volume is None:
        return Size("", amount(row["voxels"], None))
    return Size(f"{volume:.6g}", millilitres(volume), _interval(row.get("interval") or {}))


def _interval(found: Mapping[str, Any]) -> str:
    if found.get("low_ml") is None or found.get("high_ml") is None:
        return ""
    ends = f"{millilitres(found['low_ml'])} to {millilitres(found['high_ml'])}"
    return f"{percentage(found['coverage'])}: {ends}"


def _side(sides: Mapping[str, str]) -> str:
    """Return the side of all regions, or of each where they differ."""
    if len(set(sides.values())) == 1:
        return next(iter(sides.values()))
    return ", ".join(f"{name} {side}" for name, side in sides.items())
