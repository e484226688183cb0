"""Buttons, list and notes of the page Cases."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_tumorseg.session import LastWorklist, Order, State, Worklist
from napari_tumorseg.viewer.cases.case_list import CaseList
from napari_tumorseg.viewer.cases.commands import NEXT_CASE, PREVIOUS_CASE
from napari_tumorseg.viewer.widgets.commands import command_button
from napari_tumorseg.viewer.widgets.section import Note

_ORDERS = {
    Order.NAME: ("by name", "in the order of their names"),
    Order.BAND: ("widest interval first", "with the widest interval of the volume, relative to the volume"),
    Order.DISAGREEMENT: (
        "most disagreement first",
        "about which the members of the model disagree most, or a single network is least sure",
    ),
    Order.BOTH: ("both: next best first", "with the smallest mean of the ranks in both orders"),
}
"""Orders of the list: short text, and the cases that come first."""


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
        self.order = _order_chooser()
        self.search = QLineEdit()
        self.search.setPlaceholderText("Find a name or flag")
        self.search.setToolTip(
            "Show the cases whose name, state or flag contains this, such as a name copied from the quality "
            "page; Enter opens the first one"
        )
        self.search.setClearButtonEnabled(True)
        self.list = CaseList()
        self.search.textChanged.connect(self.list.filter)
        self.previous = command_button(PREVIOUS_CASE)
        self.next = command_button(NEXT_CASE)
        self.save = QPushButton("Save mask")
        self.save.setToolTip("Keep the active mask beside the others; the case stays on the list")
        self.done = QPushButton("Done, next")
        self.done.setToolTip("Keep the active mask, mark the case as done and open the next one to do")
        self.note = Note()
        self._lay_out()

    @property
    def chosen_order(self) -> Order:
        """The order that is chosen."""
        return Order(self.order.currentData())

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
        for widget in (self.list, self.order, self.search):
            widget.setVisible(worklist is not None)
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
        column_of_all = self._column = QVBoxLayout(self)
        column_of_all.setContentsMargins(9, 4, 9, 4)
        column_of_all.addWidget(self.go_on)
        column_of_all.addLayout(grid)
        column_of_all.addWidget(self.folders)
        column_of_all.addLayout(self._above_list())
        column_of_all.addWidget(self.list)
        column_of_all.addLayout(steps)
        column_of_all.addWidget(self.note.native)

    def place_below_list(self, section: QWidget) -> None:
        """Add a section between the list and the buttons of the open case."""
        self._column.insertWidget(self._column.indexOf(self.list) + 1, section)

    def _above_list(self) -> QGridLayout:
        row = QGridLayout()
        row.addWidget(self.order, 0, 0)
        row.addWidget(self.search, 0, 1)
        row.setColumnStretch(0, 3)  # the longest order is read in full in a panel of 360 px
        row.setColumnStretch(1, 2)
        return row


def _order_chooser() -> QComboBox:
    """Return the choice of the order of the list."""
    chooser = QComboBox()
    for order, (text, first) in _ORDERS.items():
        chooser.addItem(text, order)
        tip = f"Cases {first}" if order is Order.NAME else f"First the cases {first}"
        chooser.setItemData(chooser.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
    chooser.setToolTip(
        "Order of the cases. Those of whose masks the model is least sure come first: there an hour of "
        "correction changes most. Masks without a tumour come before all others, cases without a mask last"
    )
    chooser.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return chooser
