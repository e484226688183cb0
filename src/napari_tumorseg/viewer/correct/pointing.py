"""Pointing at a place in the picture: by a key where the cursor is, by a button with the next click."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.results.in_hand import MaskInHand

if TYPE_CHECKING:
    from napari import Viewer

Use = Callable[[Index], None]


class Pointing(QObject):
    """Waits for one click on the mask in hand; the layer's mode is put aside meanwhile, lest it paints."""

    def __init__(self, viewer: Viewer, in_hand: MaskInHand) -> None:
        super().__init__()
        self._viewer = viewer
        self._in_hand = in_hand
        self._use: Use | None = None
        self._mode: tuple[Any, str] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the next click is taken."""
        return self._use is not None

    def under_cursor(self) -> Index | None:
        """Return the voxel of the mask in hand under the cursor, None outside of it."""
        return self._in_hand.index_of(self._viewer.cursor.position)

    def wait(self, use: Use) -> None:
        """Give the voxel that is clicked next to `use`."""
        self.stop()
        layer = self._in_hand.layer
        if layer is None:
            return
        self._use, self._mode = use, (layer, str(layer.mode))
        layer.mode = "pan_zoom"
        self._viewer.mouse_drag_callbacks.append(self._on_press)

    def stop(self) -> None:
        """Wait no more."""
        if self._on_press in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_press)
        if self._mode is not None:
            layer, mode = self._mode
            layer.mode = mode
        self._use = self._mode = None

    def _on_press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        moved = False
        yield
        while event.type == "mouse_move":
            moved = True
            yield
        use, index = self._use, self._in_hand.index_of(event.position)
        if moved or use is None:  # the picture was moved: the click is still to come
            return
        self.stop()
        if index is not None:
            use(index)
