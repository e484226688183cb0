"""Panel section to run the model again on a slice or in a box."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from magicgui.widgets import CheckBox, ComboBox
from psygnal import Signal
from qtpy.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_tumorseg.edit import Change
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.inference.settings import Progress
from napari_tumorseg.inference.slice_plane import PLANES, plane_for
from napari_tumorseg.inference.stored_probabilities import StoredProbabilities
from napari_tumorseg.viewer.correct.boxes import Box, box_around, drawn_box, start_drawing
from napari_tumorseg.viewer.correct.rerun import Rerun, Target
from napari_tumorseg.viewer.correct.tools import RERUN_BOX, RERUN_SLICE
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.layers.origin import PROBABILITIES_KEY
from napari_tumorseg.viewer.state.active_mask import NO_MASK
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.state.job import Job, progress_text
from napari_tumorseg.viewer.state.navigation import sliced_axis
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask
from napari_tumorseg.viewer.widgets.commands import command_button
from napari_tumorseg.viewer.widgets.spin_boxes import DecimalSpinBox, WholeSpinBox

DRAWN = "the rectangle drawn"
COMPONENT = "the component pointed at"


class RerunSection(QWidget):
    """Replaces the mask by a new result of the model on the current slice or in a box.

    Parameters
    ----------
    context : PanelContext
        Viewer and active mask.
    job : callable
        Returns the run that the page Segment is set to.
    grid : callable
        Returns the grid of the active mask.
    protected : callable
        Returns the labels that do not change.
    write : callable
        Writes a change to a mask, under a title.
    """

    wants_click = Signal(object)
    """The function to call with the voxel of the next click."""
    reported = Signal(str)
    """Status message."""

    def __init__(
        self,
        context: PanelContext,
        job: Callable[[], Job],
        grid: Callable[[], Grid],
        protected: Callable[[], frozenset[int]],
        write: Callable[[Change | None, str, TrackedMask], None],
    ) -> None:
        super().__init__()
        self._context, self._job, self._grid = context, job, grid
        self._protected, self._write = protected, write
        self.rerun = Rerun()
        self.slice = command_button(RERUN_SLICE)
        self.box = command_button(RERUN_BOX)
        self.draw = QPushButton("Draw a box")
        self.draw.setToolTip("Draw a rectangle on the slice, then press In a box")
        self.cancel = QPushButton("Cancel")
        self.what = ComboBox(choices=[DRAWN, COMPONENT], tooltip="Box in which the model runs")
        self.slices = WholeSpinBox(
            value=2, min=0, max=500, tooltip="Number of slices on each side of the rectangle's own"
        )
        self.margin = DecimalSpinBox(
            value=10, min=0, max=100, step=5, tooltip="Margin around the component, in mm"
        )
        self.keep = CheckBox(
            text="Keep my corrections there, too",
            tooltip="Voxels that differ from the earlier result of the model do not change",
        )
        self.progress = QProgressBar()
        self._lay_out()
        self._connect()
        self._show_fields()
        self._show_running(False)

    def _connect(self) -> None:
        context = self._context
        self.slice.clicked.connect(context.safely(self.run_slice))
        self.box.clicked.connect(context.safely(self.ask_box))
        self.draw.clicked.connect(context.safely(self.start_box))
        self.cancel.clicked.connect(self.cancel_run)
        self.what.changed.connect(self._show_fields)
        self.rerun.progressed.connect(self._on_step)
        self.rerun.succeeded.connect(self._on_success)
        self.rerun.failed.connect(context.report_error)
        self.rerun.ended.connect(lambda: self._show_running(False))

    def run_slice(self) -> None:
        """Run the model on the current slice, which must lie in the plane of the model."""
        job = self._job()
        mask = self._mask()
        plane = plane_for(job.model.card.input.plane, self._grid())
        axis = PLANES[plane].axes[0]
        dims = self._context.viewer.dims
        if sliced_axis(dims, mask) != axis:
            raise InputError(
                f"{job.model.name} works on {plane} slices: turn the viewer to one, or use a box."
            )
        place = self._context.active_mask.index_of(dims.point)
        if place is None:
            raise InputError("The current slice lies outside of the mask: go to one inside.")
        sides = [slice(0, n) for n in mask.axes.shape]
        sides[axis] = slice(place[axis], place[axis] + 1)
        self._start(job, (sides[0], sides[1], sides[2]), f"run {job.model.name} again on slice {place[axis]}")

    def ask_box(self) -> None:
        """Run the model in the chosen box; the box of a component waits for a click."""
        if self.what.value == DRAWN:
            self.run_box(drawn_box(self._context.viewer, self._mask(), int(self.slices.value)))
        else:
            self.wants_click.emit(self.run_around)

    def run_around(self, index: Index) -> None:
        """Run the model in the box around the component at a voxel."""
        labels = self._context.active_mask.labels()
        self.run_box(box_around(labels, index, self.margin.value, self._grid().spacing_mm))

    def run_box(self, box: Box) -> None:
        """Run the model on the slices of a box and write its result into the box."""
        job = self._job()
        self._start(job, box, f"run {job.model.name} again in a box")

    def start_box(self) -> None:
        """Let the user draw a rectangle."""
        self.what.value = DRAWN
        start_drawing(self._context.viewer, self._mask())

    def cancel_run(self) -> None:
        """Cancel the rerun, if one is running."""
        if self.rerun.is_running:
            self.rerun.cancel()
            self.reported.emit("Cancelled: the mask was not changed.")

    def _start(self, job: Job, box: Box, title: str) -> None:
        active_mask, mask = self._context.active_mask, self._mask()
        labels = np.array(active_mask.labels())
        earlier = self._earlier_results(mask) if self.keep.value else None
        target = Target(
            mask, labels, self._grid(), active_mask.convention, box, self._protected(), earlier, title
        )
        self.rerun.start(job, target)
        self._show_running(True)

    def _earlier_results(self, mask: TrackedMask) -> Callable[[], Sequence[Array]]:
        """Return a function for the model's labels at the thresholds of the run and of the mask."""
        stored = mask.layer.metadata.get(PROBABILITIES_KEY)
        if not isinstance(stored, StoredProbabilities):
            raise InputError(
                "The corrections in this mask are unknown, since the model's result was not kept: untick "
                f"{self.keep.text}."
            )
        thresholds = dict(mask.edits.thresholds)

        def earlier() -> Sequence[Array]:
            run = stored.result()
            return (run, stored.labels_at(thresholds)) if thresholds else (run,)

        return earlier

    def _mask(self) -> TrackedMask:
        mask = self._context.active_mask.mask
        if mask is None:
            raise InputError(NO_MASK)
        return mask

    def _on_step(self, step: Progress | str) -> None:
        self.progress.setRange(0, 0 if isinstance(step, str) else step.total)
        if isinstance(step, Progress):
            self.progress.setValue(step.done)
        text = step if isinstance(step, str) else progress_text(step)
        self.progress.setFormat(text)
        self.reported.emit(text)

    def _on_success(self, target: Target, change: Change | None) -> None:
        self._context.safely(lambda: self._write(change, target.title, target.mask))()

    def _show_running(self, running: bool) -> None:
        self.progress.setVisible(running)
        self.cancel.setVisible(running)
        for button in (self.slice, self.box):
            button.setEnabled(not running)

    def _show_fields(self) -> None:
        drawn = self.what.value == DRAWN
        self._form.setRowVisible(self.slices.native, drawn)
        self._form.setRowVisible(self.margin.native, not drawn)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 0, 9, 4)
        column.setSpacing(3)
        buttons = QHBoxLayout()
        for button in (self.slice, self.box):
            buttons.addWidget(button)
        column.addLayout(buttons)
        self._form = QFormLayout()
        self.what.native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._form.addRow("Box", self.what.native)
        self._form.addRow("Slices on each side", self.slices.native)
        self._form.addRow("Margin (mm)", self.margin.native)
        column.addLayout(self._form)
        column.addWidget(self.keep.native)
        column.addWidget(self.draw)
        column.addWidget(self.progress)
        column.addWidget(self.cancel)
