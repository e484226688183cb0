"""Snapshot of a viewer's layers, grid, dimensions and camera."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from napari.layers import Layer

if TYPE_CHECKING:
    from napari import Viewer

_OF_LAYERS = ("visible", "opacity", "blending", "contour")
_OF_GRID = ("enabled", "stride", "shape", "spacing")
_OF_CAMERA = ("orientation", "center", "zoom", "angles")


class ViewerState:
    """Snapshot that can be restored; layers are referenced weakly, so that removed ones are freed."""

    def __init__(self, viewer: Viewer) -> None:
        self._layers: WeakKeyDictionary[Layer, dict[str, Any]] = WeakKeyDictionary()
        for layer in viewer.layers:
            self._layers[layer] = {n: getattr(layer, n) for n in _OF_LAYERS if hasattr(layer, n)}
        selected = viewer.layers.selection.active
        # not `selected` itself: that may be a proxy, which a weak reference outlives
        active = next((layer for layer in viewer.layers if layer == selected), None)
        self._active = ref(active) if active is not None else None
        self._order = [ref(layer) for layer in viewer.layers]
        self._grid = {name: getattr(viewer.canvas.grid, name) for name in _OF_GRID}
        self._ndisplay, self._dims = viewer.dims.ndisplay, tuple(viewer.dims.order)
        self._camera = {name: getattr(viewer.scene.camera, name) for name in _OF_CAMERA}

    def leave_selection(self) -> None:
        """Exclude the selection, since it was changed on purpose since."""
        self._active = None

    def note_opacity(self, layer: Layer, opacity: float) -> None:
        """Restore this opacity of a layer, which was changed on purpose since."""
        if layer in self._layers:
            self._layers[layer]["opacity"] = opacity

    def restore(self, viewer: Viewer) -> None:
        """Restore the snapshot; the slice and layers added since stay, the latter above the others."""
        self._reorder(viewer)
        for layer, looks in list(self._layers.items()):
            if layer in viewer.layers:
                for name, value in looks.items():
                    setattr(layer, name, value)
        for name, value in self._grid.items():
            setattr(viewer.canvas.grid, name, value)
        viewer.dims.ndisplay = self._ndisplay
        if viewer.dims.ndim == len(self._dims):
            viewer.dims.order = self._dims
        for name, value in self._camera.items():
            setattr(viewer.scene.camera, name, value)
        # last: napari asks a layer at once what lies under the cursor, which fails halfway out of 3-D
        active = self._active() if self._active is not None else None
        if active is not None and active in viewer.layers:
            viewer.layers.selection.active = active

    def _reorder(self, viewer: Viewer) -> None:
        known = [layer for layer in (r() for r in self._order) if layer is not None]
        for place, layer in enumerate(layer for layer in known if layer in viewer.layers):
            there = viewer.layers.index(layer)
            if there != place:
                viewer.layers.move(there, place)
