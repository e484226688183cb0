"""Panel section: the numbers of the active mask as a table that follows corrections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from magicgui.widgets import ComboBox, PushButton
from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)
from superqt import QFlowLayout

from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.report.text import COMPONENTS, INTERVALS, intervals_in_words, millilitres
from napari_tumorseg.viewer.results.live_table import LiveRow
from napari_tumorseg.viewer.state.conventions import FROM_FILE
from napari_tumorseg.viewer.state.navigation import NEXT_COMPONENT, PREVIOUS_COMPONENT
from napari_tumorseg.viewer.widgets.commands import Command
from napari_tumorseg.viewer.widgets.section import Note, wrapping_label

COLUMNS = ("Region", "mL", "Voxels", "Parts", "Change")
_TIPS = (
    "Click a row to see its largest slice",
    "Volume; a dash where the voxel size is unknown",
    "",
    f"Components: {COMPONENTS}",
    "In mL (voxels where their size is unknown) since the model's result, or since the mask was opened",
)
_HEADING = "Results"
_FROM_FILE_STYLE = "QTableWidget { font-style: italic; color: gray; }"
_ANY_TITLE = "tumour, whatever the number"
_MANY_PARTS = 20
_DASH = "—"
_COUNTING = "…"
_ROW_HEIGHT = 26


@dataclass(frozen=True)
class TableText:
    """Texts above the table of a mask.

    Attributes
    ----------
    heading : str
        Kind of mask, such as a model's result; the title of the section.
    title : str
        Name of the layer and its label convention.
    remark : str
        Open question about the labels; empty where there is none.
    options : tuple of str
        Names of the conventions that the user can choose; empty where the convention is known.
    is_result : bool
        Whether the numbers are a result or the user's own work, rather than those of a file.
    """

    heading: str
    title: str
    remark: str = ""
    options: tuple[str, ...] = ()
    is_result: bool = True


class ResultsSection(QWidget):
    """Table of the numbers of one mask, with buttons to step through its lesions, copy and save."""

    headed = Signal(str)
    """The kind of mask changed, for the title of the section."""
    convention_chosen = Signal(str)
    """The user chose a label convention for the mask: its name, or `FROM_FILE`."""

    copy_asked = Signal()
    save_table_asked = Signal()
    save_mask_asked = Signal()
    row_asked = Signal(str)
    """A row was clicked, to be seen: its name."""
    step_asked = Signal(str, int)
    """The next (1) or previous (-1) component of a row is to be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[LiveRow, ...] = ()
        self._colours: dict[int, str] = {}
        self._options: tuple[str, ...] = ()
        self.title = wrapping_label()
        self.remark = Note()
        self.meaning = ComboBox(choices=self._choices, tooltip="Label convention of this mask")
        self.parts_note = Note()
        self.intervals_note = Note()
        self.intervals_note.native.setToolTip(INTERVALS)
        self.table = _table()
        self.previous = _arrow(PREVIOUS_COMPONENT)
        self.next = _arrow(NEXT_COMPONENT)
        self.copy = PushButton(text="Copy", tooltip="The table, to be pasted into a spreadsheet")
        self.save = PushButton(text="Save table…", tooltip="As CSV or JSON")
        self.save_mask = PushButton(
            text="Save mask…",
            tooltip="As NIfTI, TIFF, HDF5 (or DICOM, of a DICOM scan), on its own grid",
        )
        self._lay_out()
        self._connect()
        self.clear()

    @property
    def chosen_row(self) -> str:
        """The name of the row that is selected, else of the first region; empty where there are none."""
        selected = self.table.currentRow()
        if 0 <= selected < len(self.rows):
            return self.rows[selected].name
        names = [row.name for row in self.rows]
        return "WT" if "WT" in names else names[0] if names else ""

    def clear(self, why: str = "No mask yet.") -> None:
        """Show no numbers, and why."""
        self.rows = ()
        self.headed.emit(_HEADING)
        self.title.value = why
        self.remark.value = self.parts_note.value = self.intervals_note.value = ""
        self.meaning.visible = False
        self.table.setRowCount(0)
        self.table.hide()
        self._buttons.setEnabled(False)

    def show_rows(self, text: TableText, rows: Sequence[LiveRow], colours: Mapping[int, str]) -> None:
        """Show the numbers of a mask, whose label numbers have these colours."""
        self._show_text(text)
        if [row.title for row in rows] != [row.title for row in self.rows] or colours != self._colours:
            self._set_up(rows, colours)
        self.rows, self._colours = tuple(rows), dict(colours)
        self.parts_note.value = _parts_note(rows)
        self.intervals_note.value = intervals_in_words(rows)
        for index, row in enumerate(rows):
            for column, cell in enumerate(cells(row)[1:], start=1):
                item = self.table.item(index, column)
                if item is not None and item.text() != cell:  # an item that is set is drawn anew
                    item.setText(cell)

    def _show_text(self, text: TableText) -> None:
        self.headed.emit(text.heading)
        self.title.value = text.title
        self.remark.value = text.remark
        self.table.setStyleSheet("" if text.is_result else _FROM_FILE_STYLE)
        if text.options != self._options:
            self._options = text.options
            with self.meaning.changed.blocked():
                self.meaning.reset_choices()
                self.meaning.value = ""
        self.meaning.visible = bool(text.options)

    def _choices(self, widget: Any) -> list[tuple[str, str]]:
        titles = [(_ANY_TITLE if n == "binary" else CONVENTIONS[n].title, n) for n in self._options]
        return [("Choose what the labels mean…", ""), *titles, (FROM_FILE, FROM_FILE)]

    def _on_meaning(self, name: str) -> None:
        if not name:
            return
        self.convention_chosen.emit(name)
        with self.meaning.changed.blocked():  # after a dialog was dismissed it can be chosen again
            self.meaning.value = ""

    def step(self, direction: int) -> None:
        """Ask for the next (1) or previous (-1) component of the selected row."""
        if self.rows:
            self.step_asked.emit(self.chosen_row, direction)

    def _lay_out(self) -> None:
        self._buttons = QWidget()
        row = QFlowLayout(self._buttons)  # two rows where letters are large or the panel is narrow
        row.setContentsMargins(0, 0, 0, 0)
        for button in (self.previous, self.next, self.copy, self.save, self.save_mask):
            row.addWidget(button.native)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(9, 0, 9, 0)
        parts = (self.title, self.remark, self.meaning)
        notes = (self.intervals_note.native, self.parts_note.native)
        for widget in (*(x.native for x in parts), self.table, *notes, self._buttons):
            layout.addWidget(widget)

    def _connect(self) -> None:
        self.previous.changed.connect(lambda: self.step(-1))
        self.next.changed.connect(lambda: self.step(1))
        self.copy.changed.connect(lambda: self.copy_asked.emit())
        self.save.changed.connect(lambda: self.save_table_asked.emit())
        self.save_mask.changed.connect(lambda: self.save_mask_asked.emit())
        self.table.cellClicked.connect(self._on_clicked)
        self.meaning.changed.connect(self._on_meaning)

    def _on_clicked(self, row: int, column: int) -> None:
        self.row_asked.emit(self.rows[row].name)

    def _set_up(self, rows: Sequence[LiveRow], colours: Mapping[int, str]) -> None:
        """Make the cells, with what does not change from edit to edit."""
        self.table.setRowCount(len(rows))
        for index, row in enumerate(rows):
            head = QTableWidgetItem(cells(row)[0])
            head.setIcon(_swatch([colours[value] for value in row.labels]))
            head.setToolTip(f"{row.title}, label {' + '.join(map(str, row.labels))}")
            self.table.setItem(index, 0, head)
            for column in range(1, len(COLUMNS)):
                item = QTableWidgetItem()
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                item.setToolTip(_TIPS[column])
                self.table.setItem(index, column, item)
        self._fit_height()
        self.table.show()
        self._buttons.setEnabled(True)

    def _fit_height(self) -> None:
        """Make the table as high as its rows, so that it needs no scroll bar of its own."""
        rows = self.table.rowCount() * self.table.verticalHeader().defaultSectionSize()
        self.table.setFixedHeight(rows + self.table.horizontalHeader().sizeHint().height() + 6)


