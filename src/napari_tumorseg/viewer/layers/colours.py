"""The colours of labels, as the user prefers them."""

from __future__ import annotations

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
    regions.CAVITY: "#00FFFF",
    regions.TUMOUR: "#FF0000",
}


def colour_of(label: Label) -> str:
    """Return a label's colour as ``#RRGGBB``."""
    if preferences().colours == BRATS:
        return _AS_BRATS[label.tissue]
    return label.colour
