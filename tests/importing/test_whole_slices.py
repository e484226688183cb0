"""Networks whose outputs depend on all of a slice: the card says so, and slices go in whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_tumorseg.importing import Answers
from napari_tumorseg.importing.composing import compose
from napari_tumorseg.importing.draft import Draft
from napari_tumorseg.inference import segment
from napari_tumorseg.models.architectures import make_network
from napari_tumorseg.models.card import ModelCard, Network, Size
from napari_tumorseg.models.origin import Origin
from napari_tumorseg.models.store import Model
from napari_tumorseg.models.weight_files import save_weights
from napari_tumorseg.scan import Role
from tests.builders import make_scan

ANSWERS = Answers(roles=(Role.FLAIR,), plane="axial", normalisation="none")

ORIGIN = Origin(kind="pytorch", file="net.pt", sha256="", format="")


def graph(*layers: dict[str, Any]) -> Draft:
    """Return a draft of a graph of these layers, from 1 channel to 1."""
    arguments = {"in_channels": 1, "out_channels": 1, "layers": list(layers)}
    return Draft(Network(architecture="graph", arguments=arguments), {}, output={"activation": "sigmoid"})


CONV = {"op": "conv", "inputs": [0], "channels_in": 1, "channels_out": 1, "kernel": [1, 1]}
GATED = (
    {"op": "global-pool", "inputs": [0], "function": "mean"},
    {**CONV, "inputs": [1]},
    {"op": "merge", "inputs": [0, 2], "function": "multiply"},
)
NORMED = (CONV, {"op": "group-norm", "inputs": [1], "channels": 1, "groups": 1})
PLAIN = (CONV, {"op": "batch-norm", "inputs": [1], "channels": 1})


@pytest.mark.parametrize(("layers", "crop"), [(GATED, False), (NORMED, False), (PLAIN, True)])
def test_the_card_of_a_graph_says_whether_slices_are_cropped(layers: Any, crop: bool) -> None:
    card = compose(graph(*layers), ANSWERS, "net", Path("net.pt"), ORIGIN)
    assert card.input.size.crop is crop


def test_a_size_that_is_stated_leaves_it() -> None:
    answers = Answers(roles=(Role.FLAIR,), plane="axial", normalisation="none", size=(64, 64), spacing=(2.0,))
    size = compose(graph(*GATED), answers, "net", Path("net.pt"), ORIGIN).input.size
    assert (size.crop, size.canvas, size.spacing) == (False, (64, 64), 2)


def test_the_network_sees_the_mean_of_the_whole_slice(tmp_path: Path) -> None:
    flair = np.zeros((2, 160, 192), np.float32)
    flair[:, 70:90, 80:110] = 1  # the mean is 0.02 of the slice, and 0.08 of a window of tissue and margin
    card = compose(graph(*GATED), ANSWERS, "net", Path("net.pt"), ORIGIN)
    net = make_network("graph", card.network.arguments)
    weight, bias = net.parameters()
    with torch.no_grad():
        weight.fill_(100)
        bias.fill_(-5)
    save_weights(net.state_dict(), tmp_path / "net.safetensors")

    def found(card: ModelCard) -> Any:
        return segment(make_scan({"flair": flair}), Model(card, tmp_path / "net.safetensors")).labels > 0

    assert not found(card).any()
    cropped = card.model_copy(update={"input": card.input.model_copy(update={"size": Size()})})
    assert found(cropped).any()
