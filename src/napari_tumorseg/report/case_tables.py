"""Tables of the page on one case: volumes, sides, diameters, agreement, change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from napari_tumorseg.measure.agreement import Agreement
from napari_tumorseg.measure.change import ChangeOverTime, Status
from napari_tumorseg.measure.laterality import Laterality
from napari_tumorseg.measure.rano import Rano, warn_of_angle
from napari_tumorseg.measure.volumes import Measurements, RegionStats
from napari_tumorseg.report.html import capital, count, table
from napari_tumorseg.report.tables import compared, millilitres

_NONE = "\N{EM DASH}"
_SQUARE = "mm\N{SUPERSCRIPT TWO}"
_MOST_LESIONS = 5


def volumes(found: Measurements) -> Iterator[str]:
    """Yield how large each label and region is."""
    known = found.unit == "mm"
    yield "<h2>Volumes</h2>"
    heads = ["", *(["mL"] if known else []), "voxels", "components"]
    heads += ["longest (3\N{NON-BREAKING HYPHEN}D), mm"] if known else []
    yield table(heads, [_volume(row, known) for row in found.rows])


def _volume(row: RegionStats, known: bool) -> list[str]:
    name = row.title if row.name == row.title else f"{row.name} ({row.title})"
    volume = [_NONE if row.volume_ml is None else millilitres(row.volume_ml)] if known else []
    longest = [_number(row.longest_diameter_mm)] if known else []
    return [name, *volume, str(row.voxels), str(row.components), *longest]


def sides(found: Sequence[Laterality]) -> Iterator[str]:
    """Yield on which side of the brain each region lies."""
    if not found:
        return
    yield "<h2>Side of the mid-sagittal plane</h2>"
    rows = [[r.name, r.side, f"{r.left_percent:.0f}", f"{r.right_percent:.0f}", _centre(r)] for r in found]
    yield table(("", "side", "left, %", "right, %", "centre, mm"), rows)
    unsure = "" if all(row.confident for row in found) else "The plane is not to be trusted. "
    yield f'<p class="small">{unsure}The patient\'s left, which pictures show on the right.</p>'


def _centre(row: Laterality) -> str:
    if row.centroid_mm is None:
        return _NONE
    return f"{abs(row.centroid_mm):.1f} {'left' if row.centroid_mm >= 0 else 'right'}"


def diameters(found: Rano) -> Iterator[str]:
    """Yield the diameters of the largest lesions and how they are meant."""
    if not found.lesions:
        yield "<p>No lesion to measure.</p>"
        return
    heads = ("lesion", "slice", "longest, mm", "perpendicular, mm", f"product, {_SQUARE}", "measurable")
    rows = [
        [
            f"{lesion.number}{' (edited)' if lesion.edited else ''}",
            str(lesion.slice_index),
            _number(lesion.longest.length_mm),
            _number(lesion.perpendicular.length_mm),
            _number(lesion.product_mm2, 0),
            {True: "yes", False: "no", None: _NONE}[lesion.measurable],
        ]
        for lesion in found.lesions[:_MOST_LESIONS]
    ]
    yield table(heads, rows)
    yield f'<p class="small">{escape(" ".join(_about_diameters(found)))}</p>'


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
        number = sum(bool(lesion.measurable) for lesion in found.lesions)
        yield f"Sum of products of {count(number, 'measurable lesion')}: {total:.0f} {_SQUARE}."
    yield (
        "Longest chord inside the lesion, edge to edge (yellow), and the longest one perpendicular to it "
        "(white); measurable: both at least 10 mm, on slices no thicker than 5 mm. No response is derived."
    )


def agreement(found: Agreement) -> Iterator[str]:
    """Yield how this mask agrees with a reference, both named."""
    yield f"<h2>{escape(capital(compared(found)))}</h2>"
    heads = ("", "Dice", "IoU", "sensitivity", "precision", "HD95, mm", "error, mL", "error, %")
    rows = []
    for row in found.rows:
        flags = f" ({', '.join(row.flags)})" if row.flags else ""
        shares = (row.dice, row.iou, row.sensitivity, row.precision)
        more = [_number(row.hd95_mm), _signed(row.volume_error_ml, 2), _signed(row.volume_error_percent)]
        rows.append([row.name + flags, *(f"{share:.3f}" for share in shares), *more])
    yield table(heads, rows)


def change(found: ChangeOverTime) -> Iterator[str]:
    """Yield what changed since an earlier time point."""
    yield f"<h2>Change from {escape(found.before or 'before')} to {escape(found.after or 'after')}</h2>"
    rows = [
        [
            row.name,
            _number(row.before_ml, 2),
            _number(row.after_ml, 2),
            _signed(row.change_ml, 2),
            _signed(row.change_percent),
        ]
        for row in found.rows
    ]
    yield table(("", "before, mL", "after, mL", "change, mL", "change, %"), rows)
    told = " ".join((*_about_change(found), "Plain differences: no response is derived from them."))
    yield f'<p class="small">{escape(told)}</p>'


def _about_change(found: ChangeOverTime) -> Iterator[str]:
    if found.product is not None:
        p = found.product
        yield (
            f"Sum of products of diameters ({p.region}): {p.before_mm2:.0f} to {p.after_mm2:.0f} {_SQUARE}, "
            f"{_signed(p.change_mm2, 0)} {_SQUARE} ({_signed(p.change_percent)} %)."
        )
    if found.lesions is not None:
        kinds: tuple[Status, ...] = ("new", "vanished", "matched")
        told = ", ".join(f"{found.count(kind)} {kind}" for kind in kinds)
        yield f"Lesions of {found.region}: {told}, after a registration that was approved."


def _number(value: float | None, places: int = 1) -> str:
    return _NONE if value is None else f"{value:.{places}f}"


def _signed(value: float | None, places: int = 1) -> str:
    return _NONE if value is None else f"{value:+.{places}f}"
