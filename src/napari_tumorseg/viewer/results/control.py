"""Control of the results section: live numbers, navigation to lesions, copying and saving."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Labels as LabelsLayer
from psygnal import Signal
from qtpy.QtCore import QObject
from qtpy.QtGui import QGuiApplication

from napari_tumorseg.conventions import get_convention
from napari_tumorseg.measurement import Measurements, RegionStats
from napari_tumorseg.notice import RESEARCH_USE
from napari_tumorseg.report import summary
from napari_tumorseg.report.text import in_interval, millilitres
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.layers.colours import colour_in, shown_colour
from napari_tumorseg.viewer.layers.edits import edits_of
from napari_tumorseg.viewer.layers.inputs import folder_of
from napari_tumorseg.viewer.layers.origin import is_result, origin_of
from napari_tumorseg.viewer.results.live_table import LiveRow, LiveTable
from napari_tumorseg.viewer.results.measuring import Measuring
from napari_tumorseg.viewer.results.section import ResultsSection, TableText
from napari_tumorseg.viewer.state import saving
from napari_tumorseg.viewer.state.active_mask import ActiveMask
from napari_tumorseg.viewer.state.conventions import FROM_FILE as OWN_CONVENTION
from napari_tumorseg.viewer.state.conventions import convention_from_file, in_convention_of_case, options_for
from napari_tumorseg.viewer.state.navigation import Navigator
from napari_tumorseg.viewer.state.placing import settle_place
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask
from napari_tumorseg.viewer.widgets.reporting import reports_errors

if TYPE_CHECKING:
    from napari import Viewer

HEADS = ("Region", "mL", "Voxels", "Components", "First slice", "Last slice", "Longest diameter (mm)")
"""Columns of the copied table: more than the panel has room for. Intervals follow where there are any."""
_DASH = "—"
_CLEAR = "#000000"
FROM_FILE = "Mask from file: no result of a run yet"


class ResultsControl(QObject):
    """Ties the results section to the active mask.

    Parameters
    ----------
    viewer : Viewer
        Which is turned to lesions.
    active_mask : ActiveMask
        Whose numbers are shown.
    section : ResultsSection
        Where they are shown.
    """

    reported = Signal(str)
    """A status message."""
    failed = Signal(str)
    """An error message."""

    def __init__(self, viewer: Viewer, active_mask: ActiveMask, section: ResultsSection) -> None:
        super().__init__()
        self._active_mask, self._section, self._layers = active_mask, section, viewer.layers
        self.table = LiveTable(active_mask)
        self.measuring = Measuring(active_mask)
        self.navigator = Navigator(viewer, active_mask)
        self.table.shown.connect(self._on_shown)
        self.table.emptied.connect(section.clear)
        self.measuring.failed.connect(self.failed)
        self.navigator.reported.connect(self.reported)
        section.copy_asked.connect(self.copy_table)
        section.save_table_asked.connect(self.save_table)
        section.save_mask_asked.connect(self.save_mask)
        section.row_asked.connect(self.show_row)
        section.step_asked.connect(self.step)
        section.convention_chosen.connect(self._name_labels)
        active_mask.placed.connect(self._on_grid)
        active_mask.named.connect(self._on_grid)

    def refresh(self) -> None:
        """Measure and show the numbers again: the voxel size or the convention changed."""
        self.measuring.invalidate()
        self.table.refresh()

    def detach(self) -> None:
        """Cancel all measurements."""
        self.table.cancel()
        self.measuring.cancel()

    @reports_errors
    def show_row(self, name: str) -> None:
        """Turn the viewer to the largest slice of a row."""
        self.navigator.show_row(name)

    @reports_errors
    def step(self, name: str, direction: int) -> None:
        """Centre the viewer on the next (1) or previous (-1) component of a row."""
        self.navigator.step(name, direction)

    @reports_errors
    def copy_table(self) -> None:
        """Put the whole table on the clipboard once it is measured."""
        layer = self._active_mask.layer
        if layer is not None:
            name = layer.name
            self.measuring.ask(lambda measured, _: self._copy(name, measured))

    @reports_errors
    def save_table(self, path: Path | None = None) -> None:
        """Save the numbers, to a file that is asked for if none is named."""
        layer = self._active_mask.layer
        if layer is None or not self.table.rows:
            return
        path = path or self._ask_where("Save table", layer, ".csv", saving.TABLE_FORMATS)
        if path is not None:
            where = saving.checked_table(path)
            self.measuring.ask(lambda measured, seg: self._save_table(where, measured, seg))

    @reports_errors
    def save_mask(self, path: Path | None = None, layer: LabelsLayer | None = None) -> None:
        """Save a mask (the active one) to a file, which is asked for if none is named."""
        if layer is not None:
            self._active_mask.activate(layer)
        layer = self._active_mask.layer
        if layer is None:
            return
        where = path or self._ask_where("Save mask", layer, ".nii.gz", saving.MASK_FORMATS)
        if where is None:
            return
        self._active_mask.sync()
        warning = settle_place(layer, self._layers)
        seg = self._active_mask.segmentation()
        if path is None:  # somebody is there to be asked
            seg = in_convention_of_case(seg, self._active_mask.beside())
        written = saving.save_mask(seg, where)
        edits = edits_of(layer)
        if edits is not None:
            edits.note_saved()
        names = " and ".join(str(p) for p in written)
        self.reported.emit(f"Saved {names} with the labels of {seg.convention.title}. {warning}".strip())

    @reports_errors
    def show_largest_slice(self) -> None:
        """Turn the viewer to the slice with most tumour."""
        names = [row.name for row in self.table.rows]
        if names:
            self.navigator.show_row("WT" if "WT" in names else names[0])

    @reports_errors
    def report_result(self) -> None:
        """Report the numbers of the result once they are measured, and results of earlier runs."""
        if self._active_mask.layer is not None:  # else it was removed at once, or the window is closing
            self.measuring.ask(lambda measured, _: self.reported.emit(in_words(measured) + self._earlier()))

    def _earlier(self) -> str:
        """Return what to do with other results of the same scan that lie over this one."""
        names = [layer.name for layer in self._active_mask.beside() if layer.visible and is_result(layer)]
        if not names:
            return ""
        are = "are" if len(names) > 1 else "is"
        return (
            f" {' and '.join(names)} {are} there, too: hide or remove what you do not need in the layer "
            "list, or compare them on the page Compare."
        )

    def _copy(self, name: str, measured: Measurements) -> None:
        QGuiApplication.clipboard().setText(as_text(name, measured))
        self.reported.emit("Copied the table.")

    @reports_errors
    def _save_table(self, path: Path, measured: Measurements, seg: Segmentation) -> None:
        self.reported.emit(f"Saved {saving.save_table(measured, path, seg)}")

    @reports_errors
    def _name_labels(self, name: str) -> None:
        self._active_mask.name_labels(convention_from_file() if name == OWN_CONVENTION else name)

    def _on_grid(self, layer: object) -> None:
        self.refresh()

    def _on_shown(self, mask: TrackedMask, rows: Sequence[LiveRow]) -> None:
        labels = {label.value: label for label in mask.convention.labels} if mask.convention else {}
        colours = {
            v: shown_colour(mask.layer, labels[v]) if v in labels else colour_in(mask.layer, v) or _CLEAR
            for row in rows
            for v in row.labels
        }
        self._section.show_rows(text_of(mask), rows, colours)

    def _ask_where(self, title: str, layer: LabelsLayer, ending: str, formats: str) -> Path | None:
        origin, group = origin_of(layer), self._active_mask.group()
        folder = saving.start_folder(folder_of(group) if group else None)
        name = saving.suggested_name(origin.case if origin else layer.name, ending)
        return saving.ask_where(self._section, title, folder / name, formats)


def text_of(mask: TrackedMask) -> TableText:
    """Return the texts above the table of a mask."""
    title = mask.convention.title if mask.convention else "meaning of the labels not known"
    options = options_for(sorted(mask.counts.by_label)) if mask.remark else ()
    heading = heading_of(mask)
    return TableText(
        heading, f"{mask.layer.name} ({title})", mask.remark, tuple(options), heading != FROM_FILE
    )


def heading_of(mask: TrackedMask) -> str:
    """Return the kind of a mask: a model's result, corrected or not, a mask from a file, or a drawn one."""
    origin, is_edited = origin_of(mask.layer), mask.edits.edit_counts.total > 0
    if is_result(mask.layer):
        return "Results, corrected" if is_edited else "Results"
    if origin is not None and origin.source is not None:
        return "Mask from file, corrected" if is_edited else FROM_FILE
    return "Drawn mask"


