"""Page Correct of the panel: its sections and their keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_tumorseg.edit import Change
from napari_tumorseg.viewer.correct.clicks_section import ClicksSection
from napari_tumorseg.viewer.correct.corrector import Corrector, voxels_in
from napari_tumorseg.viewer.correct.label_section import LabelPicker
from napari_tumorseg.viewer.correct.pointing import Pointing, Use
from napari_tumorseg.viewer.correct.rerun_section import RerunSection
from napari_tumorseg.viewer.correct.restrict_section import RestrictSection
from napari_tumorseg.viewer.correct.strokes import StrokeGuard
from napari_tumorseg.viewer.correct.tools import (
    CLICKS,
    LOCK,
    NEXT_UNCERTAIN,
    RERUN_BOX,
    RERUN_SLICE,
    TOOLS,
    Tool,
)
from napari_tumorseg.viewer.correct.tools_section import LESION, ToolsSection
from napari_tumorseg.viewer.correct.uncertainty_section import UncertaintySection
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.state.job import Job
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask
from napari_tumorseg.viewer.widgets.commands import Action, Command, bind
from napari_tumorseg.viewer.widgets.section import Section, wrapping_label
from napari_tumorseg.viewer.widgets.toasts import TimedStatus

_CLICK = "Click the component in the picture, or press Escape."
_UNDONE = {"undo": "Undone: {} changed back.", "redo": "Redone: {} changed."}
_NOTHING = "There is nothing of the mask under the cursor: point at a component."


class CorrectPage(QObject):
    """Sections that correct a mask.

    Parameters
    ----------
    context : PanelContext
        Viewer and active mask.
    job : callable
        Returns the run that the page Segment is set to.
    """

    def __init__(self, context: PanelContext, job: Callable[[], Job]) -> None:
        super().__init__()
        self.status = wrapping_label()
        two_lines = round(2.3 * self.status.native.fontMetrics().lineSpacing())  # napari's letters are larger
        self.status.native.setMinimumHeight(two_lines)  # else buttons would move during use
        self._timed_status = TimedStatus(self.status)
        self._report_to_panel = context.report_error
        context = self._context = PanelContext(context.viewer, context.active_mask, self.report_error)
        self.labels = LabelPicker(context.active_mask)
        self.clicks = ClicksSection(context, self.labels)
        self.tools = ToolsSection()
        self.restrict = RestrictSection(context)
        self.corrector = Corrector(context, self.labels)
        self.guard = StrokeGuard(context.active_mask)
        self.rerun = RerunSection(
            context, job, self.corrector.grid, lambda: self.labels.protected, self.corrector.apply
        )
        self.uncertainty = UncertaintySection(context, self.corrector.locked, lambda: self.guard.is_painting)
        self.pointing = Pointing(context)
        self._on_component: dict[Command, Use] = {
            LOCK: self.corrector.toggle_lock,
            **{tool: partial(self.corrector.run, tool) for tool in TOOLS if tool.needs_component},
        }
        self._connect()
        self._set_rule()
        self._unbind = bind(context.viewer, self._key_actions())

    def parts(self) -> list[QWidget]:
        """Return the sections from top to bottom; call it once, since it creates widgets."""
        return [
            Section("Label", self.labels),
            self.status.native,
            Section("Clicks", self.clicks),
            Section("Tools", self.tools),
            Section("Uncertainty", self.uncertainty),
            Section("Restrict strokes", self.restrict, is_open=False),
            Section("Run the model again", self.rerun, is_open=False),
        ]

    @property
    def is_busy(self) -> bool:
        """Whether anything runs in the background."""
        parts = (self.corrector, self.clicks.clicker, self.uncertainty)
        return any(part.is_busy for part in parts) or self.rerun.rerun.is_running

    def show_status(self, text: str) -> None:
        """Show a status message on this page."""
        self.status.value = text

    def report_error(self, text: str) -> None:
        """Show an error on this page and in the panel."""
        self._timed_status.show(text)
        self._report_to_panel(text)

    def detach(self) -> None:
        """Stop following the viewer, remove the keys, cancel background work."""
        self._unbind()
        self._context.active_mask.edited.disconnect(self._on_edited)
        self.pointing.stop()
        self.rerun.rerun.cancel()
        for part in (self.labels, self.restrict, self.guard, self.uncertainty, self.clicks):
            part.detach()

    def _connect(self) -> None:
        self.tools.pressed.connect(self._on_button)
        self.tools.scope.changed.connect(self._on_scope)
        self.tools.mm.changed.connect(self._on_mm)
        self.labels.protected_changed.connect(self._set_rule)
        self.restrict.edited.connect(self._set_rule)
        self.rerun.wants_click.connect(self._wait)
        self.pointing.given_up.connect(lambda: self.show_status(""))
        for part in (self.corrector, self.guard, self.rerun, self.uncertainty, self.clicks):
            part.reported.connect(self.show_status)
        self._context.active_mask.edited.connect(self._on_edited)

    def _key_actions(self) -> dict[Command, Action]:
        actions: dict[Command, Action] = {
            **{command: partial(self._under_cursor, use) for command, use in self._on_component.items()},
            **{tool: partial(self.corrector.run, tool) for tool in TOOLS if not tool.needs_component},
            CLICKS: self.clicks.toggle,
            RERUN_SLICE: self.rerun.run_slice,
            RERUN_BOX: self.rerun.ask_box,
            NEXT_UNCERTAIN: self.uncertainty.show_next,
        }
        return {command: self._context.safely(action) for command, action in actions.items()}

    def _on_button(self, command: Command) -> None:
        """Run a tool; one for a component waits for a click first."""
        use = self._on_component.get(command)
        if use is not None:
            self._wait(use)
        elif isinstance(command, Tool):
            self._context.safely(partial(self.corrector.run, command))()

    def _under_cursor(self, use: Use) -> None:
        voxel = self.pointing.under_cursor()
        if voxel is None:
            self.show_status(_NOTHING)
        else:
            use(voxel)

    def _wait(self, use: Use) -> None:
        self._context.safely(lambda: self.pointing.wait(use))()
        if self.pointing.is_waiting:
            self.show_status(_CLICK)

    def _on_edited(self, mask: TrackedMask, change: Change, action: str) -> None:
        """Replace the status of an edit that may be undone now; tools report theirs after this."""
        if mask.layer is self._context.active_mask.layer and not self.guard.is_at_work:
            text = _UNDONE.get(action, "")
            self.show_status(text.format(voxels_in(change.voxels)) if text else "")

    def _on_scope(self, scope: str) -> None:
        self.corrector.whole_lesion = scope == LESION

    def _on_mm(self, mm: float) -> None:
        self.corrector.mm = mm

    def _set_rule(self) -> None:
        self.guard.rule = self.restrict.rule(self.labels.protected)
