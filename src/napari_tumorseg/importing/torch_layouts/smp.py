"""U-Nets of segmentation-models-pytorch, as a `GraphNetwork`.

Their encoders are ResNet and ResNeXt (18 to 152 layers) and EfficientNet B0 to B7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from torch import Tensor

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing.graph_builder import GraphBuilder, Place
from napari_tumorseg.models.graph_layers import same_padding
from napari_tumorseg.models.weight_files import State

_MOST_BLOCKS = 64
_STAGES = 4
_LEVELS = 5
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Strides of the stages of an EfficientNet."""

_KEPT = (2, 3, 5, 7)
"""Stages of an EfficientNet whose outputs the decoder takes."""

_BLOCKS_OF_B0 = 16
_EPS = 1e-3
_PICTURES = {
    (16, 320): 224,
    (23, 320): 240,
    (23, 352): 260,
    (26, 384): 300,
    (32, 448): 380,
    (39, 512): 456,
    (45, 576): 528,
    (55, 640): 600,
}
"""Side of the pictures of EfficientNet B0 to B7, by the number of blocks and the channels of the last."""

_DECODER = ("decoder.blocks.0.conv1.0.weight", "segmentation_head.0.weight")
_STEMS = {"resnet": "encoder.conv1.weight", "efficientnet": "encoder._conv_stem.weight"}
_UNUSED = ("encoder._conv_head.", "encoder._bn1.")
"""Weights of the classifier that EfficientNet encoders keep."""


def is_smp(state: Mapping[str, Tensor]) -> bool:
    """Return whether weights have the names of such a U-Net."""
    return all(mark in state for mark in _DECODER) and any(stem in state for stem in _STEMS.values())


def smp_graph(state: Mapping[str, Tensor]) -> tuple[dict[str, Any], State]:
    """Return the arguments and the weights of the network.

    Raises
    ------
    ModelError
        If weights are missing or surplus, such as those of attention in the decoder.
    """
    kind = next(kind for kind, stem in _STEMS.items() if stem in state)
    first = state[_STEMS[kind]]
    if first.ndim != 4:
        raise ModelError("its first convolution has no four dimensions")
    used = {name: tensor for name, tensor in state.items() if not name.startswith(_UNUSED)}
    builder = GraphBuilder(used, first.shape[1])
    *skips, x = _resnet(builder) if kind == "resnet" else _efficientnet(builder)
    for level in range(_LEVELS):
        x = builder.upsample(x)
        if skips:
            x = builder.concatenate(x, skips.pop())
        for number in (1, 2):
            name = f"decoder.blocks.{level}.conv{number}"
            x = builder.activation(builder.norm(f"{name}.1", builder.conv(f"{name}.0", x)))
    builder.conv("segmentation_head.0", x)
    return builder.finish()


def _resnet(builder: GraphBuilder) -> list[Place]:
    """Add the encoder; return its outputs from the half of the input's sides downwards."""
    x = builder.activation(builder.norm("encoder.bn1", builder.conv("encoder.conv1", 0, stride=2)))
    found = [x]
    x = builder.max_pool(x)
    for stage in range(1, _STAGES + 1):
        for number in range(_MOST_BLOCKS):
            name = f"encoder.layer{stage}.{number}"
            if not builder.has(f"{name}.conv1"):
                break
            x = _block(builder, name, x, 2 if stage > 1 and number == 0 else 1)
        found.append(x)
    return found


def _block(builder: GraphBuilder, name: str, x: Place, stride: int) -> Place:
    """Add a residual block of two convolutions or, with a bottleneck, three."""
    before = x
    strides = (1, stride, 1) if builder.has(f"{name}.conv3") else (stride, 1)
    for number, step in enumerate(strides, start=1):
        x = builder.norm(f"{name}.bn{number}", builder.conv(f"{name}.conv{number}", x, step))
        if number < len(strides):
            x = builder.activation(x)
    if builder.has(f"{name}.downsample.0"):
        shortcut = builder.conv(f"{name}.downsample.0", before, stride)
        before = builder.norm(f"{name}.downsample.1", shortcut)
    return builder.activation(builder.add(x, before))


def _efficientnet(builder: GraphBuilder) -> list[Place]:
    """Add the encoder; return its outputs from the half of the input's sides downwards.

    A stage begins where the number of channels changes.
    """
    blocks = _blocks(builder)
    side = _pictures(builder, blocks)
    edges = same_padding(side, builder.kernel("encoder._conv_stem"), 2)
    x = builder.norm("encoder._bn0", builder.conv("encoder._conv_stem", 0, 2, edges), _EPS)
    x = builder.activation(x, "silu")
    side = -(-side // 2)
    places, ends = [x], dict[int, Place]()
    for name in blocks:
        begins = builder.size(f"{name}._project_conv") != builder.channels(x)
        stage = len(ends) + begins
        if not 1 <= stage <= len(_STRIDES):
            raise ModelError("has other stages than an EfficientNet")
        stride = _STRIDES[stage - 1] if begins else 1
        x = ends[stage] = _inverted_block(builder, name, x, stride, side)
        side = -(-side // stride)
        places.append(x)
    if len(ends) != len(_STRIDES):
        raise ModelError(f"has {len(ends)} stages where an EfficientNet has {len(_STRIDES)}")
    if len(blocks) == _BLOCKS_OF_B0:  # there the library takes the first block of the fifth stage
        ends[5] = places[9]
    return [places[0], *(ends[kept] for kept in _KEPT)]


def _blocks(builder: GraphBuilder) -> list[str]:
    names = (f"encoder._blocks.{number}" for number in range(_MOST_BLOCKS))
    return list(takewhile(lambda name: builder.has(f"{name}._depthwise_conv"), names))


def _pictures(builder: GraphBuilder, blocks: Sequence[str]) -> int:
    """Return the side of the pictures that an EfficientNet was made for, which fixes its padding."""
    last = builder.size(f"{blocks[-1]}._project_conv") if blocks else 0
    found = _PICTURES.get((len(blocks), last))
    if found is None:
        raise ModelError(
            f"has {len(blocks)} blocks that end with {last} channels, as no EfficientNet B0 to B7"
        )
    return found


def _inverted_block(builder: GraphBuilder, name: str, x: Place, stride: int, side: int) -> Place:
    """Add a depthwise block with squeeze and excitation."""
    before = x
    if builder.has(f"{name}._expand_conv"):
        x = builder.norm(f"{name}._bn0", builder.conv(f"{name}._expand_conv", x), _EPS)
        x = builder.activation(x, "silu")
    edges = same_padding(side, builder.kernel(f"{name}._depthwise_conv"), stride)
    x = builder.conv(f"{name}._depthwise_conv", x, stride, edges)
    x = builder.activation(builder.norm(f"{name}._bn1", x, _EPS), "silu")
    squeezed = builder.activation(builder.conv(f"{name}._se_reduce", builder.mean(x)), "silu")
    excited = builder.activation(builder.conv(f"{name}._se_expand", squeezed), "sigmoid")
    x = builder.conv(f"{name}._project_conv", builder.multiply(x, excited))
    x = builder.norm(f"{name}._bn2", x, _EPS)
    same = stride == 1 and builder.channels(before) == builder.channels(x)
    return builder.add(x, before) if same else x
