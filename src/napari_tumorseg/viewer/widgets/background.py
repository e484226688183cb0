"""Work outside the window's thread, one task at a time for each section of the panel."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from psygnal import Signal
from qtpy.QtCore import QObject
from superqt.utils import WorkerBase, create_worker

from napari_tumorseg.errors import TumorSegError
from napari_tumorseg.viewer.widgets.messages import worded

Work = Callable[[], Any]

_LOG = logging.getLogger(__name__)


_WAIT_AT_EXIT_MS = 10_000


@atexit.register
def _end_workers() -> None:
    """Let threads end before Qt does: a script may end while a viewer is open and something is computed."""
    with suppress(RuntimeError):  # one that takes longer is left to the system
        WorkerBase.await_workers(_WAIT_AT_EXIT_MS)


@dataclass(frozen=True)
class Failure:
    """An error as the result of a worker: napari drops some kinds (RuntimeError) that are raised."""

    error: Exception


def sentence(error: Exception) -> str:
    """Return the message for the user; an unexpected error is logged with its traceback."""
    if isinstance(error, TumorSegError):
        return worded(error)
    _LOG.error("unexpected error", exc_info=error)
    return f"It failed unexpectedly ({type(error).__name__}: {error}); details are in the log."


class Background(QObject):
    """Runs one function at a time in a thread; the result of an older one is ignored.

    A QObject that goes with its parent, so that the result of a thread for a section that is gone is ignored,
    too.
    """

    busy_changed = Signal(bool)
    """Whether a task is running now."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._turn = 0
        self._worker: Any = None
        self._done: Callable[[Any], None] | None = None
        self._failed: Callable[[str], None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a task is running."""
        return self._done is not None

    def start(self, work: Work, done: Callable[[Any], None], failed: Callable[[str], None]) -> None:
        """Run `work`, then pass its result to `done`, or the message of an error in either to `failed`."""
        self._turn += 1
        self._done, self._failed = done, failed
        self._worker = create_worker(_safely, work, self._turn, _start_thread=False, _ignore_errors=True)
        self._worker.returned.connect(self._on_returned)
        self.busy_changed.emit(True)
        self._worker.start()

    def cancel(self) -> None:
        """Ignore the result of the running task."""
        self._turn += 1
        self._over()

    def _over(self) -> None:
        if self._done is None:
            return
        self._done = self._failed = self._worker = None
        self.busy_changed.emit(False)

    def _on_returned(self, result: tuple[int, Any]) -> None:
        turn, found = result
        done, failed = self._done, self._failed
        if turn != self._turn or done is None or failed is None:
            return
        self._over()
        if isinstance(found, Failure):
            failed(sentence(found.error))
            return
        try:
            done(found)
        except TumorSegError as error:
            failed(worded(error))


def _safely(work: Work, turn: int) -> tuple[int, Any]:
    """Return the result or the `Failure`, with the number of the task."""
    try:
        return turn, work()
    except Exception as error:  # the section reports it
        return turn, Failure(error)
