"""Description of a run: its images, model and settings, and its progress in words."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

from napari_tumorseg.inference.run_plan import plan_run
from napari_tumorseg.inference.settings import Progress, Settings
from napari_tumorseg.inference.steps import Steps
from napari_tumorseg.io.case import Case
from napari_tumorseg.models import Model
from napari_tumorseg.scan import Role, Scan


@dataclass(frozen=True)
class Job:
    """Images, model and settings of a run.

    Attributes
    ----------
    case : Case
        Views of the layers' arrays; they are brought onto one grid in the background.
    group : str
        Key of the case's layers.
    images : mapping of str to Role
        Unique ids of the image layers, and their roles.
    model : Model
        Model to run.
    settings : Settings
        Device, post-processing and slices.
    stripped : bool or None
        Whether the skull of the scan is removed; None if that is not known.
    prepare : bool
        Whether the brain is found and sequences are registered where the model needs it.
    """

    case: Case
    group: str
    images: Mapping[str, Role]
    model: Model
    settings: Settings
    stripped: bool | None = None
    prepare: bool = False

    def scan(self) -> Generator[str, None, Scan]:
        """Make the scan, yielding each step in words; the scan is the return value."""
        plan = plan_run(self.case, self.model, prepare=self.prepare, stripped=self.stripped)
        steps = Steps(plan.scan())
        yield "Preparing the scan…"
        for step in steps:
            yield f"{step.words}… ({step.done + 1} of {step.total})"
        return steps.result


def progress_text(step: Progress) -> str:
    """Return the progress of a run in words."""
    left = "" if step.seconds_left is None else f", {_duration(step.seconds_left)} left"
    note = f" {step.note}" if step.note else ""
    return f"Slice {step.done} of {step.total}{left}.{note}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {round(seconds / 60)} min"
