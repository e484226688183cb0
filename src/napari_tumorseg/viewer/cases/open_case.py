"""Layers of the open case, which are removed with it, unlike other layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from napari.components import LayerList
from napari.layers import Layer

from napari_tumorseg.viewer.layers.edits import edits_of
from napari_tumorseg.viewer.layers.from_layers import grid_of, same_voxels
from napari_tumorseg.viewer.layers.origin import is_view, origin_of


class OpenCase:
    """The case that is open, by its layers; at first none.

    Cases of one data set share a grid, so that it also counts while which of them a layer first came.

    Parameters
    ----------
    layers : LayerList
        Of the viewer.
    """

    def __init__(self, layers: LayerList) -> None:
        self._layers = layers
        self._groups: set[str] = set()
        self._turn = 0
        self._came: WeakKeyDictionary[Layer, int] = WeakKeyDictionary()
        layers.events.inserted.connect(self._on_inserted)

    def detach(self) -> None:
        """Unsubscribe from the viewer."""
        self._layers.events.inserted.disconnect(self._on_inserted)

    def open(self, read: Sequence[Layer]) -> None:
        """Begin a case with the layers that were read for it."""
        self._turn += 1
        self._groups = {origin.group for origin in map(origin_of, read) if origin}

    def close(self) -> None:
        """Have no case open."""
        self._turn += 1
        self._groups = set()

    def owns(self, layer: Layer) -> bool:
        """Return whether a layer belongs to the case: by its group, or by its grid if it is newer."""
        if self._is_of_group(layer):
            return True
        if self._came.get(layer) != self._turn:
            return False
        own = [other for other in self._layers if self._is_of_group(other)]
        grid = grid_of(layer)
        return same_voxels(layer, own) is not None or any(grid_of(x).same_space(grid) for x in own)

    def to_close(self) -> list[Layer]:
        """Return the layers that came with the case, were made from it, or are masks drawn on it."""
        if not self._groups:
            return []
        return [x for x in self._layers if is_view(x) or self._is_of_group(x) or self._is_drawn(x)]

    def _is_of_group(self, layer: Layer) -> bool:
        origin = origin_of(layer)
        return origin is not None and origin.group in self._groups

    def _is_drawn(self, layer: Layer) -> bool:
        edits = edits_of(layer)
        return (
            origin_of(layer) is None
            and edits is not None
            and edits.edit_counts.total > 0
            and self.owns(layer)
        )

    def _on_inserted(self, event: Any) -> None:
        self._came.setdefault(event.value, self._turn)
