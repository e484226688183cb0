"""Voxel size that the user stated, for layers that are added later."""

from __future__ import annotations

from typing import Any

from napari.components import LayerList
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_tumorseg.viewer.layers.from_layers import grid_of, state_spacing
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
        scan = next((other for other in self._layers if _is_for(other, layer, origin)), None)
        if scan is not None:
            state_spacing([layer], grid_of(scan).spacing)


def _is_for(other: Layer, layer: Layer, origin: Origin) -> bool:
    """Return whether the stated voxel size of a layer holds for another one: of its case, or a mask on it."""
    theirs = origin_of(other)
    if other is layer or theirs is None or not theirs.stated_spacing:
        return False
    return theirs.grid.shape == origin.grid.shape and (
        theirs.group == origin.group or isinstance(layer, LabelsLayer)
    )
