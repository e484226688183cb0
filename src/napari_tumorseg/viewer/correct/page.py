"""The page Correct of the panel: its sections, put together, and their keys."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_tumorseg.edit import Change
from napari_tumorseg.viewer import keys
from napari_tumorseg.viewer.correct.label_section import LabelPicker
from napari_tumorseg.viewer.correct.pointing import Pointing, Use
from napari_tumorseg.viewer.correct.rerun_section import RerunSection
from napari_tumorseg.viewer.correct.restrict_section import RestrictSection
from napari_tumorseg.viewer.correct.strokes import StrokeGuard
from napari_tumorseg.viewer.correct.tools import Corrector, voxels_of
from napari_tumorseg.viewer.correct.tools_section import LESION, ToolsSection
from napari_tumorseg.viewer.correct.uncertainty_section import LookWhereSection
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.state.job import Job
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask
from napari_tumorseg.viewer.widgets.section import Section, wrapping_label
from napari_tumorseg.viewer.widgets.toasts import ForAWhile

_POINT = "Click the component in the picture, or press Escape."
_TAKEN_BACK = {"undo": "Undone: {} changed back.", "redo": "Done again: {} changed."}
_NOTHING = "There is nothing of the mask under the cursor: point at a component."


class CorrectPage(QObject):
    """Everything that corrects a mask.

    Parameters
    ----------
    context : PanelContext
        The window around it.
    job : callable
        Returns what a run would be, as the page Segment is set.
    """

    def __init__(self, context: PanelContext, job: Callable[[], Job]) -> None:
        super().__init__()
        self.status = wrapping_label()
        two_lines = round(2.3 * self.status.native.fontMetrics().lineSpacing())  # napari's letters are larger
        self.status.native.setMinimumHeight(two_lines)  # else buttons would move while one uses them
        self._for_a_while = ForAWhile(self.status)
        self._report_to_panel = context.report_error
        context = self._context = PanelContext(context.viewer, context.active_mask, self.report_error)
        self.labels = LabelPicker(context.active_mask)
        self.tools = ToolsSection()
        self.restrict = RestrictSection(context)
        self.corrector = Corrector(context, self.labels)
        self.guard = StrokeGuard(context.active_mask)
        self.rerun = RerunSection(
            context, job, self.corrector.grid, lambda: self.labels.spared, self.corrector.apply
        )
        self.where = LookWhereSection(context, self.corrector.kept, lambda: self.guard.is_painting)
        self.pointing = Pointing(context)
        self._connect()
        self._set_rule()
        self._unbind = keys.bind(context.viewer, {n: context.safely(a) for n, a in self._actions().items()})

    def parts(self) -> list[QWidget]:
        """Return the page from top to bottom; to be asked once, since it makes the sections."""
        help_text = wrapping_label()
        help_text.value = "\n".join(keys.help_lines())
        return [
            Section("Label", self.labels),
            self.status.native,
            Section("Tools", self.tools),
            Section("Where to look", self.where),
            Section("Where strokes may go", self.restrict, is_open=False),
            Section("Run the model again", self.rerun, is_open=False),
            Section("Keys", help_text, is_open=False),
        ]

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way in the background."""
        return self.corrector.is_busy or self.where.is_busy or self.rerun.rerun.is_running

    def show_status(self, text: str) -> None:
        """Show a sentence on this page."""
        self.status.value = text

    def report_error(self, text: str) -> None:
        """Tell the user what went wrong, on this page and as the panel does."""
        self._for_a_while.show(text)
        self._report_to_panel(text)

    def detach(self) -> None:
        """Let go of the viewer: its keys, its layers, what runs."""
        self._unbind()
        self._context.active_mask.edited.disconnect(self._on_edited)
        self.pointing.stop()
        self.rerun.rerun.cancel()
        for part in (self.labels, self.restrict, self.guard, self.where):
            part.detach()

    def _connect(self) -> None:
        self.tools.pointed.connect(self._wait_for)
        self.tools.pressed.connect(lambda action: self._context.safely(self._actions()[action])())
        self.tools.scope.changed.connect(self._on_scope)
        self.tools.mm.changed.connect(self._on_mm)
        self.labels.spared_changed.connect(self._set_rule)
        self.restrict.edited.connect(self._set_rule)
        self.rerun.wants_click.connect(self._wait)
        self.pointing.given_up.connect(lambda: self.show_status(""))
        for part in (self.corrector, self.guard, self.rerun, self.where):
            part.reported.connect(self.show_status)
        self._context.active_mask.edited.connect(self._on_edited)

    def _actions(self) -> dict[str, Callable[[], None]]:
        return {
            **{name: self._under_cursor(use) for name, use in self._pointed().items()},
            "grow": self.corrector.grow,
            "shrink": self.corrector.shrink,
            "smooth": self.corrector.smooth,
            "fill_between": self.corrector.fill_between,
            "erase_outside": self.corrector.erase_outside,
            "rerun_slice": self.rerun.run_slice,
            "rerun_box": self.rerun.ask_box,
            "next_uncertain": self.where.go_on,
        }

    def _pointed(self) -> dict[str, Use]:
        tools = self.corrector
        return {
            "accept": tools.accept,
            "reject": tools.reject,
            "keep_only": tools.keep_only,
            "relabel": tools.relabel,
        }

    def _under_cursor(self, use: Use) -> Callable[[], None]:
        def act() -> None:
            index = self.pointing.under_cursor()
            if index is None:
                self.show_status(_NOTHING)
            else:
                use(index)

        return act

    def _wait_for(self, action: str) -> None:
        self._wait(self._pointed()[action])

    def _wait(self, use: Use) -> None:
        self._context.safely(lambda: self.pointing.wait(use))()
        if self.pointing.is_waiting:
            self.show_status(_POINT)

    def _on_edited(self, mask: TrackedMask, change: Change, action: str) -> None:
        """Say no more what was done last: it may be undone now. Tools tell of themselves after this."""
        if mask.layer is self._context.active_mask.layer and not self.guard.is_at_work:
            text = _TAKEN_BACK.get(action, "")
            self.show_status(text.format(voxels_of(change)) if text else "")

    def _on_scope(self, scope: str) -> None:
        self.corrector.whole_lesion = scope == LESION

    def _on_mm(self, mm: float) -> None:
        self.corrector.mm = mm

    def _set_rule(self) -> None:
        self.guard.rule = self.restrict.rule(self.labels.spared)
