"""Label convention of a layer, asked for where several fit."""

from __future__ import annotations

from collections.abc import Sequence

from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_tumorseg.errors import ChoiceNeededError
from napari_tumorseg.regions import get_convention
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.layers.from_layers import to_segmentation
from napari_tumorseg.viewer.widgets import ask


def segmentation_of(layer: LabelsLayer, beside: Sequence[Layer]) -> Segmentation:
    """Return a layer as a segmentation; the user is asked for its convention where several fit.

    Raises
    ------
    InputError
        If the layer holds labels that its convention does not have.
    ChoiceNeededError
        If several conventions fit and nobody can be asked.
    """
    try:
        return to_segmentation(layer, beside)
    except ChoiceNeededError as error:
        picked = ask.choose("Label convention", f"What do the labels of {layer.name} mean?", error.options)
        if picked is None:
            raise
        return to_segmentation(layer, beside, get_convention(picked))
