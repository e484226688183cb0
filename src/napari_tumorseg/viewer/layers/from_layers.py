"""Layers as scans and masks: the way back from the viewer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Affine, Array, Grid, bounding_box
from napari_tumorseg.regions import LabelConvention, decide_convention
from napari_tumorseg.scan import Image, Role, Segmentation
from napari_tumorseg.viewer.layers.edits import edits_of
from napari_tumorseg.viewer.layers.origin import METADATA_KEY, Origin, origin_of
from napari_tumorseg.viewer.layers.to_layers import fingerprint, placement

_SPL_TO_RAS = np.array([[0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=float)


def to_image(layer: ImageLayer, role: Role) -> Image:
    """Return an Image layer as a channel; a colour picture as its brightness.

    A layer that this plugin did not read is taken to lie as it is shown: head up the first axis, back
    down the screen, left to the right of it.
    """
    data = np.asarray(layer.data)
    if layer.rgb:
        data = data[..., :3].mean(axis=-1, dtype=np.float32)
    grid, data = _grid_and_canonical(layer, data)
    origin = origin_of(layer)
    return Image(origin.name if origin else layer.name, role, data, grid, origin.source if origin else None)


def to_segmentation(
    layer: LabelsLayer, beside: Iterable[Layer] = (), convention: LabelConvention | None = None
) -> Segmentation:
    """Return a Labels layer as a segmentation.

    Parameters
    ----------
    layer : Labels
        Any; one that this plugin did not make gets its grid from a scan of the same voxels among
        `beside`, else from its own scale and translation.
    beside : iterable of Layer
        Layers of the same viewer.
    convention : LabelConvention, optional
        What the numbers mean; else the layer's own convention, or the only one that fits.

    Raises
    ------
    InputError
        If the layer holds labels that the convention does not have.
    ChoiceNeededError
        If several conventions fit.
    """
    origin = origin_of(layer)
    labels = as_labels(np.asarray(layer.data), layer.name)
    values = _present(labels)
    chosen = (
        convention
        or (origin.convention if origin else None)
        or decide_convention(values, f"the layer {layer.name}")
    )
    strange = sorted(set(values) - {0} - chosen.values)
    if strange:
        raise InputError(
            f"the layer {layer.name} holds the labels {strange}, which {chosen.name} does not have"
        )
    edits = edits_of(layer)
    edited = {"edits": edits.edit_counts.to_dict()} if edits and edits.edit_counts.total else {}
    if origin is None:
        scan = same_voxels(layer, beside)
        grid, labels = (scan.grid, labels) if scan else _grid_and_canonical(layer, labels)
        return Segmentation(labels, grid, chosen, scan.case if scan else layer.name, provenance=edited)
    provenance = {**origin.provenance, **edited}
    if origin.fingerprint is not None:
        provenance["corrected_by_hand"] = fingerprint(labels) != origin.fingerprint
    return Segmentation(labels, origin.grid, chosen, origin.case, origin.source, provenance)


def grid_of(layer: Layer) -> Grid:
    """Return the grid of a 2-D or 3-D layer, from its metadata or from how it is placed."""
    return _grid_and_canonical(layer, np.broadcast_to(np.uint8(0), _spatial_shape(layer)))[0]


def state_spacing(layers: Sequence[Layer], spacing: tuple[float, float, float]) -> None:
    """Give volumes whose files tell no voxel size the one (Z, Y, X) in mm that the user states.

    Raises
    ------
    InputError
        If it is not three positive numbers.
    """
    for layer in (layer for layer in layers if layer.ndim == 3):
        origin, before = origin_of(layer), grid_of(layer)
        if origin is None and not np.allclose(before.spacing, layer.scale):
            continue  # it lies across the axes of the scan
        grid = before.with_spacing(spacing)
        if origin is not None:
            layer.metadata[METADATA_KEY] = replace(origin, grid=grid, stated_spacing=True)
        place = placement(grid)
        layer.units, layer.scale, layer.translate = place["units"], place["scale"], place["translate"]


def _spatial_shape(layer: Layer) -> tuple[int, ...]:
    shape = tuple(np.shape(layer.data))
    return shape[:-1] if getattr(layer, "rgb", False) else shape


def _grid_and_canonical(layer: Layer, data: Array) -> tuple[Grid, Array]:
    """Return a layer's grid and its array on it, in canonical order."""
    origin = origin_of(layer)
    if origin is not None:
        return origin.grid, data
    if data.ndim not in (2, 3):
        raise InputError(f"the layer {layer.name} has {data.ndim} axes; an image has two or three")
    volume = data if data.ndim == 3 else data[np.newaxis]
    affine, unit = _world_of(layer)
    grid = Grid.from_file(volume.shape, affine, "mm" if unit else "unknown")
    assert grid.file_layout is not None
    return grid, grid.file_layout.axis_order.apply(volume)


def _world_of(layer: Layer) -> tuple[Affine, bool]:
    """Return a layer's voxel-to-RAS affine, and whether it is in mm."""
    ndim = layer.ndim
    own = np.eye(ndim + 1)
    own[:ndim, :ndim] = np.asarray(layer.rotate).reshape(ndim, ndim) @ np.diag(layer.scale)
    own[:ndim, ndim] = layer.translate
    own = layer.affine.affine_matrix @ own
    world = np.eye(4)
    world[3 - ndim : 3, 3 - ndim : 3] = own[:ndim, :ndim]
    world[3 - ndim : 3, 3] = own[:ndim, ndim]
    factors = [_millimetres(unit) for unit in layer.units]
    if ndim < 3 or None in factors:  # the thickness of a picture is not known
        return _SPL_TO_RAS @ world, False
    return _SPL_TO_RAS @ np.diag([*factors, 1.0]) @ world, True


def _millimetres(unit: Any) -> float | None:
    """Return how many mm a unit of napari is, None for pixels."""
    quantity = 1 * unit
    return float(quantity.to("mm").magnitude) if quantity.check("[length]") else None


def same_voxels(layer: Layer, beside: Iterable[Layer]) -> Origin | None:
    """Return the origin of a scan with the same voxels at the same place, if one is there."""
    for other in beside:
        origin = origin_of(other)
        if (
            origin is not None
            and other is not layer
            and origin.grid.shape == _spatial_shape(layer)
            and np.allclose(other.scale, layer.scale)
            and np.allclose(other.translate, layer.translate)
        ):
            return origin
    return None


def as_labels(data: Array, name: str) -> Array:
    """Return the labels of the layer of this name as uint8.

    Raises
    ------
    InputError
        If there are some that are not 0 to 255.
    """
    if data.dtype != np.uint8 and data.size and not 0 <= data.min() <= data.max() <= 255:
        raise InputError(f"the layer {name} holds labels outside 0 to 255")
    return np.asarray(data, dtype=np.uint8)


def _present(data: Array) -> list[int]:
    box = bounding_box(data)  # most of a mask is background, which need not be counted
    return [] if box is None else [int(v) for v in np.flatnonzero(np.bincount(data[box].ravel()))]
