"""Locked components: remembered by one voxel each, and shown as points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Points as PointsLayer
from qtpy.QtCore import QTimer

from napari_tumorseg.edit import ANY, Component, component_at
from napari_tumorseg.geometry import Array
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.layers.views import add_view, remove_views, view_metadata, views
from napari_tumorseg.viewer.state.active_mask import ActiveMask

if TYPE_CHECKING:
    from napari import Viewer

KIND = "locked"


class LockedComponents:
    """Components of each mask that the tools of the panel leave unchanged.

    The locks are stored with the edits of the mask, so that they are autosaved and recovered with them.

    Parameters
    ----------
    viewer : napari Viewer
        Viewer that shows the points.
    active_mask : ActiveMask
        Mask whose locks are shown and changed.
    """

    def __init__(self, viewer: Viewer, active_mask: ActiveMask) -> None:
        self._viewer = viewer
        self._active_mask = active_mask
        self._soon = QTimer(active_mask)  # a mask may be switched while its layer is being added
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self.show)
        active_mask.switched.connect(self._show_soon)
        active_mask.changed.connect(self._on_changed)

    @property
    def seeds(self) -> tuple[Index, ...]:
        """One voxel of each locked component of the active mask."""
        mask = self._active_mask.mask
        return mask.edits.locked if mask is not None else ()

    def toggle(self, found: Component) -> bool:
        """Lock a component, or unlock it; return whether it is locked now."""
        mask = self._active_mask.mask
        assert mask is not None
        others = tuple(seed for seed in self.seeds if not holds(found, seed))
        was_locked = len(others) < len(self.seeds)
        mask.edits.lock(others if was_locked else (*others, found.centre))
        self.show()
        return not was_locked

    def show(self) -> None:
        """Show a point at each locked component of the active mask that still exists."""
        existing = [seed for seed in self.seeds if self._active_mask.labels()[seed]]
        points = [self._active_mask.position_of(seed) for seed in existing]
        layer = next((x for x in views(self._viewer, KIND) if isinstance(x, PointsLayer)), None)
        if layer is not None and (not points or layer.ndim == len(points[0])):
            places = np.asarray(points, dtype=float).reshape(-1, layer.ndim)
            layer.data = (places - layer.translate) / layer.scale
        elif points:
            remove_views(self._viewer, KIND)
            add_view(self._viewer, self._make_layer(points))

    def _show_soon(self, layer: object) -> None:
        self._soon.start()

    def _on_changed(self, layer: object, change: object) -> None:
        if self.seeds:
            self._soon.start()

    def _make_layer(self, points: list[tuple[float, ...]]) -> PointsLayer:
        mask = self._active_mask.layer
        assert mask is not None
        scale = np.asarray(mask.scale, dtype=float)  # as the mask's, else the slider would count mm
        return PointsLayer(
            (np.asarray(points, dtype=float) - mask.translate) / scale,
            scale=scale,
            translate=mask.translate,
            name="locked",
            symbol="ring",
            size=8,
            face_color="white",
            units=mask.units,
            axis_labels=mask.axis_labels,
            metadata=view_metadata(KIND),
        )


def holds(component: Component, point: Index) -> bool:
    """Return whether a voxel lies in a component."""
    if not all(side.start <= p < side.stop for p, side in zip(point, component.box, strict=True)):
        return False
    return bool(component.mask[tuple(p - s.start for p, s in zip(point, component.box, strict=True))])


def locked_mask(labels: Array, seeds: tuple[Index, ...]) -> Array | None:
    """Return the voxels of the locked components (lesions of any labels) as bool, None if there are none."""
    found = [component_at(labels, seed, region=ANY) for seed in seeds]
    components = [one for one in found if one is not None]
    if not components:
        return None
    mask = np.zeros(labels.shape, dtype=bool)
    for one in components:
        mask[one.box] |= one.mask
    return mask