def cells(row: LiveRow) -> tuple[str, ...]:
    """Return the texts of a row."""
    name = row.title if row.name == row.title else f"{row.name} {row.title}"
    volume = _DASH if row.volume_ml is None else millilitres(row.volume_ml)
    parts = _COUNTING if row.components is None else str(row.components)
    return name, volume, str(row.voxels), parts, _change(row)


def _parts_note(rows: Sequence[LiveRow]) -> str:
    """Return the reason for large numbers of parts; empty where there are none."""
    many = [row.name for row in rows if (row.components or 0) >= _MANY_PARTS]
    return f"Parts of {', '.join(many)}: {COMPONENTS}." if many else ""


def _change(row: LiveRow) -> str:
    if not row.more_voxels:
        return "0"
    size = str(abs(row.more_voxels)) if row.more_ml is None else millilitres(abs(row.more_ml))
    return f"{'+' if row.more_voxels > 0 else '−'}{size}"


def _arrow(command: Command) -> PushButton:
    button = PushButton(text=command.label, tooltip=f"{command.tip} (key: {command.shown_key})")
    button.native.setFixedWidth(30)
    return button


def _table() -> QTableWidget:
    table = QTableWidget(0, len(COLUMNS))
    for column, (name, tip) in enumerate(zip(COLUMNS, _TIPS, strict=True)):
        item = QTableWidgetItem(name)
        item.setToolTip(tip)
        table.setHorizontalHeaderItem(column, item)
    table.verticalHeader().hide()
    table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
    table.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
    table.setWordWrap(False)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    header = table.horizontalHeader()
    header.setMinimumSectionSize(36)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for column in range(1, len(COLUMNS)):
        header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
    return table


def _swatch(colours: list[str], size: int = 14) -> QIcon:
    """Return a square with a stripe of each colour: a region shows the labels it is made of."""
    picture = QPixmap(size, size)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    for index, colour in enumerate(colours):
        left, right = index * size // len(colours), (index + 1) * size // len(colours)
        painter.fillRect(left, 0, right - left, size, QColor(colour))
    painter.end()
    return QIcon(picture)
