"""Save dialogs of the panel: a table as CSV or JSON, a mask in any format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.io import write_mask
from napari_tumorseg.io.atomic import write_text
from napari_tumorseg.io.formats import NIFTI, save_dialog_filter
from napari_tumorseg.io.side_files import check_replaceable
from napari_tumorseg.measurement import Measurements
from napari_tumorseg.report.tables import to_csv, to_json
from napari_tumorseg.samples import KINDS, sample_path
from napari_tumorseg.scan import Segmentation

TABLE_FORMATS = "Table (*.csv);;JSON (*.json)"
MASK_FORMATS = save_dialog_filter()


def ask_where(parent: QWidget, title: str, suggested: Path, formats: str) -> Path | None:
    """Return where to save, or None; the dialog itself asks before a file is replaced.

    Raises
    ------
    OutputError
        If the ending that the file type adds makes it another file, about which nobody was asked.
    """
    name, chosen = QFileDialog.getSaveFileName(parent, title, str(suggested), formats)
    if not name:
        return None
    path = with_ending(Path(name), chosen, formats)
    if path != Path(name) and path.exists():
        raise OutputError(f"{path.name} exists already; to replace it, give this whole name")
    return path


def with_ending(path: Path, chosen: str, formats: str) -> Path:
    """Return a path with an ending of the file type chosen in a dialog.

    An ending that was typed counts as long as the type is the first one, which nobody has chosen.
    """
    every, wanted = _endings(formats), _endings(chosen) or _endings(formats)
    stem, typed = path.name, ""
    while found := next((e for e in every if stem.lower().endswith(e) and len(stem) > len(e)), ""):
        stem, typed = stem[: -len(found)], typed or found
    if typed in wanted or (typed and formats.startswith(chosen)):
        whole = stem + typed
        return path if path.name.lower() == whole.lower() else path.with_name(whole)
    return path.with_name((stem or path.name) + wanted[0])


def _endings(formats: str) -> list[str]:
    """Return the endings in a dialog's list of file types, the longer of two that fit first."""
    return re.findall(r"\*(\.[\w.]+)", formats)


def start_folder(folder: Path | None) -> Path:
    """Return where a dialog starts: where the scan lies, unless that is a sample of the package."""
    if folder is None or any(folder.resolve().is_relative_to(p) for p in _sample_folders()):
        return Path.home()
    return folder


def _sample_folders() -> Iterator[Path]:
    for kind in KINDS:
        with suppress(InputError):  # installed without its samples
            yield sample_path(kind)


def save_table(measured: Measurements, path: Path, segmentation: Segmentation) -> Path:
    """Write the numbers of a mask, as CSV or JSON by the ending."""
    as_csv = checked_table(path).suffix.lower() == ".csv"
    text = to_csv(measured) if as_csv else to_json(measured, segmentation.provenance)
    write_text(path, text, overwrite=True)
    return path


def checked_table(path: Path) -> Path:
    """Return a path with an ending that tables have.

    Raises
    ------
    OutputError
        If it has another one.
    """
    if path.suffix.lower() not in (".csv", ".json"):
        raise OutputError(f"{path}: a table is written as .csv or .json; choose such an ending")
    return path


def save_mask(segmentation: Segmentation, path: Path) -> list[Path]:
    """Write a mask; without an ending it becomes NIfTI.

    Raises
    ------
    OutputError
        If it cannot be written, or would replace a mask or JSON of another program.
    """
    path = path if path.suffix else path.with_name(path.name + NIFTI.written[0])
    check_replaceable(path)
    return write_mask(segmentation, path, overwrite=True)


def suggested_name(case: str, ending: str) -> str:
    """Return ``<case>_seg.nii.gz`` and the like, safe as a file name."""
    stem = "".join(c if c.isalnum() or c in "-_. " else "_" for c in case).strip(". ") or "case"
    return f"{stem}{'' if stem.endswith('_seg') else '_seg'}{ending}"
