"""Full measurement of the active mask, in the background and on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QObject
from superqt.utils import create_worker

from napari_tumorseg.measurement import Measurements, measure
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.state.active_mask import ActiveMask
from napari_tumorseg.viewer.widgets.background import Failure, sentence

Answer = Callable[[Measurements, Segmentation], None]


class Measuring(QObject):
    """Measures the active mask on demand; the result is kept until an edit.

    A QObject, so that what a thread still has under way is dropped once the panel is gone.
    """

    failed = Signal(str)
    """An error message."""

    def __init__(self, active_mask: ActiveMask) -> None:
        super().__init__()
        self._active_mask = active_mask
        self._turn = 0
        self._last: tuple[Measurements, Segmentation] | None = None
        self._open: dict[int, tuple[int, Answer, Any]] = {}
        self._number = 0
        active_mask.changed.connect(self.invalidate)
        active_mask.switched.connect(self.invalidate)

    def invalidate(self, *_: object) -> None:
        """Measure again the next time."""
        self._turn += 1
        self._last = None

    def cancel(self) -> None:
        """Answer no open question."""
        self._open.clear()

    def ask(self, answer: Answer) -> None:
        """Have `answer` called with the numbers and the mask they are of: at once if they are known.

        Raises
        ------
        TumorSegError
            If there is no mask that can be measured.
        """
        if self._last is not None:
            answer(*self._last)
            return
        seg = self._active_mask.segmentation()
        copy = replace(seg, labels=np.array(seg.labels))
        self._number += 1
        worker = create_worker(_measured, copy, self._number, _start_thread=False, _ignore_errors=True)
        self._open[self._number] = (self._turn, answer, worker)
        worker.returned.connect(self._on_returned)
        worker.start()

    def _on_returned(self, result: tuple[int, Any]) -> None:
        number, found = result
        turn, answer, _ = self._open.pop(number, (0, None, None))
        if answer is None:
            return
        if isinstance(found, Failure):
            self.failed.emit(sentence(found.error))
            return
        if turn == self._turn:
            self._last = found
        answer(*found)


def _measured(seg: Segmentation, number: int) -> tuple[int, Any]:
    try:
        return number, (measure(seg), seg)
    except Exception as error:  # the panel reports it
        return number, Failure(error)
