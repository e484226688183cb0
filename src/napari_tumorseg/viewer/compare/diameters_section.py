"""Panel section for the diameters of lesions, their side and their distance from the midline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_tumorseg.errors import InputError
from napari_tumorseg.measurement.laterality import Laterality, laterality
from napari_tumorseg.measurement.lesion_diameters import LesionDiameters
from napari_tumorseg.measurement.midline import Midline, find_midline
from napari_tumorseg.measurement.rano import Rano, rano, warn_of_angle
from napari_tumorseg.measurement.rano_outline import OUTLINES
from napari_tumorseg.measurement.volumes import Measurements, measure
from napari_tumorseg.report.text import capital
from napari_tumorseg.scan import Scan, Segmentation
from napari_tumorseg.viewer.compare.diameters_layer import MOST_LESIONS, DiametersLayer
from napari_tumorseg.viewer.compare.midline_layer import hide_midline, show_midline
from napari_tumorseg.viewer.layers.showing import turn_to
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.numbers_table import NumbersTable, number
from napari_tumorseg.viewer.widgets.section import Note

_STALE = "The mask has changed since; measure again. That discards lines that you moved."
_SQUARE = "mm\N{SUPERSCRIPT TWO}"
_HEADS = ("slice", "longest\nmm", "across\nmm", f"product\n{_SQUARE}", "meas.")


@dataclass(frozen=True, eq=False)
class LesionMeasurements:
    """Measurements of one mask.

    Attributes
    ----------
    seg : Segmentation
        Copy of the mask.
    rano : Rano
        Diameters on axial slices.
    measurements : Measurements
        Measurements with the longest diameter in 3-D.
    midline : Midline or None
        Mid-sagittal plane; None without a scan.
    sides : tuple of Laterality
        Sides of the regions; empty without a plane.
    """

    seg: Segmentation
    rano: Rano
    measurements: Measurements
    midline: Midline | None
    sides: tuple[Laterality, ...]


def find(seg: Segmentation, scan: Scan | None, outline: str = "enhancing-only") -> LesionMeasurements:
    """Measure diameters and sides of a mask; it takes seconds, so run it in a thread."""
    plane = find_midline(scan) if scan is not None and scan.grid.same_space(seg.grid) else None
    sides = laterality(seg, plane) if plane is not None and plane.unit == seg.grid.unit else ()
    return LesionMeasurements(seg, rano(seg, outline=outline), measure(seg), plane, tuple(sides))


class DiametersSection(QWidget):
    """Diameters as movable lines and in a table, sides in words."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._work = Background(self)
        self.found: LesionMeasurements | None = None
        self.lines = DiametersLayer(context.viewer)
        self.measure = QPushButton("Measure diameters")
        self.outline = _outlines()
        self.move_ends = QPushButton("Move ends")
        self.move_ends.setToolTip("Drag the ends of the lines; the table follows")
        self.plane = QCheckBox("Show midline")
        self.copy = QPushButton("Copy")
        self.note = Note()
        self.table = NumbersTable(selects=True)
        self.more = Note()
        self.sides = Note()
        row = QHBoxLayout()
        for widget in (self.measure, self.move_ends, self.copy):
            row.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 0, 9, 4)
        column.addWidget(self.outline)
        column.addLayout(row)
        for part in (self.note.native, self.table, self.more.native, self.sides.native, self.plane):
            column.addWidget(part)
        self._connect()
        self.clear()

    def detach(self) -> None:
        """Cancel background work and remove the lines."""
        self._work.cancel()
        self.lines.hide_lines()

    def clear(self) -> None:
        """Remove the results, for another mask."""
        self._work.cancel()
        self.found = None
        self.lines.hide_lines()
        self.plane.setChecked(False)
        self.plane.hide()
        self.move_ends.setEnabled(False)
        self.copy.setEnabled(False)
        self.table.hide()
        self.note.value = self.more.value = self.sides.value = ""

    def on_changed(self) -> None:
        """Note that the results are out of date."""
        if self.found is not None:
            self.note.value = _STALE

    @property
    def fresh(self) -> LesionMeasurements | None:
        """Measurements, unless the active mask or its grid changed since."""
        found = self.found
        is_still = found is not None and self._context.is_still(found.seg, self._context.active_mask.layer)
        return found if is_still else None

    def chosen_outline(self) -> str:
        """Return the name of the outline that is chosen."""
        return str(self.outline.currentData())

    def run(self) -> None:
        """Measure the active mask in the background."""
        seg, scan = self._context.mask(), self._context.active_mask.scan()
        outline = self.chosen_outline()
        self.note.value = "Measuring…"
        self._work.start(lambda: find(seg, scan, outline), self._on_found, self._on_failed)

    # ---- what happens

    def _connect(self) -> None:
        safely = self._context.safely
        self.measure.clicked.connect(safely(self.run))
        self.outline.activated.connect(safely(self._on_outline))
        self.move_ends.clicked.connect(safely(self.lines.edit))
        self.copy.clicked.connect(self.table.copy)
        self.plane.toggled.connect(safely(self._show_plane))
        self.table.itemSelectionChanged.connect(self._go_to_lesion)
        self.lines.edited.connect(self._on_edited)
        self.lines.refused.connect(self._context.report_error)

    def _on_outline(self) -> None:
        """Measure again with another outline; lines that were moved are lost."""
        if self.found is not None:
            self.run()

    def _on_found(self, found: LesionMeasurements) -> None:
        self.found = found
        layer = self._context.active_mask.layer
        name = layer.name if layer is not None else found.seg.name
        self.lines.show_lines(found.rano, found.seg.grid, f"diameters of {name}")
        self._update_note()
        self.move_ends.setEnabled(bool(found.rano.lesions))
        self.copy.setEnabled(bool(found.rano.lesions))
        self._show_numbers(found)
        self._show_sides(found)
        if found.rano.lesions:
            turn_to(self._context.viewer.dims, found.seg.grid, found.rano.lesions[0].slice_index)

    def _on_edited(self, edited: Rano) -> None:
        if self.found is None:
            return
        old = self.found
        self.found = LesionMeasurements(old.seg, edited, old.measurements, old.midline, old.sides)
        self._show_numbers(self.found)

    def _on_failed(self, message: str) -> None:
        self._update_note()
        self._context.report_error(message)

    def _update_note(self) -> None:
        """Show whether the results are out of date: the mask may have been edited meanwhile."""
        self.note.value = _STALE if self.found is not None and self.fresh is None else ""

    def _show_numbers(self, found: LesionMeasurements) -> None:
        lesions = found.rano.lesions
        heads = (f"{found.rano.region} lesion", *_HEADS)
        self.table.blockSignals(True)
        self.table.show_rows(heads, (_lesion_row(x) for x in lesions), (_why(x) for x in lesions))
        self.table.blockSignals(False)
        self.more.value = "\n".join(_sentences(found))

    def _show_sides(self, found: LesionMeasurements) -> None:
        lines = [f"{row.words}." for row in found.sides if row.name in found.seg.convention.regions]
        if found.midline is None:
            lines = ["The side is unknown without the images of this mask."]
        else:
            lines += [f"{note[0].upper()}{note[1:]}." for note in found.midline.notes]
        self.sides.value = "\n".join(lines)
        self.plane.setVisible(found.midline is not None)

    def _show_plane(self) -> None:
        viewer = self._context.viewer
        if not self.plane.isChecked():
            hide_midline(viewer)
        elif self.found is None or self.found.midline is None:
            raise InputError("Measure first.")
        else:
            show_midline(viewer, self.found.midline, self.found.seg.grid)

    def _go_to_lesion(self) -> None:
        row = self.table.currentRow()
        if self.found is not None and 0 <= row < len(self.found.rano.lesions):
            lesion = self.found.rano.lesions[row]
            turn_to(self._context.viewer.dims, self.found.seg.grid, lesion.slice_index)


