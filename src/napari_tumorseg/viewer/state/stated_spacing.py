"""Voxel size that the user stated, for layers that are added later."""

from __future__ import annotations

from typing import Any

from napari.components import LayerList
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_tumorseg.viewer.layers.from_layers import grid_of, state_spacing
from napari_tumorseg.viewer.layers.inputs import EVERYTHING, LayerGroup, groups_of
from napari_tumorseg.viewer.layers.origin import Origin, origin_of


class StatedSpacing:
    """Gives layers without a voxel size the one that the user stated for their case.

    Parameters
    ----------
    layers : LayerList
        Of the viewer.
    """

    def __init__(self, layers: LayerList) -> None:
        self._layers = layers
        layers.events.inserted.connect(self._on_inserted)

    def detach(self) -> None:
        """Unsubscribe from the viewer."""
        self._layers.events.inserted.disconnect(self._on_inserted)

    def _on_inserted(self, event: Any) -> None:
        layer, origin = event.value, origin_of(event.value)
        if origin is None or origin.grid.unit == "mm":
            return
        scan = self._scan_of(layer, origin)
        if scan is not None:
            state_spacing([layer], grid_of(scan).spacing)

    def _scan_of(self, layer: Layer, origin: Origin) -> Layer | None:
        """Return a layer with a stated voxel size that holds for a new one.

        It is of the same case; or the new one is a mask without images of its own, and there is only one
        case of its shape.
        """
        alike = {
            other: theirs
            for other in self._layers
            if other is not layer and (theirs := origin_of(other)) and theirs.grid.shape == origin.grid.shape
        }
        stated = {other: theirs.group for other, theirs in alike.items() if theirs.stated_spacing}
        own = next((other for other, group in stated.items() if group == origin.group), None)
        if own is not None or not isinstance(layer, LabelsLayer):
            return own
        shapes = {g.key: _shape_of(g) for g in groups_of(list(self._layers)) if g.title != EVERYTHING}
        cases = {key for key, shape in shapes.items() if shape == origin.grid.shape}
        if origin.group in shapes:
            return None
        return next((other for other, group in stated.items() if cases == {group}), None)


def _shape_of(group: LayerGroup) -> tuple[int, ...]:
    return grid_of(group.layers[0]).shape
