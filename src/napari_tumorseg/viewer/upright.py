"""Keeping the head up when the viewer is turned to coronal or sagittal slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_tumorseg.viewer.origin import origin_of

if TYPE_CHECKING:
    from napari import Viewer


class Upright:
    """Flips the screen's vertical axis while the axis that runs towards the head is shown on it.

    napari draws rows downwards, and our first axis runs towards the head: coronal and sagittal slices
    would stand on their heads. Without a layer of ours nothing is touched.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        viewer.dims.events.order.connect(self._on_turned)

    def disconnect(self) -> None:
        """Leave the view to the user."""
        self._viewer.dims.events.order.disconnect(self._on_turned)

    def _on_turned(self, event: Any = None) -> None:
        dims = self._viewer.dims
        if not any(origin_of(layer) for layer in self._viewer.layers):
            return
        head_axis = dims.ndim - 3
        camera = self._viewer.scene.camera
        across = camera.orientation2d[1]
        camera.orientation2d = ("up" if dims.order[-2] == head_axis else "down", across)
