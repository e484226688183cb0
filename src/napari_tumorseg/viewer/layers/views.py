"""Layers that only show something of others: marked, and added without changing the selection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Layer

from napari_tumorseg.viewer.layers.origin import BRAIN, VIEW_KEY, is_view

if TYPE_CHECKING:
    from napari import Viewer


def view_metadata(kind: str) -> dict[str, Any]:
    """Return the metadata of a layer that only shows something, such as ``"diameters"``."""
    return {VIEW_KEY: kind}


def add_view(viewer: Viewer, layer: Layer) -> None:
    """Add a layer and leave the selection as it is: a brush in use stays in use."""
    active = viewer.layers.selection.active
    viewer.add_layer(layer)
    if active is not None and active in viewer.layers:
        viewer.layers.selection.active = active


def remove_views(viewer: Viewer, kind: str = "") -> None:
    """Remove the layers of one kind that only show something, or all of them but brain masks."""
    for layer in views(viewer, kind):
        if kind or layer.metadata[VIEW_KEY] != BRAIN:
            viewer.layers.remove(layer)


def views(viewer: Viewer, kind: str = "") -> list[Layer]:
    """Return the layers of one kind that only show something, or all of them."""
    found = [layer for layer in viewer.layers if is_view(layer)]
    return [layer for layer in found if not kind or layer.metadata[VIEW_KEY] == kind]
