"""Work outside the window's thread, one thing at a time for each section of the panel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psygnal import Signal
from qtpy.QtCore import QObject
from superqt.utils import create_worker

from napari_tumorseg.errors import TumorSegError
from napari_tumorseg.viewer.segment.run import Failure, sentence

Work = Callable[[], Any]


class Background(QObject):
    """Runs one function at a time in a thread; what an older one returns is dropped.

    A QObject that goes with its parent, so that what a thread still has under way for a section that is gone
    is dropped, too.
    """

    busy_changed = Signal(bool)
    """Whether something is under way now."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._turn = 0
        self._worker: Any = None
        self._done: Callable[[Any], None] | None = None
        self._failed: Callable[[str], None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something is under way."""
        return self._done is not None

    def start(self, work: Work, done: Callable[[Any], None], failed: Callable[[str], None]) -> None:
        """Run `work`, then give its result to `done`, or what went wrong in either, in words, to `failed`."""
        self._turn += 1
        self._done, self._failed = done, failed
        self._worker = create_worker(_safely, work, self._turn, _start_thread=False, _ignore_errors=True)
        self._worker.returned.connect(self._on_returned)
        self.busy_changed.emit(True)
        self._worker.start()

    def drop(self) -> None:
        """Forget what is under way."""
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
            failed(str(error))


def _safely(work: Work, turn: int) -> tuple[int, Any]:
    """Return what came out, an error included: some kinds that a worker raises are dropped on the way."""
    try:
        return turn, work()
    except Exception as error:  # told to the user by the section
        return turn, Failure(error)
