"""Panel section: choice of a model, its card, and what it lacks."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox, Container, PushButton
from psygnal import Signal
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QPlainTextEdit, QSizePolicy, QVBoxLayout, QWidget

from napari_tumorseg.errors import RoleError
from napari_tumorseg.inference.model_selection import missing_roles
from napari_tumorseg.inference.run_plan import choose_for, notes_before_run
from napari_tumorseg.inference.scan_analysis import ScanAnalysis
from napari_tumorseg.models import Model, ModelCard, list_models, user_folder
from napari_tumorseg.scan import Scan
from napari_tumorseg.viewer.segment.import_dialog import ImportDialog
from napari_tumorseg.viewer.widgets.folder_watch import FolderWatch
from napari_tumorseg.viewer.widgets.section import wrapping_label

_AUTOMATIC = ""


class ModelSection(Container):  # type: ignore[type-arg]
    """Choice of a model, by default the one that suits the images; models that are added appear in it."""

    edited = Signal()
    """Another model is chosen, by hand or by the modalities."""

    def __init__(self) -> None:
        self.models = {model.name: model for model in list_models()}
        self._scan: Scan | None = None
        self._analysis: ScanAnalysis | None = None
        self._prepare = False
        self._auto: Model | None = None
        self.chooser = ComboBox(label="Model", choices=self._choices, value=_AUTOMATIC)
        self.card = PushButton(text="Card…", tooltip="What the model was trained on, its figures and limits")
        self.note = wrapping_label()
        self.add = PushButton(text="Add…", tooltip="Add a model of another program, such as a Keras file")
        row = Container(widgets=[self.chooser, self.card, self.add], layout="horizontal", labels=False)
        row.margins = (0, 0, 0, 0)
        self.chooser.native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        for button in (self.card, self.add):
            button.native.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        super().__init__(widgets=[row, self.note], labels=False)
        self.chooser.changed.connect(self._show_model)
        self.card.changed.connect(self._show_card)
        self.add.changed.connect(self.open_import)
        self._watch = FolderWatch(user_folder, self.refresh, self.chooser.native)
        self._show_model()

    @property
    def model(self) -> Model | None:
        """The model that would be run, or None if nothing suits."""
        return self.models.get(self.chooser.value) if self.chooser.value else self._auto

    @property
    def problem(self) -> str:
        """Sentence on why the model cannot be run on the scan; empty if it can."""
        if not self.models:
            return "There is no model; the installation is not complete."
        if self.model is None and self._scan is not None and self._analysis is None:
            return "Looking at the scan…"
        model = self.model or min(self.models.values(), key=_fewest_images)
        lacking = missing_roles(model.card, self._scan.roles if self._scan else ())
        return f"{lacking[0].upper()}{lacking[1:]}." if lacking else ""

    def prefer(self, name: str) -> None:
        """Start with the model of this name, if it is here."""
        if name in self.models:
            self.chooser.value = name

    def open_import(self) -> ImportDialog:
        """Open the dialog that adds a model; the model is chosen once it is there."""
        dialog = ImportDialog(self.native)
        dialog.imported.connect(self._take)
        dialog.show()
        return dialog

    def _take(self, model: Model) -> None:
        self.refresh()
        self.prefer(model.name)

    def refresh(self) -> None:
        """List the models again; the choice stays if its model is still there."""
        self.models = {model.name: model for model in list_models()}
        self.suit(self._scan, self._analysis, self._prepare)

    def suit(self, scan: Scan | None, analysis: ScanAnalysis | None, prepare: bool = False) -> None:
        """Choose for this scan; its analysis is None until somebody has looked at it.

        Parameters
        ----------
        scan : Scan or None
            Images on their own grids, the reference first.
        analysis : ScanAnalysis or None
            Of the scan.
        prepare : bool
            Whether the scan is prepared where the model needs it.
        """
        self._scan, self._analysis, self._prepare = scan, analysis, prepare
        try:
            self._auto = _choose(scan, analysis, prepare) if scan and analysis else None
        except RoleError:
            self._auto = None
        with self.chooser.changed.blocked():
            self.chooser.reset_choices()
        self._show_model()

    def _choices(self, widget: Any) -> list[tuple[str, str]]:
        auto = f"automatic: {self._auto.name}" if self._auto else "automatic"
        return [(auto, _AUTOMATIC), *((name, name) for name in self.models)]

    def _show_model(self) -> None:
        model = self.model
        self.card.enabled = model is not None
        lines = []
        if model is not None:
            lines = [model.card.title or model.name, f"Licence: {model.card.about.licence}"]
            if self._scan is not None and self._analysis is not None and not self.problem:
                noted = notes_before_run(self._scan, model.card, self._analysis, self._prepare)
                lines += [f"Note: {sentence}." for sentence in noted]
            self.chooser.tooltip = model.card.summary
        if self._analysis is not None and (warning := self._analysis.privacy_warning):
            lines.append(f"Privacy: {warning}.")
        self.note.value = "\n".join(lines)
        self.edited.emit()

    def _show_card(self) -> None:
        if self.model is not None:
            show_card(self.model.card, self.native)


def _choose(scan: Scan, analysis: ScanAnalysis, prepare: bool) -> Model:
    return choose_for(scan, analysis, prepare, scan.brain_mask is not None)


def _fewest_images(model: Model) -> int:
    return min(len(roles) for roles in model.card.input.sufficient)


def show_card(card: ModelCard, parent: QWidget) -> QDialog:
    """Open a window with a model's card."""
    dialog = QDialog(parent)
    dialog.setWindowTitle(f"Model card: {card.name}")
    text = QPlainTextEdit(card.as_text())
    text.setReadOnly(True)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.close)
    layout = QVBoxLayout(dialog)
    layout.addWidget(text)
    layout.addWidget(buttons)
    dialog.resize(560, 460)
    dialog.show()
    return dialog
