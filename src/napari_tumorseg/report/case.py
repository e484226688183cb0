"""One case as one page, to be printed or passed on.

The page holds everything itself, runs no script and asks nothing of the network; whatever comes from files,
folders and models is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from napari_tumorseg.io.atomic import check_target, write_text
from napari_tumorseg.measure.agreement import Agreement
from napari_tumorseg.measure.change import ChangeOverTime
from napari_tumorseg.measure.intensity import Distribution, intensities
from napari_tumorseg.measure.laterality import Laterality
from napari_tumorseg.measure.rano import Rano
from napari_tumorseg.measure.volumes import Measurements
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.report import case_tables
from napari_tumorseg.report.case_figures import diameter_figures, distribution_charts, montage
from napari_tumorseg.report.case_origin import origin
from napari_tumorseg.report.case_style import STYLE
from napari_tumorseg.report.html import capital
from napari_tumorseg.report.tables import summary
from napari_tumorseg.scan import MODALITIES, Scan, Segmentation

NOTICE = "Research use only. Not for diagnosis."


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
    change : ChangeOverTime, optional
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
    change: ChangeOverTime | None = None
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
    change: ChangeOverTime | None = None,
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
        _beside([montage(report.scan, report.seg)], _volumes(report), ("wider picture", "rest")),
        _diameters(report),
        _comparisons(report),
        _intensities(report),
        origin(report.seg.provenance, report.card),
    )
    body = "\n".join(part for section in sections for part in section)
    notice = f'<p class="notice">{NOTICE}</p>'
    style = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{style}'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(report.scan.case)}: tumour segmentation</title>\n"
        f"<style>{STYLE}</style></head>\n<body>\n{notice}\n{body}\n{notice}\n</body></html>\n"
    )


def _beside(left: Iterable[str], right: Iterable[str], kinds: tuple[str, str]) -> Iterator[str]:
    """Yield two parts side by side, each of a kind that the style knows; one alone has the whole width."""
    one, other = list(left), list(right)
    if one and other:
        yield f'<div class="two"><div class="{kinds[0]}">'
        yield from (*one, f'</div><div class="{kinds[1]}">', *other, "</div></div>")
    else:
        yield from one + other


def _header(report: CaseReport) -> Iterator[str]:
    scan, seg = report.scan, report.seg
    # names of BraTS cases hold the time point already
    when = "" if scan.case.endswith(scan.time_point) else f", {scan.time_point}"
    yield f"<h1>{escape(scan.case + when)}</h1>"
    yield f'<p class="found">{escape(capital(summary(report.measurements)))}.</p>'
    channels = ", ".join(
        f"{image.role} ({image.name})" if image.role in MODALITIES else image.name for image in scan
    )
    size = " (Z, Y, X), size unknown"
    if scan.grid.spacing_mm is not None:
        size = f" of {_times(f'{step:.3g}' for step in scan.grid.spacing)} mm (Z, Y, X)"
    shape = _times(str(n) for n in scan.grid.shape)
    told = [f"channels: {channels}", f"{shape} voxels{size}", f"labels: {seg.convention.title}"]
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


def _volumes(report: CaseReport) -> Iterator[str]:
    yield from case_tables.volumes(report.measurements)
    yield from case_tables.sides(report.laterality)


def _diameters(report: CaseReport) -> Iterator[str]:
    found = report.rano
    if found is None:
        return
    yield f"<h2>Diameters of {escape(found.region)} on axial slices</h2>"
    figures = "".join(diameter_figures(report.scan, report.seg, found))
    pictures = [f'<div class="row fixed">{figures}</div>'] if figures else []
    yield from _beside(case_tables.diameters(found), pictures, ("wider", "fit"))


def _comparisons(report: CaseReport) -> Iterator[str]:
    agreed, changed = report.agreement, report.change
    yield from _beside(
        case_tables.agreement(agreed) if agreed is not None else (),
        case_tables.change(changed) if changed is not None else (),
        ("wider", "rest"),
    )


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


def _times(parts: Iterator[str]) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(parts)
