"""Label conventions of layers that this plugin did not make: asked for once, kept with the layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari.layers import Labels as LabelsLayer
from napari.layers import Layer
from napari.utils.colormaps import DirectLabelColormap

from napari_tumorseg.conventions import get_convention, read_convention
from napari_tumorseg.errors import ChoiceNeededError, InputError
from napari_tumorseg.regions import LabelConvention, conventions_for
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.layers.arrays import array_of
from napari_tumorseg.viewer.layers.colours import colour_of
from napari_tumorseg.viewer.layers.from_layers import as_labels, labels_in, to_segmentation
from napari_tumorseg.viewer.layers.origin import CONVENTION_KEY, convention_of, origin_of
from napari_tumorseg.viewer.layers.to_layers import look
from napari_tumorseg.viewer.widgets import ask

ANY_LABEL = "binary"
"""The convention that fits every mask: each of its labels is tumour, and is written as 1."""


FROM_FILE = "From a file…"
"""Choice of a label convention of the user's own; see `convention_from_file`."""


def ask_convention(question: str, options: Sequence[str]) -> str | None:
    """Return the name of the convention that the user picks, or None without a window.

    Raises
    ------
    CancelledError
        If a dialog is dismissed.
    InputError
        If the file that is picked is no label convention.
    """
    picked = ask.choose("Label convention", question, [*options, FROM_FILE])
    return convention_from_file() if picked == FROM_FILE else picked


def convention_from_file() -> str:
    """Return the name of the convention in a TOML file that the user picks.

    Raises
    ------
    CancelledError
        If the dialog is dismissed.
    InputError
        If the file is no label convention.
    """
    return read_convention(ask.open_file("Label convention", "Label convention (*.toml)")).name


def options_for(present: Sequence[int]) -> list[str]:
    """Return the names of the conventions that labels can have; `ANY_LABEL` comes last."""
    fitting = [one.name for one in conventions_for(present) if one.name != ANY_LABEL] if present else []
    return [*fitting, ANY_LABEL]


def name_labels(layer: LabelsLayer, name: str) -> None:
    """Give a layer a label convention, with its colours and names."""
    layer.metadata[CONVENTION_KEY] = get_convention(name).name
    for key, value in _appearance(name).items():
        setattr(layer, key, value)


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
    """Return a layer as a segmentation; where its convention is not known, the user is asked once.

    Raises
    ------
    InputError
        If the layer holds labels that its convention does not have.
    ChoiceNeededError
        If several conventions fit and nobody can be asked.
    """
    try:
        return to_segmentation(layer, beside)
    except (ChoiceNeededError, InputError):
        if convention_of(layer) is not None:
            raise
        present = labels_in(as_labels(array_of(layer), layer.name))
        listed = ", ".join(map(str, present))
        question = f"What do the labels {listed} of {layer.name} mean? ({ANY_LABEL}: all of them are tumour)"
        picked = ask_convention(question, options_for(present))
        if picked is None:
            raise
    if picked != ANY_LABEL:  # one that lacks some of the labels is not kept with the layer
        to_segmentation(layer, beside, get_convention(picked))
    name_labels(layer, picked)
    return to_segmentation(layer, beside)


def _appearance(name: str) -> dict[str, Any]:
    convention = get_convention(name)
    if name != ANY_LABEL:
        return look(convention)
    (tumour,) = convention.labels
    return {"colormap": DirectLabelColormap(color_dict={None: colour_of(tumour), 0: "transparent"})}