def _outlines() -> QComboBox:
    chooser = QComboBox()
    # as wide as the panel, not as its longest text
    chooser.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    chooser.setMinimumContentsLength(12)
    chooser.setToolTip("Outline of enhancing lesions: lines stay inside it, and never cross a cavity")
    for name, title in OUTLINES.items():
        chooser.addItem(capital(title), name)
    return chooser


def _lesion_row(lesion: LesionDiameters) -> list[str]:
    name = f"{lesion.number}{' (moved)' if lesion.edited else ''}"
    lengths = number(lesion.longest.length_mm), number(lesion.perpendicular.length_mm)
    verdict = {True: "yes", False: "no", None: "—"}[lesion.measurable]
    return [name, str(lesion.slice_index), *lengths, number(lesion.product_mm2, 0), verdict]


def _why(lesion: LesionDiameters) -> str:
    return lesion.reason or "Both diameters reach 10 mm, on slices no thicker than 5 mm"


def _sentences(found: LesionMeasurements) -> Iterator[str]:
    diameters = found.rano
    if diameters.sum_of_products_mm2 is not None and diameters.lesions:
        total = f"{diameters.sum_of_products_mm2:.0f} {_SQUARE}"
        yield f"Sum of products of measurable lesions: {total}."
    if diameters.outline and diameters.lesions:
        yield f"Outline: {OUTLINES[diameters.outline]}."
    largest = diameters.lesions[:1]
    yield from (f"Lesion {x.number} is not measurable: {x.reason}." for x in largest if x.reason)
    yield from (f"Note: {text}." for text in map(warn_of_angle, diameters.lesions) if text)
    longest = [row for row in found.measurements.rows if row.kind == "region" and row.longest_diameter_mm]
    if longest:
        lengths = ", ".join(f"{row.name} {row.longest_diameter_mm:.1f} mm" for row in longest)
        yield f"Longest 3-D diameter: {lengths}."
    if len(diameters.lesions) > MOST_LESIONS:
        yield f"Lines are drawn for the {MOST_LESIONS} largest of {len(diameters.lesions)} lesions."
    yield from (f"{note[0].upper()}{note[1:]}." for note in diameters.notes)
