"""Everything about one case into one folder: mask, numbers, report, lines, picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from napari_tumorseg.errors import OutputError, TumorSegError
from napari_tumorseg.io import side_file, write_mask
from napari_tumorseg.io.atomic import check_target, write_text
from napari_tumorseg.io.formats import WRITABLE
from napari_tumorseg.measure.agreement import Agreement
from napari_tumorseg.measure.change import ChangeOverTime
from napari_tumorseg.measure.laterality import laterality
from napari_tumorseg.measure.midline import Midline, find_midline
from napari_tumorseg.measure.rano import Rano, rano
from napari_tumorseg.measure.volumes import measure
from napari_tumorseg.models import ModelCard, list_models
from napari_tumorseg.report.case import write_case_report
from napari_tumorseg.report.overlay_image import overlay
from napari_tumorseg.report.tables import jsonable, to_csv, to_json
from napari_tumorseg.scan import Scan, Segmentation
from napari_tumorseg.viewer.state.saving import keep_others_mask, suggested_name

ENDINGS: Mapping[str, str] = {form.title: form.written[0] for form in WRITABLE}
"""Endings of the mask by the titles of the formats."""


@dataclass(frozen=True, eq=False)
class ExportContent:
    """What there is to take along of one case.

    Attributes
    ----------
    seg : Segmentation
        The mask.
    scan : Scan or None
        Its images; without them there is no report and no picture.
    rano : Rano or None
        Diameters, ends that a person moved included; measured anew if left out.
    midline : Midline or None
        Found anew if left out.
    agreement : Agreement or None
        With a reference, if one was compared.
    change : ChangeOverTime or None
        Since an earlier time, if that was compared.
    """

    seg: Segmentation
    scan: Scan | None = None
    rano: Rano | None = None
    midline: Midline | None = None
    agreement: Agreement | None = None
    change: ChangeOverTime | None = None


def targets(
    folder: Path, content: ExportContent, ending: str = ".nii.gz", picture: bool = True
) -> dict[str, Path]:
    """Return what is written where: kinds by name, ``CASE_seg.nii.gz`` and the like."""
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


def there_already(
    folder: Path, content: ExportContent, ending: str = ".nii.gz", picture: bool = True
) -> list[Path]:
    """Return the files that would be replaced.

    Raises
    ------
    OutputError
        If a mask that was made elsewhere is among them.
    """
    goals = targets(folder, content, ending, picture)
    keep_others_mask(goals["mask"])
    return [path for path in goals.values() if path.exists()]


def write_everything(
    folder: Path,
    content: ExportContent,
    *,
    ending: str = ".nii.gz",
    picture: bool = True,
    overwrite: bool = False,
) -> list[Path]:
    """Write everything about one case.

    Parameters
    ----------
    folder : path
        Where to; made if it is not there.
    content : ExportContent
        What there is.
    ending : str
        Of the mask: one of `ENDINGS`.
    picture : bool
        Whether the overlay is written as PNG, too.
    overwrite : bool
        Whether files that are there may be replaced.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    OutputError
        If a file is there already, before anything is written, or one cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be made: {error.strerror or error}") from error
    goals = targets(folder, content, ending, picture)
    for path in goals.values():
        check_target(path, overwrite)
    done = _completed(content)
    for kind, write in _writers(done, overwrite).items():
        if kind in goals:
            write(goals[kind])
    return list(goals.values())


def _completed(content: ExportContent) -> ExportContent:
    """Return it with what was not measured yet."""
    seg, scan = content.seg, content.scan
    lines = content.rano or rano(seg)
    plane = content.midline
    if plane is None and scan is not None and scan.grid.same_space(seg.grid):
        plane = find_midline(scan)
    return replace(content, rano=lines, midline=plane)


def _writers(found: ExportContent, overwrite: bool) -> dict[str, Callable[[Path], object]]:
    """Return how each kind is written; numbers are measured once."""
    seg, numbers = found.seg, measure(found.seg)
    return {
        "mask": lambda path: write_mask(seg, path, overwrite=overwrite),
        "table": lambda path: write_text(path, to_csv(numbers), overwrite),
        "statistics": lambda path: write_text(
            path, to_json(numbers, seg.provenance, found.agreement), overwrite
        ),
        "lines": lambda path: write_text(path, _lines(found), overwrite),
        "report": lambda path: _report(found, path, overwrite),
        "picture": lambda path: found.scan and overlay(found.scan, seg, path, overwrite=overwrite),
    }


def _lines(found: ExportContent) -> str:
    """Return diameters, plane and sides as JSON; `Rano.from_dict` reads the diameters back."""
    told = {
        "diameters": found.rano.to_dict() if found.rano else None,
        "midline": found.midline.to_dict() if found.midline else None,
        "sides": [row.to_dict() for row in _sides(found)],
        "change": found.change.to_dict() if found.change else None,
    }
    return json.dumps(jsonable(told), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


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
    """Return the card of the model that made a mask, if that model is here in the same version."""
    told = seg.provenance.get("model")
    if not isinstance(told, Mapping):
        return None
    try:
        cards = [model.card for model in list_models() if model.name == told.get("name")]
    except TumorSegError:
        return None
    version = told.get("version")
    return next((card for card in cards if version in (None, card.version)), None)
