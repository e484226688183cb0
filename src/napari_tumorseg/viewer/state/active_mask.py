"""The active mask: the one whose numbers are shown and that tools work on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from napari.components import LayerList
from napari.layers import Labels as LabelsLayer
from psygnal import Signal

from napari_tumorseg.edit import Change, LiveCounts
from napari_tumorseg.errors import InputError, TumorSegError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.regions import LabelConvention
from napari_tumorseg.scan import Scan, Segmentation
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.layers.from_layers import grid_of, same_voxels
from napari_tumorseg.viewer.layers.inputs import Inputs, LayerGroup, case_of
from napari_tumorseg.viewer.layers.origin import convention_of, origin_of
from napari_tumorseg.viewer.state.conventions import name_labels, segmentation_of
from napari_tumorseg.viewer.state.mask_tracker import MaskTracker
from napari_tumorseg.viewer.state.placement_watcher import PlacementWatcher
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask
from napari_tumorseg.viewer.widgets.messages import worded

NO_MASK = "No mask is selected: segment the scan, or select a Labels layer."


class ActiveMask(MaskTracker):
    """Tracks the masks of a viewer, of which one is active.

    Arrays, boxes and indices are canonical (Z, Y, X), whatever the axes of the layer.

    Parameters
    ----------
    layers : LayerList
        Of the viewer.
    inputs : Inputs
        The roles of image layers.

    Attributes
    ----------
    inputs : Inputs
        The same.
    """

    switched = Signal(object)
    """Another mask is active: its layer, or None."""
    changed = Signal(object, object)
    """Voxels of the active mask changed: its layer and the `Change`."""
    renamed = Signal(object)
    """The name of the active layer changed: the layer."""
    named = Signal(object)
    """The labels of the active mask have another convention: its layer."""
    placed = Signal(object)
    """The active mask lies on another grid, such as one with another voxel size: its layer."""

    def __init__(self, layers: LayerList, inputs: Inputs) -> None:
        super().__init__(layers)
        self.inputs = inputs
        self._current: TrackedMask | None = None
        self._grid: Grid | None = None
        self._placement = PlacementWatcher(layers)
        self._placement.changed.connect(self._on_placement)
        self.counted.connect(self._on_counted)
        self.reshaped.connect(self._on_reshaped)
        self.removed.connect(self._on_mask_removed)
        self.relabelled.connect(self._on_relabelled)

    # ---- which mask is active

    @property
    def layer(self) -> LabelsLayer | None:
        """The active layer."""
        return self._current.layer if self._current else None

    @property
    def mask(self) -> TrackedMask | None:
        """The active mask, None if there is none."""
        return self._current

    @property
    def counts(self) -> LiveCounts | None:
        """The counts of the active mask."""
        return self._current.counts if self._current else None

    @property
    def convention(self) -> LabelConvention | None:
        """The label convention of the active mask."""
        return self._current.convention if self._current else None

    def activate(self, layer: LabelsLayer | None) -> None:
        """Make the mask of this layer the active one; None for no mask."""
        if layer is self.layer:
            return
        try:
            self._current = self.track(layer) if layer is not None else None
        except TumorSegError as error:
            self._current = None
            self.switched.emit(None)
            self.refused.emit(layer, worded(error))
            return
        self._grid = self.grid()
        self.switched.emit(layer)

    def required(self) -> TrackedMask:
        """Return the active mask.

        Raises
        ------
        InputError
            If there is none.
        """
        if self._current is None:
            raise InputError(NO_MASK)
        return self._current

    def detach(self) -> None:
        """Unsubscribe from the viewer and all layers."""
        super().detach()
        self._placement.detach()
        self._current = None

    # ---- its content and place

    def segmentation(self) -> Segmentation:
        """Return the active mask on its grid, with its convention (labels are no copy).

        Raises
        ------
        InputError
            If no mask is active, or it holds labels that its convention does not have.
        ChoiceNeededError
            If several conventions fit and nobody can be asked.
        """
        mask = self.required()
        found = segmentation_of(mask.layer, list(self._layers))
        self._update_convention(mask)  # the user may have been asked for it
        return found

    def name_labels(self, name: str) -> None:
        """Give the active mask the label convention of this name.

        Raises
        ------
        InputError
            If no mask is active, or there is no such convention.
        """
        mask = self.required()
        name_labels(mask.layer, name)
        self._update_convention(mask)

    def labels(self) -> Array:
        """Return the labels of the active mask, canonical (a view; not to be written to).

        Raises
        ------
        InputError
            If no mask is active.
        """
        return self.required().canonical()

    def grid(self) -> Grid | None:
        """Return the grid of the active mask, or None if there is none."""
        layer = self.layer
        if layer is None:
            return None
        scan = None if origin_of(layer) else same_voxels(layer, self._layers)
        return scan.grid if scan else grid_of(layer)

    def scan(self) -> Scan | None:
        """Return the images of the same case on the reference's grid, or None if there are none.

        They are the layers of the same group; for a mask that was opened by itself or drawn, the group that
        lies on the same grid. Layers that the plugin opened share a grid already, others are resampled.
        """
        group = self.group()
        if group is None:
            return None
        try:
            return case_of(group, self.inputs.roles(group)).scan()
        except TumorSegError:
            return None

    def group(self) -> LayerGroup | None:
        """Return the image layers of the case that the active mask belongs to."""
        return self.inputs.group_of(self.layer, self._layers) if self.layer is not None else None

    def beside(self) -> list[LabelsLayer]:
        """Return the other masks of the same case."""
        origin = origin_of(self.layer) if self.layer is not None else None
        if origin is None:
            return []
        found = [x for x in self._layers if isinstance(x, LabelsLayer) and x is not self.layer]
        pairs = [(layer, origin_of(layer)) for layer in found]
        return [layer for layer, other in pairs if other is not None and other.group == origin.group]

    def index_of(self, position: Sequence[float]) -> Index | None:
        """Return the voxel of the active mask at a world position; None outside of it or without a mask."""
        return self._current.index_of(position) if self._current else None

    def position_of(self, index: Sequence[float]) -> tuple[float, ...]:
        """Return the world position of a voxel of the active mask, along the layer's own axes.

        Raises
        ------
        InputError
            If no mask is active.
        """
        return self.required().position_of(index)

    # ---- edits

    def sync(self, layer: LabelsLayer | None = None) -> None:
        """Register what was written to the array of a layer (the active one) without an event."""
        layer = layer or self.layer
        if layer is not None:
            super().sync(layer)

    def apply(self, change: Change | None, action: str, mask: TrackedMask | None = None) -> bool:
        """Write a change to a mask (the active one) as one undo step; return False if it changes nothing.

        Raises
        ------
        InputError
            If no mask is active, the mask was removed, or its layer cannot be edited now.
        """
        if change is None or not change.voxels:
            return False
        mask = mask or self.required()
        layer = mask.layer
        if not self.is_tracked(mask):
            raise InputError(f"the layer {layer.name} was removed, so nothing was changed")
        if not layer.editable:
            raise InputError(f"the layer {layer.name} cannot be edited now; wait until its run is over")
        indices, values = change.as_setitem()
        with self.action(action), _only_indices_written(layer), layer.block_history():
            layer.data_setitem(mask.axes.to_layer(indices), values)
        return True

    # ---- reactions

    def _update_convention(self, mask: TrackedMask) -> None:
        if convention_of(mask.layer) not in (None, mask.convention):
            mask.update_convention()
            self.named.emit(mask.layer)

    def _on_placement(self) -> None:
        grid = self.grid()
        if grid is None or self._grid is None or not same_grid(grid, self._grid):
            self._grid = grid
            if self.layer is not None:
                self.placed.emit(self.layer)

    def _on_counted(self, mask: TrackedMask, change: Change) -> None:
        if mask is self._current:
            self.changed.emit(mask.layer, change)

    def _on_reshaped(self, mask: TrackedMask) -> None:
        if mask is self._current:
            self._current = None
            self.activate(mask.layer)

    def _on_mask_removed(self, mask: TrackedMask) -> None:
        if mask is self._current:
            self.activate(None)

    def _on_relabelled(self, layer: LabelsLayer) -> None:
        if layer is self.layer:
            self.renamed.emit(layer)


def same_grid(one: Grid, other: Grid) -> bool:
    """Return whether two grids are identical, so that a length on one holds on the other."""
    return one.shape == other.shape and one.unit == other.unit and np.array_equal(one.affine, other.affine)


@contextmanager
def _only_indices_written(layer: LabelsLayer) -> Iterator[None]:
    """Keep napari from also writing to the displayed slice where the layer lies across the axes.

    There `data_setitem` (0.9.2) confuses the displayed voxels; it leaves them alone while contours are shown.
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
