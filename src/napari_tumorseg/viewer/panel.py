"""Dock widget of the plugin: its pages, the results, and the state they share."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Labels as LabelsLayer
from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QEvent, QSize, QTimer
from qtpy.QtWidgets import QFrame, QLabel, QScrollArea, QStyle, QTabWidget, QVBoxLayout, QWidget

from napari_tumorseg.notice import RESEARCH_USE
from napari_tumorseg.viewer.autosave.manager import AutosaveManager
from napari_tumorseg.viewer.cases.page import WorklistPage
from napari_tumorseg.viewer.compare.page import ComparePage
from napari_tumorseg.viewer.correct.page import CorrectPage
from napari_tumorseg.viewer.keys import help_text
from napari_tumorseg.viewer.layers.from_layers import state_spacing
from napari_tumorseg.viewer.layers.inputs import members_of
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.upright import Upright
from napari_tumorseg.viewer.layers.views import remove_views
from napari_tumorseg.viewer.preferences import preferences
from napari_tumorseg.viewer.results.control import ResultsControl
from napari_tumorseg.viewer.results.section import ResultsSection
from napari_tumorseg.viewer.segment.page import SegmentPage
from napari_tumorseg.viewer.state.active_mask import ActiveMask
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.state.navigation import NEXT_COMPONENT, PREVIOUS_COMPONENT
from napari_tumorseg.viewer.state.selection import MaskSelection
from napari_tumorseg.viewer.state.stated_spacing import StatedSpacing
from napari_tumorseg.viewer.widgets.commands import bind
from napari_tumorseg.viewer.widgets.messages import short
from napari_tumorseg.viewer.widgets.reporting import errors_reported
from napari_tumorseg.viewer.widgets.section import Section, wrapping_label
from napari_tumorseg.viewer.widgets.toasts import show_error

if TYPE_CHECKING:
    from napari import Viewer


_LEAST_WIDTH = 320
"""Fits beside napari's own docks on a screen of 960 x 540 points, a 1080p screen at twice the size."""
_USUAL_WIDTH = 372


