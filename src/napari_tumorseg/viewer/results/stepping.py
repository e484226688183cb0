"""Going to lesions: a region's largest slice, the next and the previous component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QObject

from napari_tumorseg.edit import Component, largest_slice, list_components
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.results.in_hand import MaskInHand

if TYPE_CHECKING:
    from napari import Viewer


class Stepping(QObject):
    """Centres the viewer on parts of the mask in hand.

    Parameters
    ----------
    viewer : Viewer
        To be moved.
    in_hand : MaskInHand
        Whose regions are gone to.
    """

    said = Signal(str)
    """Where the viewer is now, in a sentence."""

    def __init__(self, viewer: Viewer, in_hand: MaskInHand) -> None:
        super().__init__()
        self._viewer, self._in_hand = viewer, in_hand
        self._row = ""
        self._number = -1
        self._found: list[Component] | None = None
        in_hand.changed.connect(self._forget)
        in_hand.switched.connect(self._on_switched)

    def show_row(self, name: str) -> None:
        """Centre the viewer on the largest slice of a label or region."""
        self._row, self._number = name, -1
        place = largest_slice(self._in_hand.labels(), self._members(name), self.axis)
        if place is None:
            self.said.emit(f"There is no {name} in this mask.")
        else:
            self.centre_on(place)
            self.said.emit(f"{name}: largest on slice {place[self.axis]}.")

    def step(self, name: str, direction: int) -> None:
        """Centre the viewer on the next (1) or previous (-1) component, the largest one first."""
        if name != self._row:
            self._row, self._number, self._found = name, -1, None
        if self._found is None:
            self._found = list_components(self._in_hand.labels(), self._members(name))
        count = len(self._found)
        if not count:
            self.said.emit(f"There is no {name} in this mask.")
            return
        started = self._number >= 0
        self._number = (self._number + direction) % count if started else (0 if direction > 0 else count - 1)
        one = self._found[self._number]
        self.centre_on(one.centre_of_slice(self.axis))
        self.said.emit(f"{name}: part {self._number + 1} of {count}, {one.voxels} voxels.")

    @property
    def axis(self) -> int:
        """The canonical axis along which the viewer slices; the one towards the head in 3-D."""
        dims, mask = self._viewer.dims, self._in_hand.mask
        sliced = [axis for axis in dims.not_displayed if axis >= dims.ndim - 3]
        if mask is None or not sliced:
            return 0
        return mask.axes.view.axes.index(sliced[-1] - (dims.ndim - 3))

    def centre_on(self, index: Index) -> None:
        """Show the slice of a voxel of the mask in hand, with the voxel in the middle; the zoom stays."""
        dims = self._viewer.dims
        place = self._in_hand.position_of(index)
        first = dims.ndim - len(place)
        for axis in dims.not_displayed:
            if axis >= first:
                dims.set_point(axis, place[axis - first])
        camera = self._viewer.scene.camera
        camera.center = _seen(dims.displayed, first, place, camera.center)

    def _members(self, name: str) -> Sequence[int]:
        scheme = self._in_hand.scheme
        assert scheme is not None
        found = {label.short: (label.value,) for label in scheme.labels} | dict(scheme.regions)
        return found[name]

    def _forget(self, *_: object) -> None:
        self._found = None

    def _on_switched(self, layer: object) -> None:
        self._row, self._number, self._found = "", -1, None


def _seen(
    displayed: Sequence[int], first: int, place: Sequence[float], before: Sequence[float]
) -> tuple[float, ...]:
    """Return the camera's centre: a place along the axes in the screen, in its last slots."""
    centre = [float(v) for v in before]
    for slot, axis in zip(range(len(centre) - len(displayed), len(centre)), displayed, strict=True):
        if axis >= first:
            centre[slot] = float(np.asarray(place)[axis - first])
    return tuple(centre)
