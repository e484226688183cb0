"""The cases of a worklist as a list with their states."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem

from napari_tumorseg.session import State, Worklist

SIGNS = {
    State.NEW: "○ new",
    State.SEGMENTED: "◔ segmented",
    State.CORRECTED: "◑ corrected",
    State.DONE: "● done",
}
_MOST_SHOWN = 14
_ROW_HEIGHT = 22


class CaseList(QTreeWidget):
    """A row for each case; the open one is bold."""

    def __init__(self) -> None:
        super().__init__()
        self.setColumnCount(2)
        self.setHeaderLabels(["Case", "State"])
        self.setRootIsDecorated(False)
        self.setStyleSheet(f"QTreeWidget::item {{ height: {_ROW_HEIGHT}px; }}")
        self.setUniformRowHeights(True)
        header = self.header()
        assert header is not None
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)

    def show_cases(self, worklist: Worklist) -> None:
        """Show the cases of a worklist as they are now."""
        self.clear()
        for entry in worklist.entries:
            item = QTreeWidgetItem([entry.name, SIGNS[entry.state]])
            item.setData(0, Qt.ItemDataRole.UserRole, entry.name)
            item.setToolTip(0, entry.name)
            if entry.mask is not None:
                item.setToolTip(1, entry.mask.name)
            self.addTopLevelItem(item)
        rows = min(max(len(worklist.entries), 3), _MOST_SHOWN)
        header = self.header()
        assert header is not None
        self.setFixedHeight(rows * _ROW_HEIGHT + header.sizeHint().height() + 6)

    def select(self, name: str | None, is_open: bool) -> None:
        """Select a case; it is bold if it is open."""
        for index in range(self.topLevelItemCount()):
            item = self.topLevelItem(index)
            if item is None:
                continue
            is_it = name_of(item) == name
            font = item.font(0)
            font.setBold(is_it and is_open)
            item.setFont(0, font)
            if is_it:
                self.setCurrentItem(item)


def name_of(item: QTreeWidgetItem) -> str:
    """Return the case of a row."""
    return str(item.data(0, Qt.ItemDataRole.UserRole))
