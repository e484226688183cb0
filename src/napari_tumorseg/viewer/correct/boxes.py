"""Boxes for the rerun of a model: a rectangle that the user drew, or the surroundings of a component."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Shapes as ShapesLayer

from napari_tumorseg.edit import ANY, component_at
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.layers.views import view_metadata, views
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask

if TYPE_CHECKING:
    from napari import Viewer

Box = tuple[slice, slice, slice]
KIND = "box"


def start_drawing(viewer: Viewer, mask: TrackedMask) -> ShapesLayer:
    """Return the layer to draw boxes in, in rectangle mode; it is created if it is missing."""
    layer = next((x for x in views(viewer, KIND) if isinstance(x, ShapesLayer)), None)
    if layer is None:
        layer = ShapesLayer(
            ndim=3,
            name="box",
            edge_color="white",
            face_color="transparent",
            units=mask.layer.units[-3:] if mask.layer.ndim == 3 else None,
            metadata=view_metadata(KIND),
        )
        viewer.add_layer(layer)
    viewer.layers.selection.active = layer
    layer.mode = "add_rectangle"
    return layer


def drawn_box(viewer: Viewer, mask: TrackedMask, slices_around: int) -> Box:
    """Return the canonical box of the last rectangle that was drawn.

    Parameters
    ----------
    viewer : napari Viewer
        Viewer whose Shapes layers are searched, the one for boxes first.
    mask : TrackedMask
        Mask in whose voxels the box is given.
    slices_around : int
        Number of slices on each side of the rectangle's own.

    Raises
    ------
    InputError
        If there is no rectangle, or it lies outside the mask.
    """
    shapes = [x for x in (*views(viewer, KIND), *reversed(viewer.layers)) if isinstance(x, ShapesLayer)]
    layer = next((x for x in shapes if "rectangle" in x.shape_type), None)
    if layer is None:
        raise InputError("There is no rectangle: press Draw a box and draw one around the place.")
    last = max(i for i, kind in enumerate(layer.shape_type) if kind == "rectangle")
    corners = [_voxel(mask, layer.data_to_world(corner)) for corner in layer.data[last]]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    flat = [axis for axis in range(3) if low[axis] == high[axis]]
    for axis in flat[:1]:  # the slice it was drawn on
        low[axis], high[axis] = low[axis] - slices_around, high[axis] + slices_around
    return _clipped(low, high + 1, mask.axes.shape, "the rectangle")


def box_around(labels: Array, index: Index, mm: float, spacing: tuple[float, float, float] | None) -> Box:
    """Return the box of the lesion at a voxel with a margin in mm, or in voxels without a voxel size.

    Raises
    ------
    InputError
        If there is no lesion.
    """
    found = component_at(labels, index, region=ANY)
    if found is None:
        raise InputError("There is no component there: point at one.")
    margins = [math.ceil(mm / step) for step in spacing or (1.0, 1.0, 1.0)]
    low = np.array([side.start for side in found.box]) - margins
    high = np.array([side.stop for side in found.box]) + margins
    return _clipped(low, high, labels.shape, "the box")


def _voxel(mask: TrackedMask, world: tuple[float, ...]) -> Array:
    """Return the canonical index of a world position, which may lie outside the mask."""
    layer = mask.layer
    there = np.asarray(layer.world_to_data(world[-layer.ndim :]), dtype=float)
    there = np.rint(np.concatenate([[0.0], there]) if mask.axes.is_flat else there).astype(int)
    pairs = zip(mask.axes.axis_order.axes, mask.axes.axis_order.flips, mask.axes.shape, strict=True)
    return np.array([n - 1 - there[a] if flip else there[a] for a, flip, n in pairs])


def _clipped(low: Array, high: Array, shape: tuple[int, ...], what: str) -> Box:
    sides = [slice(int(max(a, 0)), int(min(b, n))) for a, b, n in zip(low, high, shape, strict=True)]
    if any(side.stop <= side.start for side in sides):
        raise InputError(f"{what[0].upper()}{what[1:]} lies outside of the mask: draw it on the scan.")
    return sides[0], sides[1], sides[2]
