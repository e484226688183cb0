"""Layers made by a preparation: the brain mask and the registered sequences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_tumorseg.scan import Role, Scan
from napari_tumorseg.viewer.layers.inputs import Inputs
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.to_layers import LayerData, brain_layer, image_layer
from napari_tumorseg.viewer.layers.views import add_view

if TYPE_CHECKING:
    from napari import Viewer

REGISTERED = "registered"
"""First word of the note of a registered sequence."""


@dataclass(frozen=True, eq=False)
class PreparedLayers:
    """Brain mask and registered sequences as layers; empty if nothing was prepared.

    Attributes
    ----------
    brain : layer data or None
        A Labels layer.
    registered : mapping of Role to layer data
        Image layers on the reference's grid.
    """

    brain: LayerData | None
    registered: Mapping[Role, LayerData]

    @classmethod
    def of(cls, scan: Scan, group: str) -> PreparedLayers:
        """Return the layers of a scan, as its `preparation` records."""
        made = scan.brain_mask if scan.preparation.get("brain_extraction") else None
        brain = None if made is None else brain_layer(made, scan.grid, scan.case, group)
        registered = {}
        for role, image in scan.roles.items():
            if image.note.startswith(REGISTERED):
                data, arguments, kind = image_layer(image, scan.case, group)
                arguments["name"] += f" {REGISTERED}"
                registered[role] = (data, arguments, kind)
        return cls(brain, registered)


def place(
    viewer: Viewer, inputs: Inputs, taken: Mapping[ImageLayer, Role], found: PreparedLayers
) -> dict[str, Role]:
    """Add the layers; a registered sequence takes over the role of the one that it was made from.

    Parameters
    ----------
    viewer : Viewer
        Gets the layers; its selection stays.
    inputs : Inputs
        Roles of its image layers.
    taken : mapping of Image layer to Role
        Roles in the run.
    found : PreparedLayers
        From the run's scan.

    Returns
    -------
    dict of str to Role
        Unique ids and roles of the images that the result was made from.
    """
    for layer, role in taken.items():
        if role in found.registered:
            inputs.choose(layer, Role.OTHER)
    images = {str(layer.unique_id): role for layer, role in taken.items() if role not in found.registered}
    if found.brain is not None:
        brain = Layer.create(*found.brain)
        assert isinstance(brain, LabelsLayer)
        brain.contour = 1
        add_view(viewer, brain)
    for role, data in found.registered.items():
        layer = Layer.create(*data)
        add_view(viewer, layer)
        _put_above_images(viewer, layer)
        images[str(layer.unique_id)] = role
    return images


def registered_layers(viewer: Viewer) -> list[ImageLayer]:
    """Return the registered sequences among a viewer's layers."""
    found = [(x, origin_of(x)) for x in viewer.layers if isinstance(x, ImageLayer)]
    return [layer for layer, origin in found if origin and origin.note.startswith(REGISTERED)]


def _put_above_images(viewer: Viewer, layer: Layer) -> None:
    """Move a layer below the masks: it is to be looked at with them."""
    layers = viewer.layers
    others = [n for n, x in enumerate(layers) if isinstance(x, ImageLayer) and x is not layer]
    if others:
        layers.move(layers.index(layer), others[-1] + 1)
