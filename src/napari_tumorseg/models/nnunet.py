"""U-Nets that nnU-Net plans, with a plain or a residual encoder, for slices or volumes.

Structure and names of weights are those of `PlainConvUNet` and `ResidualEncoderUNet` in
dynamic-network-architectures, so that their checkpoints fit (F. Isensee et al., nnU-Net, 2021, and nnU-Net
Revisited, 2024). Only the output at full resolution is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from napari_tumorseg.models.nnunet_arguments import (
    PlainConvUNetArguments,
    PlannedUNetArguments,
    ResidualEncoderUNetArguments,
)
from napari_tumorseg.models.segmentation_network import SegmentationNetwork
from napari_tumorseg.models.weight_files import State

_TWICE = re.compile(r"(^|\.)all_modules\.|^decoder\.encoder\.")
"""Names under which a checkpoint holds a weight for the second time."""

_HEAD = re.compile(r"^decoder\.seg_layers\.([0-9]{1,3})\.")

_CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_POOL = {2: nn.AvgPool2d, 3: nn.AvgPool3d}
_NORMS: dict[str, dict[int, type[nn.Module]]] = {
    "instance": {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d},
    "batch": {2: nn.BatchNorm2d, 3: nn.BatchNorm3d},
}


class _PlannedUNet(SegmentationNetwork):
    """A U-Net with `encoder` and `decoder`."""

    encoder: nn.Module
    decoder: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of the sides of `x`.

        Raises
        ------
        ValueError
            If `x` is not (batch, in_channels, ...) with sides that are multiples of `strides`.
        """
        self.check_input(x)
        logits: Tensor = self.decoder(self.encoder(x))
        return logits

    @classmethod
    def adapt_state(cls, state: Mapping[str, Tensor]) -> State:
        """Return weights without repetitions and without heads below full resolution."""
        heads = [int(found[1]) for name in state if (found := _HEAD.match(name))]
        top = max(heads, default=0)
        return {
            name: tensor
            for name, tensor in state.items()
            if not _TWICE.search(name) and ((found := _HEAD.match(name)) is None or int(found[1]) == top)
        }

    def sensitive_layers(self) -> tuple[nn.Module, ...]:
        """Return the first convolution and the head."""
        return (super().sensitive_layers()[0], next(iter(self.decoder.seg_layers.values())))  # type: ignore[operator]


class PlainConvUNet(_PlannedUNet):
    """A U-Net of plain convolutions, giving logits.

    Parameters
    ----------
    **arguments
        As `PlainConvUNetArguments` describes them.

    Raises
    ------
    ValueError
        If an argument makes no network.
    """

    def __init__(self, **arguments: Any) -> None:
        given = PlainConvUNetArguments.of(arguments)
        super().__init__(given)
        self.encoder = _PlainEncoder(given)
        self.decoder = _Decoder(given, given.norm_first)


class ResidualEncoderUNet(_PlannedUNet):
    """A U-Net with residual blocks in its encoder, giving logits.

    Parameters
    ----------
    **arguments
        As `ResidualEncoderUNetArguments` describes them.

    Raises
    ------
    ValueError
        If an argument makes no network.
    """

    def __init__(self, **arguments: Any) -> None:
        given = ResidualEncoderUNetArguments.of(arguments)
        super().__init__(given)
        self.encoder = _ResidualEncoder(given)
        self.decoder = _Decoder(given)


