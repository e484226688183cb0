"""Panel section: everything about a case into one folder."""

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
from napari_tumorseg.viewer.compare.export import ENDINGS, ExportContent, there_already, write_everything
from napari_tumorseg.viewer.layers.inputs import folder_of
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.state.saving import start_folder
from napari_tumorseg.viewer.widgets import ask
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.section import Note


class ExportSection(QWidget):
    """Save everything: mask, numbers, report, lines, picture.

    Parameters
    ----------
    context : PanelContext
        The viewer and the active mask.
    content : callable
        Returns what was found of the active mask so far.
    """

    def __init__(self, context: PanelContext, content: Callable[[], ExportContent]) -> None:
        super().__init__()
        self._context = context
        self._content = content
        self._work = Background(self)
        self.written: list[Path] = []
        self.save = QPushButton("Save everything…")
        self.save.setToolTip("Mask, statistics (CSV, JSON), report (HTML), lines (JSON) into one folder")
        self.format = QComboBox()
        self.format.addItems(list(ENDINGS))
        self.format.setToolTip("Of the mask")
        self.picture = QCheckBox("Picture")
        self.picture.setToolTip("Also slices with the outlines of the mask, as PNG")
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
        """Drop what is under way."""
        self._work.cancel()

    def on_switched(self) -> None:
        """Offer the format that the scan of the active mask has."""
        self.note.value = ""
        group = self._context.active_mask.group() if self._context.active_mask.layer is not None else None
        sources = [layer.metadata.get("tumorseg") for layer in group.layers] if group else []
        names = [str(getattr(origin, "source", "") or "").lower() for origin in sources if origin]
        wanted = next((_format(name) for name in names if name), NIFTI.title)
        self.format.setCurrentText(wanted)

    def run(self, folder: Path | None = None) -> None:
        """Write all files into a folder, which is asked for if none is named, in the background."""
        layer = self._context.active_mask.layer
        content = self._content()
        folder = folder or self._asked()
        if folder is None or layer is None:
            return
        ending, picture = ENDINGS[self.format.currentText()], self.picture.isChecked()
        overwrite = _may_replace(there_already(folder, content, ending, picture), self)
        self.note.value = "Saving…"
        self._work.start(
            lambda: write_everything(folder, content, ending=ending, picture=picture, overwrite=overwrite),
            lambda written: self._on_written(written, layer, content),
            self._on_failed,
        )

    def _asked(self) -> Path | None:
        group = self._context.active_mask.group()
        start = start_folder(folder_of(group) if group else None)
        name = QFileDialog.getExistingDirectory(self, "Save everything into", str(start))
        return Path(name) if name else None

    def _on_written(self, written: list[Path], layer: LabelsLayer, content: ExportContent) -> None:
        self.written = written
        self._context.note_saved(layer, content.seg)
        names = ", ".join(path.name for path in written)
        self.note.value = f"Saved in {written[0].parent.name}: {names}."

    def _on_failed(self, why: str) -> None:
        self.note.value = ""
        self._context.report_error(why)


def _format(name: str) -> str:
    """Return the title of the format that a scan's file has, by its name, if masks are written so."""
    form = format_of(Path(name))
    return form.title if form in WRITABLE else NIFTI.title


def _may_replace(there: list[Path], parent: QWidget) -> bool:
    """Ask before files are replaced; False if there are none.

    Raises
    ------
    OutputError
        If nobody can be asked.
    CancelledError
        If the user would rather keep them.
    """
    if not there:
        return False
    names = ", ".join(path.name for path in there)
    if ask.window() is None:
        raise OutputError(f"{names}: there already; choose another folder")
    buttons = QMessageBox.StandardButton
    question = f"{names} are there already. Replace them?"
    answer = QMessageBox.question(parent, "Save everything", question, buttons.Yes | buttons.Cancel)
    if answer != buttons.Yes:
        raise CancelledError("nothing was saved")
    return True
