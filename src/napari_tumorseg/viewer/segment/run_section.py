"""Panel section: start, stop, and how far it is."""

from __future__ import annotations

from magicgui.widgets import Container, ProgressBar, PushButton

from napari_tumorseg.inference.settings import Progress
from napari_tumorseg.viewer.widgets.section import wrapping_label
from napari_tumorseg.viewer.widgets.toasts import ForAWhile

_NEW_LAYER = "The result is a layer of its own: masks that are there stay as they are"


class RunSection(Container):  # type: ignore[type-arg]
    """Segment and Cancel, a progress bar, and a line that says in words what is going on."""

    def __init__(self) -> None:
        self.segment = PushButton(text="Segment")
        self.cancel = PushButton(text="Cancel", enabled=False)
        self.progress = ProgressBar(min=0, max=1, value=0)
        self.status = wrapping_label()
        buttons = Container(widgets=[self.segment, self.cancel], layout="horizontal", labels=False)
        buttons.margins = (0, 0, 0, 0)
        super().__init__(widgets=[buttons, self.progress, self.status], labels=False)
        self.progress.visible = False
        self._for_a_while = ForAWhile(self.status)

    def complain(self, text: str, stays: bool = False) -> None:
        """Show what went wrong: for a while, or until there is something else to say."""
        self._for_a_while.show(text, stays)

    def show_ready(self, problem: str, running: bool) -> None:
        """Switch the buttons: a run can be started if there is no problem and none is on."""
        self.segment.enabled = not problem and not running
        self.segment.tooltip = problem or _NEW_LAYER
        self.cancel.enabled = running
        if not running:
            self.progress.visible = False

    def show_step(self, step: str | Progress) -> None:
        """Tell how far a run is."""
        self.progress.visible = True
        if isinstance(step, str):
            self.progress.max = 0  # no end in sight yet
            self.status.value = step
            return
        self.progress.max = step.total
        self.progress.value = step.done
        self.status.value = told(step)


def told(step: Progress) -> str:
    """Return how far a run is, in words."""
    left = "" if step.seconds_left is None else f", {_duration(step.seconds_left)} left"
    note = f" {step.note}" if step.note else ""
    return f"Slice {step.done} of {step.total}{left}.{note}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {round(seconds / 60)} min"
