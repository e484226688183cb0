"""The cases of a worklist as a list with their states."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem

from napari_tumorseg.cohorts.remarks import Remark
from napari_tumorseg.report.text import between, percentage
from napari_tumorseg.session import Entry, State, Worklist
from napari_tumorseg.viewer.widgets.messages import short

SIGNS = {
    State.NEW: "○ new",
    State.SEGMENTED: "◔ segmented",
    State.CORRECTED: "◑ corrected",
    State.DONE: "● done",
}
FAILED = "✕ failed"
RUNNING = "… segmenting"
FLAG = "⚑"
_MOST_SHOWN = 14
_ROW_HEIGHT = 22
_SEARCHED = Qt.ItemDataRole.UserRole + 1


class CaseList(QTreeWidget):
    """A row for each case; the open one is bold."""

    def __init__(self) -> None:
        super().__init__()
        self._wanted = ""
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

    def show_cases(
        self, worklist: Worklist, remarks: Mapping[str, Remark] | None = None, running: str | None = None
    ) -> None:
        """Show the cases of a worklist as they are now.

        Parameters
        ----------
        worklist : Worklist
            The cases in their order.
        remarks : mapping of str to Remark, optional
            Remarks of a cohort about cases, by name.
        running : str, optional
            Case that is being segmented.
        """
        entries = worklist.entries
        if [name_of(item) for item in self._items()] != [entry.name for entry in entries]:
            self.clear()
            self.addTopLevelItems([_new_item(entry) for entry in entries])
            self._fit(len(entries))
        for item, entry in zip(self._items(), entries, strict=True):
            remark = (remarks or {}).get(entry.name, Remark())
            _show(item, entry, remark, entry.name == running)
        self.filter(self._wanted)

    def filter(self, wanted: str) -> None:
        """Show those cases alone whose name, state or flags contain some text."""
        self._wanted = wanted
        words = wanted.strip().casefold()
        for item in self._items():
            item.setHidden(words not in str(item.data(0, _SEARCHED)).casefold())

    def first_shown(self) -> str | None:
        """Return the first case that is shown, if one is."""
        return next((name_of(item) for item in self._items() if not item.isHidden()), None)

    def select(self, name: str | None, is_open: bool) -> None:
        """Select a case; it is bold if it is open."""
        for item in self._items():
            is_it = name_of(item) == name
            font = item.font(0)
            font.setBold(is_it and is_open)
            item.setFont(0, font)
            if is_it:
                self.setCurrentItem(item)

    def _items(self) -> list[QTreeWidgetItem]:
        found = (self.topLevelItem(index) for index in range(self.topLevelItemCount()))
        return [item for item in found if item is not None]

    def _fit(self, count: int) -> None:
        """Make room for some rows."""
        header = self.header()
        assert header is not None
        rows = min(max(count, 3), _MOST_SHOWN)
        self.setFixedHeight(rows * _ROW_HEIGHT + header.sizeHint().height() + 6)


def name_of(item: QTreeWidgetItem) -> str:
    """Return the case of a row."""
    return str(item.data(0, Qt.ItemDataRole.UserRole))


def _new_item(entry: Entry) -> QTreeWidgetItem:
    item = QTreeWidgetItem([entry.name, ""])
    item.setData(0, Qt.ItemDataRole.UserRole, entry.name)
    item.setToolTip(0, entry.name)
    return item


def _show(item: QTreeWidgetItem, entry: Entry, remark: Remark, is_running: bool) -> None:
    """Show the state of a case in its row."""
    has_failed = entry.state is State.NEW and remark.failure is not None
    sign = RUNNING if is_running else FAILED if has_failed else SIGNS[entry.state]
    shown = f"{sign} {FLAG}" if remark.flags and not (is_running or has_failed) else sign
    if item.text(1) != shown:
        item.setText(1, shown)
    item.setToolTip(1, "\n".join(_about(entry, remark)))
    item.setData(0, _SEARCHED, "\n".join((entry.name, sign, *remark.flags)))


def _about(entry: Entry, remark: Remark) -> list[str]:
    """Return what is known about a case, in lines."""
    lines = [entry.mask.name] if entry.mask is not None else []
    if remark.failure is not None:
        lines.append(f"The last run failed: {short(remark.failure)}.")
    lines += [f"{FLAG} {flag}" for flag in remark.flags]
    facts = entry.facts
    if facts.is_empty:
        lines.append("no tumour found")
    elif (found := facts.interval) is not None:
        ends = between(found.low, found.high, facts.voxel_ml)
        lines.append(f"interval of the volume, {percentage(found.coverage)}: {ends}")
    if facts.disagreement is not None:
        lines.append(f"disagreement {facts.disagreement:.2f}")
    return lines
