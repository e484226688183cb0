"""Panel section: what was found, as a table that follows corrections."""

from __future__ import annotations

from magicgui.widgets import Container, PushButton
from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QGuiApplication, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_tumorseg.measure import Measurements, RegionStats
from napari_tumorseg.regions import Scheme, get_scheme
from napari_tumorseg.report.tables import millilitres
from napari_tumorseg.viewer.section import wrapping_label

COLUMNS = ("Region", "mL", "Voxels", "Components")
_TIPS = (
    "",
    "Volume; a dash where the voxel size is unknown",
    "",
    "26-connected: pieces that touch, if only at a corner, are one",
)
_MORE_COLUMNS = ("First slice", "Last slice", "Longest diameter (mm)")
"""What the panel is too narrow for, but a spreadsheet is not."""
NOTICE = "Research use only. Not for diagnosis."
_DASH = "—"
_ROW_HEIGHT = 26


class ResultsSection(QWidget):
    """The numbers of one mask, and buttons to take them along."""

    copy_asked = Signal()
    save_table_asked = Signal()
    save_mask_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.measured: Measurements | None = None
        self._name = ""
        self.title = wrapping_label()
        self.table = _table()
        self.copy = PushButton(text="Copy", tooltip="The table, to be pasted into a spreadsheet")
        self.save = PushButton(text="Save table…", tooltip="As CSV or JSON")
        self.save_mask = PushButton(
            text="Save mask…", tooltip="As NIfTI, TIFF or HDF5, on the scan's own grid"
        )
        buttons = Container(widgets=[self.copy, self.save, self.save_mask], layout="horizontal", labels=False)
        buttons.margins = (0, 0, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(9, 0, 9, 0)
        for widget in (self.title.native, self.table, buttons.native):
            layout.addWidget(widget)
        self._buttons = buttons
        self.copy.changed.connect(self.copy_table)
        self.save.changed.connect(lambda: self.save_table_asked.emit())
        self.save_mask.changed.connect(lambda: self.save_mask_asked.emit())
        self.clear()

    def clear(self, why: str = "No mask yet.") -> None:
        """Show no numbers, and why."""
        self.measured = None
        self.title.value = why
        self.table.setRowCount(0)
        self.table.hide()
        self._buttons.enabled = False

    def show_measured(self, name: str, measured: Measurements) -> None:
        """Show the numbers of the layer of this name."""
        self.measured, self._name = measured, name
        scheme = get_scheme(measured.scheme)
        self.title.value = f"{name} ({scheme.title})"
        self.table.setRowCount(len(measured.rows))
        for index, row in enumerate(measured.rows):
            self._fill(index, row, scheme)
        self._fit_height()
        self.table.show()
        self._buttons.enabled = True

    def as_text(self) -> str:
        """Return the table for a spreadsheet, tab-separated, with what it is about and the notice."""
        if self.measured is None:
            return ""
        title = f"{self._name} ({get_scheme(self.measured.scheme).title})"
        rows = [
            ("Mask: " + " ".join(title.split()),),  # never begins like a formula
            (*COLUMNS, *_MORE_COLUMNS),
            *((*_cells(row), *_more_cells(row)) for row in self.measured.rows),
            (NOTICE,),
        ]
        return "\n".join("\t".join(row) for row in rows) + "\n"

    def copy_table(self) -> None:
        """Put the table on the clipboard."""
        QGuiApplication.clipboard().setText(self.as_text())

    def _fill(self, index: int, row: RegionStats, scheme: Scheme) -> None:
        for column, text in enumerate(_cells(row)):
            item = QTableWidgetItem(text)
            if column == 0:
                item.setIcon(_swatch([scheme.label(value).colour for value in row.labels]))
                item.setToolTip(f"{row.title}, label {' + '.join(map(str, row.labels))}")
            else:
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.table.setItem(index, column, item)

    def _fit_height(self) -> None:
        """Make the table as high as its rows, so that it needs no scroll bar of its own."""
        rows = self.table.rowCount() * self.table.verticalHeader().defaultSectionSize()
        self.table.setFixedHeight(rows + self.table.horizontalHeader().sizeHint().height() + 6)


def _cells(row: RegionStats) -> tuple[str, ...]:
    name = row.title if row.name == row.title else f"{row.name} {row.title}"
    volume = _DASH if row.volume_ml is None else millilitres(row.volume_ml)
    return name, volume, str(row.voxels), str(row.components)


def _more_cells(row: RegionStats) -> tuple[str, ...]:
    first, last = map(str, row.slices) if row.slices else (_DASH, _DASH)
    longest = _DASH if row.longest_diameter_mm is None else f"{row.longest_diameter_mm:.1f}"
    return first, last, longest


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
    table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    header = table.horizontalHeader()
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
