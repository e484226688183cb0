"""Each published network is written out once more here, in plain functions, and must agree."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from napari_tumorseg.models.unet import UNet
from tests.builders import count_parameters

Weights = dict[str, Tensor]

HASSAN: dict[str, Any] = {
    "in_channels": 1,
    "out_channels": 1,
    "widths": [64, 128, 256, 512],
    "bottleneck": 1024,
    "conv_bias": True,
    "order": "conv-relu-norm",
    "bottleneck_norm": "none",
    "decoder_norm": "first",
    "dropout": 0.4,
    "norm_eps": 1e-3,
    "norm_momentum": 0.01,
}
EGWAOJE: dict[str, Any] = {
    "in_channels": 1,
    "out_channels": 1,
    "widths": [64, 128, 256],
    "bottleneck": 512,
    "conv_bias": True,
    "upsampling": "bilinear",
}
DEBASISH: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 1,
    "widths": [64, 128, 256, 512],
    "bottleneck": 1024,
}
RAGAB: dict[str, Any] = {
    "in_channels": 2,
    "out_channels": 4,
    "widths": [32, 64, 128, 256],
    "bottleneck": 512,
    "conv_bias": True,
    "order": "conv-relu",
    "bottleneck_dropout": 0.2,
}
THARUNTEJA: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 1,
    "widths": [64, 128, 256, 512],
    "bottleneck": 1024,
    "conv_bias": True,
    "order": "conv-relu",
}
ANCHOR: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 1,
    "widths": [32, 64, 128, 256],
    "bottleneck": 512,
}


def conv(x: Tensor, w: Weights, name: str) -> Tensor:
    return F.conv2d(x, w[f"{name}.weight"], w.get(f"{name}.bias"), padding=1)


def norm(x: Tensor, w: Weights, name: str, eps: float = 1e-5) -> Tensor:
    mean, var, scale, shift = (
        w[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(var + eps) * scale + shift


def upconv(x: Tensor, w: Weights, level: int) -> Tensor:
    return F.conv_transpose2d(x, w[f"up.{level}.weight"], w[f"up.{level}.bias"], stride=2)


def head(x: Tensor, w: Weights) -> Tensor:
    return F.conv2d(x, w["head.weight"], w["head.bias"])


def hassan(x: Tensor, w: Weights) -> Tensor:
    skips = []
    for i in range(4):
        x = norm(F.relu(conv(x, w, f"encoder.{i}.conv1")), w, f"encoder.{i}.post_norm1", 1e-3)
        x = norm(F.relu(conv(x, w, f"encoder.{i}.conv2")), w, f"encoder.{i}.post_norm2", 1e-3)
        skips.append(x)
        x = F.max_pool2d(x, 2)
    x = F.relu(conv(F.relu(conv(x, w, "bottleneck.conv1")), w, "bottleneck.conv2"))
    for i in (3, 2, 1, 0):
        x = torch.cat([upconv(x, w, i), skips[i]], dim=1)
        x = norm(F.relu(conv(x, w, f"decoder.{i}.conv1")), w, f"decoder.{i}.post_norm1", 1e-3)
        x = F.relu(conv(x, w, f"decoder.{i}.conv2"))
    return head(x, w)


def norm_before_relu(x: Tensor, w: Weights, name: str) -> Tensor:
    x = F.relu(norm(conv(x, w, f"{name}.conv1"), w, f"{name}.norm1"))
    return F.relu(norm(conv(x, w, f"{name}.conv2"), w, f"{name}.norm2"))


def egwaoje(x: Tensor, w: Weights) -> Tensor:
    one = norm_before_relu(x, w, "encoder.0")
    two = norm_before_relu(F.max_pool2d(one, 2), w, "encoder.1")
    three = norm_before_relu(F.max_pool2d(two, 2), w, "encoder.2")
    x = norm_before_relu(F.max_pool2d(three, 2), w, "bottleneck")
    for i, skip in ((2, three), (1, two), (0, one)):
        size = (2 * x.shape[2], 2 * x.shape[3])
        x = F.interpolate(x, size=size, mode="bilinear", align_corners=True)
        x = norm_before_relu(torch.cat([x, skip], dim=1), w, f"decoder.{i}")
    return head(x, w)


def debasish(x: Tensor, w: Weights) -> Tensor:
    skips = []
    for i in range(4):
        skips.append(norm_before_relu(x, w, f"encoder.{i}"))
        x = F.max_pool2d(skips[-1], 2)
    x = norm_before_relu(x, w, "bottleneck")
    for i in (3, 2, 1, 0):
        x = norm_before_relu(torch.cat([upconv(x, w, i), skips[i]], dim=1), w, f"decoder.{i}")
    return head(x, w)


def without_norm(x: Tensor, w: Weights) -> Tensor:
    skips = []
    for i in range(4):
        skips.append(F.relu(conv(F.relu(conv(x, w, f"encoder.{i}.conv1")), w, f"encoder.{i}.conv2")))
        x = F.max_pool2d(skips[-1], 2)
    x = F.relu(conv(F.relu(conv(x, w, "bottleneck.conv1")), w, "bottleneck.conv2"))
    for i in (3, 2, 1, 0):
        x = torch.cat([upconv(x, w, i), skips[i]], dim=1)
        x = F.relu(conv(F.relu(conv(x, w, f"decoder.{i}.conv1")), w, f"decoder.{i}.conv2"))
    return head(x, w)


NETWORKS = {
    # arguments, the same in plain functions, trainable parameters and batch-norm statistics
    "hassan2025": (HASSAN, hassan, 31_036_353, 5_760),
    "egwaoje2026": (EGWAOJE, egwaoje, 7_787_393, 5_632),
    "debasish2026": (DEBASISH, debasish, 31_037_633, 11_776),
    "ragab2025": (RAGAB, without_norm, 7_759_908, 0),
    "tharunteja2025": (THARUNTEJA, without_norm, 31_031_745, 0),
    "anchor": (ANCHOR, debasish, 7_763_041, 5_888),
}


def expected_counts(
    *,
    channels_in: int,
    out: int,
    widths: list[int],
    bottleneck: int,
    bias: bool,
    norms: tuple[int, int, int],
    transposed: bool,
) -> tuple[int, int]:
    """Count by arithmetic: `norms` is how many a block of the encoder, bottleneck and decoder has."""
    trainable = statistics = 0

    def block(a: int, b: int, norm_count: int) -> None:
        nonlocal trainable, statistics
        trainable += 9 * a * b + 9 * b * b + (2 * b if bias else 0) + 2 * b * norm_count
        statistics += 2 * b * norm_count

    above = channels_in
    for width in widths:
        block(above, width, norms[0])
        above = width
    block(above, bottleneck, norms[1])
    below = bottleneck
    for width in reversed(widths):
        if transposed:
            trainable += 4 * below * width + width
        block(2 * width if transposed else below + width, width, norms[2])
        below = width
    return trainable + widths[0] * out + out, statistics


def shaken(net: UNet, seed: int = 0) -> UNet:
    """Give every parameter and statistic a value of its own, so that nothing is equal by being 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    net.init_he(generator)
    for name, tensor in net.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1)
        elif "norm" in name and name.endswith(("weight", "running_var")):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return net.eval()


