"""The dock panel: a scan's layers in, a measured mask out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from napari.layers import Labels as LabelsLayer
from napari.utils.notifications import show_warning
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QFrame, QLabel, QScrollArea, QTabWidget, QVBoxLayout, QWidget
from superqt.utils import create_worker

from napari_tumorseg.errors import CancelledError, InputError, TumorSegError
from napari_tumorseg.inference import Settings, available_devices
from napari_tumorseg.inference.slice_plane import PLANES
from napari_tumorseg.models import Model
from napari_tumorseg.scan import Scan
from napari_tumorseg.viewer.autosave.manager import AutosaveManager
from napari_tumorseg.viewer.cases.page import WorklistPage
from napari_tumorseg.viewer.compare.page import ComparePage
from napari_tumorseg.viewer.correct.page import CorrectPage
from napari_tumorseg.viewer.keys import bind
from napari_tumorseg.viewer.layers.from_layers import state_spacing
from napari_tumorseg.viewer.layers.inputs import case_of, members_of
from napari_tumorseg.viewer.layers.origin import is_view, origin_of
from napari_tumorseg.viewer.layers.showing import shown_slice
from napari_tumorseg.viewer.layers.skull import SkullKnowledge
from napari_tumorseg.viewer.layers.upright import Upright
from napari_tumorseg.viewer.layers.views import remove_views
from napari_tumorseg.viewer.preferences import preferences
from napari_tumorseg.viewer.results.control import ResultsControl
from napari_tumorseg.viewer.results.section import NOTICE, ResultsSection
from napari_tumorseg.viewer.segment.input_section import InputSection
from napari_tumorseg.viewer.segment.model_section import ModelSection
from napari_tumorseg.viewer.segment.options_section import SLICE, OptionsSection
from napari_tumorseg.viewer.segment.run import Run
from napari_tumorseg.viewer.segment.run_section import RunSection
from napari_tumorseg.viewer.state.active_mask import ActiveMask
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.state.job import Job
from napari_tumorseg.viewer.widgets.messages import short, worded
from napari_tumorseg.viewer.widgets.section import Section
from napari_tumorseg.viewer.widgets.toasts import show_error

if TYPE_CHECKING:
    from napari import Viewer

P = ParamSpec("P")


def _told(
    action: Callable[Concatenate[SegmentPanel, P], None],
) -> Callable[Concatenate[SegmentPanel, P], None]:
    """Turn errors meant for the user into a sentence on the panel and a notification."""

    @wraps(action)
    def safe(panel: SegmentPanel, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            action(panel, *args, **kwargs)
        except CancelledError:
            return
        except TumorSegError as error:
            panel.report_error(worded(error))

    return safe


class SegmentPanel(QWidget):
    """Which layer is what, which model, how, then Segment; and what came out.

    Each panel belongs to one viewer and shares nothing with others.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._run: Run | None = None
        self._model_shown: Model | None = None
        self._skull = SkullKnowledge()
        self.inputs = InputSection(napari_viewer.layers)
        self.model = ModelSection()
        self.options = OptionsSection()
        self.runs = RunSection()
        self.results = ResultsSection()
        self.active_mask = ActiveMask(napari_viewer.layers, self.inputs.inputs)
        self.numbers = ResultsControl(napari_viewer, self.active_mask, self.results)
        self.safety = AutosaveManager(napari_viewer, self.active_mask, self._save_layer)
        context = PanelContext(napari_viewer, self.active_mask, self.report_error)
        self.correct = CorrectPage(context, self._job)
        self.compare = ComparePage(context)
        self.cases = WorklistPage(context, self.safety.may_leave)
        self._upright = Upright(napari_viewer)
        self._lay_out()
        self._take_preferences()
        self._connect()
        self._on_inputs()
        self._watch_first_mask()
        self._look_for_devices()

    # ---- what the user does

    @_told
    def segment(self) -> None:
        """Start a run with what is chosen."""
        job = self._job(self._slices)
        run = Run(self._viewer, job)
        run.progressed.connect(self.runs.show_step)
        run.succeeded.connect(self._on_success)
        run.failed.connect(self._on_failure)
        run.cancelled.connect(self._on_cancelled)
        self._run = run
        run.start()
        self._show_ready()

    def _job(self, slices: Callable[[Model], range | None] | None = None) -> Job:
        """Return what a run would be with what is chosen: of the whole volume, or of `slices`."""
        group, model = self.inputs.group, self.model.model
        problem = self.problem
        if problem or group is None or model is None:
            raise InputError(problem or "There is nothing to segment.")
        case = case_of(group, self.inputs.chosen)
        settings = Settings(
            device=self.options.device.value,
            post=self.options.post,
            slices=slices(model) if slices else None,
            probabilities=self.options.probabilities.value,
        )
        return Job(case, group.key, model, settings)

    def cancel(self) -> None:
        """Stop the run, if one is on."""
        if self._run is not None:
            self._run.cancel()

    def save_table(self, path: Path | None = None) -> None:
        """Save the numbers, to a file that is asked for if none is named; they are measured first."""
        self.numbers.save_table(path)

    def save_mask(self, path: Path | None = None) -> None:
        """Save the mask whose numbers are shown, to a file that is asked for if none is named."""
        self.numbers.save_mask(path)

    @_told
    def state_spacing(self, spacing: tuple[float, float, float]) -> None:
        """Give the scan's layers, and the masks that lie on them, a voxel size (Z, Y, X) in mm.

        What was measured in the one before goes, and so do layers that only show something of it.
        """
        group = self.inputs.group
        if group is None:
            return
        dims = self._viewer.dims
        shown = dims.current_step  # else the slider would stay at the same mm, which is another slice
        self.compare.clear()
        remove_views(self._viewer)
        state_spacing(members_of(group, self._viewer.layers), spacing)
        self.correct.corrector.kept.show()
        self._viewer.reset_view()
        dims.set_current_step(range(len(shown)), shown)
        self._on_inputs()
        self.numbers.refresh()

    # ---- what it tells

    @property
    def problem(self) -> str:
        """What stands in the way of a run, in a sentence; empty if nothing does."""
        return short(self.inputs.problem or self.model.problem)

    @property
    def results_layer(self) -> LabelsLayer | None:
        """The layer whose numbers are shown."""
        return self.active_mask.layer

    @property
    def is_running(self) -> bool:
        """Whether a run is on."""
        return self._run is not None and not self._run.is_over

    def show_status(self, text: str) -> None:
        """Show a sentence in the status line."""
        self.runs.status.value = text

    def report_error(self, text: str, stays: bool = False) -> None:
        """Tell the user what went wrong, as a notification and in the status line, where it may stay."""
        text = short(text, self._sources())
        self.runs.show_error(text, stays)
        show_error(text)

    # ---- the parts, put together

    def _lay_out(self) -> None:
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self._add_page("Segment", self._segment_page())
        self._add_page("Correct", self.correct.parts())
        self._add_page("Compare", self.compare.parts())
        self._add_page("Cases", [self.cases])
        notice = QLabel(NOTICE)
        notice.setStyleSheet("font-style: italic; padding: 4px;")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.safety.bar)
        layout.addWidget(self.tabs, stretch=1)
        layout.addWidget(Section("Results", self.results))  # in sight whatever page is open
        layout.addWidget(notice)
        self.setMinimumWidth(372)

    def _segment_page(self) -> list[QWidget]:
        return [
            Section("Images", self.inputs),
            Section("Model", self.model),
            Section("Options", self.options, is_open=False),
            self.runs.native,
        ]

    def _add_page(self, title: str, parts: list[QWidget]) -> None:
        """Add a page of sections below each other, which scrolls."""
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(2, 2, 2, 2)
        column.setSpacing(2)
        for part in parts:
            column.addWidget(part)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidget(inside)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        self.tabs.addTab(area, title)

    def _connect(self) -> None:
        self.inputs.edited.connect(self._on_inputs)
        self._skull.known.connect(self._on_inputs)
        self.model.edited.connect(self._on_model)
        self.inputs.spacing.stated.connect(self.state_spacing)
        self.inputs.spacing.refused.connect(self.report_error)
        self.runs.segment.changed.connect(self.segment)
        self.runs.cancel.changed.connect(self.cancel)
        self.numbers.reported.connect(self.show_status)
        self.numbers.failed.connect(self.report_error)
        self.safety.failed.connect(self.report_error)
        self.active_mask.edited.connect(lambda *_: self.safety.guard(self))
        self._unbind = bind(
            self._viewer,
            {
                "next_component": partial(self.results.step, 1),
                "previous_component": partial(self.results.step, -1),
            },
        )
        self._viewer.layers.selection.events.active.connect(self._on_active)
        self._viewer.layers.events.removed.connect(self._on_removed)
        self.destroyed.connect(self.safety.autosave.close)  # the window closed with the panel in it
        self.destroyed.connect(self.numbers.detach)

    def event(self, event: QEvent) -> bool:
        """Let go of the viewer when the dock lets go of this widget; guard the window that it is in."""
        if event.type() == QEvent.Type.Show:
            self.safety.guard(self)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._detach()
        return bool(super().event(event))

    def _detach(self) -> None:
        if self._run is not None:
            self._run.cancel(quietly=True)
        self._unbind()
        self._skull.cancel()
        self.cases.detach()
        self.safety.detach()
        self.numbers.detach()
        self.correct.detach()
        self.active_mask.detach()
        self._upright.detach()
        self.inputs.detach()
        self._viewer.layers.selection.events.active.disconnect(self._on_active)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self.compare.detach()  # last: it brings back the view, and nobody should listen to that

    def _take_preferences(self) -> None:
        """Start with what the user prefers, as far as it is there."""
        wanted = preferences()
        self.model.prefer(wanted.model)
        self.options.prefer(wanted.device)
        self.safety.autosave.journals.set_interval(wanted.autosave_seconds)

    def _look_for_devices(self) -> None:
        """Ask torch, whose import takes seconds, outside the window's thread; a run tells if it is broken."""
        worker = create_worker(available_devices, _start_thread=False, _ignore_errors=True)
        worker.returned.connect(self.options.offer_devices)
        worker.start()

    # ---- what happens

    def _on_inputs(self) -> None:
        scan = self._scan()
        known = scan is None or scan.grid.unit == "mm"
        self.options.know_unit(known)
        stated = self._spacing_is_stated()
        self.inputs.spacing.setVisible(stated or not known)
        self.inputs.spacing.show_stated(stated)
        self.model.suit(scan, self._is_stripped(scan))

    def _on_model(self) -> None:
        model = self.model.model
        if model is not None and model != self._model_shown:
            self._model_shown = model
            self.options.take_defaults(model.card)
        self._show_ready()

    def _show_ready(self) -> None:
        self.runs.show_ready(self.problem, self.is_running)
        self.inputs.spacing.setEnabled(not self.is_running)  # the result is made on the grid as it is
        if not self.is_running:
            self.show_status(self.problem or "Ready.")

    def _on_success(self, layer: LabelsLayer) -> None:
        self._show_ready()
        origin = origin_of(layer)
        warnings = origin.provenance.get("warnings", ()) if origin else ()
        if warnings:
            show_warning(short("\n".join(warnings), self._sources()))
        self._viewer.layers.selection.active = layer  # a brush in use, too, belongs on what the table shows
        self.active_mask.activate(layer)
        self.show_status("Measuring…")
        QTimer.singleShot(0, self.numbers.tell_result)

    def _on_failure(self, why: str) -> None:
        self._show_ready()
        self.report_error(why, stays=True)

    def _on_cancelled(self) -> None:
        self._show_ready()
        self.show_status("Cancelled, nothing was kept.")

    def _on_active(self, event: Any) -> None:
        layer = event.value
        running = self._run.layer if self._run is not None and self.is_running else None
        if isinstance(layer, LabelsLayer) and layer is not running and not is_view(layer):
            self.active_mask.activate(layer)

    def _on_removed(self, event: Any) -> None:
        if self.active_mask.layer is None:
            self._watch_first_mask()

    def _watch_first_mask(self) -> None:
        masks = [x for x in self._viewer.layers if isinstance(x, LabelsLayer) and origin_of(x)]
        running = self._run.layer if self._run is not None and self.is_running else None
        masks = [layer for layer in masks if layer is not running and not is_view(layer)]
        if masks:
            self.active_mask.activate(masks[-1])

    # ---- helpers

    def _save_layer(self, layer: LabelsLayer) -> None:
        self.numbers.save_mask(layer=layer)

    def _sources(self) -> list[Path]:
        """Return the files that the layers come from."""
        origins = map(origin_of, self._viewer.layers)
        return [origin.source for origin in origins if origin and origin.source]

    def _spacing_is_stated(self) -> bool:
        """Tell whether the scan's voxel size was typed, so that it can be mended."""
        group = self.inputs.group
        origins = map(origin_of, group.layers if group else ())
        return any(origin.stated_spacing for origin in origins if origin)

    def _scan(self) -> Scan | None:
        """Return the images with their roles, the reference first, without bringing them onto one grid."""
        group = self.inputs.group
        if group is None or self.inputs.problem:
            return None
        case = case_of(group, self.inputs.chosen)
        reference = case.reference()
        others = [image for image in case.images if image is not reference]
        return Scan(case.name, (reference, *others))

    def _is_stripped(self, scan: Scan | None) -> bool | None:
        """Tell whether the skull of the scan is gone; None while that is found out, or without a scan."""
        if scan is None:
            return None
        role = scan.reference.role
        layer = next(layer for layer, taken in self.inputs.chosen.items() if taken is role)
        return self._skull.is_stripped(layer, scan.reference.data)

    def _slices(self, model: Model) -> range | None:
        """Return the slice that the viewer shows, if only that is wanted."""
        scan = self._scan()
        if self.options.region.value != SLICE or scan is None:
            return None
        plane = model.card.input.plane
        axis = PLANES[plane].axes[0]
        index = shown_slice(self._viewer.dims, scan.grid, axis)
        if index is None:
            raise InputError(
                f"{model.name} works on {plane} slices: turn the viewer to one, or take the whole volume"
            )
        if not 0 <= index < scan.grid.shape[axis]:
            raise InputError("the current slice lies outside the scan")
        return range(index, index + 1)
