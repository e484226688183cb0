"""One two-dimensional U-Net that can be each of the published ones.

The variants differ in widths, in where batch norm stands, in how the decoder upsamples and in where
dropout acts; all of that is arguments, so that a model card can name a network without code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_tumorseg.models.architectures import Norms, Order, UNetArguments
from napari_tumorseg.models.slice_network import SliceNetwork
from napari_tumorseg.models.state_dict_keys import infer_unet_arguments, to_unet_layout
from napari_tumorseg.models.weight_files import State


class UNet(SliceNetwork):
    """A U-Net for slices, giving logits.

    Each encoder level is a double 3x3 convolution followed by 2x2 max pooling; each decoder level
    upsamples, concatenates (upsampled, skip) and convolves twice; a 1x1 convolution ends it.
    No sigmoid or softmax inside.

    Parameters
    ----------
    in_channels, out_channels, widths, bottleneck, **options
        As `UNetArguments` describes them.

    Raises
    ------
    ValueError
        If an argument makes no network.
    """

    def __init__(
        self, in_channels: int, out_channels: int, widths: Sequence[int], bottleneck: int, **options: Any
    ) -> None:
        sizes = {"in_channels": in_channels, "out_channels": out_channels, "widths": widths}
        given = UNetArguments.of({**sizes, "bottleneck": bottleneck, **options})
        super().__init__(given)

        def block(channels_in: int, channels_out: int, norms: Norms) -> _DoubleConv:
            order, eps, momentum = given.order, given.norm_eps, given.norm_momentum
            return _DoubleConv(channels_in, channels_out, given.conv_bias, order, norms, eps, momentum)

        widths = given.widths
        above = [in_channels, *widths[:-1]]
        below = [*widths[1:], bottleneck]
        transposed = given.upsampling == "transposed"
        self.encoder = nn.ModuleList(
            block(a, w, given.encoder_norm) for a, w in zip(above, widths, strict=True)
        )
        self.bottleneck = block(widths[-1], bottleneck, given.bottleneck_norm)
        self.bottleneck_dropout = nn.Dropout(given.bottleneck_dropout)
        # up[i] and decoder[i] belong to encoder[i]: level 0 is full resolution in all three
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(b, w, kernel_size=2, stride=2) if transposed else _Bilinear()
            for b, w in zip(below, widths, strict=True)
        )
        self.decoder = nn.ModuleList(
            block((w if transposed else b) + w, w, given.decoder_norm)
            for b, w in zip(below, widths, strict=True)
        )
        self.dropout = nn.Dropout(given.dropout)
        self.head = nn.Conv2d(widths[0], out_channels, kernel_size=1)

    @classmethod
    def adapt_state(cls, state: Mapping[str, Tensor]) -> State:
        """Return weights under this network's names, from each layout that `to_unet_layout` knows."""
        return to_unet_layout(state)

    @classmethod
    def infer_arguments(cls, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return the arguments of the U-Net that weights were trained in."""
        return infer_unet_arguments(state)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (batch, out_channels, height, width).

        Raises
        ------
        ValueError
            If `x` is not (batch, in_channels, height, width) with sides that are multiples of `stride`.
        """
        self.check_input(x)
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

    def sensitive_layers(self) -> tuple[nn.Module, ...]:
        """Return the first convolution and the head."""
        return (self.encoder[0].conv1, self.head)  # type: ignore[return-value]

    def folded(self) -> Self:
        """Return a copy for inference in which batch norms that follow a convolution are part of it.

        It computes the same with fewer passes over memory. Batch norms that stand behind a ReLU stay:
        zero padding keeps them from being moved into the next convolution. The copy's state dict fits
        `UNet(**net.arguments)` no longer.
        """
        copied = super().folded()
        for block in copied.modules():
            if isinstance(block, _DoubleConv):
                block.fold()
        return copied


class _DoubleConv(nn.Module):
    """Two 3x3 convolutions with ReLU and, where asked for, batch norm.

    A norm before the ReLU is called `norm`, one behind it `post_norm`: the names show the order, so that
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
