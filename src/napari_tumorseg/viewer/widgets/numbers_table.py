"""Small tables of numbers, as high as their rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

DASH = "\N{EM DASH}"
_ROW_HEIGHT = 24
_MOST_ROWS = 12


class NumbersTable(QTableWidget):
    """Table to read and to copy from; the first column takes the remaining width.

    Parameters
    ----------
    selects : bool
        Whether rows can be selected.
    """

    def __init__(self, selects: bool = False) -> None:
        super().__init__(0, 0)
        modes = QAbstractItemView.SelectionMode
        self.setSelectionMode(modes.SingleSelection if selects else modes.NoSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus if selects else Qt.FocusPolicy.NoFocus)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self.hide()

    def show_rows(
        self, heads: Sequence[str], rows: Iterable[Sequence[str]], tips: Iterable[str] = ()
    ) -> None:
        """Show cells below column heads; `tips` belong to the rows."""
        cells = [list(row) for row in rows]
        self.setColumnCount(len(heads))
        self.setHorizontalHeaderLabels(list(heads))
        self.setRowCount(len(cells))
        for r, row in enumerate(cells):
            for c, text in enumerate(row):
                self.setItem(r, c, _item(text, c))
        for r, tip in enumerate(tips):
            self._cell(r, 0).setToolTip(tip)
        self._fit(len(heads), len(cells))
        self.setVisible(bool(cells))

    def texts(self) -> list[list[str]]:
        """Return the cells."""
        return [[self._cell(r, c).text() for c in range(self.columnCount())] for r in range(self.rowCount())]

    def as_text(self) -> str:
        """Return the table for a spreadsheet, tab-separated."""
        model, across = self.model(), Qt.Orientation.Horizontal
        heads = [str(model.headerData(c, across)).replace("\n", " ") for c in range(self.columnCount())]
        return "\n".join("\t".join(row) for row in [heads, *self.texts()]) + "\n"

    def copy(self) -> None:
        """Put the table on the clipboard."""
        QGuiApplication.clipboard().setText(self.as_text())

    def _cell(self, row: int, column: int) -> QTableWidgetItem:
        found = self.item(row, column)
        assert found is not None
        return found

    def _fit(self, columns: int, rows: int) -> None:
        header = self.horizontalHeader()
        header.setMinimumSectionSize(36)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in range(1, columns):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        height = min(rows, _MOST_ROWS) * _ROW_HEIGHT + header.sizeHint().height() + 6
        self.setFixedHeight(height)
        policies = Qt.ScrollBarPolicy
        self.setVerticalScrollBarPolicy(
            policies.ScrollBarAsNeeded if rows > _MOST_ROWS else policies.ScrollBarAlwaysOff
        )


def number(value: float | None, places: int = 1) -> str:
    """Return a number, or a dash where it is not known."""
    return DASH if value is None else f"{value:.{places}f}"


def signed(value: float | None, places: int = 1) -> str:
    """Return a number with its sign, or a dash where it is not known."""
    return DASH if value is None else f"{value:+.{places}f}"


def _item(text: str, column: int) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    if column:
        item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return item
