"""Tables of the report on one case: volumes, sides, diameters, agreement, change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from napari_tumorseg.measurement.agreement import Agreement
from napari_tumorseg.measurement.change import ChangeOverTime, Status
from napari_tumorseg.measurement.laterality import Laterality
from napari_tumorseg.measurement.lesion_diameters import LesionDiameters
from napari_tumorseg.measurement.metrics import METRICS, NONE, in_table
from napari_tumorseg.measurement.rano import Rano, warn_of_angle
from napari_tumorseg.measurement.rano_outline import OUTLINES, Outline
from napari_tumorseg.measurement.volumes import Measurements, RegionStats
from napari_tumorseg.report.page import Head, HtmlTable, Section
from napari_tumorseg.report.text import (
    COMPONENTS,
    SQUARE_MM,
    about_intervals,
    capital,
    compared,
    count,
    flagged,
    interval_cell,
    millilitres,
    number,
    signed,
    titled,
)

_MOST_LESIONS = 5


def volumes(found: Measurements) -> Section:
    """Return the size of each label and region."""
    known = found.unit == "mm"
    in_mm = ["longest (3\N{NON-BREAKING HYPHEN}D), mm"] if known else []
    about = about_intervals(found.rows)
    interval = [f"interval, {'mL' if known else 'voxels'}"] if about else []
    volume, voxels = (["mL"] if known else []), "voxels"
    sizes = [*volume, *interval, voxels] if known else [voxels, *interval]
    heads = ["", *sizes, "components", *in_mm]
    components = f"Components: {COMPONENTS}." if any(row.components > 1 for row in found.rows) else ""
    rows = [_volume(row, known, bool(about)) for row in found.rows]
    return Section("Volumes", HtmlTable(heads, rows), " ".join(filter(None, (about, components))))


def _volume(row: RegionStats, known: bool, intervals: bool) -> list[str]:
    volume = [NONE if row.volume_ml is None else millilitres(row.volume_ml)] if known else []
    longest = [number(row.longest_diameter_mm)] if known else []
    interval = [interval_cell(row.interval)] if intervals else []
    sizes = [*volume, *interval, str(row.voxels)] if known else [str(row.voxels), *interval]
    return [titled(row.name, row.title), *sizes, str(row.components), *longest]


def sides(found: Sequence[Laterality]) -> Section | None:
    """Return the side of the brain on which each region lies; None if that was not measured."""
    if not found:
        return None
    rows = [[r.name, r.side, f"{r.left_percent:.0f}", f"{r.right_percent:.0f}", _centre(r)] for r in found]
    unsure = "" if all(row.confident for row in found) else "The plane is not to be trusted. "
    return Section(
        "Side of the mid-sagittal plane",
        HtmlTable(("", "side", "left, %", "right, %", "centre, mm"), rows),
        f"{unsure}The patient's left, which pictures show on the right.",
    )


def _centre(row: Laterality) -> str:
    if row.centroid_mm is None:
        return NONE
    return f"{abs(row.centroid_mm):.1f} {'left' if row.centroid_mm >= 0 else 'right'}"


def diameters(found: Rano) -> Section:
    """Return the diameters of the largest lesions."""
    title = f"Diameters of {found.region} on axial slices{_of_outline(found.outline)}"
    if not found.lesions:
        return Section(title, note="No lesion to measure.")
    heads = ("lesion", "slice", "longest, mm", "perpendicular, mm", f"product, {SQUARE_MM}", "measurable")
    rows = [_lesion(lesion) for lesion in found.lesions[:_MOST_LESIONS]]
    return Section(title, HtmlTable(heads, rows), " ".join(_about_diameters(found)))


def _of_outline(outline: Outline | None) -> str:
    return f" ({OUTLINES[outline]})" if outline else ""


def _lesion(lesion: LesionDiameters) -> list[str]:
    return [
        f"{lesion.number}{' (edited)' if lesion.edited else ''}",
        str(lesion.slice_index),
        number(lesion.longest.length_mm),
        number(lesion.perpendicular.length_mm),
        number(lesion.product_mm2, 0),
        {True: "yes", False: "no", None: NONE}[lesion.measurable],
    ]


def _about_diameters(found: Rano) -> Iterator[str]:
    left = len(found.lesions) - _MOST_LESIONS
    if left > 0:
        yield f"And {count(left, 'smaller lesion')}."
    for lesion in found.lesions[:_MOST_LESIONS]:
        if lesion.measurable is False:
            yield f"Lesion {lesion.number} is not measurable: {lesion.reason}."
        warning = warn_of_angle(lesion)
        if warning:
            yield f"{capital(warning)}."
    total = found.sum_of_products_mm2
    if total is not None:
        lesions = count(sum(bool(lesion.measurable) for lesion in found.lesions), "measurable lesion")
        yield f"Sum of products of {lesions}: {total:.0f} {SQUARE_MM}."
    yield (
        "Longest chord inside the lesion, edge to edge (yellow), and the longest one perpendicular to it "
        "(white); measurable: both at least 10 mm, on slices no thicker than 5 mm. No response is derived."
    )


def agreement(found: Agreement) -> Section:
    """Return the agreement with a reference."""
    metrics = in_table(METRICS, "agreement")
    rows = [
        [flagged(row.name, row.flags), *(m.text(row.metric(name)) for name, m in metrics.items())]
        for row in found.rows
    ]
    hd95 = METRICS["hd95_mm"]
    return Section(
        capital(compared(found)),
        HtmlTable(["", *map(Head.of, metrics.values())], rows),
        f"{hd95.title}: {hd95.definition}.",
    )


def change(found: ChangeOverTime) -> Section:
    """Return the change since an earlier time point."""
    rows = [
        [
            row.name,
            number(row.before_ml, 2),
            number(row.after_ml, 2),
            signed(row.change_ml, 2),
            signed(row.change_percent),
        ]
        for row in found.rows
    ]
    return Section(
        f"Change from {found.before or 'before'} to {found.after or 'after'}",
        HtmlTable(("", "before, mL", "after, mL", "change, mL", "change, %"), rows),
        " ".join((*_about_change(found), "Plain differences: no response is derived from them.")),
    )


def _about_change(found: ChangeOverTime) -> Iterator[str]:
    if found.product is not None:
        p = found.product
        outline = f", {OUTLINES[p.outline]}" if p.outline else ""
        yield (
            f"Sum of products of diameters ({p.region}{outline}): {p.before_mm2:.0f} to {p.after_mm2:.0f} "
            f"{SQUARE_MM}, {signed(p.change_mm2, 0)} {SQUARE_MM} ({signed(p.change_percent)} %)."
        )
    if found.lesions is not None:
        kinds: tuple[Status, ...] = ("new", "vanished", "matched")
        counts = ", ".join(f"{found.count(kind)} {kind}" for kind in kinds)
        yield f"Lesions of {found.region}: {counts}, after a registration that was approved."
