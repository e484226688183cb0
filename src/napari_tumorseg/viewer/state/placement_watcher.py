"""Changes of the place, size and number of layers."""

from __future__ import annotations

from typing import Any

from napari.components import LayerList
from napari.layers import Layer
from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

_EVENTS = ("scale", "translate", "rotate", "shear", "affine", "units")


class PlacementWatcher(QObject):
    """Notices when a layer is moved, scaled or given another unit, and when layers come or go.

    Parameters
    ----------
    layers : LayerList
        Of the viewer.
    """

    changed = Signal()
    """The place or the number of layers changed; emitted once for changes made together."""

    def __init__(self, layers: LayerList) -> None:
        super().__init__()
        self._layers = layers
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(lambda: self.changed.emit())
        layers.events.inserted.connect(self._on_inserted)
        layers.events.removed.connect(self._on_removed)
        for layer in layers:
            self._connect(layer)

    def detach(self) -> None:
        """Unsubscribe from the viewer and all layers."""
        self._timer.stop()
        self._layers.events.inserted.disconnect(self._on_inserted)
        self._layers.events.removed.disconnect(self._on_removed)
        for layer in self._layers:
            self._disconnect(layer)

    def _on_inserted(self, event: Any) -> None:
        self._connect(event.value)
        self._timer.start()

    def _on_removed(self, event: Any) -> None:
        self._disconnect(event.value)
        self._timer.start()

    def _on_moved(self, event: Any) -> None:
        self._timer.start()

    def _connect(self, layer: Layer) -> None:
        for name in _EVENTS:
            getattr(layer.events, name).connect(self._on_moved)

    def _disconnect(self, layer: Layer) -> None:
        for name in _EVENTS:
            getattr(layer.events, name).disconnect(self._on_moved)
