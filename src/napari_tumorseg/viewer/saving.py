"""Save dialogs of the panel: a table as CSV or JSON, a mask in any format."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_tumorseg.errors import OutputError
from napari_tumorseg.io import write_mask
from napari_tumorseg.io.atomic import write_text
from napari_tumorseg.measure import Measurements
from napari_tumorseg.report.tables import to_csv, to_json
from napari_tumorseg.scan import Segmentation

TABLE_FORMATS = "Table (*.csv);;JSON (*.json)"
MASK_FORMATS = "NIfTI (*.nii.gz *.nii);;TIFF (*.tif *.tiff);;HDF5 (*.h5 *.hdf5)"


def ask_where(parent: QWidget, title: str, suggested: Path, formats: str) -> Path | None:
    """Return where to save, or None; the dialog itself asks before a file is replaced."""
    name, _ = QFileDialog.getSaveFileName(parent, title, str(suggested), formats)
    return Path(name) if name else None


def save_table(measured: Measurements, path: Path, segmentation: Segmentation) -> Path:
    """Write the numbers of a mask, as CSV or JSON by the ending."""
    ending = path.suffix.lower()
    if ending not in (".csv", ".json"):
        raise OutputError(f"{path}: a table is written as .csv or .json; choose such an ending")
    text = to_csv(measured) if ending == ".csv" else to_json(measured, segmentation.provenance)
    write_text(path, text, overwrite=True)
    return path


def save_mask(segmentation: Segmentation, path: Path) -> list[Path]:
    """Write a mask; without an ending it becomes NIfTI."""
    return write_mask(
        segmentation, path if path.suffix else path.with_name(f"{path.name}.nii.gz"), overwrite=True
    )


def suggested_name(case: str, ending: str) -> str:
    """Return ``<case>_seg.nii.gz`` and the like, safe as a file name."""
    stem = "".join(c if c.isalnum() or c in "-_. " else "_" for c in case).strip(". ") or "case"
    return f"{stem}{'' if stem.endswith('_seg') else '_seg'}{ending}"
