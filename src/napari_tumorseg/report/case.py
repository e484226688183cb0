"""One case as one page, to be printed or passed on.

The page holds everything itself, runs no script and asks nothing of the network; whatever comes from files,
folders and models is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from napari_tumorseg._version import __version__
from napari_tumorseg.io.atomic import check_target, write_text
from napari_tumorseg.measure.agreement import Agreement
from napari_tumorseg.measure.change import Change
from napari_tumorseg.measure.intensity import Distribution, intensities
from napari_tumorseg.measure.laterality import Laterality
from napari_tumorseg.measure.rano import Line, Rano, warn_of_angle
from napari_tumorseg.measure.volumes import Measurements, RegionStats
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.report.case_figures import diameter_figures, distribution_charts, montage
from napari_tumorseg.report.html import count, table
from napari_tumorseg.report.tables import millilitres, summary
from napari_tumorseg.scan import MODALITIES, Scan, Segmentation

NOTICE = "Research use only. Not for diagnosis."

_NONE = "\N{EM DASH}"
_MOST_LESIONS = 5
_LONGEST = 220
_NAMES = {"model": "Run with", "edits": "Corrected"}
_TOLD_ELSEWHERE = ("warnings", "measurements", "purpose", "inputs", "created")

_STYLE = """
@page{size:A4;margin:8mm}*{box-sizing:border-box}
body{font:13px/1.35 system-ui,sans-serif;color:#1b1f23;background:#fff}
body{max-width:980px;margin:0 auto;padding:10px}
h1{font-size:21px;margin:6px 0 0;overflow-wrap:anywhere}
h2{font-size:14px;margin:8px 0 2px;border-bottom:1px solid #d0d7de;overflow-wrap:anywhere}
p{margin:2px 0}.found{font-size:15px;font-weight:600}
.notice{background:#7d1a1a;color:#fff;padding:3px 10px;font-weight:600;text-align:center}
.small{color:#57606a;font-size:11.5px;overflow-wrap:anywhere}
.told{border-left:4px solid #b35900;background:#fff6e5;padding:2px 10px;margin:4px 0}
.told ul{margin:0;padding-left:16px}
.two{display:flex;gap:14px;align-items:flex-start}.two>*{flex:1 1 0;min-width:0}
.two>.wider{flex-grow:1.25}.two h2:first-child{margin-top:0}
table{border-collapse:collapse;margin:3px 0;font-size:12px;width:100%}
th,td{padding:1px 5px;text-align:right;border-bottom:1px solid #e4e8ec}
th{background:#f3f5f7;vertical-align:bottom}
th:first-child,td:first-child{text-align:left}
img{max-width:100%;height:auto;display:block}
.row{display:flex;flex-wrap:wrap;gap:10px}.row>svg{flex:1 1 0;min-width:140px;max-width:300px;height:auto}
.row.fixed>svg{flex:0 1 auto}
@media print{
body{max-width:none;padding:0;font-size:8pt;-webkit-print-color-adjust:exact;print-color-adjust:exact}
h1{font-size:13pt}h2{font-size:9pt;margin-top:5px;break-after:avoid}.found{font-size:9.5pt}
table{font-size:7.4pt}th,td{padding:0 4px}.small{font-size:7pt;line-height:1.25}p{margin:1px 0}
tr,svg,img,.told{break-inside:avoid}.two>.wider{flex-grow:1.1}}
""".strip()


@dataclass(frozen=True, eq=False)
class CaseReport:
    """What a page shows; everything but the first three may be left out.

    Attributes
    ----------
    scan, seg, measurements
        The case, its segmentation on the same grid, and what was measured of it.
    rano : Rano, optional
        Diameters.
    agreement : Agreement, optional
        How it agrees with a reference.
    change : Change, optional
        What changed since an earlier scan.
    laterality : sequence of Laterality
        On which side the regions lie.
    distributions : sequence of Distribution, optional
        How bright they are; measured here if left out.
    card : ModelCard, optional
        Of the model that made the segmentation.
    """

    scan: Scan
    seg: Segmentation
    measurements: Measurements
    rano: Rano | None = None
    agreement: Agreement | None = None
    change: Change | None = None
    laterality: Sequence[Laterality] = ()
    distributions: Sequence[Distribution] | None = None
    card: ModelCard | None = None


def write_case_report(
    path: Path | str,
    scan: Scan,
    seg: Segmentation,
    measurements: Measurements,
    *,
    rano: Rano | None = None,
    agreement: Agreement | None = None,
    change: Change | None = None,
    laterality: Sequence[Laterality] = (),
    distributions: Sequence[Distribution] | None = None,
    card: ModelCard | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the page on one case as HTML.

    Parameters
    ----------
    path : path
        Where to.
    scan, seg, measurements, rano, agreement, change, laterality, distributions, card
        As in `CaseReport`.
    overwrite : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    GeometryError
        If the segmentation does not lie on the scan's grid.
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    check_target(path, overwrite)
    report = CaseReport(scan, seg, measurements, rano, agreement, change, laterality, distributions, card)
    write_text(path, case_page(report), overwrite)
    return path


def case_page(report: CaseReport) -> str:
    """Return the page as HTML."""
    sections = (
        _header(report),
        _warnings(report),
        _picture_and_volumes(report),
        _diameters(report),
        _comparisons(report),
        _intensities(report),
        _origin(report),
    )
    body = "\n".join(part for section in sections for part in section)
    notice = f'<p class="notice">{NOTICE}</p>'
    style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{style}'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(report.scan.case)}: tumour segmentation</title>\n"
        f"<style>{_STYLE}</style></head>\n<body>\n{notice}\n{body}\n{notice}\n</body></html>\n"
    )


def _header(report: CaseReport) -> Iterator[str]:
    scan, seg = report.scan, report.seg
    # names of BraTS cases hold the time point already
    when = "" if scan.case.endswith(scan.time_point) else f", {scan.time_point}"
    yield f"<h1>{escape(scan.case + when)}</h1>"
    yield f'<p class="found">{escape(_capital(summary(report.measurements)))}.</p>'
    channels = ", ".join(
        f"{image.role} ({image.name})" if image.role in MODALITIES else image.name for image in scan
    )
    size = " (Z, Y, X), size unknown"
    if scan.grid.spacing_mm is not None:
        size = f" of {_times(f'{step:.3g}' for step in scan.grid.spacing)} mm (Z, Y, X)"
    shape = _times(str(n) for n in scan.grid.shape)
    told = [f"channels: {channels}", f"{shape} voxels{size}", f"labels: {seg.scheme.title}"]
    yield f'<p class="small">{escape("; ".join(told))}</p>'


def _warnings(report: CaseReport) -> Iterator[str]:
    provenance = report.seg.provenance.get("warnings", ())
    from_run = [provenance] if isinstance(provenance, str) else list(provenance)
    found = [*report.scan.warnings, *(str(w) for w in from_run)]
    if report.scan.grid.unit != "mm":
        found.append("the voxel size is unknown, so there are no volumes in mL and no lengths in mm")
    found += report.rano.notes if report.rano else ()
    found += report.change.notes if report.change else ()
    if found:
        items = "".join(f"<li>{escape(w)}</li>" for w in dict.fromkeys(found))
        yield f'<div class="told"><strong>Please note</strong><ul>{items}</ul></div>'


def _picture_and_volumes(report: CaseReport) -> Iterator[str]:
    yield '<div class="two"><div class="wider">'
    yield montage(report.scan, report.seg)
    yield "</div><div><h2>Volumes</h2>"
    known = report.measurements.unit == "mm"
    heads = ["", *(["mL"] if known else []), "voxels", "pieces", *(["longest 3-D, mm"] if known else [])]
    yield table(heads, [_volume_row(row, known) for row in report.measurements.rows])
    yield from _sides(report.laterality)
    if report.rano is not None and report.rano.lesions:
        yield "<h2>Diameters</h2>"
        figures = diameter_figures(report.scan, report.seg, report.rano)
        yield f'<div class="row fixed">{"".join(figures)}</div>'
    yield "</div></div>"


def _sides(found: Sequence[Laterality]) -> Iterator[str]:
    if not found:
        return
    yield "<h2>Side of the mid-sagittal plane</h2>"
    rows = [[r.name, r.side, f"{r.left_percent:.0f}", f"{r.right_percent:.0f}", _side(r)] for r in found]
    yield table(("", "side", "left, %", "right, %", "centre, mm"), rows)
    unsure = "" if all(row.confident for row in found) else "The plane is not to be trusted. "
    yield f'<p class="small">{unsure}The patient\'s left, which pictures show on the right.</p>'


def _side(row: Laterality) -> str:
    if row.centroid_mm is None:
        return _NONE
    return f"{abs(row.centroid_mm):.1f} {'left' if row.centroid_mm >= 0 else 'right'}"


def _volume_row(row: RegionStats, known: bool) -> list[str]:
    name = row.title if row.name == row.title else f"{row.name} ({row.title})"
    volume = [_NONE if row.volume_ml is None else millilitres(row.volume_ml)] if known else []
    longest = [_number(row.longest_diameter_mm)] if known else []
    return [name, *volume, str(row.voxels), str(row.components), *longest]


def _diameters(report: CaseReport) -> Iterator[str]:
    found = report.rano
    if found is None:
        return
    yield f"<h2>Diameters of {escape(found.region)} on axial slices</h2>"
    if not found.lesions:
        yield "<p>No lesion to measure.</p>"
        return
    heads = (
        "lesion",
        "slice",
        "longest, mm",
        "perpendicular, mm",
        "product, mm\N{SUPERSCRIPT TWO}",
        "measurable",
    )
    rows = [
        [
            f"{lesion.number}{' (edited)' if lesion.edited else ''}",
            str(lesion.slice_index),
            _length(lesion.longest),
            _length(lesion.perpendicular),
            _number(lesion.product_mm2, 0),
            {True: "yes", False: "no", None: _NONE}[lesion.measurable],
        ]
        for lesion in found.lesions[:_MOST_LESIONS]
    ]
    yield table(heads, rows)
    yield from (f'<p class="small">{escape(text)}</p>' for text in _about_diameters(found))


def _about_diameters(found: Rano) -> Iterator[str]:
    left = len(found.lesions) - _MOST_LESIONS
    if left > 0:
        yield f"And {count(left, 'smaller lesion')}."
    for lesion in found.lesions[:_MOST_LESIONS]:
        if lesion.measurable is False:
            yield f"Lesion {lesion.number} is not measurable: {lesion.reason}."
        warning = warn_of_angle(lesion)
        if warning:
            yield f"{_capital(warning)}."
    total = found.sum_of_products_mm2
    if total is not None:
        number = sum(bool(lesion.measurable) for lesion in found.lesions)
        yield f"Sum of products of {count(number, 'measurable lesion')}: {total:.0f} mm\N{SUPERSCRIPT TWO}."
    yield (
        "Longest chord inside the lesion, edge to edge (yellow), and the longest one perpendicular to it "
        "(white); measurable: both at least 10 mm, on slices no thicker than 5 mm. No response is derived."
    )


def _comparisons(report: CaseReport) -> Iterator[str]:
    both = report.agreement is not None and report.change is not None
    if both:
        yield '<div class="two"><div class="wider">'
    if report.agreement is not None:
        yield from _agreement(report.agreement)
    if both:
        yield "</div><div>"
    if report.change is not None:
        yield from _change(report.change)
    if both:
        yield "</div></div>"


def _agreement(found: Agreement) -> Iterator[str]:
    yield f"<h2>Agreement with {escape(found.reference or 'the reference')}</h2>"
    heads = ("", "Dice", "IoU", "sensitivity", "precision", "HD95, mm", "error, mL", "error, %")
    rows = []
    for row in found.rows:
        flags = f" ({', '.join(row.flags)})" if row.flags else ""
        shares = (row.dice, row.iou, row.sensitivity, row.precision)
        more = [_number(row.hd95_mm), _signed(row.volume_error_ml, 2), _signed(row.volume_error_percent)]
        rows.append([row.name + flags, *(f"{share:.3f}" for share in shares), *more])
    yield table(heads, rows)


def _change(found: Change) -> Iterator[str]:
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
    if found.product is not None:
        p, square = found.product, "mm\N{SUPERSCRIPT TWO}"
        yield (
            f"<p>Sum of products of diameters ({escape(p.region)}): {p.before_mm2:.0f} to {p.after_mm2:.0f} "
            f"{square}, {_signed(p.change_mm2, 0)} {square} ({_signed(p.change_percent)} %).</p>"
        )
    if found.lesions is not None:
        told = (
            f"{found.count('new')} new, {found.count('vanished')} vanished, {found.count('matched')} matched"
        )
        yield f"<p>Lesions of {escape(found.region)}: {told}, after a registration that was approved.</p>"
    yield '<p class="small">Plain differences: no response is derived from them.</p>'


def _intensities(report: CaseReport) -> Iterator[str]:
    found = report.distributions
    found = intensities(report.scan, report.seg) if found is None else found
    charts = list(distribution_charts(found, report.seg))
    if charts:
        yield "<h2>Intensities</h2>"
        yield f'<div class="row">{"".join(charts)}</div>'
        yield (
            '<p class="small">Each histogram has a height of its own; mark: median, bar: quartiles; '
            "rest: what has no label and is not background.</p>"
        )


def _origin(report: CaseReport) -> Iterator[str]:
    yield "<h2>How it was made</h2>"
    provenance = report.seg.provenance
    facts = [*_about_model(report), *_about_run(provenance)]
    facts.append(
        ("Report", f"napari-tumorseg {__version__}, {datetime.now(UTC).isoformat(timespec='minutes')}")
    )
    for name, text in facts:
        yield f'<p class="small"><strong>{escape(name)}:</strong> {escape(text)}</p>'


def _about_model(report: CaseReport) -> Iterator[tuple[str, str]]:
    card = report.card
    if card is not None:
        title = f"{card.title or card.name} ({card.name}, version {card.version})"
        yield "Model", f"{title}. {card.summary}".strip()
        about = card.about
        told = (("trained on", about.training), ("figures", about.metrics), ("limits", about.limits))
        text = "; ".join(f"{name}: {_cut(value)}" for name, value in told if value)
        yield "Model card", "; ".join(part for part in (text, f"licence: {about.licence}") if part)
    elif not report.seg.provenance.get("model"):
        yield "Model", "none is recorded: the labels were drawn by hand or read from a file"


def _about_run(provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what provenance tells, whatever keys it has."""
    if provenance.get("created"):
        yield "Segmented", str(provenance["created"])
    inputs = provenance.get("inputs", ())
    if isinstance(inputs, Sequence) and not isinstance(inputs, str) and inputs:
        yield "Inputs", "; ".join(_flat(entry) for entry in inputs)
    for key, value in provenance.items():
        if key in _TOLD_ELSEWHERE or value in (None, "", (), [], {}):
            continue
        text = _edits(value) if _is_tally(value) else _flat(value)
        yield _NAMES.get(key, _capital(str(key).replace("_", " "))), text


def _is_tally(value: Any) -> bool:
    return isinstance(value, Mapping) and {"total", "actions"} <= set(value)


def _edits(tally: Mapping[str, Any]) -> str:
    """Return how often the result was edited."""
    actions = tally["actions"]
    kinds = ", ".join(f"{n} {name}" for name, n in actions.items()) if isinstance(actions, Mapping) else ""
    times = [str(tally[key]) for key in ("first", "last") if tally.get(key)]
    return f"{tally['total']} actions by a person" + "".join(
        (f" ({kinds})" if kinds else "", f", {' to '.join(dict.fromkeys(times))}" if times else "")
    )


def _flat(value: Any) -> str:
    """Return nested values as one line; hashes are shortened, what is off is left out."""
    if isinstance(value, Mapping):
        parts = []
        for key, item in value.items():
            if item in (None, "", False, 0) or item == {}:
                continue
            text = _flat(item)
            text = text[:12] if "sha256" in str(key) else text
            parts.append(
                str(key).replace("_", " ") if item is True else f"{str(key).replace('_', ' ')} {text}"
            )
        return ", ".join(parts)
    if isinstance(value, list | tuple):
        return ", ".join(_flat(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cut(text: str) -> str:
    """Return a text that is not too long for a page: at the end of a word."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST].rsplit(' ', 1)[0]} \N{HORIZONTAL ELLIPSIS}"


def _length(line: Line) -> str:
    return _number(line.length_mm)


def _number(value: float | None, places: int = 1) -> str:
    return _NONE if value is None else f"{value:.{places}f}"


def _signed(value: float | None, places: int = 1) -> str:
    return _NONE if value is None else f"{value:+.{places}f}"


def _times(parts: Iterator[str]) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(parts)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