def small(**changes: Any) -> UNet:
    arguments: dict[str, Any] = {"in_channels": 2, "out_channels": 3, "widths": [4, 8], "bottleneck": 16}
    return UNet(**(arguments | changes))


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_a_published_network_equals_its_plain_form(name: str) -> None:
    arguments, plain, trainable, statistics = NETWORKS[name]
    net = shaken(UNet(**arguments))
    x = noise(2, arguments["in_channels"], 32, 48)
    result = net(x)
    assert result.shape == (2, arguments["out_channels"], 32, 48)
    assert result.std() > 0.01
    torch.testing.assert_close(result, plain(x, net.state_dict()), rtol=1e-4, atol=1e-4)
    assert count_parameters(net) == (trainable, statistics)

    folded = net.folded()
    torch.testing.assert_close(folded(x), result, rtol=1e-4, atol=1e-4)


def test_hassan_counts_as_keras_counts() -> None:
    with torch.device("meta"):
        net = UNet(**HASSAN)
    assert sum(count_parameters(net)) == 31_042_113


@pytest.mark.parametrize("name", NETWORKS)
def test_counts_follow_from_arithmetic(name: str) -> None:
    arguments, _, trainable, statistics = NETWORKS[name]
    norms = {"hassan2025": (2, 0, 1), "ragab2025": (0, 0, 0), "tharunteja2025": (0, 0, 0)}
    assert (trainable, statistics) == expected_counts(
        channels_in=arguments["in_channels"],
        out=arguments["out_channels"],
        widths=arguments["widths"],
        bottleneck=arguments["bottleneck"],
        bias=arguments.get("conv_bias", False),
        norms=norms.get(name, (2, 2, 2)),
        transposed=arguments.get("upsampling") != "bilinear",
    )


def test_frozen_parameters_are_not_trainable() -> None:
    net = small().requires_grad_(False)
    assert count_parameters(net)[0] == 0


