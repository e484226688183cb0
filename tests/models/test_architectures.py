"""Architectures by name: a network of any class works wherever a card or recipe names it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from napari_tumorseg.errors import ModelError
from napari_tumorseg.inference import Settings, segment
from napari_tumorseg.models.architectures import (
    ARCHITECTURES,
    Architecture,
    NetworkArguments,
    UNetArguments,
    make_network,
)
from napari_tumorseg.models.card import Network
from napari_tumorseg.models.slice_network import SliceNetwork
from napari_tumorseg.models.store import Model
from napari_tumorseg.models.unet import UNet
from napari_tumorseg.models.weight_files import save_weights
from tests.builders import card_of, head, make_scan


class DotArguments(NetworkArguments):
    """Arguments of `Dot`."""

    limit: float = 0.0

    @property
    def stride(self) -> int:
        return 1

    @property
    def normalised(self) -> bool:
        return False


class Dot(SliceNetwork):
    """One number for each pixel."""

    def __init__(self, **arguments: Any) -> None:
        given = DotArguments.of(arguments)
        super().__init__(given)
        self.conv = nn.Conv2d(given.in_channels, given.out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.conv(x)
        return found


@pytest.fixture
def dot(monkeypatch: pytest.MonkeyPatch) -> str:
    here = sys.modules[__name__].__name__
    monkeypatch.setitem(ARCHITECTURES, "dot", Architecture(DotArguments, f"{here}:Dot"))
    return "dot"


def test_a_card_names_its_architecture(dot: str, tmp_path: Path) -> None:
    net = make_network(dot, {"in_channels": 1, "out_channels": 1})
    assert isinstance(net, Dot)
    with torch.no_grad():
        net.conv.weight.fill_(1)
        net.conv.bias.fill_(-1.0)
    path = tmp_path / "dot.safetensors"
    save_weights(net.state_dict(), path)
    card = card_of(network={"architecture": dot, "arguments": net.arguments})
    model = Model(card, path)
    assert isinstance(model.load(), Dot)
    assert segment(make_scan({"flair": head()}), model, Settings(device="cpu")).labels.any()


def test_weights_that_show_no_arguments_need_them_in_the_card(dot: str, tmp_path: Path) -> None:
    path = tmp_path / "dot.safetensors"
    save_weights(make_network(dot, {"in_channels": 1, "out_channels": 1}).state_dict(), path)
    with pytest.raises(ModelError, match="must state the arguments"):
        Model(card_of(network={"architecture": dot}), path).load()


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(ValidationError, match="there is no architecture 'vit'; there are unet"):
        Network(architecture="vit")


def test_arguments_of_a_unet_tell_its_stride() -> None:
    sizes = {"in_channels": 2, "out_channels": 3, "widths": [4, 8, 16], "bottleneck": 32}
    assert UNetArguments.of(sizes).stride == make_network("unet", sizes).stride == 8
    assert UNetArguments.of(sizes).normalised
    assert not UNetArguments.of({**sizes, "order": "conv-relu"}).normalised
    assert isinstance(make_network("unet", sizes), UNet)
