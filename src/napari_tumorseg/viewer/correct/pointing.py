"""Voxel under the cursor, for keys, and voxel of the next click, for buttons."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from napari.layers import Labels as LabelsLayer
from napari.utils.key_bindings import coerce_keybinding
from psygnal import Signal
from qtpy.QtCore import QObject

from napari_tumorseg.errors import InputError
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.state.active_mask import NO_MASK
from napari_tumorseg.viewer.state.context import PanelContext

Use = Callable[[Index], None]

_ESCAPE = coerce_keybinding("Escape")


class Pointing(QObject):
    """Waits for one click on the active mask, in pan/zoom mode so that the click does not paint.

    Escape, another mode, another mask and 3-D end the wait.

    Parameters
    ----------
    context : PanelContext
        Viewer and active mask.
    """

    given_up = Signal()
    """The wait ended without a click."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context, self._viewer, self._active_mask = context, context.viewer, context.active_mask
        self._use: Use | None = None
        self._mode: tuple[LabelsLayer, str] | None = None
        self._escape: list[tuple[Any, Any]] = []  # whose key it was taken from, and what it did there

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for a click."""
        return self._use is not None

    def under_cursor(self) -> Index | None:
        """Return the voxel of the active mask under the cursor, None outside of it.

        Raises
        ------
        InputError
            In 3-D.
        """
        self._refuse_3d()
        return self._active_mask.index_of(self._viewer.cursor.position)

    def wait(self, use: Use) -> None:
        """Call `use` with the voxel of the next click; a second call with the same function gives up.

        Raises
        ------
        InputError
            In 3-D, or without a mask.
        """
        is_again = use == self._use
        self.give_up()
        if is_again:
            return
        self._refuse_3d()
        layer = self._active_mask.layer
        if layer is None:
            raise InputError(NO_MASK)
        self._use, self._mode = use, (layer, str(layer.mode))
        layer.mode = "pan_zoom"
        layer.events.mode.connect(self._on_mode)
        self._viewer.mouse_drag_callbacks.append(self._on_press)
        self._viewer.dims.events.ndisplay.connect(self.give_up)
        self._active_mask.switched.connect(self.give_up)
        self._take_escape()

    def give_up(self, event: Any = None) -> None:
        """Stop waiting and emit `given_up`."""
        if self.is_waiting:
            self.stop()
            self.given_up.emit()

    def stop(self) -> None:
        """Stop waiting and restore the layer's mode."""
        if self._mode is None:
            return
        (layer, mode), self._use, self._mode = self._mode, None, None
        layer.events.mode.disconnect(self._on_mode)
        layer.mode = mode
        self._viewer.mouse_drag_callbacks.remove(self._on_press)
        self._viewer.dims.events.ndisplay.disconnect(self.give_up)
        self._active_mask.switched.disconnect(self.give_up)
        self._return_escape()

    def _take_escape(self) -> None:
        """Bind Escape in the viewer and in its layers: Labels and Shapes have an Escape that comes first."""
        for owner in (self._viewer, *self._viewer.layers):
            self._escape.append((owner, owner.keymap.get(_ESCAPE)))
            owner.bind_key("Escape", self.give_up, overwrite=True)

    def _return_escape(self) -> None:
        taken, self._escape = self._escape, []
        for owner, before in taken:
            owner.bind_key("Escape", before, overwrite=True)

    def _refuse_3d(self) -> None:
        if self._viewer.dims.ndisplay != 2:
            raise InputError("In 3-D the cursor does not point at one voxel: turn to slices first.")

    def _on_mode(self, event: Any) -> None:
        """Give up and keep the mode that the user chose."""
        if self._mode is not None:
            layer, _ = self._mode
            self._mode = layer, str(layer.mode)
            self.give_up()

    def _on_press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        moved = False
        yield
        while event.type == "mouse_move":
            moved = True
            yield
        use, index = self._use, self._active_mask.index_of(event.position)
        if moved or use is None:  # a drag moved the picture: keep waiting
            return
        self.stop()
        if index is not None:
            self._context.safely(lambda: use(index))()
