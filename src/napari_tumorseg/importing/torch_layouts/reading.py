"""Reading of a state dict into a draft."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_tumorseg.importing.answers import Answers
from napari_tumorseg.importing.draft import Draft
from napari_tumorseg.importing.torch_layouts.smp import is_smp, smp_graph
from napari_tumorseg.models.assumed_card import assumed_input
from napari_tumorseg.models.card import Network
from napari_tumorseg.models.state_dict_keys import infer_unet_arguments, to_unet_layout
from napari_tumorseg.models.weight_files import SUFFIXES, about, load_state_dict

if TYPE_CHECKING:
    from napari_tumorseg.importing.kinds import Original


def recognise(path: Path) -> bool:
    """Return whether a file has the ending of a state dict."""
    return path.is_file() and path.suffix.lower() in SUFFIXES


def read(path: Path, answers: Answers) -> Draft:
    """Return the draft of a state dict.

    Raises
    ------
    ModelError
        If the file cannot be read safely, or its layout is unknown.
    """
    state = load_state_dict(path)
    with about(path):
        if is_smp(state):
            arguments, weights = smp_graph(state)
            title = "segmentation-models-pytorch U-Net"
            return Draft(Network(architecture="graph", arguments=arguments), weights, format=title)
        arguments = infer_unet_arguments(state)
        weights = to_unet_layout(state)
    known = None if answers.like else assumed_input(arguments)
    warning = f"{path.name}: inputs and normalisation are assumed from the number of channels"
    return Draft(
        Network(arguments=arguments),
        weights,
        input=known or {},
        format="PyTorch state dict",
        warnings=(warning,) if known else (),
    )


def original(path: Path, draft: Draft) -> Original | None:
    """Return None: a state dict holds no network to compare with."""
    return None
