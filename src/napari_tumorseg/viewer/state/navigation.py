"""Navigation to lesions: a region's largest slice, the next and the previous component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QObject

from napari_tumorseg.edit import Component, largest_slice, list_components
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.state.active_mask import ActiveMask
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask
from napari_tumorseg.viewer.widgets.commands import Command

if TYPE_CHECKING:
    from napari import Viewer
    from napari.components import Dims

NEXT_COMPONENT = Command("next_component", "▶", "N", "Go to the next component of the selected row")
PREVIOUS_COMPONENT = Command(
    "previous_component", "◀", "Shift-N", "Go to the previous component of the selected row"
)


class Navigator(QObject):
    """Turns the viewer to regions and components of the active mask.

    Parameters
    ----------
    viewer : Viewer
        To be moved.
    active_mask : ActiveMask
        Whose regions are gone to.
    """

    reported = Signal(str)
    """The place to which the viewer was turned, as a sentence."""

    def __init__(self, viewer: Viewer, active_mask: ActiveMask) -> None:
        super().__init__()
        self._viewer, self._active_mask = viewer, active_mask
        self._row = ""
        self._number = -1
        self._found: list[Component] | None = None
        active_mask.changed.connect(self._forget)
        active_mask.switched.connect(self._on_switched)

    def show_row(self, name: str) -> None:
        """Turn the viewer to the largest slice of a label or region; the camera moves only if it must."""
        self._row, self._number = name, -1
        place = largest_slice(self._active_mask.labels(), self._members(name), self.axis)
        if place is None:
            self.reported.emit(f"There is no {name} in this mask.")
        else:
            self.turn_to(place)
            if not self.is_in_sight(place):
                self.centre_on(place)
            self.reported.emit(f"{name}: largest on slice {place[self.axis]}.")

    def step(self, name: str, direction: int) -> None:
        """Centre the viewer on the next (1) or previous (-1) component, the largest one first."""
        if name != self._row:
            self._row, self._number, self._found = name, -1, None
        if self._found is None:
            self._found = list_components(self._active_mask.labels(), self._members(name))
        count = len(self._found)
        if not count:
            self.reported.emit(f"There is no {name} in this mask.")
            return
        started = self._number >= 0
        self._number = (self._number + direction) % count if started else (0 if direction > 0 else count - 1)
        one = self._found[self._number]
        self.centre_on(one.centre_of_slice(self.axis))
        self.reported.emit(f"{name}: part {self._number + 1} of {count}, {one.voxels} voxels.")

    @property
    def axis(self) -> int:
        """The canonical axis along which the viewer slices; the one towards the head in 3-D."""
        mask = self._active_mask.mask
        axis = sliced_axis(self._viewer.dims, mask) if mask is not None else None
        return axis if axis is not None else 0

    def centre_on(self, index: Index) -> None:
        """Show the slice of a voxel of the active mask, with the voxel in the middle; the zoom stays."""
        self.turn_to(index)
        camera = self._viewer.scene.camera
        camera.center = self._on_screen(index)

    def turn_to(self, index: Index) -> None:
        """Show the slice of a voxel of the active mask; the camera stays."""
        turn_to(self._viewer.dims, self._active_mask, index)

    def is_in_sight(self, index: Index) -> bool:
        """Return whether a voxel of the displayed slice lies within the canvas; False in 3-D."""
        viewer = self._viewer
        if viewer.dims.ndisplay != 2:
            return False
        camera = viewer.scene.camera
        away = np.subtract(self._on_screen(index), camera.center)[-2:]
        half = np.asarray(viewer.canvas.viewbox_size(viewer.layers)) / camera.zoom / 2
        return bool((np.abs(away) <= half).all())

    def _on_screen(self, index: Index) -> tuple[float, ...]:
        """Return the camera's centre for which a voxel is in the middle."""
        dims, place = self._viewer.dims, self._active_mask.position_of(index)
        return _seen(dims.displayed, dims.ndim - len(place), place, self._viewer.scene.camera.center)

    def _members(self, name: str) -> Sequence[int]:
        return next(row.labels for row in self._active_mask.required().rows if row.name == name)

    def _forget(self, *_: object) -> None:
        self._found = None

    def _on_switched(self, layer: object) -> None:
        self._row, self._number, self._found = "", -1, None


def sliced_axis(dims: Dims, mask: TrackedMask) -> int | None:
    """Return the canonical axis along which the viewer cuts a mask, None where it shows all slices at once.

    A picture is its own only slice.
    """
    first = dims.ndim - 3
    axes = [0] if mask.axes.is_flat else [axis - first for axis in dims.not_displayed if axis >= first]
    return int(mask.axes.axis_order.axes.index(axes[0])) if dims.ndisplay == 2 and len(axes) == 1 else None


def turn_to(dims: Dims, active_mask: ActiveMask, index: Sequence[float]) -> None:
    """Show the slice of a voxel of the active mask."""
    place = active_mask.position_of(index)
    first = dims.ndim - len(place)
    for axis in dims.not_displayed:
        if axis >= first:
            dims.set_point(axis, place[axis - first])


def _seen(
    displayed: Sequence[int], first: int, place: Sequence[float], before: Sequence[float]
) -> tuple[float, ...]:
    """Return the camera's centre: a place along the axes in the screen, in its last slots."""
    centre = [float(v) for v in before]
    for slot, axis in zip(range(len(centre) - len(displayed), len(centre)), displayed, strict=True):
        if axis >= first:
            centre[slot] = float(np.asarray(place)[axis - first])
    return tuple(centre)
