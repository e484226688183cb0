"""Panel section: start, cancel and progress of a run."""

from __future__ import annotations

from magicgui.widgets import Container, ProgressBar, PushButton

from napari_tumorseg.inference.settings import Progress
from napari_tumorseg.viewer.state.job import progress_text
from napari_tumorseg.viewer.widgets.section import wrapping_label
from napari_tumorseg.viewer.widgets.toasts import TimedStatus

_NEW_LAYER = "The result is a layer of its own: existing masks do not change"


class RunSection(Container):  # type: ignore[type-arg]
    """Segment and Cancel, a progress bar, and a line with the state in words."""

    def __init__(self) -> None:
        self.segment = PushButton(text="Segment")
        self.cancel = PushButton(text="Cancel", enabled=False)
        self.progress = ProgressBar(min=0, max=1, value=0)
        self.status = wrapping_label()
        buttons = Container(widgets=[self.segment, self.cancel], layout="horizontal", labels=False)
        buttons.margins = (0, 0, 0, 0)
        super().__init__(widgets=[buttons, self.progress, self.status], labels=False)
        self.progress.visible = False
        self._for_a_while = TimedStatus(self.status)

    def show_error(self, text: str, stays: bool = False) -> None:
        """Show an error for a while, or until the next message."""
        self._for_a_while.show(text, stays)

    def show_ready(self, problem: str, running: bool) -> None:
        """Switch the buttons: a run can be started if there is no problem and none is on."""
        self.segment.enabled = not problem and not running
        self.segment.tooltip = problem or _NEW_LAYER
        self.cancel.enabled = running
        if not running:
            self.progress.visible = False

    def show_step(self, step: str | Progress) -> None:
        """Show the progress of a run."""
        self.progress.visible = True
        if isinstance(step, str):
            self.progress.max = 0  # no end in sight yet
            self.status.value = step
            return
        self.progress.max = step.total
        self.progress.value = step.done
        self.status.value = progress_text(step)
