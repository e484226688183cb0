"""Probability and uncertainty maps as image layers, made when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Layer
from napari.utils.colormaps import Colormap, ensure_colormap

from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.viewer.layers.to_layers import placement
from napari_tumorseg.viewer.layers.views import add_view, view_metadata

if TYPE_CHECKING:
    from napari import Viewer

UNCERTAINTY = "uncertainty"
KIND = "probability"
_COLOURS = {UNCERTAINTY: "inferno"}
_PROBABILITY_COLOURS = "viridis"  # as inferno, of one rising lightness: for colour-blind eyes, too
_MAP_KEY = "tumorseg-map"
_CLEAR, _OPAQUE = 0.02, 0.2
"""Below the first share of 255 a map is not seen at all, from the second on as opaque as its layer."""


def show_map(
    viewer: Viewer, name: str, values: Array, box: tuple[slice, ...], grid: Grid, case: str
) -> ImageLayer:
    """Add a map in a box of a grid as a translucent layer in the place where it belongs.

    Parameters
    ----------
    viewer : napari Viewer
        Whose selection stays as it is.
    name : str
        Of the output, or `UNCERTAINTY`.
    values : array of uint8
        255 for 1; in `box`.
    box, grid
        Where it lies.
    case : str
        For the layer's name.
    """
    place = placement(grid)
    start = np.array([side.start for side in box])
    place["translate"] = tuple(np.asarray(place["translate"]) + start * np.asarray(place["scale"]))
    title = name if name == UNCERTAINTY else f"probability {name}"
    layer = ImageLayer(
        values,
        name=f"{case} {title} (255 = {'most' if name == UNCERTAINTY else '1'})",
        colormap=_clear_at_zero(_COLOURS.get(name, _PROBABILITY_COLOURS)),
        contrast_limits=(0, 255),
        opacity=0.5,
        blending="translucent",
        metadata={**view_metadata(KIND), _MAP_KEY: name},
        **place,
    )
    add_view(viewer, layer)
    return layer


def map_of(layer: Layer) -> str:
    """Return which map a layer holds: the output's name, or `UNCERTAINTY`; empty if it is none."""
    return str(layer.metadata.get(_MAP_KEY, ""))


def is_shown(viewer: Viewer, layer: Any) -> bool:
    """Return whether a layer is still in the viewer."""
    return layer is not None and layer in viewer.layers


def _clear_at_zero(name: str) -> Colormap:
    """Return a colour map of napari's that lets the scan through where there is next to nothing."""
    levels = np.linspace(0, 1, 256)
    colours = ensure_colormap(name).map(levels)
    colours[:, 3] = np.clip((levels - _CLEAR) / (_OPAQUE - _CLEAR), 0, 1)
    return Colormap(colours, name=f"{name}, clear at 0")
