"""Clicks, strokes and boxes made with the mouse on the active mask."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from napari.layers import Labels as LabelsLayer
from napari.utils.key_bindings import coerce_keybinding
from psygnal import Signal
from qtpy.QtCore import QObject

from napari_tumorseg.errors import InputError
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.state.active_mask import NO_MASK
from napari_tumorseg.viewer.state.context import PanelContext

_ESCAPE = coerce_keybinding("Escape")
_REMOVES, _BOXES = "Alt", "Shift"


class ClickGestures(QObject):
    """Reads the mouse while it is switched on; drags do not move the picture then.

    A click gives one voxel, a drag the voxels along it, a drag with Shift the corners of a box; Alt removes.
    The mask is in pan/zoom mode. Escape, another mode, another mask and 3-D switch it off.

    Parameters
    ----------
    context : PanelContext
        Viewer and active mask.
    """

    made = Signal(object, bool, bool)
    """A gesture is complete: its voxels, whether it adds, and whether it is a box."""
    switched = Signal(bool)
    """It was switched on or off."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._viewer, self._active_mask = context.viewer, context.active_mask
        self._before: tuple[LabelsLayer, str, bool] | None = None
        self._escapes: list[tuple[Any, Any]] = []

    @property
    def is_on(self) -> bool:
        """Whether it reads the mouse."""
        return self._before is not None

    def switch_on(self) -> None:
        """Start to read the mouse.

        Raises
        ------
        InputError
            In 3-D, or without a mask.
        """
        if self.is_on:
            return
        if self._viewer.dims.ndisplay != 2:
            raise InputError("In 3-D the cursor does not point at one voxel: turn to slices first.")
        layer = self._active_mask.layer
        if layer is None:
            raise InputError(NO_MASK)
        self._viewer.layers.selection.active = layer
        self._before = layer, str(layer.mode), layer.mouse_pan
        layer.mode = "pan_zoom"
        layer.mouse_pan = False
        layer.events.mode.connect(self.switch_off)
        self._viewer.mouse_drag_callbacks.append(self._on_press)
        self._viewer.dims.events.ndisplay.connect(self.switch_off)
        self._active_mask.switched.connect(self.switch_off)
        for owner in (self._viewer, layer):  # Labels have an Escape of their own, which comes first
            self._escapes.append((owner, owner.keymap.get(_ESCAPE)))
            owner.bind_key("Escape", self.switch_off, overwrite=True)
        self.switched.emit(True)

    def switch_off(self, event: Any = None) -> None:
        """Stop to read the mouse and give the layer back as it was."""
        if self._before is None:
            return
        (layer, mode, pans), self._before = self._before, None
        layer.events.mode.disconnect(self.switch_off)
        self._viewer.mouse_drag_callbacks.remove(self._on_press)
        self._viewer.dims.events.ndisplay.disconnect(self.switch_off)
        self._active_mask.switched.disconnect(self.switch_off)
        if str(layer.mode) == "pan_zoom":  # else the user chose another one, which stays
            layer.mouse_pan = pans
            layer.mode = mode
        taken, self._escapes = self._escapes, []
        for owner, before in taken:
            owner.bind_key("Escape", before, overwrite=True)
        self.switched.emit(False)

    def _on_press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        if event.button != 1:
            return
        held = set(event.modifiers)
        path = [self._active_mask.index_of(event.position)]
        yield
        while event.type == "mouse_move":
            path.append(self._active_mask.index_of(event.position))
            yield
        inside = tuple(dict.fromkeys(voxel for voxel in path if voxel is not None))
        if inside:
            self._emit(inside, held)

    def _emit(self, voxels: tuple[Index, ...], held: set[str]) -> None:
        adds, is_box = _REMOVES not in held, _BOXES in held and len(voxels) > 1
        self.made.emit((voxels[0], voxels[-1]) if is_box else voxels, adds, is_box)
