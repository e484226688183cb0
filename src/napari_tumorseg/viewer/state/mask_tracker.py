"""Tracking the edits of Labels layers, whichever way they are made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from napari.components import LayerList
from napari.layers import Labels as LabelsLayer
from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

from napari_tumorseg.errors import TumorSegError
from napari_tumorseg.viewer.layers.origin import convention_of
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask
from napari_tumorseg.viewer.widgets.messages import worded

ACTION_OF_MODE = {"paint": "paint", "erase": "erase", "fill": "fill", "polygon": "polygon"}
"""Name of a stroke in each mode of a Labels layer."""


class MaskTracker(QObject):
    """Tracks masks until their layers are removed, and reports each edit once, with its name.

    Strokes emit `paint` once they are whole, polygons and painting by code just before they are written;
    undo, redo and replaced data emit only `set_data`, which every move to another slice does, too. So after
    each of these events the labels are compared with the last known ones; equal labels cost a millisecond.

    Parameters
    ----------
    layers : LayerList
        Of the viewer.
    """

    edited = Signal(object, object, str)
    """Voxels of a tracked mask changed: its `TrackedMask`, the `Change`, and the action.

    The action is empty where the change continues the previous one. The edit is not yet counted.
    """
    counted = Signal(object, object)
    """The edit was added to the counts: the `TrackedMask` and the `Change`."""
    tracked = Signal(object)
    """A mask is tracked from now on: its `TrackedMask`."""
    untracked = Signal(object)
    """A mask is not tracked any more: its `TrackedMask`."""
    reshaped = Signal(object)
    """The array of a layer has another shape, so that its `TrackedMask` is not valid any more."""
    removed = Signal(object)
    """The layer of a `TrackedMask` was removed from the viewer."""
    relabelled = Signal(object)
    """The name of a tracked layer changed: the layer."""
    refused = Signal(object, str)
    """A layer and the reason why it cannot be tracked, as a sentence."""

    def __init__(self, layers: LayerList) -> None:
        super().__init__()
        self._layers = layers
        self._tracked: dict[LabelsLayer, TrackedMask] = {}
        self._action = ""
        self._is_replacing = False
        self._pending: tuple[TrackedMask, str] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._sync_pending)
        layers.events.removed.connect(self._on_removed)

    @property
    def tracked_masks(self) -> list[TrackedMask]:
        """All tracked masks."""
        return list(self._tracked.values())

    def track(self, layer: LabelsLayer) -> TrackedMask:
        """Return the tracked mask of a layer; track it from now on if it is new.

        Raises
        ------
        InputError
            If it cannot be a mask.
        """
        found = self._tracked.get(layer)
        if found is not None and found.shape == tuple(np.shape(layer.data)):
            self._sync(found, "")
            if convention_of(layer) not in (None, found.convention):  # the user was asked meanwhile
                found.update_convention()
            return found
        if found is not None:
            self._untrack(found)
        mask = self._tracked[layer] = TrackedMask(layer, list(self._layers))
        for event, slot in self._events(layer):
            event.connect(slot)
        self.tracked.emit(mask)
        return mask

    def is_tracked(self, mask: TrackedMask) -> bool:
        """Return whether a mask is still tracked, so that its layer is in the viewer."""
        return self._tracked.get(mask.layer) is mask

    def sync(self, layer: LabelsLayer) -> None:
        """Register what was written to the array of a tracked layer without an event."""
        mask = self._tracked.get(layer)
        if mask is not None:
            self._sync(mask, "")

    def detach(self) -> None:
        """Unsubscribe from the viewer and all layers."""
        self._layers.events.removed.disconnect(self._on_removed)
        self._timer.stop()
        for mask in self.tracked_masks:
            self._disconnect(mask)
        self._tracked.clear()

    @contextmanager
    def action(self, action: str) -> Iterator[None]:
        """Give edits made in the context a name."""
        before, self._action = self._action, action
        try:
            yield
        finally:
            self._action = before

    @contextmanager
    def replacing(self, replace: bool = True) -> Iterator[None]:
        """Do not count edits made in the context: they replace one that was counted."""
        before, self._is_replacing = self._is_replacing, replace
        try:
            yield
        finally:
            self._is_replacing = before

    def _events(self, layer: LabelsLayer) -> list[tuple[Any, Any]]:
        events = layer.events
        return [
            (events.paint, self._on_paint),
            (events.set_data, self._on_set_data),
            (events.labels_update, self._sync_pending),
            (events.name, self._on_name),
        ]

    def _on_paint(self, event: Any) -> None:
        mask = self._tracked.get(event.source)
        if mask is None:
            return
        name, self._action = self._action, ""
        action = name or ACTION_OF_MODE.get(str(mask.layer.mode), "edit")
        if not self._sync(mask, action) and not name:  # some events come before the voxels are written
            self._pending = (mask, action)
            self._timer.start()

    def _on_name(self, event: Any) -> None:
        self.relabelled.emit(event.source)

    def _sync_pending(self, event: Any = None) -> None:
        if self._pending is not None:
            (mask, action), self._pending = self._pending, None
            self._sync(mask, action)

    def _on_set_data(self, event: Any) -> None:
        mask = self._tracked.get(event.source)
        if mask is None:
            return
        if mask.shape != tuple(np.shape(mask.layer.data)):
            self._untrack(mask)
            mask.edits.lock(())  # those voxels are elsewhere now
            self.reshaped.emit(mask)
        elif self._pending is not None and self._pending[0] is mask:
            self._sync_pending()
        else:
            self._sync(mask, self._action)

    def _sync(self, mask: TrackedMask, action: str) -> bool:
        """Register what changed, and return whether anything did."""
        try:
            change = mask.sync()
        except TumorSegError as error:
            self.refused.emit(mask.layer, worded(error))
            return False
        if change is None:
            return False
        if action:
            mask.remember(change)
        else:
            action = mask.name_of(change)
        action = "" if self._is_replacing else action
        self.edited.emit(mask, change, action)
        mask.edits.note(action)
        self.counted.emit(mask, change)
        return True

    def _on_removed(self, event: Any) -> None:
        mask = self._tracked.get(event.value)
        if mask is not None:
            self._untrack(mask)
            self.removed.emit(mask)

    def _untrack(self, mask: TrackedMask) -> None:
        self._disconnect(mask)
        self._tracked.pop(mask.layer, None)
        self.untracked.emit(mask)

    def _disconnect(self, mask: TrackedMask) -> None:
        for event, slot in self._events(mask.layer):
            event.disconnect(slot)
