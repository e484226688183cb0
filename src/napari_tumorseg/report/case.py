"""Report on one case: a page of HTML that fits on one side of A4."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_tumorseg.inference.scan_analysis import ScanAnalysis
from napari_tumorseg.io.atomic import check_target, write_text
from napari_tumorseg.measurement.agreement import Agreement
from napari_tumorseg.measurement.change import ChangeOverTime
from napari_tumorseg.measurement.intensity import Distribution, intensities
from napari_tumorseg.measurement.laterality import Laterality
from napari_tumorseg.measurement.rano import Rano
from napari_tumorseg.measurement.volumes import Measurements
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.notice import RESEARCH_USE
from napari_tumorseg.report import case_tables
from napari_tumorseg.report.case_figures import diameter_figures, distribution_charts, montage
from napari_tumorseg.report.case_origin import origin
from napari_tumorseg.report.page import render
from napari_tumorseg.report.tables import summary
from napari_tumorseg.report.text import capital
from napari_tumorseg.scan import MODALITIES, Scan, Segmentation

_TIMES = " \N{MULTIPLICATION SIGN} "


@dataclass(frozen=True, eq=False)
class CaseReport:
    """Content of a report; all but the first three may be left out.

    Attributes
    ----------
    scan, seg, measurements
        The case, its segmentation on the same grid, and the measurements of that.
    rano : Rano, optional
        Diameters.
    agreement : Agreement, optional
        Agreement with a reference.
    change : ChangeOverTime, optional
        Change since an earlier scan.
    laterality : sequence of Laterality
        Side of each region.
    distributions : sequence of Distribution, optional
        Intensities of each region; measured here if left out.
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
    """Write the report on one case as HTML.

    Parameters
    ----------
    path : path
        File to write.
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
    scan, seg = report.scan, report.seg
    found = report.distributions
    found = intensities(scan, seg) if found is None else found
    return render(
        "case.html",
        "case.css",
        title=f"{scan.case}: tumour segmentation",
        notice=RESEARCH_USE,
        heading=_heading(scan),
        summary=capital(summary(report.measurements)),
        facts="; ".join(_facts(scan, seg)),
        warnings=_warnings(report),
        montage=montage(scan, seg),
        volumes=case_tables.volumes(report.measurements),
        sides=case_tables.sides(report.laterality),
        diameters=case_tables.diameters(report.rano) if report.rano else None,
        diameter_figures=list(diameter_figures(scan, seg, report.rano)) if report.rano else [],
        agreement=case_tables.agreement(report.agreement) if report.agreement else None,
        change=case_tables.change(report.change) if report.change else None,
        charts=list(distribution_charts(found, seg)),
        origin=origin(seg.provenance, report.card),
    )


def _heading(scan: Scan) -> str:
    # names of BraTS cases hold the time point already
    return scan.case if scan.case.endswith(scan.time_point) else f"{scan.case}, {scan.time_point}"


def _facts(scan: Scan, seg: Segmentation) -> Iterator[str]:
    """Yield channels, size and label convention."""
    channels = (f"{i.role} ({i.name})" if i.role in MODALITIES else i.name for i in scan)
    yield f"channels: {', '.join(channels)}"
    size = " (Z, Y, X), size unknown"
    if scan.grid.spacing_mm is not None:
        size = f" of {_TIMES.join(f'{step:.3g}' for step in scan.grid.spacing)} mm (Z, Y, X)"
    yield f"{_TIMES.join(str(n) for n in scan.grid.shape)} voxels{size}"
    yield f"labels: {seg.convention.title}"


def _warnings(report: CaseReport) -> list[str]:
    """Return warnings of the scan, the run and the measurements, each once."""
    provenance = report.seg.provenance.get("warnings", ())
    from_run = [provenance] if isinstance(provenance, str) else list(provenance)
    found = [*report.scan.warnings, *(str(w) for w in from_run)]
    if privacy := ScanAnalysis(report.scan).privacy_warning:
        found.append(privacy)
    if report.scan.grid.unit != "mm":
        found.append("the voxel size is unknown, so there are no volumes in mL and no lengths in mm")
    found += report.rano.notes if report.rano else ()
    found += report.change.notes if report.change else ()
    return list(dict.fromkeys(found))
