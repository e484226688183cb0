"""The colours of labels: as the user prefers them, and as a layer shows them."""

from __future__ import annotations

import numpy as np
from napari.layers import Labels

from napari_tumorseg import regions
from napari_tumorseg.regions import Label
from napari_tumorseg.viewer.preferences import BRATS, preferences

# As ITK-SNAP shows labels 1, 2, 4 and as the papers of the challenge have them: red and green side by side
_AS_BRATS = {
    regions.NECROSIS: "#FF0000",
    regions.CORE: "#FF0000",
    regions.NON_ENHANCING: "#0000FF",
    regions.OEDEMA: "#00FF00",
    regions.ENHANCING: "#FFFF00",
    regions.CYST: "#FF00FF",
    regions.ABNORMALITY: "#00FF00",
    regions.CAVITY: "#00FFFF",
    regions.TUMOUR: "#FF0000",
}


def colour_of(label: Label) -> str:
    """Return a label's colour as ``#RRGGBB``."""
    if preferences().colours == BRATS:
        return _AS_BRATS[label.tissue]
    return label.colour


def shown_colour(layer: Labels, label: Label) -> str:
    """Return the colour in which a layer shows a label, as ``#RRGGBB``."""
    return colour_in(layer, label.value) or colour_of(label)


def colour_in(layer: Labels, value: int) -> str:
    """Return the colour in which a layer shows a label number, as ``#RRGGBB``; empty if it is clear."""
    colour = layer.colormap.map(value)
    if colour is None or not colour[..., 3].any():
        return ""
    red, green, blue = (int(v) for v in np.rint(np.ravel(colour)[:3] * 255))
    return f"#{red:02X}{green:02X}{blue:02X}"
