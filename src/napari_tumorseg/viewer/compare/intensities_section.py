"""Panel section for the intensities of each region in each channel."""

from __future__ import annotations

from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_tumorseg.measurement.intensity import Distribution, intensities
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.layers.colours import colour_of
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.histogram_plot import HistogramPlot
from napari_tumorseg.viewer.widgets.numbers_table import NumbersTable
from napari_tumorseg.viewer.widgets.section import Note

_LEGEND = (
    "Each histogram is scaled by itself. The bar spans the quartiles, the mark is the median; "
    "rest stands for tissue without a label."
)
_STALE = "The mask has changed since; measure again."
_REGION_COLOURS = {"WT": "#E69F00", "TC": "#CC79A7"}


class IntensitiesSection(QWidget):
    """Histograms and quantiles of one channel at a time."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._work = Background(self)
        self.found: tuple[Distribution, ...] = ()
        self._seg: Segmentation | None = None
        self._colours: dict[str, str] = {}
        self.channel = QComboBox()
        self.channel.setMinimumContentsLength(8)
        self.channel.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.channel.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.measure = QPushButton("Measure intensities")
        self.copy = QPushButton("Copy")
        self.note = Note()
        self.plot = HistogramPlot()
        self.table = NumbersTable()
        row = QHBoxLayout()
        row.addWidget(self.measure)
        row.addWidget(self.copy)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 0, 9, 4)
        column.addLayout(row)
        column.addWidget(self.channel)  # names of channels are long
        for widget in (self.note.native, self.plot, self.table):
            column.addWidget(widget)
        self.measure.clicked.connect(context.safely(self.run))
        self.copy.clicked.connect(self.table.copy)
        self.channel.currentIndexChanged.connect(self._show)
        self.clear()

    def detach(self) -> None:
        """Cancel background work."""
        self._work.cancel()

    def clear(self) -> None:
        """Remove the results, for another mask."""
        self._work.cancel()
        self.found, self._seg = (), None
        self.note.value = ""
        self.channel.clear()
        self.channel.hide()
        self.copy.hide()
        self.plot.hide()
        self.table.hide()

    def on_changed(self) -> None:
        """Note that the results are out of date."""
        if self.found:
            self.note.value = _STALE

    def run(self) -> None:
        """Measure all channels, in the background."""
        seg, scan = self._context.mask(), self._context.scan()
        self.note.value = "Measuring…"
        self._work.start(
            lambda: intensities(scan, seg), lambda found: self._on_found(seg, found), self._on_failed
        )

    def _on_found(self, seg: Segmentation, found: tuple[Distribution, ...]) -> None:
        self.found, self._seg = found, seg
        self._colours = _REGION_COLOURS | {label.short: colour_of(label) for label in seg.convention.labels}
        self._update_note()
        names = list(dict.fromkeys(each.channel for each in found))
        before = self.channel.currentText()
        self.channel.blockSignals(True)
        self.channel.clear()
        self.channel.addItems(names)
        self.channel.setCurrentText(before if before in names else names[0] if names else "")
        self.channel.blockSignals(False)
        self.channel.setVisible(bool(names))
        self.copy.setVisible(bool(names))
        self._show()

    def _show(self, index: int = 0) -> None:
        rows = [row for row in self.found if row.channel == self.channel.currentText()]
        self.plot.show_rows(rows, self._colours)
        cells = [[row.name, *map(_short, (row.p1, row.q1, row.median, row.q3, row.p99))] for row in rows]
        self.table.show_rows(("", "1 %", "25 %", "median", "75 %", "99 %"), cells)

    def _on_failed(self, message: str) -> None:
        self._update_note()
        self._context.report_error(message)

    def _update_note(self) -> None:
        """Show the legend, or that the results are out of date: the mask may have been edited meanwhile."""
        if self._seg is None:
            self.note.value = ""
        else:
            is_fresh = self._context.is_still(self._seg, self._context.active_mask.layer)
            self.note.value = _LEGEND if is_fresh else _STALE


def _short(value: float | None) -> str:
    return "—" if value is None else f"{value:.4g}"
