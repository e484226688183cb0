"""Panel section to export a case into a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari.layers import Labels as LabelsLayer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_tumorseg.errors import CancelledError, OutputError
from napari_tumorseg.io.formats import NIFTI, WRITABLE, format_of
from napari_tumorseg.viewer.compare.export import ENDINGS, ExportContent, existing_files, write_case
from napari_tumorseg.viewer.layers.inputs import folder_of
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.state.placing import settle_place
from napari_tumorseg.viewer.state.saving import start_folder
from napari_tumorseg.viewer.widgets import ask
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.section import Note


class ExportSection(QWidget):
    """Export of mask, statistics, report, lines and picture.

    Parameters
    ----------
    context : PanelContext
        Viewer and active mask.
    content : callable
        Returns the active mask and its results.
    """

    def __init__(self, context: PanelContext, content: Callable[[], ExportContent]) -> None:
        super().__init__()
        self._context = context
        self._content = content
        self._work = Background(self)
        self.save = QPushButton("Save everything…")
        self.save.setToolTip("Save mask, statistics (CSV, JSON), report (HTML), lines (JSON) into a folder")
        self.format = QComboBox()
        self.format.addItems(list(ENDINGS))
        self.format.setToolTip("File format of the mask")
        self.picture = QCheckBox("Picture")
        self.picture.setToolTip("Also save slices with the outlines of the mask, as PNG")
        self.picture.setChecked(True)
        self.note = Note()
        row = QHBoxLayout()
        for widget in (self.save, self.format, self.picture):
            row.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 0, 9, 4)
        column.addLayout(row)
        column.addWidget(self.note.native)
        self.save.clicked.connect(context.safely(self.run))
        self.on_switched()

    def detach(self) -> None:
        """Cancel background work."""
        self._work.cancel()

    def on_switched(self) -> None:
        """Choose the file format of the scan."""
        self.note.value = ""
        group = self._context.active_mask.group() if self._context.active_mask.layer is not None else None
        sources = [layer.metadata.get("tumorseg") for layer in group.layers] if group else []
        names = [str(getattr(origin, "source", "") or "").lower() for origin in sources if origin]
        wanted = next((_format(name) for name in names if name), NIFTI.title)
        self.format.setCurrentText(wanted)

    def run(self, folder: Path | None = None) -> None:
        """Write all files in the background; without a folder, a dialog asks for it."""
        layer = self._context.active_mask.required().layer
        warning = settle_place(layer, self._context.viewer.layers)
        content = self._content()
        folder = folder or self._asked()
        if folder is None:
            return
        ending, picture = ENDINGS[self.format.currentText()], self.picture.isChecked()
        overwrite = _may_replace(existing_files(folder, content, ending, picture), self)
        self.note.value = "Saving…"
        self._work.start(
            lambda: write_case(folder, content, ending=ending, picture=picture, overwrite=overwrite),
            lambda written: self._on_written(written, layer, content, warning),
            self._on_failed,
        )

    def _asked(self) -> Path | None:
        group = self._context.active_mask.group()
        start = start_folder(folder_of(group) if group else None)
        name = QFileDialog.getExistingDirectory(self, "Save everything into", str(start))
        return Path(name) if name else None

    def _on_written(
        self, written: list[Path], layer: LabelsLayer, content: ExportContent, warning: str
    ) -> None:
        self._context.note_saved(layer, content.seg)
        names = ", ".join(path.name for path in written)
        lacking = "" if content.scan is not None else _NO_SCAN
        self.note.value = f"Saved in {written[0].parent.name}: {names}. {lacking} {warning}".strip()

    def _on_failed(self, message: str) -> None:
        self.note.value = ""
        self._context.report_error(message)


_NO_SCAN = "Report and picture are left out: the images of this mask are not open, or do not make a scan."


def _format(name: str) -> str:
    """Return the title of the format of a scan's file, or NIfTI if masks cannot be written in it."""
    form = format_of(Path(name))
    return form.title if form in WRITABLE else NIFTI.title


def _may_replace(existing: list[Path], parent: QWidget) -> bool:
    """Ask before files are replaced; return False if there are none.

    Raises
    ------
    OutputError
        If no window is open to ask in.
    CancelledError
        If the user keeps them.
    """
    if not existing:
        return False
    names = ", ".join(path.name for path in existing)
    if ask.window() is None:
        raise OutputError(f"{names} exist already: choose another folder")
    buttons = QMessageBox.StandardButton
    question = f"{names} exist already. Replace them?"
    answer = QMessageBox.question(parent, "Save everything", question, buttons.Yes | buttons.Cancel)
    if answer != buttons.Yes:
        raise CancelledError("nothing was saved")
    return True
