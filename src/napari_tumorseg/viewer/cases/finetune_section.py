"""Panel section: corrected cases become a new version of a model, in a process that outlives the window."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from qtpy.QtCore import QTimer, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_tumorseg.errors import InputError
from napari_tumorseg.extras import to_install
from napari_tumorseg.finetuning import Phase, Settings, Source, Status, begin, start, status_of
from napari_tumorseg.finetuning import state as requests
from napari_tumorseg.finetuning.settings import checked, default_name
from napari_tumorseg.models import get_model, list_models, user_folder
from napari_tumorseg.models.versions import kept_versions, roll_back
from napari_tumorseg.session import State, Worklist
from napari_tumorseg.viewer.widgets.folder_watch import FolderWatch
from napari_tumorseg.viewer.widgets.section import Note

REPORT = "report.html"
_POLL_MS = 700
_TAKEN = (State.CORRECTED, State.DONE)
_HINT = (
    "Trains on the cases that are corrected or done. The new version is kept only if it is better on "
    "left-out cases."
)

_WORDS = {
    Phase.WAITING: "Starting…",
    Phase.RUNNING: "{words}{left}.",
    Phase.PAUSED: "Paused: {words}.",
    Phase.ACCEPTED: "The list of models now has {name}: {words}.",
    Phase.REFUSED: "No model was changed: {words}.",
    Phase.FAILED: "The fine-tuning failed: {words}.",
    Phase.CANCELLED: "Cancelled; no model was changed.",
    Phase.STOPPED: "The fine-tuning was interrupted; it can be continued.",
}


class FinetuneSection(QWidget):
    """Starts a fine-tuning on the corrected cases of the worklist, and shows the one that runs.

    A fine-tuning of an earlier session is found in the user's folder and shown as if it had begun here.

    Parameters
    ----------
    safely : callable
        Makes a slot that reports errors meant for the user.
    worklist : callable
        Returns the worklist that is open and the folder of its cases; None without one.
    """

    def __init__(
        self,
        safely: Callable[[Callable[[], None]], Callable[..., None]],
        worklist: Callable[[], tuple[Worklist, Path] | None],
    ) -> None:
        super().__init__()
        self._worklist = worklist
        self.model = QComboBox()
        self.model.setToolTip("The model to start from")
        self.begin = QPushButton("Fine-tune")
        self.begin.setToolTip("Train this model on the cases that are corrected or done")
        self.bar = QProgressBar()
        self.note = Note()
        self.pause = QPushButton("Pause")
        self.cancel = QPushButton("Cancel")
        self.report = QPushButton("Report…")
        self.report.setToolTip("Before and after on each left-out case, with pictures")
        self.rollback = QPushButton("Roll back")
        self.run: Path | None = requests.latest_run()
        self._lay_out()
        for button, action in (
            (self.begin, self.start),
            (self.pause, self.pause_or_continue),
            (self.cancel, self.stop),
            (self.report, self.show_report),
            (self.rollback, self.undo),
        ):
            button.clicked.connect(safely(action))
        self.model.currentTextChanged.connect(lambda *_: self._show_rollback())
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self.refresh)
        self._watch = FolderWatch(user_folder, self.list_models, self)
        self.list_models()
        self.refresh()

    # ---- what the user does

    def start(self) -> None:
        """Begin a fine-tuning of the chosen model.

        Raises
        ------
        InputError
            If another one runs, no case is corrected, or what training needs is not installed.
        """
        status = self._status()
        if status is not None and not status.is_over:
            raise InputError("A fine-tuning runs already: wait for it, or cancel it.")
        if find_spec("lightning") is None or find_spec("monai") is None:
            raise InputError(f"Training needs more packages: {to_install('train')} brings them.")
        self.run = begin(self._settings())
        self.refresh()

    def pause_or_continue(self) -> None:
        """Pause the run; continue one that is paused, was interrupted or cancelled."""
        run, status = self.run, self._status()
        if run is None or status is None:
            return
        if status.is_over:
            start(run)
        else:
            requests.ask_to_pause(run, pause=not requests.wants_pause(run))
        self.refresh()

    def stop(self) -> None:
        """Cancel the run; no model is changed."""
        if self.run is not None:
            requests.ask_to_cancel(self.run)

    def show_report(self) -> None:
        """Open the comparison of before and after."""
        if self.run is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.run / REPORT)))

    def undo(self) -> None:
        """Put the earlier version of the chosen model in its place."""
        self.note.value = f"{_capital(roll_back(self.model.currentText()).sentence)}."
        self.list_models()

    # ---- what is seen

    def list_models(self) -> None:
        """List the models again; the choice stays if it is still there."""
        before = self.model.currentText()
        self.model.blockSignals(True)
        self.model.clear()
        self.model.addItems([model.name for model in list_models()])
        index = self.model.findText(before)
        self.model.setCurrentIndex(max(index, 0))
        self.model.blockSignals(False)
        self._show_rollback()

    def refresh(self) -> None:
        """Show the progress of the run, and look again later while it goes on."""
        status = self._status()
        self.begin.setEnabled(status is None or status.is_over)
        self.bar.setVisible(status is not None and not status.is_over)
        for button in (self.pause, self.cancel):
            button.setVisible(status is not None and not status.is_over)
        self.report.setVisible(self.run is not None and (self.run / REPORT).is_file())
        if status is None:
            self.note.value = _HINT
            self._timer.stop()
            return
        self._show(status)
        if status.is_over:
            self._timer.stop()
        elif not self._timer.isActive():
            self._timer.start()

    def detach(self) -> None:
        """Look no more; the run goes on."""
        self._timer.stop()

    # ---- the parts

    def _status(self) -> Status | None:
        return status_of(self.run) if self.run is not None else None

    def _settings(self) -> Settings:
        opened = self._worklist()
        if opened is None:
            raise InputError("Choose a folder of cases first.")
        worklist, cases = opened
        worklist.refresh()
        ready = [entry for entry in worklist.entries if entry.state in _TAKEN and entry.mask is not None]
        if not ready:
            raise InputError("No case is corrected or done yet: correct some masks and keep them.")
        chosen = get_model(self.model.currentText())
        name = default_name(chosen)
        if name in (model.name for model in list_models()) and name != chosen.name:
            raise InputError(f"There is a {name} already: choose it as the model to start from.")
        source = Source(cases=cases.absolute(), masks=worklist.output.absolute())
        return checked(parent=chosen.name, data=(source,), name=name)

    def _show(self, status: Status) -> None:
        self.bar.setMaximum(status.total)
        self.bar.setValue(status.done)
        paused = self.run is not None and requests.wants_pause(self.run)
        resumable = status.phase in (Phase.STOPPED, Phase.CANCELLED)
        self.pause.setText("Continue" if paused or resumable else "Pause")
        self.pause.setVisible(not status.is_over or resumable)
        text = _WORDS[status.phase].format(words=status.words, name=status.name, left=_left(status))
        self.note.value = _capital(text)

    def _show_rollback(self) -> None:
        chosen = next((m for m in list_models() if m.name == self.model.currentText()), None)
        tuned = chosen is not None and chosen.origin == "user" and chosen.card.tuned is not None
        self.rollback.setVisible(tuned)
        if chosen is not None and tuned:
            earlier = [model.card.version for model in kept_versions(chosen.name)]
            to = f"version {earlier[-1]}" if earlier else "the list without it"
            self.rollback.setToolTip(f"Back from version {chosen.card.version} to {to}; nothing is deleted")

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.addWidget(QLabel("Model"), 0, 0)
        grid.addWidget(self.model, 0, 1)
        grid.setColumnStretch(1, 1)
        buttons = QGridLayout()
        every = (self.begin, self.rollback, self.pause, self.cancel, self.report)
        for index, button in enumerate(every):
            buttons.addWidget(button, index // 2, index % 2)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 4, 9, 4)
        column.addLayout(grid)
        column.addWidget(self.bar)
        column.addWidget(self.note.native)
        column.addLayout(buttons)


def _left(status: Status) -> str:
    """Return the remaining time, rounded up to minutes."""
    if status.seconds_left is None:
        return ""
    return f", about {int(status.seconds_left // 60) + 1} min left"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
