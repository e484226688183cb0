"""Progress of a fine-tuning written to its folder after each step, and requests obeyed there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning

from napari_tumorseg.errors import CancelledError
from napari_tumorseg.finetuning import state
from napari_tumorseg.finetuning.state import Phase, Status

_EVERY = 0.5
_POLL = 0.2


class Control:
    """Writes the status of a run at most twice a second; waits while it is asked to pause.

    Parameters
    ----------
    run : Path
        Folder of the fine-tuning.
    status : Status
        Its status at first.
    """

    def __init__(self, run: Path, status: Status, clock: Callable[[], float] = time.monotonic) -> None:
        self.run, self.status, self._clock = run, status, clock
        self._written = float("-inf")
        self._began: tuple[float, int] | None = None

    def say(self, words: str) -> None:
        """Name the present step."""
        self.status = replace(self.status, words=words)
        self._write(now=True)

    def plan(self, total: int) -> None:
        """Set the number of parts."""
        self.status = replace(self.status, total=total)

    def step(self, parts: int = 1) -> None:
        """Note finished parts; wait if asked to pause.

        Raises
        ------
        CancelledError
            If asked to end.
        """
        self._began = self._began or (self._clock(), self.status.done)
        done = self.status.done + parts
        self.status = replace(self.status, done=done, seconds_left=self._left(done))
        self._write()
        self.obey()

    def obey(self) -> None:
        """Wait while asked to pause; raise `CancelledError` if asked to end."""
        if state.wants_pause(self.run) and not state.wants_cancel(self.run):
            self._pause()
        if state.wants_cancel(self.run):
            raise CancelledError("the fine-tuning was cancelled")

    def end(self, phase: Phase, words: str) -> None:
        """Write the result."""
        self.status = replace(self.status, phase=phase, words=words, seconds_left=None)
        self._write(now=True)

    def _pause(self) -> None:
        self.status = replace(self.status, phase=Phase.PAUSED, seconds_left=None)
        self._write(now=True)
        while state.wants_pause(self.run) and not state.wants_cancel(self.run):
            time.sleep(_POLL)
        self._began = None
        self.status = replace(self.status, phase=Phase.RUNNING)
        self._write(now=True)

    def _left(self, done: int) -> float | None:
        assert self._began is not None
        start, first = self._began
        finished, spent = done - first, self._clock() - start
        return (self.status.total - done) * spent / finished if finished and spent > 1 else None

    def _write(self, now: bool = False) -> None:
        if now or self._clock() - self._written >= _EVERY:
            self._written = self._clock()
            state.write_status(self.run, self.status)


class Steps(lightning.Callback):
    """Passes the steps of a training on to a `Control`."""

    def __init__(self, control: Control) -> None:
        self.control = control

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Note a step."""
        self.control.step()
