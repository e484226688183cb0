"""Counting a Labels layer in the background, again after each edit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer
from psygnal import Signal
from qtpy.QtCore import QTimer
from superqt.utils import create_worker

from napari_tumorseg.errors import TumorSegError
from napari_tumorseg.geometry import Array
from napari_tumorseg.measure import Measurements, measure
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.from_layers import to_segmentation
from napari_tumorseg.viewer.run import sentence

_PAUSE_MS = 150
"""Edits that follow each other faster than this are counted once."""


class Counter:
    """Keeps the numbers of one Labels layer up to date.

    Strokes emit `paint`; undo, redo and replaced data only `set_data`, which every move to another slice
    emits, too: so what is there is compared with what was counted last before it is counted again.
    """

    counted = Signal(object, object)
    """The layer and its `Measurements`."""
    refused = Signal(object, str)
    """The layer and why it cannot be measured, in a sentence."""

    def __init__(self, beside: Iterable[Layer]) -> None:
        self._beside = beside
        self.layer: LabelsLayer | None = None
        self._last: Array | None = None
        self._turn = 0
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self.count)

    def watch(self, layer: LabelsLayer | None) -> None:
        """Follow this layer from now on, or none."""
        if layer is self.layer:
            return
        if self.layer is not None:
            self.layer.events.paint.disconnect(self._later)
            self.layer.events.set_data.disconnect(self._later)
        self.layer, self._last = layer, None
        self._turn += 1
        self._timer.stop()
        if layer is not None:
            layer.events.paint.connect(self._later)
            layer.events.set_data.connect(self._later)
            self.count()

    def count(self, again: bool = False) -> None:
        """Count now if anything has changed, or `again` if the voxel size has."""
        layer = self.layer
        if layer is None:
            return
        if self._last is not None and not again and np.array_equal(self._last, layer.data):
            return
        self._last = np.array(layer.data)
        self._turn += 1
        try:
            found = to_segmentation(layer, self._beside)
        except TumorSegError as error:
            self.refused.emit(layer, str(error))
            return
        self._start(layer, found, self._turn)

    def _later(self, event: Any = None) -> None:
        self._timer.start()

    def _start(self, layer: LabelsLayer, found: Segmentation, turn: int) -> None:
        copy = Segmentation(np.array(found.labels), found.grid, found.scheme, found.name)

        def show(measured: Measurements) -> None:
            if turn == self._turn and layer is self.layer:  # else it is out of date
                self.counted.emit(layer, measured)

        worker = create_worker(measure, copy, _start_thread=False, _ignore_errors=True)
        worker.returned.connect(show)
        worker.errored.connect(lambda error: self.refused.emit(layer, sentence(error)))
        worker.start()
