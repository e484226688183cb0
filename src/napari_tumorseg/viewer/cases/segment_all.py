"""Section of the page Cases that segments all of them in the background."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from psygnal import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QGridLayout, QProgressBar, QPushButton, QSizePolicy, QWidget

from napari_tumorseg.cohorts.background import Errand
from napari_tumorseg.errors import Notice, Remedy
from napari_tumorseg.models import list_models, user_folder
from napari_tumorseg.report.text import count, duration
from napari_tumorseg.viewer.cases.background_run import BackgroundRun
from napari_tumorseg.viewer.widgets.folder_watch import FolderWatch
from napari_tumorseg.viewer.widgets.messages import worded
from napari_tumorseg.viewer.widgets.section import Note

_START = "Segment all"
_TIP = (
    "Segment every case without a mask, in the order of the list and in the background; correct those that "
    "are done meanwhile. Masks that a person corrected or approved are kept"
)


class SegmentAll(QWidget):
    """Button, model and progress of a run over all cases.

    Parameters
    ----------
    errand : callable
        Returns the folders and the order of the cases as an `Errand`.
    report_error : callable
        Shows an error message.
    """

    changed = Signal()
    """A case was finished, another one begun, or the run ended."""

    def __init__(self, errand: Callable[[], Errand], report_error: Callable[[str], None]) -> None:
        super().__init__()
        self._errand, self._report_error = errand, report_error
        self._waiting: list[str] = []
        self._total = self._failed = 0
        self._began = 0.0
        self._is_stopped = False
        self.start = QPushButton(_START)
        self.start.setToolTip(_TIP)
        self.model = QComboBox()
        self.model.setToolTip("Model of all cases; automatic: for each case the one that suits its images")
        self.redo = QCheckBox("Redo outdated")
        self.redo.setToolTip(
            "Make masks again, too, whose files, model or settings have changed since; not those that a "
            "person corrected or approved"
        )
        self.bar = QProgressBar()
        self.note = Note()
        self._run = BackgroundRun(self)
        self._run.told.connect(self._on_event)
        self._run.ended.connect(self._on_ended)
        self.start.clicked.connect(self.toggle)
        self._watch = FolderWatch(user_folder, self._list_models, self)
        self._list_models()
        self._lay_out()
        self._show()

    @property
    def current(self) -> str | None:
        """The case that is being segmented now."""
        return self._waiting[0] if self._waiting and self._run.is_running else None

    @property
    def is_running(self) -> bool:
        """Whether cases are being segmented."""
        return self._run.is_running

    def toggle(self) -> None:
        """Start the run, or stop the one under way."""
        if self._run.is_running:
            self._is_stopped = True
            self.start.setEnabled(False)
            self._run.stop()
            return
        chosen = {"model": self.model.currentData(), "redo": self.redo.isChecked()}
        errand = replace(self._errand(), **chosen)
        self._waiting, self._total, self._failed, self._is_stopped = [], 0, 0, False
        self.note.value = "Looking for cases to segment…"
        self._run.start(errand)
        self._show()

    def end(self) -> None:
        """Stop the run: the window closes, or another folder is chosen."""
        self._run.end()
        self._waiting = []
        self._show()

    # ---- what happens

    def _on_event(self, event: dict[str, Any]) -> None:
        if "todo" in event:
            self._waiting = [str(name) for name in event["todo"]]
            self._total, self._began = len(self._waiting), time.monotonic()
        elif "case" in event:
            self._failed += event.get("state") == "failed"
            if event["case"] in self._waiting:
                self._waiting.remove(str(event["case"]))
        elif "error" in event:
            self._is_stopped = True
            remedy = event.get("remedy")
            self._report_error(worded(Notice(str(event["error"]), Remedy(remedy) if remedy else None)))
        self.note.value = self._progress()
        self._show()
        self.changed.emit()

    def _on_ended(self, is_well: bool) -> None:
        done = self._total - len(self._waiting)
        if self._is_stopped:
            told = (
                f"Stopped after {done} of {count(self._total, 'case')}; the button goes on with the others."
            )
        elif not is_well:
            told = "The process that segments the cases ended unexpectedly; details are in the log."
        elif not self._total:
            told = "There is nothing to segment: every case has a mask."
        else:
            told = f"{count(done - self._failed, 'case')} segmented."
        if self._failed:
            told += f" {count(self._failed, 'case')} failed: the list has the reasons."
        self._waiting = []
        self.note.value = told
        self._show()
        self.changed.emit()

    def _progress(self) -> str:
        """Return the progress with the time left in words."""
        done = self._total - len(self._waiting)
        told = f"{done} of {count(self._total, 'case')} done"
        if done and self._waiting:
            left = (time.monotonic() - self._began) / done * len(self._waiting)
            told += f", about {duration(left)} left"
        failed = f"; {self._failed} failed" if self._failed else ""
        return f"{told}{failed}."

    # ---- what is seen

    def _show(self) -> None:
        running = self._run.is_running
        self.start.setText("Stop" if running else _START)
        self.start.setEnabled(True)
        self.model.setEnabled(not running)
        self.redo.setEnabled(not running)
        self.bar.setVisible(running)
        self.bar.setRange(0, self._total)  # 0: as long as nobody knows how many
        self.bar.setValue(self._total - len(self._waiting))

    def _list_models(self) -> None:
        chosen = self.model.currentData()
        self.model.clear()
        self.model.addItem("automatic", None)
        for model in list_models():
            self.model.addItem(model.name, model.name)
        self.model.setCurrentIndex(max(self.model.findData(chosen), 0))

    def _lay_out(self) -> None:
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.model.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        grid.addWidget(self.start, 0, 0)
        grid.addWidget(self.model, 0, 1)
        grid.addWidget(self.redo, 0, 2)
        grid.addWidget(self.bar, 1, 0, 1, 3)
        grid.addWidget(self.note.native, 2, 0, 1, 3)
