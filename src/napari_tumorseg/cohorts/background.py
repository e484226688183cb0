"""Run of a cohort in a process of its own, for a window: lower in priority, and ended with the window.

    python -m napari_tumorseg.cohorts.background

The first line of the standard input is an `Errand` as JSON. Events are written to the standard output, one
JSON object a line: ``{"todo": [...]}`` with the names of the cases in their order, then ``{"case": ...}`` for
each case that is finished, and ``{"error": ...}`` if the run as a whole cannot be done. The run ends as soon
as the standard input is closed, also because the window was killed; every case is whole or not there at all.
"""

from __future__ import annotations

import _thread
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from napari_tumorseg.cohorts.planning import CohortPlan, Task, TaskState, plan
from napari_tumorseg.cohorts.run import run_plan
from napari_tumorseg.cohorts.settings import CohortSettings
from napari_tumorseg.errors import TumorSegError, remedy_of
from napari_tumorseg.session.case_status import State, read_states, state_of
from napari_tumorseg.session.worklist import STATE_FILE

_BELOW_NORMAL = 0x4000  # priority class of Windows
_GRACE = 3.0  # seconds for the tables, once the run has been stopped


@dataclass(frozen=True)
class Errand:
    """Cases to segment in the background, as a window asks for them.

    Attributes
    ----------
    data : tuple of str
        Folders of the cases.
    output : str
        Folder of masks and states.
    order : tuple of str
        Names of cases in the order in which they are wanted; others come last.
    model : str or None
        As for `CohortSettings`.
    redo : bool
        Whether masks are made again whose files, model or settings have changed.
    niceness : int
        Niceness of the process, as of `nice`; on Windows any above 0 is a priority below normal.
    """

    data: tuple[str, ...]
    output: str
    order: tuple[str, ...] = ()
    model: str | None = None
    redo: bool = False
    niceness: int = 10

    def to_line(self) -> str:
        """Return the errand as a line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Return the errand that `to_line` gave."""
        content = json.loads(line)
        return cls(**{**content, "data": tuple(content["data"]), "order": tuple(content["order"])})

    def plan(self) -> CohortPlan:
        """Return the plan: cases in the order that is wanted, and no mask made again unasked.

        Cases that a person has approved without a mask stay without one.
        """
        planned = plan(self.data, self.output, CohortSettings(self.model))
        states, _ = read_states(planned.output / STATE_FILE)
        place = {name: number for number, name in enumerate(self.order)}
        wanted = sorted(planned.tasks, key=lambda task: place.get(task.name, len(place)))
        approved = {name for name, noted in states.items() if state_of(noted) is State.DONE}
        tasks = tuple(self._task(task, task.name in approved) for task in wanted)
        return replace(planned, tasks=tasks)

    def _task(self, task: Task, is_approved: bool) -> Task:
        is_outdated = task.state is TaskState.CHANGED and task.mask is not None
        stays = is_approved or (is_outdated and not self.redo)
        return replace(task, state=TaskState.DONE) if stays and task.state is not TaskState.KEPT else task


def events(errand: Errand) -> Iterator[dict[str, Any]]:
    """Run the errand, and yield an event for each thing that a window shows."""
    try:
        planned = errand.plan()
        yield {"todo": [task.name for task in planned.todo(retry_failed=True)]}
        for outcome in run_plan(planned, retry_failed=True):
            if outcome.is_new:
                record = outcome.record
                yield {"case": record.case, "state": record.state, "seconds": record.seconds}
    except TumorSegError as error:
        yield {"error": str(error), "remedy": str(remedy_of(error) or "")}


def parse_events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the events in some lines; others, such as those of a library that prints, are left out."""
    for line in lines:
        with suppress(ValueError):
            if isinstance(found := json.loads(line), dict):
                yield found


def main() -> None:
    """Run the errand on the standard input."""
    out = _own_output()
    line = sys.stdin.readline()
    if not line:
        return
    _end_with(sys.stdin.read)
    with suppress(KeyboardInterrupt, BrokenPipeError):
        errand = Errand.from_line(line)
        _be_nice(errand.niceness)
        for event in events(errand):
            out(json.dumps(event) + "\n")
    sys.stdout.flush()
    os._exit(0)  # a thread may still wait for the input, or prepare a case that nobody wants


def _own_output() -> Callable[[str], None]:
    """Return a function that writes to the standard output, which nobody else writes to any more."""
    stream = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    return write


def _be_nice(niceness: int) -> None:
    """Leave the processor to the window, as far as the system lets a process do so."""
    if not niceness:
        return
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.windll.kernel32
        kernel.SetPriorityClass(kernel.GetCurrentProcess(), _BELOW_NORMAL)
    else:
        with suppress(OSError):
            os.nice(niceness)


def _end_with(wait: Callable[[], Sequence[str] | str]) -> None:
    """End this process soon after `wait` returns: the main thread at once, the rest after some seconds."""

    def end() -> None:
        wait()
        _thread.interrupt_main()
        time.sleep(_GRACE)
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


if __name__ == "__main__":
    main()
