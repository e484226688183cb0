"""Translation of the weight names of known U-Nets into those of `UNet`, and inference of its arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.messages import quoted, some
from napari_tumorseg.models.weight_files import State

_OWN = re.compile(
    r"((encoder|decoder)\.\d{1,3}|bottleneck)\.(conv|norm|post_norm)[12]\.\w+|up\.\d{1,3}\.\w+|head\.\w+",
    re.ASCII,
)
_HUB = re.compile(
    r"(?P<side>encoder|decoder)(?P<level>\d{1,3})\.(?:enc|dec)(?P=level)(?P<layer>(?:conv|norm)[12])\.(?P<rest>\w+)"
    r"|bottleneck\.bottleneck(?P<low_layer>(?:conv|norm)[12])\.(?P<low_rest>\w+)"
    r"|upconv(?P<up>\d{1,3})\.(?P<up_rest>\w+)"
    r"|conv\.(?P<head>\w+)",
    re.ASCII,
)
_DCONV = re.compile(
    r"dconv_(?P<side>down|up)(?P<level>\d{1,3})\.(?:double_conv\.)?(?P<index>\d{1,3})\.(?P<rest>\w+)"
    r"|conv_last\.(?P<head>\w+)",
    re.ASCII,
)


def to_unet_layout(state: Mapping[str, Tensor]) -> State:
    """Translate names into those of `UNet`.

    Known are, besides `UNet`'s own, torch.hub's U-Net (`encoder1.enc1conv1.weight`) and the one with
    `dconv_down1.double_conv.0.weight`, also without the `double_conv`.

    Raises
    ------
    ModelError
        If the layout is unknown; the sentence names the first few keys.
    """
    layouts: tuple[tuple[re.Pattern[str], Callable[[Mapping[str, Tensor]], State]], ...] = (
        (_OWN, dict),
        (_HUB, _from_hub),
        (_DCONV, _from_dconv),
    )
    for pattern, translate in layouts:
        strangers = [name for name in state if not pattern.fullmatch(name)]
        if state and not strangers:
            return translate(state)
        if len(strangers) < len(state):
            raise ModelError(f"some of its keys belong to no known U-Net: {some(strangers)}")
    raise ModelError(f"weights of no known layout (keys: {some(state) or 'none'}); a U-Net is needed")


def infer_unet_arguments(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the arguments of the `UNet` that weights were trained in, as far as they show them.

    Channels, biases, norms, their order and the upsampling show in the weights. Dropout, which has no
    effect at inference, and `norm_eps` do not: they keep their defaults.

    Parameters
    ----------
    state : mapping of str to Tensor
        In any layout that `to_unet_layout` knows.

    Raises
    ------
    ModelError
        If the weights are those of no such network.
    """
    state = to_unet_layout(state)
    levels = len({name.split(".")[1] for name in state if name.startswith("encoder.")})
    if levels == 0:
        raise ModelError("a U-Net without an encoder")
    first = _conv_shape(state, "encoder.0.conv1.weight")
    post, plain = (any(f".{kind}" in name for name in state) for kind in ("post_norm", "norm"))
    return {
        "in_channels": first[1],
        "out_channels": _conv_shape(state, "head.weight")[0],
        "widths": [_conv_shape(state, f"encoder.{i}.conv1.weight")[0] for i in range(levels)],
        "bottleneck": _conv_shape(state, "bottleneck.conv1.weight")[0],
        "conv_bias": "encoder.0.conv1.bias" in state,
        "order": "conv-relu-norm" if post else "conv-norm-relu" if plain else "conv-relu",
        "encoder_norm": _norms_of(state, "encoder.0"),
        "bottleneck_norm": _norms_of(state, "bottleneck"),
        "decoder_norm": _norms_of(state, "decoder.0"),
        "upsampling": "transposed" if "up.0.weight" in state else "bilinear",
    }


def _from_hub(state: Mapping[str, Tensor]) -> State:
    return {_hub_name(name): tensor for name, tensor in state.items()}


def _hub_name(name: str) -> str:
    found = _HUB.fullmatch(name)
    assert found is not None  # the layout was chosen by this pattern
    if found["side"]:
        return f"{found['side']}.{int(found['level']) - 1}.{found['layer']}.{found['rest']}"
    if found["low_layer"]:
        return f"bottleneck.{found['low_layer']}.{found['low_rest']}"
    if found["up"]:
        return f"up.{int(found['up']) - 1}.{found['up_rest']}"
    return f"head.{found['head']}"


def _from_dconv(state: Mapping[str, Tensor]) -> State:
    """Translate blocks that are `Sequential`: what a layer is shows in its index and its weight."""
    layers = _dconv_layers(state)
    lowest = max((level for side, level in layers if side == "down"), default=0)
    translated: State = {}
    for name, tensor in state.items():
        found = _DCONV.fullmatch(name)
        assert found is not None  # the layout was chosen by this pattern
        if found["head"]:
            translated[f"head.{found['head']}"] = tensor
            continue
        side, level = found["side"], int(found["level"])
        block = "bottleneck" if (side, level) == ("down", lowest) else f"{_SIDES[side]}.{level - 1}"
        layer = layers[side, level].get(int(found["index"]))
        if layer is None:
            raise ModelError(f"layer {quoted(name)} stands where this layout has none")
        translated[f"{block}.{layer}.{found['rest']}"] = tensor
    return translated


_SIDES = {"down": "encoder", "up": "decoder"}


def _dconv_layers(state: Mapping[str, Tensor]) -> dict[tuple[str, int], dict[int, str]]:
    """Return for each block what stands at which index of its `Sequential`."""
    ranks: dict[tuple[str, int], dict[int, int]] = {}
    for name, tensor in state.items():
        found = _DCONV.fullmatch(name)
        if found and found["side"]:
            rank = ranks.setdefault((found["side"], int(found["level"])), {})
            if found["rest"] == "weight":
                rank[int(found["index"])] = tensor.ndim
    return {block: _layer_names(rank) for block, rank in ranks.items()}


def _layer_names(ranks: Mapping[int, int]) -> dict[int, str]:
    """Name layers by index: a norm next to its convolution precedes the ReLU, the one after follows it."""
    names: dict[int, str] = {}
    conv, number = None, 0
    for index in sorted(ranks):
        if ranks[index] == 4:
            conv, number = index, number + 1
            names[index] = f"conv{number}"
        elif conv is not None and index - conv in (1, 2):
            names[index] = f"{'norm' if index - conv == 1 else 'post_norm'}{number}"
    return names if number == 2 else {}


def _conv_shape(state: Mapping[str, Tensor], name: str) -> torch.Size:
    if name not in state:
        raise ModelError(f"a U-Net without {quoted(name)}")
    if state[name].ndim != 4:
        raise ModelError(f"{quoted(name)} has shape {tuple(state[name].shape)}, which no 2-D convolution has")
    return state[name].shape


def _norms_of(state: Mapping[str, Tensor], block: str) -> str:
    first, second = (
        any(f"{block}.{kind}{number}.weight" in state for kind in ("norm", "post_norm")) for number in (1, 2)
    )
    if second and not first:
        raise ModelError(f"{block} has a norm after its second convolution only, which is not supported")
    return "both" if second else "first" if first else "none"