@pytest.mark.parametrize("widths", [[4], [4, 8], [4, 4, 6]])
@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
def test_the_stride_follows_the_levels(widths: list[int], upsampling: str) -> None:
    net = small(widths=widths, upsampling=upsampling).eval()
    assert net.stride == 2 ** len(widths)
    assert net(noise(1, 2, net.stride, 3 * net.stride)).shape == (1, 3, net.stride, 3 * net.stride)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 2, 10, 8), "multiples of 4, not 10 x 8"),
        ((1, 2, 8, 9), "multiples of 4, not 8 x 9"),
        ((1, 2, 0, 8), "multiples of 4, not 0 x 8"),
        ((1, 3, 8, 8), r"\(batch, 2, height, width\), not \(1, 3, 8, 8\)"),
        ((2, 8, 8), r"not \(2, 8, 8\)"),
    ],
)
def test_an_input_of_the_wrong_shape_is_refused(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        small()(torch.zeros(shape))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("in_channels", 0),
        ("out_channels", -1),
        ("out_channels", True),
        ("bottleneck", 10**9),
        ("bottleneck", 16.0),
        ("widths", []),
        ("widths", 16),
        ("widths", "16"),
        ("widths", [4, "8"]),
        ("widths", [1] * 40),
        ("conv_bias", "no"),
        ("conv_bias", 1),
        ("order", "norm-conv"),
        ("encoder_norm", "second"),
        ("bottleneck_norm", None),
        ("decoder_norm", ["both"]),
        ("upsampling", "nearest"),
        ("dropout", 1.5),
        ("dropout", float("nan")),
        ("bottleneck_dropout", "0.2"),
        ("norm_eps", 0.0),
        ("norm_momentum", -0.1),
    ],
)
def test_a_senseless_argument_is_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name} must") as caught:
        small(**{name: value})
    assert "\n" not in str(caught.value)


def test_its_arguments_make_the_same_network() -> None:
    net = shaken(small(widths=(4, 8), order="conv-relu-norm", decoder_norm="first", norm_eps=1e-3))
    again = UNet(**net.arguments)
    again.load_state_dict(net.state_dict())
    x = noise(1, 2, 8, 8)
    assert torch.equal(again.eval()(x), net(x))


def test_names_tell_the_order_of_the_layers() -> None:
    before, behind, without = (
        set(small(order=order).state_dict()) for order in ("conv-norm-relu", "conv-relu-norm", "conv-relu")
    )
    assert "encoder.0.norm1.weight" in before - behind
    assert "encoder.0.post_norm1.weight" in behind - before
    assert not any("norm" in name for name in without)


def test_dropout_acts_in_training_only() -> None:
    for place in ("dropout", "bottleneck_dropout"):
        net = shaken(small(**{place: 0.5}, order="conv-relu"))
        x = noise(1, 2, 16, 16)
        assert torch.equal(net(x), net(x))
        net.train()
        assert not torch.equal(net(x), net(x))


@pytest.mark.parametrize("order", ["conv-norm-relu", "conv-relu-norm", "conv-relu"])
@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
def test_every_parameter_learns(order: str, upsampling: str) -> None:
    net = small(order=order, upsampling=upsampling, conv_bias=order != "conv-norm-relu")
    net.init_he(torch.Generator().manual_seed(0))
    net.train()(noise(4, 2, 16, 16)).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_he_initialisation_is_he_normal_and_repeatable() -> None:
    net = small(widths=[64, 128], bottleneck=256, conv_bias=True)
    net.init_he(torch.Generator().manual_seed(3))
    state = copy.deepcopy(net.state_dict())
    weight = state["bottleneck.conv2.weight"]
    assert weight.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.01)
    assert weight.mean().item() == pytest.approx(0.0, abs=1e-3)
    assert not state["encoder.0.conv1.bias"].any()

    net.train()(noise(2, 2, 8, 8))  # moves the running statistics
    net.init_he(torch.Generator().manual_seed(3))
    assert all(torch.equal(state[name], tensor) for name, tensor in net.state_dict().items())
    net.init_he()
    assert not torch.equal(weight, net.state_dict()["bottleneck.conv2.weight"])


def test_folding_leaves_the_original_as_it_was() -> None:
    net = shaken(small())
    net.train()
    before = copy.deepcopy(net.state_dict())
    folded = net.folded()
    assert net.training and not folded.training
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert not any("norm" in name for name in folded.state_dict())
    assert count_parameters(folded) == (0, 0)


def test_norms_behind_a_relu_are_not_folded() -> None:
    net = shaken(small(order="conv-relu-norm"))
    folded = net.folded()
    assert set(folded.state_dict()) == set(net.state_dict())
    x = noise(1, 2, 8, 8)
    assert torch.equal(folded(x), net(x))


@pytest.mark.parametrize(
    "place", [{"encoder_norm": "first"}, {"bottleneck_norm": "none"}, {"decoder_norm": "first"}]
)
@pytest.mark.parametrize("bias", [True, False])
def test_partial_norms_fold_too(place: dict[str, str], bias: bool) -> None:
    net = shaken(small(**place, conv_bias=bias, norm_eps=1e-3))
    x = noise(2, 2, 8, 12)
    torch.testing.assert_close(net.folded()(x), net(x), rtol=1e-4, atol=1e-5)


def test_channels_last_gives_the_same() -> None:
    net = shaken(small())
    x = noise(2, 2, 16, 16)
    other = copy.deepcopy(net)
    for parameter in other.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.to(memory_format=torch.channels_last)
    torch.testing.assert_close(other(x.to(memory_format=torch.channels_last)), net(x), rtol=1e-4, atol=1e-5)
