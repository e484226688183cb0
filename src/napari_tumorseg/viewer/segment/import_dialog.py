"""Dialog that imports a model of another framework and asks what its file leaves open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_tumorseg.errors import TumorSegError
from napari_tumorseg.models import Model
from napari_tumorseg.notice import RESEARCH_USE
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.messages import short
from napari_tumorseg.viewer.widgets.section import Note

if TYPE_CHECKING:
    from napari_tumorseg.importing import Answers, OpenQuestionsError

_OPEN = "(not stated)"
_HINT = (
    "A file or folder of another program, which is not needed. Nothing in it is run. What the file "
    f"does not state is asked here. {RESEARCH_USE}"
)


class ImportDialog(QDialog):
    """File, name and answers of an import; it closes when the model is in the user's folder.

    Parameters
    ----------
    parent : QWidget
        Window that it belongs to.
    """

    imported = Signal(object)
    """The model, once it is in the user's folder."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Add model")
        self._background = Background(self)
        self.path = QLineEdit()
        self.path.setPlaceholderText("model.keras, model.h5, weights.pt, …")
        self.name = QLineEdit()
        self.name.setPlaceholderText("that of the file")
        self.fields = _Fields()
        self.note = Note()
        self.note.value = _HINT
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.go = self.buttons.addButton("Import", QDialogButtonBox.ButtonRole.AcceptRole)
        self.buttons.accepted.connect(self.start)
        self.buttons.rejected.connect(self.reject)
        self._background.busy_changed.connect(self._show_busy)
        self._lay_out()

    def start(self) -> None:
        """Import the chosen file with the answers so far."""
        if not self.path.text().strip():
            self.note.value = "Choose a file or a folder first."
            return
        path, name = Path(self.path.text().strip()).expanduser(), self.name.text().strip() or None
        try:
            answers = self.fields.answers()
        except TumorSegError as error:
            self.note.value = short(error)
            return
        self._background.start(lambda: _imported(path, name, answers), self._on_done, self._on_failed)

    def reject(self) -> None:
        """Close the dialog; an import that is under way is not shown any more."""
        self._background.cancel()
        super().reject()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.path)
        for text, pick in (("File…", self._pick_file), ("Folder…", self._pick_folder)):
            button = QPushButton(text)
            button.clicked.connect(pick)
            row.addWidget(button)
        form = QFormLayout()
        form.addRow("Model", row)
        form.addRow("Name", self.name)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.fields)
        layout.addWidget(self.note.native)
        layout.addWidget(self.buttons)
        self.resize(560, 300)

    def _pick_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Model to add")
        if name:
            self.path.setText(name)

    def _pick_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder of the model to add")
        if name:
            self.path.setText(name)

    def _show_busy(self, busy: bool) -> None:
        self.go.setEnabled(not busy)
        if busy:
            self.note.value = "Importing…"

    def _on_done(self, found: Any) -> None:
        if isinstance(found, Model):
            self.imported.emit(found)
            self.accept()
            return
        self.fields.ask(found)
        self.note.value = short(f"{found}. Answer above, or choose the system that it was made like.")

    def _on_failed(self, message: str) -> None:
        self.note.value = short(message, [self.path.text()])


def _imported(path: Path, name: str | None, answers: Answers) -> Model | OpenQuestionsError:
    """Return the imported model, or the questions that are open."""
    from napari_tumorseg.importing import OpenQuestionsError, import_model

    try:
        return import_model(path, name=name, answers=answers)
    except OpenQuestionsError as error:
        return error


class _Fields(QWidget):
    """Answers: the system that the model was made like, and each fact that was asked for."""

    def __init__(self) -> None:
        from napari_tumorseg.importing.answers import NORMALISATIONS
        from napari_tumorseg.importing.presets import list_presets

        super().__init__()
        self._layout = QFormLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self.like = _combo(list_presets())
        self._layout.addRow("Made like", self.like)
        self.of: dict[str, QComboBox | QLineEdit] = {
            "roles": _line("such as flair,t1c"),
            "plane": _combo(["axial", "coronal", "sagittal", "acquired"]),
            "normalisation": _combo(list(NORMALISATIONS)),
            "spacing": _line("in mm: one number, or Z,Y,X in 3-D"),
            "activation": _combo(["sigmoid", "softmax"]),
            "outputs": _line("such as background,NCR,ED,ET or WT,TC,ET"),
            "convention": _combo(list(CONVENTIONS)),
        }
        for name, widget in self.of.items():
            self._layout.addRow(_TITLES[name], widget)
            self._layout.setRowVisible(widget, False)

    def ask(self, error: OpenQuestionsError) -> None:
        """Show the fields of open questions; those that were shown stay."""
        for question in error.questions:
            if question in self.of:
                self._layout.setRowVisible(self.of[question], True)

    def answers(self) -> Answers:
        """Return what is stated.

        Raises
        ------
        InputError
            If a text is no answer.
        """
        from napari_tumorseg.importing.answers import parsed_answers

        stated = {name: _value(widget) for name, widget in self.of.items()}
        return parsed_answers({"like": _value(self.like), **stated})


_TITLES = {
    "roles": "Input channels",
    "plane": "Slices",
    "normalisation": "Normalisation",
    "spacing": "Voxel size",
    "activation": "Outputs end with",
    "outputs": "Outputs",
    "convention": "Labels",
}


def _combo(options: list[str]) -> QComboBox:
    combo = QComboBox()
    combo.addItems([_OPEN, *options])
    return combo


def _line(hint: str) -> QLineEdit:
    line = QLineEdit()
    line.setPlaceholderText(hint)
    return line


def _value(widget: QComboBox | QLineEdit) -> str:
    text = widget.currentText() if isinstance(widget, QComboBox) else widget.text()
    return "" if text == _OPEN else text.strip()
