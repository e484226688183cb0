"""One two-dimensional U-Net that can be each of the published ones.

The variants differ in widths, in where batch norm stands, in how the decoder upsamples and in where
dropout acts; all of that is arguments, so that a model card can name a network without code.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

Order: TypeAlias = Literal["conv-norm-relu", "conv-relu-norm", "conv-relu"]
"""In what order the layers of a block follow each other."""

Norms: TypeAlias = Literal["both", "first", "none"]
"""Which of the two convolutions of a block have a batch norm."""

Upsampling: TypeAlias = Literal["transposed", "bilinear"]
"""A learnt 2x2 transposed convolution, or interpolation with aligned corners."""

MAX_CHANNELS = 65536
"""More channels than this in a layer is a mistake in a card, not a network."""

MAX_LEVELS = 12


class UNet(nn.Module):
    """A U-Net for slices, giving logits.

    Each encoder level is a double 3x3 convolution followed by 2x2 max pooling; each decoder level
    upsamples, concatenates (upsampled, skip) and convolves twice; a 1x1 convolution ends it.
    No sigmoid or softmax inside.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the logits.
    widths : sequence of int
        Channels of each encoder level, from full resolution downwards; the decoder mirrors them.
    bottleneck : int
        Channels at the lowest resolution.
    conv_bias : bool
        Whether the 3x3 convolutions have a bias. Transposed convolutions and the head always do.
    order : {"conv-norm-relu", "conv-relu-norm", "conv-relu"}
        Order of the layers of a block; "conv-relu" has no batch norm, whatever the next three say.
    encoder_norm, bottleneck_norm, decoder_norm : {"both", "first", "none"}
        Which convolutions of a block have a batch norm.
    upsampling : {"transposed", "bilinear"}
        "bilinear" aligns corners and keeps all channels for the concatenation.
    dropout : float
        Probability of dropout before the 1x1 head.
    bottleneck_dropout : float
        Probability of dropout after the bottleneck's convolutions.
    norm_eps, norm_momentum : float
        Of the batch norms, as torch defines them; Keras' defaults are 1e-3 and, in torch's terms, 0.01.

    Attributes
    ----------
    arguments : dict
        What this network was made with; `UNet(**arguments)` makes another one like it.

    Raises
    ------
    ValueError
        If an argument makes no network.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        widths: Sequence[int],
        bottleneck: int,
        *,
        conv_bias: bool = False,
        order: Order = "conv-norm-relu",
        encoder_norm: Norms = "both",
        bottleneck_norm: Norms = "both",
        decoder_norm: Norms = "both",
        upsampling: Upsampling = "transposed",
        dropout: float = 0.0,
        bottleneck_dropout: float = 0.0,
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "widths": list(widths) if _is_sequence(widths) else widths,
            "bottleneck": bottleneck,
            "conv_bias": conv_bias,
            "order": order,
            "encoder_norm": encoder_norm,
            "bottleneck_norm": bottleneck_norm,
            "decoder_norm": decoder_norm,
            "upsampling": upsampling,
            "dropout": dropout,
            "bottleneck_dropout": bottleneck_dropout,
            "norm_eps": norm_eps,
            "norm_momentum": norm_momentum,
        }
        _check_arguments(self.arguments)
        self.in_channels = in_channels

        def block(channels_in: int, channels_out: int, norms: Norms) -> _DoubleConv:
            return _DoubleConv(channels_in, channels_out, conv_bias, order, norms, norm_eps, norm_momentum)

        above = [in_channels, *widths[:-1]]
        below = [*widths[1:], bottleneck]
        transposed = upsampling == "transposed"
        self.encoder = nn.ModuleList(block(a, w, encoder_norm) for a, w in zip(above, widths, strict=True))
        self.bottleneck = block(widths[-1], bottleneck, bottleneck_norm)
        self.bottleneck_dropout = nn.Dropout(bottleneck_dropout)
        # up[i] and decoder[i] belong to encoder[i]: level 0 is full resolution in all three
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(b, w, kernel_size=2, stride=2) if transposed else _Bilinear()
            for b, w in zip(below, widths, strict=True)
        )
        self.decoder = nn.ModuleList(
            block((w if transposed else b) + w, w, decoder_norm) for b, w in zip(below, widths, strict=True)
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(widths[0], out_channels, kernel_size=1)

    @property
    def stride(self) -> int:
        """What both sides of an input must be a multiple of."""
        return 1 << len(self.encoder)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (batch, out_channels, height, width).

        Raises
        ------
        ValueError
            If `x` is not (batch, in_channels, height, width) with sides that are multiples of `stride`.
        """
        self._check_input(x)
        skips = []
        for block in self.encoder:
            x = block(x)
            skips.append(x)
            x = functional.max_pool2d(x, 2)
        x = self.bottleneck_dropout(self.bottleneck(x))
        for up, block in zip(reversed(self.up), reversed(self.decoder), strict=True):
            x = block(torch.cat((up(x), skips.pop()), dim=1))
        logits: Tensor = self.head(self.dropout(x))
        return logits

    def init_he(self, generator: torch.Generator | None = None) -> None:
        """Draw all convolutions from He's normal distribution; biases 0, batch norms as new.

        Parameters
        ----------
        generator : torch.Generator, optional
            Source of randomness; torch's global one by default.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                # fan_in of a transposed convolution counts its outputs, in Keras as in torch
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()

    def _check_input(self, x: Tensor) -> None:
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"the network takes (batch, {self.in_channels}, height, width), not {_shape_text(x)}"
            )
        height, width = x.shape[2:]
        if height == 0 or width == 0 or height % self.stride or width % self.stride:
            raise ValueError(
                f"the sides of an input must be multiples of {self.stride}, not {height} x {width}; pad it"
            )