class _ConvNormAct(nn.Module):
    """Convolution, norm and activation, in this order unless `norm_first` is False."""

    def __init__(
        self,
        given: PlannedUNetArguments,
        inputs: int,
        outputs: int,
        kernel: Sequence[int],
        steps: Sequence[int] | None = None,
        *,
        bias: bool | None = None,
        activation: bool = True,
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        convolution = _CONVOLUTION[given.dimensions]
        self.conv = convolution(
            inputs,
            outputs,
            tuple(kernel),  # type: ignore[arg-type]
            tuple(steps or [1] * given.dimensions),  # type: ignore[arg-type]
            padding=tuple(side // 2 for side in kernel),  # type: ignore[arg-type]
            bias=given.conv_bias if bias is None else bias,
        )
        self.norm = _norm(given, outputs)
        self.nonlin = _activation(given) if activation else nn.Identity()
        self._norm_first = norm_first

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.nonlin(self.norm(x)) if self._norm_first else self.norm(self.nonlin(x))  # type: ignore[no-any-return]


def _norm(given: PlannedUNetArguments, channels: int) -> nn.Module:
    if given.norm == "none":
        return nn.Identity()
    affine = {"affine": True} if given.norm == "instance" else {}
    return _NORMS[given.norm][given.dimensions](channels, eps=given.norm_eps, **affine)


def _activation(given: PlannedUNetArguments) -> nn.Module:
    return nn.LeakyReLU(given.slope, inplace=True) if given.slope else nn.ReLU(inplace=True)


class _Stack(nn.Module):
    """Several convolutions; the first one has the steps."""

    def __init__(
        self,
        given: PlannedUNetArguments,
        count: int,
        channels: tuple[int, int],
        kernel: Sequence[int],
        steps: Sequence[int] | None = None,
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        inputs, outputs = channels
        first = _ConvNormAct(given, inputs, outputs, kernel, steps, norm_first=norm_first)
        rest = [
            _ConvNormAct(given, outputs, outputs, kernel, norm_first=norm_first) for _ in range(count - 1)
        ]
        self.convs = nn.Sequential(first, *rest)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.convs(x)
        return found


class _PlainEncoder(nn.Module):
    def __init__(self, given: PlainConvUNetArguments) -> None:
        super().__init__()
        inputs = [given.in_channels, *given.features]
        parts = zip(
            given.encoder_blocks, inputs[:-1], given.features, given.kernels, given.steps, strict=True
        )
        self.stages = nn.Sequential(
            *(
                nn.Sequential(_Stack(given, count, (before, after), kernel, steps, given.norm_first))
                for count, before, after, kernel, steps in parts
            )
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        return _each(self.stages, x)


class _ResidualEncoder(nn.Module):
    def __init__(self, given: ResidualEncoderUNetArguments) -> None:
        super().__init__()
        stem = given.stem or given.features[0]
        self.stem = _Stack(given, 1, (given.in_channels, stem), given.kernels[0])
        inputs = [stem, *given.features]
        parts = zip(
            given.encoder_blocks, inputs[:-1], given.features, given.kernels, given.steps, strict=True
        )
        self.stages = nn.Sequential(
            *(
                _Residuals(given, count, (before, after), kernel, steps)
                for count, before, after, kernel, steps in parts
            )
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        return _each(self.stages, self.stem(x))


def _each(stages: nn.Sequential, x: Tensor) -> list[Tensor]:
    """Return the output of each stage."""
    found = []
    for stage in stages:
        x = stage(x)
        found.append(x)
    return found


class _Residuals(nn.Module):
    """Residual blocks; the first one has the steps."""

    def __init__(
        self,
        given: ResidualEncoderUNetArguments,
        count: int,
        channels: tuple[int, int],
        kernel: Sequence[int],
        steps: Sequence[int],
    ) -> None:
        super().__init__()
        none = [1] * given.dimensions
        first = _Residual(given, *channels, kernel, steps)
        rest = [_Residual(given, channels[1], channels[1], kernel, none) for _ in range(count - 1)]
        self.blocks = nn.Sequential(first, *rest)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.blocks(x)
        return found


class _Residual(nn.Module):
    """Two convolutions, added to the input, which is pooled and projected where that is needed (ResNet-D)."""

    def __init__(
        self,
        given: ResidualEncoderUNetArguments,
        inputs: int,
        outputs: int,
        kernel: Sequence[int],
        steps: Sequence[int],
    ) -> None:
        super().__init__()
        self.conv1 = _ConvNormAct(given, inputs, outputs, kernel, steps)
        self.conv2 = _ConvNormAct(given, outputs, outputs, kernel, activation=False)
        self.nonlin2 = _activation(given)
        skip: list[nn.Module] = []
        if any(step != 1 for step in steps):
            skip.append(_POOL[given.dimensions](tuple(steps), tuple(steps)))  # type: ignore[arg-type]
        if inputs != outputs:
            whole = [1] * given.dimensions
            skip.append(_ConvNormAct(given, inputs, outputs, whole, bias=False, activation=False))
        self.skip = nn.Sequential(*skip)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.nonlin2(self.conv2(self.conv1(x)) + self.skip(x))
        return found


class _Decoder(nn.Module):
    """Stages from the lowest resolution upwards, each after a transposed convolution; (upsampled, skip)."""

    def __init__(self, given: PlannedUNetArguments, norm_first: bool = True) -> None:
        super().__init__()
        below, skips = given.features[:0:-1], given.features[-2::-1]
        steps, kernels = given.steps[:0:-1], given.kernels[-2::-1]
        transposed = _TRANSPOSED[given.dimensions]
        self.transpconvs = nn.ModuleList(
            transposed(low, skip, tuple(step), tuple(step), bias=given.conv_bias)  # type: ignore[arg-type]
            for low, skip, step in zip(below, skips, steps, strict=True)
        )
        self.stages = nn.ModuleList(
            _Stack(given, count, (2 * skip, skip), kernel, norm_first=norm_first)
            for count, skip, kernel in zip(given.decoder_convs, skips, kernels, strict=True)
        )
        head = _CONVOLUTION[given.dimensions](skips[-1], given.out_channels, kernel_size=1)
        self.seg_layers = nn.ModuleDict({str(len(skips) - 1): head})

    def forward(self, skips: list[Tensor]) -> Tensor:
        x = skips[-1]
        for place, (up, stage) in enumerate(zip(self.transpconvs, self.stages, strict=True), start=2):
            x = stage(torch.cat((up(x), skips[-place]), dim=1))
        logits: Tensor = next(iter(self.seg_layers.values()))(x)
        return logits
