"""Skull stripping of scans, detected once per image, in the background where it takes time."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from napari.layers import Layer
from psygnal import Signal
from qtpy.QtCore import QObject

from napari_tumorseg.geometry import Array
from napari_tumorseg.intensity import looks_stripped
from napari_tumorseg.viewer.widgets.background import Background

_AT_ONCE = 500_000
"""Voxels that are looked at within the time of a blink."""


class SkullKnowledge(QObject):
    """Remembers what was seen of an image layer as long as it lives: every change of a role asks again."""

    known = Signal()
    """The answer to the last question is available."""

    def __init__(self) -> None:
        super().__init__()
        self._work = Background(self)
        self._seen: WeakKeyDictionary[Layer, tuple[Any, bool]] = WeakKeyDictionary()
        self._in_work: Any = None

    def is_stripped(self, layer: Layer, values: Array) -> bool | None:
        """Return whether the image is skull-stripped; None while that is computed, until `known`.

        Parameters
        ----------
        layer : Layer
            The reference of a scan.
        values : (Z, Y, X) array
            Its voxels as a channel of the scan.
        """
        data, stripped = self._seen.get(layer, (None, None))
        if data is layer.data:
            return stripped
        if values.size <= _AT_ONCE:
            return self._take(layer, layer.data, looks_stripped(values))
        if self._in_work is not layer.data:
            self._look(layer, layer.data, values)
        return None

    def cancel(self) -> None:
        """Ignore the result of the running task."""
        self._work.cancel()

    def _look(self, layer: Layer, data: Any, values: Array) -> None:
        def done(stripped: bool) -> None:
            self._take(layer, data, stripped)
            self._in_work = None
            self.known.emit()

        self._in_work = data
        self._work.start(lambda: looks_stripped(values), done, lambda why: done(False))

    def _take(self, layer: Layer, data: Any, stripped: bool) -> bool:
        self._seen[layer] = (data, stripped)
        return stripped