def fold_batch_norm(net: UNet) -> UNet:
    """Return a copy for inference in which batch norms that directly follow a convolution are part of it.

    It computes the same with fewer passes over memory. Batch norms that stand behind a ReLU stay:
    zero padding keeps them from being moved into the next convolution. The copy is in eval mode,
    needs no gradients, and its state dict fits `UNet(**net.arguments)` no longer.

    Parameters
    ----------
    net : UNet
        Left as it is.
    """
    folded = copy.deepcopy(net).eval().requires_grad_(False)
    for block in folded.modules():
        if isinstance(block, _DoubleConv):
            block.fold()
    return folded


def count_parameters(net: nn.Module) -> tuple[int, int]:
    """Return how many trainable parameters and how many batch-norm running statistics there are.

    Their sum is what Keras calls the total; `num_batches_tracked`, which Keras has not, is left out.
    """
    trainable = sum(p.numel() for p in net.parameters() if p.requires_grad)
    statistics = sum(b.numel() for n, b in net.named_buffers() if n.endswith(("running_mean", "running_var")))
    return trainable, statistics


class _DoubleConv(nn.Module):
    """Two 3x3 convolutions with ReLU and, where asked for, batch norm.

    A norm before the ReLU is called `norm`, one behind it `post_norm`: names tell the order, so that
    weights trained in one order are never taken for the other.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        bias: bool,
        order: Order,
        norms: Norms,
        eps: float,
        momentum: float,
    ) -> None:
        super().__init__()

        def norm(wanted: bool) -> nn.BatchNorm2d | None:
            return nn.BatchNorm2d(channels_out, eps, momentum) if wanted else None

        first, second = norms != "none", norms == "both"
        before, behind = order == "conv-norm-relu", order == "conv-relu-norm"
        self.conv1 = nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=bias)
        self.norm1 = norm(first and before)
        self.post_norm1 = norm(first and behind)
        self.conv2 = nn.Conv2d(channels_out, channels_out, kernel_size=3, padding=1, bias=bias)
        self.norm2 = norm(second and before)
        self.post_norm2 = norm(second and behind)

    def forward(self, x: Tensor) -> Tensor:
        x = _conv_step(x, self.conv1, self.norm1, self.post_norm1)
        return _conv_step(x, self.conv2, self.norm2, self.post_norm2)

    def fold(self) -> None:
        """Make the norms before the ReLU part of their convolutions."""
        if self.norm1 is not None:
            self.conv1, self.norm1 = fuse_conv_bn_eval(self.conv1, self.norm1), None
        if self.norm2 is not None:
            self.conv2, self.norm2 = fuse_conv_bn_eval(self.conv2, self.norm2), None


def _conv_step(
    x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d | None, post_norm: nn.BatchNorm2d | None
) -> Tensor:
    x = conv(x)
    if norm is not None:
        x = norm(x)
    x = functional.relu(x, inplace=True)  # of a fresh tensor that nothing else needs
    return x if post_norm is None else post_norm(x)


class _Bilinear(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


def _check_arguments(arguments: dict[str, Any]) -> None:
    for name in ("in_channels", "out_channels", "bottleneck"):
        _check_channels(name, arguments[name])
    widths = arguments["widths"]
    if not _is_sequence(widths) or not 1 <= len(widths) <= MAX_LEVELS:
        raise ValueError(f"widths must name the channels of 1 to {MAX_LEVELS} levels, not {widths!r}")
    for width in widths:
        _check_channels("widths", width)
    for name in ("encoder_norm", "bottleneck_norm", "decoder_norm"):
        _check_choice(name, arguments[name], get_args(Norms))
    _check_choice("order", arguments["order"], get_args(Order))
    _check_choice("upsampling", arguments["upsampling"], get_args(Upsampling))
    _check_choice("conv_bias", arguments["conv_bias"], (True, False))
    _check_number("dropout", arguments["dropout"], 0.0, 1.0)
    _check_number("bottleneck_dropout", arguments["bottleneck_dropout"], 0.0, 1.0)
    _check_number("norm_eps", arguments["norm_eps"], 1e-12, 1.0)
    _check_number("norm_momentum", arguments["norm_momentum"], 0.0, 1.0)


def _is_sequence(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _check_channels(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_CHANNELS:
        raise ValueError(f"{name} must be whole numbers from 1 to {MAX_CHANNELS}, not {value!r}")


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    # 1 == True, so the type counts, too
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}")


def _check_number(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")


def _shape_text(x: Tensor) -> str:
    return "(" + ", ".join(str(side) for side in x.shape) + ")"
