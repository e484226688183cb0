"""Output files of an evaluation: tables, summary and page, each written completely or not at all."""

from __future__ import annotations

import io
from pathlib import Path

from napari_tumorseg.conventions import get_convention
from napari_tumorseg.errors import TumorSegError
from napari_tumorseg.evaluation.calibration import TABLE
from napari_tumorseg.evaluation.result import Evaluation
from napari_tumorseg.evaluation.run import reason
from napari_tumorseg.evaluation.scores import CaseScores
from napari_tumorseg.evaluation.settings import EvaluationSettings
from napari_tumorseg.evaluation.statistics import by_dice
from napari_tumorseg.io.atomic import check_target, make_folder, write_text
from napari_tumorseg.report.evaluation import Picture, page
from napari_tumorseg.report.evaluation_tables import cases_csv, slices_csv, summary_json
from napari_tumorseg.report.learning import Learning
from napari_tumorseg.scan import Segmentation

FILES = (TABLE, "slices.csv", "summary.json", "report.html")
"""Names of the files in the folder."""

_QUALITY = 85


def prepare_folder(folder: Path, overwrite: bool = False) -> None:
    """Create the folder; fail before any work is done if a file in it cannot be written.

    Raises
    ------
    OutputError
        If it cannot be made, or a file exists and `overwrite` is false.
    """
    make_folder(folder)
    for name in FILES:
        check_target(folder / name, overwrite)


def write_evaluation(
    found: Evaluation, folder: Path, learning: Learning | None = None, overwrite: bool = False
) -> list[Path]:
    """Write ``cases.csv``, ``slices.csv``, ``summary.json`` and ``report.html``.

    Parameters
    ----------
    found : Evaluation
        Scores to write. The cases that are shown as pictures are read once more.
    folder : Path
        Created if it does not exist.
    learning : Learning, optional
        Learning curves of the model's training.
    overwrite : bool
        Whether files that exist may be replaced.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    OutputError
        If one cannot be written.
    """
    prepare_folder(folder, overwrite)
    # figures first: should a picture go wrong, they are there
    for name, text in zip(FILES, (cases_csv(found), slices_csv(found), summary_json(found)), strict=False):
        write_text(folder / name, text, overwrite)
    shown = page(found, draw_pictures(found), learning)
    write_text(folder / FILES[-1], shown, overwrite)
    return [folder / name for name in FILES]


def draw_pictures(found: Evaluation) -> list[Picture]:
    """Return the worst, median and best case as overlays drawn against the reference."""
    return [_picture(title, case, found.settings) for title, case in by_dice(found.cases).items()]


def _picture(title: str, case: CaseScores, settings: EvaluationSettings) -> Picture:
    from napari_tumorseg.report.overlay_image import overlay

    try:
        scan, reference = case.ref.load(settings.labels, settings.same_voxels)
        seg = Segmentation(case.mask.labels(), scan.grid, get_convention(case.convention), case.name)
        drawn = overlay(scan, seg, reference=reference)
    except (TumorSegError, OSError) as error:
        return Picture(title, case, None, f"the picture could not be drawn: {reason(error, case.ref)}")
    stream = io.BytesIO()
    drawn.save(stream, format="JPEG", quality=_QUALITY)
    return Picture(title, case, stream.getvalue())
