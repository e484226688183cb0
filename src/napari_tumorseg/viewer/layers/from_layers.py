"""Layers as scans and masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Affine, Array, Grid, Unit, bounding_box
from napari_tumorseg.io.click_files import clicks_to_dict
from napari_tumorseg.regions import LabelConvention, decide_convention
from napari_tumorseg.scan import Image, Role, Segmentation
from napari_tumorseg.session.mask_facts import MEASURED_BEFORE
from napari_tumorseg.viewer.layers.arrays import array_of
from napari_tumorseg.viewer.layers.edits import Edits, edits_of
from napari_tumorseg.viewer.layers.origin import (
    CONVENTION_KEY,
    METADATA_KEY,
    Origin,
    convention_of,
    origin_of,
)
from napari_tumorseg.viewer.layers.to_layers import fingerprint, placement

PLACEMENT = ("units", "scale", "rotate", "shear", "affine", "translate")
"""Properties of a layer that say where it lies."""

_SPL_TO_RAS = np.array([[0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=float)


def to_image(layer: ImageLayer, role: Role) -> Image:
    """Return an Image layer as a channel; a colour picture as its brightness.

    A layer that this plugin did not read is taken to lie as it is shown: head up the first axis, back
    down the screen, left to the right of it.
    """
    data = array_of(layer)
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
        Meaning of the numbers; else the layer's own convention, or the only one that fits.

    Raises
    ------
    InputError
        If the layer holds labels that the convention does not have.
    ChoiceNeededError
        If several conventions fit.
    """
    labels = as_labels(array_of(layer), layer.name)
    values = labels_in(labels)
    chosen = convention or convention_of(layer) or decide_convention(values, f"the layer {layer.name}")
    if is_any_label_tumour(layer) and chosen.name == "binary":
        labels = (labels != 0).astype(np.uint8)
    elif strange := sorted(set(values) - chosen.values):
        raise InputError(
            f"the layer {layer.name} holds the labels {strange}, which {chosen.name} does not have; "
            "choose another label convention under Results, or erase them"
        )
    edits = edits_of(layer)
    edited = {"edits": edits.edit_counts.to_dict()} if edits and edits.edit_counts.total else {}
    origin = origin_of(layer)
    if origin is None:
        scan = same_voxels(layer, beside)
        grid, labels = (scan.grid, labels) if scan else _grid_and_canonical(layer, labels)
        return Segmentation(labels, grid, chosen, scan.case if scan else layer.name, provenance=edited)
    grid = grid_of(layer)
    provenance = {**origin.provenance, **edited, **_clicked(edits, origin.provenance, grid, chosen)}
    if origin.fingerprint is not None:
        provenance["corrected_by_hand"] = fingerprint(labels) != origin.fingerprint
    if edited and "measurements" in provenance:  # numbers of the mask before
        provenance.setdefault(MEASURED_BEFORE, provenance["measurements"])
        del provenance["measurements"]
    return Segmentation(labels, grid, chosen, origin.case, origin.source, provenance)


def _clicked(
    edits: Edits | None, before: Mapping[str, Any], grid: Grid, convention: LabelConvention
) -> dict[str, Any]:
    """Return the clicks on a mask, after those that its file told of."""
    if edits is None or not edits.clicks:
        return {}
    told = clicks_to_dict([step.click for step in edits.clicks], grid, convention)
    return {"clicks": [*before.get("clicks", ()), told]}


def is_any_label_tumour(layer: Layer) -> bool:
    """Return whether every label of a layer is tumour, as the user chose for it."""
    return bool(layer.metadata.get(CONVENTION_KEY) == "binary")


def grid_of(layer: Layer) -> Grid:
    """Return the grid of a 2-D or 3-D layer.

    It is the one in its metadata as long as the layer lies there; where its scale, translation, rotation,
    affine or units were changed in napari, the grid follows.
    """
    return _grid_and_canonical(layer, np.broadcast_to(np.uint8(0), _spatial_shape(layer)))[0]


