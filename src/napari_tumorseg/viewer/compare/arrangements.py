"""Arrangements of the layers in a viewer: side by side, surfaces in 3-D, slice planes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_tumorseg.errors import InputError
from napari_tumorseg.viewer.compare.surfaces import Surface, surface_layers
from napari_tumorseg.viewer.layers.views import view_metadata, views

if TYPE_CHECKING:
    from napari import Viewer

KIND = "preset"
"""Kind of the layers that an arrangement adds."""
PLANES = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}
"""Order of the viewer's dimensions for each slice plane."""
_LINKED = ("opacity", "contour", "colormap")


def place_side_by_side(viewer: Viewer, images: Sequence[ImageLayer], mask: LabelsLayer | None) -> None:
    """Show each image in a cell of the grid, with the mask or a copy of its layer over it."""
    hide_all(viewer)
    cells = [_cell(viewer, image, mask, is_first=not i) for i, image in enumerate(images)]
    # napari counts cells from the last layer, so that the layers below do not shift them
    for cell in reversed(cells):
        for layer in cell:
            viewer.layers.move(viewer.layers.index(layer), len(viewer.layers))
    grid = viewer.canvas.grid
    grid.stride, grid.shape, grid.enabled = -len(cells[0]), (-1, -1), True
    if mask is not None:
        viewer.layers.link_layers([cell[1] for cell in cells], _LINKED)
        viewer.layers.selection.active = mask
    viewer.reset_view()


def show_surfaces(viewer: Viewer, found: Sequence[Surface]) -> None:
    """Show surfaces in 3-D, seen from the front and slightly above, with the head up."""
    hide_all(viewer)
    for layer in surface_layers(found, KIND):
        viewer.add_layer(layer)
    viewer.dims.order = PLANES["axial"]
    viewer.dims.ndisplay = 3
    viewer.reset_view()
    viewer.scene.camera.set_view_direction((-0.3, 1, 0.25), (1, 0, 0))


def turn_to_next_plane(viewer: Viewer) -> str:
    """Turn from axial to coronal to sagittal slices and on; return the new plane."""
    names = list(PLANES)
    now = next((name for name in names if PLANES[name] == tuple(viewer.dims.order)), names[-1])
    plane = names[(names.index(now) + 1) % len(names)]
    viewer.dims.ndisplay = 2
    viewer.dims.order = PLANES[plane]
    viewer.reset_view()
    return plane


def require_three_axes(viewer: Viewer) -> None:
    """Refuse views without three axes.

    Raises
    ------
    InputError
        If the viewer has other axes.
    """
    if viewer.dims.ndim != 3:
        raise InputError("Slice planes need three axes; this view has another number.")


def hide_all(viewer: Viewer) -> None:
    """Hide all layers."""
    for layer in viewer.layers:
        layer.visible = False


def unlink_copies(viewer: Viewer) -> None:
    """Unlink the copies of the mask from it."""
    if mask_copies(viewer):
        masks = [layer for layer in viewer.layers if isinstance(layer, LabelsLayer)]
        viewer.layers.unlink_layers(masks, _LINKED)


def mask_copies(viewer: Viewer) -> list[LabelsLayer]:
    """Return the copies of the mask in the cells."""
    return [layer for layer in views(viewer, KIND) if isinstance(layer, LabelsLayer)]


def _cell(viewer: Viewer, image: ImageLayer, mask: LabelsLayer | None, is_first: bool) -> list[Layer]:
    image.visible = True
    if mask is None:
        return [image]
    mask.visible = True
    return [image, mask if is_first else _copy(viewer, mask, image.name)]


def _copy(viewer: Viewer, mask: LabelsLayer, image_name: str) -> LabelsLayer:
    """Add a layer that shows the same array over another image."""
    copy = LabelsLayer(
        mask.data,
        name=f"{mask.name} on {image_name}",
        colormap=mask.colormap,
        opacity=mask.opacity,
        scale=mask.scale,
        translate=mask.translate,
        units=mask.units,
        axis_labels=mask.axis_labels,
        metadata=view_metadata(KIND),
    )
    copy.contour = mask.contour
    copy.editable = False
    viewer.add_layer(copy)
    return copy
