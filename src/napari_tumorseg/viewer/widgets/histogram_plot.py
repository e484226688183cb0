"""Plot of intensity distributions, one below the other, drawn with Qt alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_tumorseg.measurement.intensity import Distribution

_ROW, _FOOT, _NAMES, _EDGE = 34, 34, 58, 6
_REST = "#9aa0a6"


class HistogramPlot(QWidget):
    """A row for each region: its histogram, a bar from quartile to quartile, a mark at the median.

    Each histogram is scaled by itself, so that small regions can be compared with large ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[Distribution, ...] = ()
        self._colours: Mapping[str, str] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_rows(self, rows: Sequence[Distribution], colours: Mapping[str, str]) -> None:
        """Show the distributions of one channel; `colours` is by the name of a region."""
        self._rows, self._colours = tuple(row for row in rows if row.counts), colours
        self.setFixedHeight(self.sizeHint().height())
        self.setToolTip("\n".join(_summary(row) for row in self._rows))
        self.setVisible(bool(self._rows))
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size of all rows and the axis."""
        return QSize(300, len(self._rows) * _ROW + _FOOT)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draw the rows and the axis below them."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for index, row in enumerate(self._rows):
            self._draw_row(painter, row, (index + 1) * _ROW - 4)
        if self._rows:
            self._draw_axis(painter, self._rows[0])
        painter.end()

    def _draw_row(self, painter: QPainter, row: Distribution, base: float) -> None:
        colour = QColor(self._colours.get(row.name, _REST))
        painter.setPen(self.palette().windowText().color())
        names = QRectF(0, base - _ROW + 8, _NAMES - 6, _ROW - 4)
        painter.drawText(names, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), row.name)
        fill = QColor(colour)
        fill.setAlpha(140)
        painter.setPen(QPen(colour, 1))
        painter.setBrush(fill)
        painter.drawPolygon(self._outline(row, base))
        self._draw_quartiles(painter, row, base)

    def _outline(self, row: Distribution, base: float) -> QPolygonF:
        highest = max(row.counts) or 1
        points = [QPointF(self._x(row, row.edges[0]), base)]
        for count, left, right in zip(row.counts, row.edges, row.edges[1:], strict=False):
            top = base - (_ROW - 12) * count / highest
            points += [QPointF(self._x(row, left), top), QPointF(self._x(row, right), top)]
        return QPolygonF([*points, QPointF(self._x(row, row.edges[-1]), base)])

    def _draw_quartiles(self, painter: QPainter, row: Distribution, base: float) -> None:
        if row.median is None or row.q1 is None or row.q3 is None:
            return
        ink = self.palette().windowText().color()
        painter.setPen(QPen(ink, 2))
        painter.drawLine(QPointF(self._x(row, row.q1), base + 1), QPointF(self._x(row, row.q3), base + 1))
        middle = self._x(row, row.median)
        painter.drawLine(QPointF(middle, base - 5), QPointF(middle, base + 2))

    def _draw_axis(self, painter: QPainter, row: Distribution) -> None:
        base = len(self._rows) * _ROW + 2
        painter.setPen(self.palette().windowText().color())
        left, right = self._x(row, row.edges[0]), self._x(row, row.edges[-1])
        painter.drawLine(QPointF(left, base), QPointF(right, base))
        box = QRectF(left, base + 2, right - left, _FOOT - 4)
        flags = Qt.AlignmentFlag
        painter.drawText(box, int(flags.AlignLeft | flags.AlignTop), f"{row.edges[0]:.4g}")
        painter.drawText(box, int(flags.AlignHCenter | flags.AlignTop), "intensity")
        painter.drawText(box, int(flags.AlignRight | flags.AlignTop), f"{row.edges[-1]:.4g}")

    def _x(self, row: Distribution, value: float) -> float:
        low, high = row.edges[0], row.edges[-1]
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        return _NAMES + share * (self.width() - _NAMES - _EDGE)


def _summary(row: Distribution) -> str:
    if row.median is None:
        return f"{row.name}: nothing"
    return (
        f"{row.name}: median {row.median:.4g}, quartiles {row.q1:.4g} to {row.q3:.4g} ({row.voxels} voxels)"
    )