def state_spacing(layers: Sequence[Layer], spacing: tuple[float, float, float]) -> None:
    """Give volumes whose files hold no voxel size the one (Z, Y, X) in mm that the user states.

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


def same_voxels(layer: Layer, beside: Iterable[Layer]) -> Origin | None:
    """Return the origin of a scan with the same voxels at the same place, if there is one."""
    for other in beside:
        origin = origin_of(other)
        if (
            origin is not None
            and other is not layer
            and origin.grid.shape == _spatial_shape(layer)
            and other.ndim == layer.ndim
            and all(is_alike(layer, other, name) for name in PLACEMENT)
        ):
            return replace(origin, grid=grid_of(other))
    return None


def is_alike(layer: Layer, other: Layer, name: str) -> bool:
    """Return whether two layers of as many axes agree in one of `PLACEMENT`.

    Pixels, which napari takes where no units are given, agree with any.
    """
    if name == "units":
        pairs = [
            (_millimetres(one), _millimetres(two)) for one, two in zip(layer.units, other.units, strict=True)
        ]
        return all(one is None or two is None or np.isclose(one, two) for one, two in pairs)
    if name == "affine":
        return np.allclose(layer.affine.affine_matrix, other.affine.affine_matrix)
    if name == "shear":
        return np.allclose(_sheared(layer), _sheared(other))
    return np.allclose(getattr(layer, name), getattr(other, name))


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


def labels_in(labels: Array) -> list[int]:
    """Return the labels that a mask holds, background left out."""
    box = bounding_box(labels)  # most of a mask is background, which need not be counted
    return [] if box is None else [int(v) for v in np.flatnonzero(np.bincount(labels[box].ravel())) if v]


def _spatial_shape(layer: Layer) -> tuple[int, ...]:
    shape = tuple(np.shape(layer.data))
    return shape[:-1] if getattr(layer, "rgb", False) else shape


def _grid_and_canonical(layer: Layer, data: Array) -> tuple[Grid, Array]:
    """Return a layer's grid and its array on it, in canonical order."""
    origin = origin_of(layer)
    if origin is not None:
        return _grid_as_placed(layer, origin.grid), data
    if data.ndim not in (2, 3):
        raise InputError(f"the layer {layer.name} has {data.ndim} axes; an image has two or three")
    volume = data if data.ndim == 3 else data[np.newaxis]
    affine, unit = _world_of(layer)
    grid = Grid.from_file(volume.shape, _SPL_TO_RAS @ affine, unit)
    assert grid.file_layout is not None
    return grid, grid.file_layout.axis_order.apply(volume)


def _grid_as_placed(layer: Layer, grid: Grid) -> Grid:
    """Return the grid of a layer of this plugin, moved to where the layer lies in the viewer now."""
    place = placement(grid)
    expected = np.diag([*place["scale"], 1.0])
    expected[:3, 3] = place["translate"]
    world, unit = _world_of(layer)
    if unit == grid.unit and np.allclose(world, expected, rtol=1e-9, atol=1e-9):
        return grid
    upright = np.eye(4)  # an oblique scan is shown upright
    upright[:3, :3] = grid.directions
    affine = _SPL_TO_RAS @ upright @ world
    file_layout = grid.file_layout
    if file_layout is not None:
        to_canonical = np.linalg.inv(file_layout.axis_order.matrix(file_layout.shape))
        file_layout = replace(file_layout, affine=affine @ to_canonical, fields={})
    return replace(grid, affine=affine, unit=unit, file_layout=file_layout)


def _world_of(layer: Layer) -> tuple[Affine, Unit]:
    """Return the affine from voxels to the world of the viewer, and whether that is in mm."""
    ndim = layer.ndim
    own = np.eye(ndim + 1)
    own[:ndim, :ndim] = np.asarray(layer.rotate).reshape(ndim, ndim) @ _sheared(layer) @ np.diag(layer.scale)
    own[:ndim, ndim] = layer.translate
    own = layer.affine.affine_matrix @ own
    world = np.eye(4)
    world[3 - ndim : 3, 3 - ndim : 3] = own[:ndim, :ndim]
    world[3 - ndim : 3, 3] = own[:ndim, ndim]
    factors = [_millimetres(unit) for unit in layer.units]
    if ndim < 3 or None in factors:  # the thickness of a picture is not known
        return world, "unknown"
    return np.diag([*factors, 1.0]) @ world, "mm"


def _sheared(layer: Layer) -> Array:
    """Return the shear of a layer as a matrix."""
    shear = np.asarray(layer.shear, dtype=float)
    if shear.ndim == 2:
        return shear
    matrix = np.eye(layer.ndim)
    matrix[np.triu_indices(layer.ndim, 1)] = shear
    return matrix


def _millimetres(unit: Any) -> float | None:
    """Return how many mm a unit of napari is, None for pixels."""
    quantity = 1 * unit
    return float(quantity.to("mm").magnitude) if quantity.check("[length]") else None
