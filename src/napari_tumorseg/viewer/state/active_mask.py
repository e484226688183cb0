"""The mask in hand: the one whose numbers are shown and that tools work on, and what happens to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from napari.components import LayerList
from napari.layers import Labels as LabelsLayer
from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

from napari_tumorseg.edit import Change, LiveCounts
from napari_tumorseg.errors import InputError, TumorSegError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.regions import LabelConvention
from napari_tumorseg.scan import Scan, Segmentation
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.layers.from_layers import grid_of, same_voxels
from napari_tumorseg.viewer.layers.inputs import Inputs, LayerGroup, case_of
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask
from napari_tumorseg.viewer.writers import segmentation_of

BY_MODE = {"paint": "paint", "erase": "erase", "fill": "fill", "polygon": "polygon"}
"""What a stroke is called in each mode of a Labels layer."""


class ActiveMask(QObject):
    """Follows the edits of masks; one of them is in hand.

    Strokes emit `paint` once they are whole, polygons and painting by code just before they are written;
    undo, redo and replaced data emit only `set_data`, which every move to another slice does, too. So
    whatever happens, the labels are compared with what was seen last; equal ones are passed in a
    millisecond. A mask that was in hand once is followed until its layer goes.

    Arrays, boxes and indices are canonical (Z, Y, X), whatever the axes of the layer.

    Parameters
    ----------
    layers : LayerList
        Of the viewer.
    inputs : Inputs
        The roles that layers play.

    Attributes
    ----------
    inputs : Inputs
        The same.
    """

    switched = Signal(object)
    """Another mask is in hand: its layer, or None."""
    changed = Signal(object, object)
    """Voxels of the mask in hand changed: its layer and the `Change`."""
    edited = Signal(object, object, str)
    """Voxels of any mask that is followed changed: its `TrackedMask`, the `Change`, and the action.

    The action is empty where the change belongs to the one before.
    """
    renamed = Signal(object)
    """The layer in hand has another name."""
    held = Signal(object)
    """A mask is followed from now on: its `TrackedMask`."""
    dropped = Signal(object)
    """The layer of a mask is gone: its `TrackedMask`."""
    refused = Signal(object, str)
    """A layer and why it cannot be followed, in a sentence."""

    def __init__(self, layers: LayerList, inputs: Inputs) -> None:
        super().__init__()
        self._layers = layers
        self.inputs = inputs
        self._held: dict[LabelsLayer, TrackedMask] = {}
        self._current: TrackedMask | None = None
        self._named = ""
        self._is_replacing = False
        self._awaited: tuple[TrackedMask, str] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._look_for_awaited)
        layers.events.removed.connect(self._on_removed)

    # ---- which mask it is

    @property
    def layer(self) -> LabelsLayer | None:
        """The layer in hand."""
        return self._current.layer if self._current else None

    @property
    def mask(self) -> TrackedMask | None:
        """What is known of the mask in hand."""
        return self._current

    @property
    def counts(self) -> LiveCounts | None:
        """The counts of the mask in hand; None where it is not known what its labels mean."""
        return self._current.known_counts if self._current else None

    @property
    def convention(self) -> LabelConvention | None:
        """What the labels of the mask in hand mean."""
        return self._current.convention if self._current else None

    @property
    def all_held(self) -> list[TrackedMask]:
        """Every mask that is followed."""
        return list(self._held.values())

    def beside(self) -> list[LabelsLayer]:
        """Return the other masks of the same case."""
        origin = origin_of(self.layer) if self.layer is not None else None
        if origin is None:
            return []
        found = [x for x in self._layers if isinstance(x, LabelsLayer) and x is not self.layer]
        pairs = [(layer, origin_of(layer)) for layer in found]
        return [layer for layer, other in pairs if other is not None and other.group == origin.group]

    def watch(self, layer: LabelsLayer | None) -> None:
        """Take this layer in hand, or none."""
        if layer is self.layer:
            return
        try:
            self._current = self._hold(layer) if layer is not None else None
        except TumorSegError as error:
            self._current = None
            self.switched.emit(None)
            self.refused.emit(layer, str(error))
            return
        self.switched.emit(layer)

    def let_go(self) -> None:
        """Follow nothing any more."""
        self._layers.events.removed.disconnect(self._on_removed)
        self._timer.stop()
        for mask in self.all_held:
            self._disconnect(mask)
        self._held.clear()
        self._current = None

    # ---- what it is

    def segmentation(self) -> Segmentation:
        """Return the mask in hand as it is now, on its grid, with its convention (labels are no copy).

        Raises
        ------
        InputError
            If there is no mask in hand, or it holds labels that its convention does not have.
        ChoiceNeededError
            If several conventions fit and nobody can be asked.
        """
        layer = self.layer
        if layer is None:
            raise InputError("no mask is selected; select a Labels layer first")
        return segmentation_of(layer, list(self._layers))

    def labels(self) -> Array:
        """Return the labels in hand as they are now, canonical (a view; not to be written to).

        Raises
        ------
        InputError
            If there is no mask in hand.
        """
        if self._current is None:
            raise InputError("no mask is selected; select a Labels layer first")
        return self._current.canonical()

    def grid(self) -> Grid | None:
        """Return the grid of the mask in hand, or None if there is none."""
        layer = self.layer
        if layer is None:
            return None
        own = origin_of(layer) or same_voxels(layer, self._layers)
        return own.grid if own else grid_of(layer)

    def scan(self) -> Scan | None:
        """Return the images of the same case on the reference's grid, or None if there are none.

        They are the layers of the same group; for a mask that was opened by itself or drawn, the group that
        lies on the same grid. Layers that the plugin opened share a grid already, others are resampled.
        """
        if self.layer is None:
            return None
        group = self.group()
        if group is None:
            return None
        try:
            return case_of(group, self.inputs.roles(group)).scan()
        except TumorSegError:
            return None

    def group(self) -> LayerGroup | None:
        """Return the image layers of the case that the mask in hand belongs to."""
        return self.inputs.group_of(self.layer, self._layers) if self.layer is not None else None

    def index_of(self, position: Sequence[float]) -> Index | None:
        """Return the voxel of the mask at a place in the world, such as the cursor's; None outside of it."""
        if self._current is None:
            return None
        layer = self._current.layer
        place = layer.world_to_data(tuple(position)[-layer.ndim :])
        return self._current.axes.from_layer(tuple(float(p) for p in place))

    def position_of(self, index: Sequence[float]) -> tuple[float, ...]:
        """Return where in the world a voxel of the mask in hand lies, along the layer's own axes.

        Raises
        ------
        InputError
            If there is no mask in hand.
        """
        if self._current is None:
            raise InputError("no mask is selected; select a Labels layer first")
        there = self._current.axes.to_layer(tuple(np.asarray([round(float(i))]) for i in index))
        return tuple(float(v) for v in self._current.layer.data_to_world([int(t[0]) for t in there]))

    # ---- what is done to it

    def apply(self, change: Change | None, action: str, mask: TrackedMask | None = None) -> bool:
        """Write a change to a mask (the one in hand) as one step that can be undone; False if there is none.

        Raises
        ------
        InputError
            If there is no mask in hand, the mask is gone, or its layer cannot be edited now.
        """
        if change is None or not change.voxels:
            return False
        mask = mask or self._current
        if mask is None:
            raise InputError("no mask is selected; select a Labels layer first")
        layer = mask.layer
        if self._held.get(layer) is not mask:
            raise InputError(f"the layer {layer.name} is not there any more, so nothing was changed")
        if not layer.editable:
            raise InputError(f"the layer {layer.name} cannot be edited now; wait until its run is over")
        indices, values = change.as_setitem()
        with self.action(action), _written_right(layer), layer.block_history():
            layer.data_setitem(mask.axes.to_layer(indices), values)
        return True

    @contextmanager
    def action(self, action: str) -> Iterator[None]:
        """Give edits made meanwhile a name."""
        before, self._named = self._named, action
        try:
            yield
        finally:
            self._named = before

    @contextmanager
    def replacing(self, so: bool = True) -> Iterator[None]:
        """Count no edits made meanwhile: they put something else in the place of one that was counted."""
        before, self._is_replacing = self._is_replacing, so
        try:
            yield
        finally:
            self._is_replacing = before

    def look(self, layer: LabelsLayer | None = None) -> None:
        """Take in what was written to the array of a layer (the one in hand) without an event."""
        mask = self._current if layer is None else self._held.get(layer)
        if mask is not None:
            self._look(mask, "")

    # ---- what happens

    def _hold(self, layer: LabelsLayer) -> TrackedMask:
        found = self._held.get(layer)
        if found is not None and found.shape == tuple(np.shape(layer.data)):
            self._look(found, "")
            return found
        if found is not None:
            self._drop(found)
        mask = self._held[layer] = TrackedMask(layer, list(self._layers))
        layer.events.paint.connect(self._on_paint)
        layer.events.set_data.connect(self._on_set_data)
        layer.events.labels_update.connect(self._look_for_awaited)
        layer.events.name.connect(self._on_name)
        self.held.emit(mask)
        return mask

    def _on_paint(self, event: Any) -> None:
        mask = self._held.get(event.source)
        if mask is not None:
            named, self._named = self._named, ""
            action = named or BY_MODE.get(str(mask.layer.mode), "edit")
            if not self._look(mask, action) and not named:  # some are told of before they are written
                self._awaited = (mask, action)
                self._timer.start()

    def _on_name(self, event: Any) -> None:
        if event.source is self.layer:
            self.renamed.emit(self.layer)

    def _look_for_awaited(self, event: Any = None) -> None:
        if self._awaited is not None:
            (mask, action), self._awaited = self._awaited, None
            self._look(mask, action)

    def _on_set_data(self, event: Any) -> None:
        mask = self._held.get(event.source)
        if mask is None:
            return
        if mask.shape != tuple(np.shape(mask.layer.data)):
            self._begin_anew(mask)
        elif self._awaited is not None and self._awaited[0] is mask:
            self._look_for_awaited()
        else:
            self._look(mask, self._named)

    def _look(self, mask: TrackedMask, action: str) -> bool:
        """Take in what is new, and tell whether anything is."""
        try:
            change = mask.look()
        except TumorSegError as error:
            self.refused.emit(mask.layer, str(error))
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
        if mask is self._current:
            self.changed.emit(mask.layer, change)
        return True

    def _begin_anew(self, mask: TrackedMask) -> None:
        """Follow a layer whose array has another shape now."""
        was_current = mask is self._current
        self._drop(mask)
        mask.edits.keep(())  # those voxels are elsewhere now
        if was_current:
            self._current = None
            self.watch(mask.layer)

    def _on_removed(self, event: Any) -> None:
        mask = self._held.get(event.value)
        if mask is None:
            return
        self._drop(mask)
        if mask is self._current:
            self.watch(None)

    def _drop(self, mask: TrackedMask) -> None:
        self._disconnect(mask)
        self._held.pop(mask.layer, None)
        self.dropped.emit(mask)

    def _disconnect(self, mask: TrackedMask) -> None:
        mask.layer.events.paint.disconnect(self._on_paint)
        mask.layer.events.set_data.disconnect(self._on_set_data)
        mask.layer.events.labels_update.disconnect(self._look_for_awaited)
        mask.layer.events.name.disconnect(self._on_name)


@contextmanager
def _written_right(layer: LabelsLayer) -> Iterator[None]:
    """Keep napari from writing to the slice that it shows, too, where the layer lies across the axes.

    There `data_setitem` (0.9.2) takes wrong voxels for those shown; it leaves them alone while contours are.
    """
    corners = np.array([layer.data_to_world(row) for row in (np.zeros(layer.ndim), *np.eye(layer.ndim))])
    steps = corners[1:] - corners[0]
    if layer.contour or np.allclose(steps, np.diag(np.diag(steps))):
        yield
        return
    layer.contour = 1
    try:
        yield
    finally:
        layer.contour = 0
