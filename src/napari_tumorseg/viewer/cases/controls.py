"""Buttons, list and notes of the page Cases."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_tumorseg.session import LastWorklist, State, Worklist
from napari_tumorseg.viewer.cases.case_list import CaseList
from napari_tumorseg.viewer.cases.commands import NEXT_CASE, PREVIOUS_CASE
from napari_tumorseg.viewer.widgets.commands import command_button
from napari_tumorseg.viewer.widgets.section import Note


class CaseControls(QWidget):
    """Widgets of the page Cases, without what they do."""

    def __init__(self) -> None:
        super().__init__()
        self.choose = QPushButton("Cases…")
        self.choose.setToolTip("A folder of cases, of any layout that can be read")
        self.choose_output = QPushButton("Masks…")
        self.choose_output.setToolTip("Where masks and the states of the cases are kept")
        self.go_on = QPushButton()
        self.folders = QLabel("Choose a folder of cases.")
        self.list = CaseList()
        self.previous = command_button(PREVIOUS_CASE)
        self.next = command_button(NEXT_CASE)
        self.save = QPushButton("Save mask")
        self.save.setToolTip("Keep the active mask beside the others; the case stays on the list")
        self.done = QPushButton("Done, next")
        self.done.setToolTip("Keep the active mask, mark the case as done and open the next one to do")
        self.note = Note()
        self._lay_out()

    def show_last(self, last: LastWorklist | None) -> None:
        """Offer to go on with the worklist of the last session, if there is one."""
        self.go_on.setVisible(last is not None)
        if last is not None:
            self.go_on.setText(f"Continue with {last.cases.name}")
            self.go_on.setToolTip(f"The folder of last time: {last.cases}\nMasks: {last.output}")

    def show_worklist(self, worklist: Worklist | None, cases: Path | None, has_case: bool) -> None:
        """Show how much of a worklist is done, and enable the buttons that can be used.

        Parameters
        ----------
        worklist : Worklist or None
            The list, if a folder was chosen.
        cases : Path or None
            Folder of its cases.
        has_case : bool
            Whether a case is open.
        """
        self.list.setVisible(worklist is not None)
        for button in (self.choose_output, self.next, self.previous):
            button.setEnabled(worklist is not None)
        for button in (self.save, self.done):
            button.setEnabled(has_case)
        if worklist is not None and cases is not None:
            done = worklist.counts()[State.DONE]
            text = f"{cases.name}: {done} of {len(worklist.entries)} done. "
            self.folders.setText(f"{text}Masks are kept in {worklist.output.name}.")
            self.folders.setToolTip(f"{cases}\n{worklist.output}")

    def _lay_out(self) -> None:
        self.folders.setTextFormat(Qt.TextFormat.PlainText)
        self.folders.setWordWrap(True)
        self.folders.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        grid = QGridLayout()
        buttons = (self.choose, self.choose_output)
        for column, button in enumerate(buttons):
            grid.addWidget(button, 0, column)
        steps = QGridLayout()
        for index, button in enumerate((self.previous, self.next, self.save, self.done)):
            steps.addWidget(button, index // 2, index % 2)
        column_of_all = QVBoxLayout(self)
        column_of_all.setContentsMargins(9, 4, 9, 4)
        column_of_all.addWidget(self.go_on)
        column_of_all.addLayout(grid)
        column_of_all.addWidget(self.folders)
        column_of_all.addWidget(self.list)
        column_of_all.addLayout(steps)
        column_of_all.addWidget(self.note.native)
