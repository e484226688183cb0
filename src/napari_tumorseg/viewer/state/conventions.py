"""Label convention of a layer, asked for where several fit."""

from __future__ import annotations

from collections.abc import Sequence

from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_tumorseg.errors import ChoiceNeededError, InputError
from napari_tumorseg.regions import LabelConvention, get_convention
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.layers.from_layers import to_segmentation
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.widgets import ask


def in_convention_of_case(seg: Segmentation, others: Sequence[LabelsLayer]) -> Segmentation:
    """Return a mask in the label convention of another mask of its case, if the user wants that.

    Parameters
    ----------
    seg : Segmentation
        The mask that is saved.
    others : sequence of Labels
        Other masks of the case. There is a choice where one of another convention came from a file.

    Raises
    ------
    CancelledError
        If the dialog is dismissed.
    """
    found = [origin_of(layer) for layer in others]
    theirs = {o.convention.name: o.convention for o in found if o and o.convention and o.source}
    wanted = {
        f"{c.title}, as the case's own mask": c for c in theirs.values() if c.name != seg.convention.name
    }
    wanted = {title: c for title, c in wanted.items() if _converts(seg, c)}
    if not wanted:
        return seg
    kept = f"{seg.convention.title}, as it is"
    picked = ask.choose("Label convention", "Save the labels as those of:", [kept, *wanted])
    return seg.in_convention(wanted[picked]) if picked in wanted else seg


def _converts(seg: Segmentation, convention: LabelConvention) -> bool:
    try:
        seg.in_convention(convention)
    except InputError:
        return False
    return True


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