class SegmentPanel(QWidget):
    """Panel with the pages Segment, Correct, Compare and Cases, and the results below them.

    Each panel belongs to one viewer and shares nothing with others.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        page = self.segment_page = SegmentPage(napari_viewer)
        self.inputs, self.model, self.options, self.runs = page.inputs, page.model, page.options, page.runs
        self.results = ResultsSection()
        self.active_mask = ActiveMask(napari_viewer.layers, self.inputs.inputs)
        self.numbers = ResultsControl(napari_viewer, self.active_mask, self.results)
        self.safety = AutosaveManager(napari_viewer, self.active_mask, self._save_layer)
        context = PanelContext(napari_viewer, self.active_mask, self.report_error)
        self.correct = CorrectPage(context, page.job)
        self.compare = ComparePage(context)
        self.cases = WorklistPage(context, self.safety.may_leave)
        self._upright = Upright(napari_viewer)
        self._stated_spacing = StatedSpacing(napari_viewer.layers)
        self._selection = MaskSelection(napari_viewer, self.active_mask, lambda: page.running_layer)
        self._lay_out()
        self._take_preferences()
        self._connect()
        self._selection.activate_last()

    # ---- actions

    def segment(self) -> None:
        """Start a run with the chosen images, model and options."""
        with errors_reported(self.report_error):
            self.segment_page.start()

    def cancel(self) -> None:
        """Stop the run, if one is under way."""
        self.segment_page.cancel()

    def save_table(self, path: Path | None = None) -> None:
        """Measure the active mask and save the table, to a file that is asked for if none is named."""
        self.numbers.save_table(path)

    def save_mask(self, path: Path | None = None) -> None:
        """Save the active mask, to a file that is asked for if none is named."""
        self.numbers.save_mask(path)

    def state_spacing(self, spacing: tuple[float, float, float]) -> None:
        """Give the layers of the scan and the masks on them a voxel size (Z, Y, X) in mm.

        Lengths measured before are removed, and so are layers that only show something of other layers.
        """
        group = self.inputs.group
        if group is None:
            return
        dims = self._viewer.dims
        shown = dims.current_step  # else the slider would stay at the same mm, which is another slice
        with errors_reported(self.report_error):
            self.compare.clear()
            remove_views(self._viewer)
            state_spacing(members_of(group, self._viewer.layers), spacing)
            self.correct.corrector.locked.show()
            self._viewer.reset_view()
            dims.set_current_step(range(len(shown)), shown)
            self.segment_page.update_scan()
            self.numbers.refresh()

    # ---- state

    @property
    def problem(self) -> str:
        """Reason why nothing can be run, as a sentence; empty if there is none."""
        return self.segment_page.problem

    @property
    def results_layer(self) -> LabelsLayer | None:
        """The layer whose numbers are shown."""
        return self.active_mask.layer

    @property
    def is_running(self) -> bool:
        """Whether a run is under way."""
        return self.segment_page.is_running

    def show_status(self, text: str) -> None:
        """Show a sentence in the status line."""
        self.runs.status.value = text

    def report_error(self, text: str, stays: bool = False) -> None:
        """Show an error as a notification and in the status line, where it may stay."""
        text = short(text, self._sources())
        self.runs.show_error(text, stays)
        show_error(text)

    # ---- layout and connections

    def _lay_out(self) -> None:
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self._add_page("Segment", self.segment_page.parts())
        self._add_page("Correct", [*self.correct.parts(), Section("Keys", _keys_help(), is_open=False)])
        self._add_page("Compare", self.compare.parts())
        self._add_page("Cases", [self.cases, Section("Fine-tune", self.cases.finetune, is_open=False)])
        notice = QLabel(RESEARCH_USE)
        notice.setStyleSheet("font-style: italic; padding: 4px;")
        notice.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.safety.bar)
        layout.addWidget(self.tabs, stretch=1)
        results = Section("Results", self.results)  # visible on every page
        self.results.headed.connect(lambda text: results.button.setText(text))
        layout.addWidget(results)
        layout.addWidget(notice)
        self.setMinimumWidth(_LEAST_WIDTH)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a size in which no page scrolls sideways, however large the letters are."""
        areas = [self.tabs.widget(index) for index in range(self.tabs.count())]
        pages = [page for x in areas if isinstance(x, QScrollArea) and (page := x.widget()) is not None]
        bar = self.style().pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent)
        width = max(_USUAL_WIDTH, *(page.minimumSizeHint().width() + bar + 8 for page in pages))
        return QSize(width, super().sizeHint().height())

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
        self.segment_page.succeeded.connect(self._on_success)
        self.segment_page.failed.connect(lambda message: self.report_error(message, stays=True))
        self.inputs.spacing.stated.connect(self.state_spacing)
        self.inputs.spacing.refused.connect(self.report_error)
        self.runs.segment.changed.connect(self.segment)
        self.numbers.reported.connect(self.show_status)
        self.numbers.failed.connect(self.report_error)
        self.safety.failed.connect(self.report_error)
        self.safety.reported.connect(self._on_autosave)
        self.active_mask.edited.connect(lambda *_: self.safety.guard(self))
        step = self.results.step
        steps = {NEXT_COMPONENT: partial(step, 1), PREVIOUS_COMPONENT: partial(step, -1)}
        self._unbind_keys = bind(self._viewer, steps)
        self.destroyed.connect(self.safety.autosave.close)  # the window closed with the panel in it
        self.destroyed.connect(self.numbers.detach)

    def event(self, event: QEvent) -> bool:
        """Guard the window around the panel, and detach from the viewer when the dock widget closes."""
        if event.type() == QEvent.Type.Show:
            self.safety.guard(self)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._detach()
        return bool(super().event(event))

    def _detach(self) -> None:
        self.segment_page.detach()
        self._unbind_keys()
        self.cases.detach()
        self.safety.detach()
        self.numbers.detach()
        self.correct.detach()
        self.active_mask.detach()
        self._upright.detach()
        self._selection.detach()
        self._stated_spacing.detach()
        self.compare.detach()  # last: it restores the view, to which nobody should react

    def _take_preferences(self) -> None:
        """Start with the user's preferences where they are available."""
        wanted = preferences()
        self.segment_page.prefer(wanted)
        self.safety.autosave.journals.set_interval(wanted.autosave_seconds)

    # ---- reactions

    def _on_success(self, layer: LabelsLayer) -> None:
        origin = origin_of(layer)
        warnings = origin.provenance.get("warnings", ()) if origin else ()
        if warnings:
            show_warning(short("\n".join(warnings), self._sources()))
        self._viewer.layers.selection.active = layer  # a brush in use belongs on the mask of the table, too
        self.active_mask.activate(layer)
        self.numbers.show_largest_slice()
        self.show_status("Measuring…")
        QTimer.singleShot(0, self.numbers.report_result)

    def _on_autosave(self, message: str) -> None:
        self.show_status(message)
        show_info(message)  # the error may have been long ago, on another page

    def _save_layer(self, layer: LabelsLayer) -> None:
        self.numbers.save_mask(layer=layer)

    def _sources(self) -> list[Path]:
        """Return the files of the layers."""
        origins = map(origin_of, self._viewer.layers)
        return [origin.source for origin in origins if origin and origin.source]


def _keys_help() -> QWidget:
    """Return a text with all keys of the panel."""
    label = wrapping_label()
    label.value = help_text()
    native: QWidget = label.native
    return native