def as_text(name: str, measured: Measurements) -> str:
    """Return a table for a spreadsheet, tab-separated, with what it is about and the notice."""
    title = f"{name} ({get_convention(measured.convention).title})"
    intervals = any(row.interval for row in measured.rows)
    rows = [
        ("Mask: " + " ".join(title.split()),),  # never begins like a formula
        (*HEADS, "Interval") if intervals else HEADS,
        *((*_cells(row), *([_interval(row)] if intervals else [])) for row in measured.rows),
        (RESEARCH_USE,),
    ]
    return "\n".join("\t".join(row) for row in rows) + "\n"


def in_words(measured: Measurements) -> str:
    """Return what was found and in which slices, counted as the viewer's slider counts them."""
    text = summary(measured)
    slices = [row.slices for row in measured.rows if row.kind == "region" and row.slices]
    where = f"; slices {slices[0][0]} to {slices[0][1]}" if slices else ""
    return f"{text[0].upper()}{text[1:]}{where}."


def _cells(row: RegionStats) -> tuple[str, ...]:
    name = row.title if row.name == row.title else f"{row.name} {row.title}"
    volume = _DASH if row.volume_ml is None else millilitres(row.volume_ml)
    first, last = map(str, row.slices) if row.slices else (_DASH, _DASH)
    longest = _DASH if row.longest_diameter_mm is None else f"{row.longest_diameter_mm:.1f}"
    return name, volume, str(row.voxels), str(row.components), first, last, longest


def _interval(row: RegionStats) -> str:
    return _DASH if row.interval is None else in_interval(row.interval)
