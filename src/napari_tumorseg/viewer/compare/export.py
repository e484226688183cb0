"""Export of one case into a folder: mask, statistics, report, lines, picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from napari_tumorseg.errors import TumorSegError
from napari_tumorseg.io import side_file, write_mask
from napari_tumorseg.io.atomic import check_target, make_folder, write_text
from napari_tumorseg.io.formats import WRITABLE
from napari_tumorseg.io.output_set import output_set
from napari_tumorseg.io.side_files import check_replaceable
from napari_tumorseg.measurement.agreement import Agreement
from napari_tumorseg.measurement.change import ChangeOverTime
from napari_tumorseg.measurement.laterality import laterality
from napari_tumorseg.measurement.midline import Midline, find_midline
from napari_tumorseg.measurement.rano import Rano, rano
from napari_tumorseg.measurement.volumes import measure
from napari_tumorseg.models import ModelCard, list_models
from napari_tumorseg.report.case import write_case_report
from napari_tumorseg.report.overlay_image import overlay
from napari_tumorseg.report.tables import jsonable, to_csv, to_json
from napari_tumorseg.scan import Scan, Segmentation
from napari_tumorseg.viewer.state.saving import suggested_name

ENDINGS: Mapping[str, str] = {form.title: form.written[0] for form in WRITABLE}
"""Endings of the mask by the titles of the formats."""


@dataclass(frozen=True, eq=False)
class ExportContent:
    """Mask of a case with its results.

    Attributes
    ----------
    seg : Segmentation
        Mask.
    scan : Scan or None
        Images of the case; without them there is no report and no picture.
    rano : Rano or None
        Diameters with the ends that a person moved; measured if left out.
    outline : str
        Outline of diameters that are measured.
    midline : Midline or None
        Found if left out.
    agreement : Agreement or None
        With a reference, if one was compared.
    change : ChangeOverTime or None
        Since an earlier time, if that was compared.
    """

    seg: Segmentation
    scan: Scan | None = None
    rano: Rano | None = None
    outline: str = "enhancing-only"
    midline: Midline | None = None
    agreement: Agreement | None = None
    change: ChangeOverTime | None = None


def targets(
    folder: Path, content: ExportContent, ending: str = ".nii.gz", picture: bool = True
) -> dict[str, Path]:
    """Return the path of each kind of file, such as ``CASE_seg.nii.gz``."""
    stem = suggested_name(content.seg.name, "")
    stem = stem.removesuffix("_seg") or "case"
    mask = folder / f"{stem}_seg{ending}"
    found = {
        "mask": mask,
        "mask information": side_file(mask),
        "table": folder / f"{stem}_statistics.csv",
        "statistics": folder / f"{stem}_statistics.json",
        "lines": folder / f"{stem}_lines.json",
    }
    if content.scan is not None:
        found["report"] = folder / f"{stem}_report.html"
    if content.scan is not None and picture:
        found["picture"] = folder / f"{stem}_overlay.png"
    return found


def existing_files(
    folder: Path, content: ExportContent, ending: str = ".nii.gz", picture: bool = True
) -> list[Path]:
    """Return the files that the export would replace.

    Raises
    ------
    OutputError
        If a mask of another program is among them.
    """
    goals = targets(folder, content, ending, picture)
    check_replaceable(goals["mask"])
    return [path for path in goals.values() if path.exists()]


def write_case(
    folder: Path,
    content: ExportContent,
    *,
    ending: str = ".nii.gz",
    picture: bool = True,
    overwrite: bool = False,
) -> list[Path]:
    """Write all files of one case.

    Parameters
    ----------
    folder : path
        Target folder; created if it is missing.
    content : ExportContent
        Mask and results.
    ending : str
        Ending of the mask, one of `ENDINGS`.
    picture : bool
        Whether to write the overlay as PNG, too.
    overwrite : bool
        Whether existing files may be replaced.

    Returns
    -------
    list of Path
        Written files.

    Raises
    ------
    OutputError
        If a file exists already, before anything is written, or a file cannot be written.
    """
    make_folder(folder)
    goals = targets(folder, content, ending, picture)
    for path in goals.values():
        check_target(path, overwrite)
    done = _completed(content)
    with output_set():
        for kind, write in _writers(done, overwrite).items():
            if kind in goals:
                write(goals[kind])
    return list(goals.values())


def _completed(content: ExportContent) -> ExportContent:
    """Return the content with diameters and midline."""
    seg, scan = content.seg, content.scan
    lines = content.rano or rano(seg, outline=content.outline)
    plane = content.midline
    if plane is None and scan is not None and scan.grid.same_space(seg.grid):
        plane = find_midline(scan)
    return replace(content, rano=lines, midline=plane)


def _writers(found: ExportContent, overwrite: bool) -> dict[str, Callable[[Path], object]]:
    """Return a function that writes each kind of file; the mask is measured once."""
    seg, numbers = found.seg, measure(found.seg)
    diameters = [found.rano] if found.rano else []
    return {
        "mask": lambda path: write_mask(seg, path, overwrite=overwrite),
        "table": lambda path: write_text(path, to_csv(numbers, diameters=diameters), overwrite),
        "statistics": lambda path: write_text(
            path, to_json(numbers, seg.provenance, found.agreement, found.rano), overwrite
        ),
        "lines": lambda path: write_text(path, _lines(found), overwrite),
        "report": lambda path: _report(found, path, overwrite),
        "picture": lambda path: found.scan and overlay(found.scan, seg, path, overwrite=overwrite),
    }


def _lines(found: ExportContent) -> str:
    """Return diameters, midline and sides as JSON; `Rano.from_dict` reads the diameters back."""
    lines = {
        "diameters": found.rano.to_dict() if found.rano else None,
        "midline": found.midline.to_dict() if found.midline else None,
        "sides": [row.to_dict() for row in _sides(found)],
        "change": found.change.to_dict() if found.change else None,
    }
    return json.dumps(jsonable(lines), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _report(found: ExportContent, path: Path, overwrite: bool) -> None:
    assert found.scan is not None
    write_case_report(
        path,
        found.scan,
        found.seg,
        measure(found.seg),
        rano=found.rano,
        agreement=found.agreement,
        change=found.change,
        laterality=_sides(found),
        card=_card(found.seg),
        overwrite=overwrite,
    )


def _sides(found: ExportContent) -> tuple:  # type: ignore[type-arg]
    if found.midline is None or found.midline.unit != found.seg.grid.unit:
        return ()
    return tuple(laterality(found.seg, found.midline))


def _card(seg: Segmentation) -> ModelCard | None:
    """Return the card of the model that made a mask, if it is installed in the same version."""
    model_info = seg.provenance.get("model")
    if not isinstance(model_info, Mapping):
        return None
    try:
        cards = [model.card for model in list_models() if model.name == model_info.get("name")]
    except TumorSegError:
        return None
    version = model_info.get("version")
    return next((card for card in cards if version in (None, card.version)), None)
