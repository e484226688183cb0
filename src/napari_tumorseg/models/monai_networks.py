"""Networks that MONAI bundles name, for slices or volumes, with MONAI's names of weights.

SegResNet: A. Myronenko, arXiv:1810.11654. BasicUNet: T. Falk et al., doi:10.1038/s41592-018-0261-2. UNet:
E. Kerfoot et al., doi:10.1007/978-3-030-12029-0_40. DynUNet: F. Isensee et al., arXiv:1904.08128.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from napari_tumorseg.models.monai_arguments import (
    BasicUNetArguments,
    DynUNetArguments,
    ResidualUNetArguments,
    SegResNetArguments,
)
from napari_tumorseg.models.monai_blocks import (
    CONVOLUTION,
    TRANSPOSED,
    Convolution,
    Upsample,
    activation,
    norm,
)
from napari_tumorseg.models.segmentation_network import SegmentationNetwork
from napari_tumorseg.models.weight_files import State

_LINEAR = {2: "bilinear", 3: "trilinear"}


class SegResNet(SegmentationNetwork):
    """MONAI's SegResNet, giving logits.

    Parameters
    ----------
    **arguments
        As `SegResNetArguments` describes them.

    Raises
    ------
    ValueError
        If an argument makes no network.
    """

    def __init__(self, **arguments: Any) -> None:
        given = SegResNetArguments.of(arguments)
        super().__init__(given)
        width = given.width
        self.convInit = Convolution(given, given.in_channels, width, bias=False, alone=True)
        self.down_layers = nn.ModuleList(
            nn.Sequential(
                Convolution(given, width << (level - 1), width << level, step=2, bias=False, alone=True)
                if level
                else nn.Identity(),
                *(_SegResBlock(given, width << level) for _ in range(count)),
            )
            for level, count in enumerate(given.blocks_down)
        )
        levels = [len(given.blocks_up) - place for place in range(len(given.blocks_up))]
        self.up_layers = nn.ModuleList(
            nn.Sequential(*(_SegResBlock(given, width << (level - 1)) for _ in range(count)))
            for level, count in zip(levels, given.blocks_up, strict=True)
        )
        self.up_samples = nn.ModuleList(
            nn.Sequential(
                Convolution(given, width << level, width << (level - 1), 1, bias=False, alone=True),
                _doubled(given, width << (level - 1)),
            )
            for level in levels
        )
        head = Convolution(given, width, given.out_channels, 1, alone=True)
        self.conv_final = nn.Sequential(norm(given, width), activation(given), head)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of the sides of `x`."""
        self.check_input(x)
        x = self.convInit(x)
        skips = []
        for down in self.down_layers:
            x = down(x)
            skips.append(x)
        for up, layer, skip in zip(self.up_samples, self.up_layers, skips[-2::-1], strict=True):
            x = layer(up(x) + skip)
        logits: Tensor = self.conv_final(x)
        return logits


def _doubled(given: SegResNetArguments, channels: int) -> nn.Module:
    if given.upsampling == "transposed":
        return Upsample(given, channels, channels)
    return nn.Upsample(scale_factor=2, mode=_LINEAR[given.sides], align_corners=False)


class _SegResBlock(nn.Module):
    def __init__(self, given: SegResNetArguments, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(given, channels), norm(given, channels)
        self.act = activation(given)
        self.conv1 = Convolution(given, channels, channels, bias=False, alone=True)
        self.conv2 = Convolution(given, channels, channels, bias=False, alone=True)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(self.act(self.norm1(x)))
        found: Tensor = x + self.conv2(self.act(self.norm2(inner)))
        return found


class BasicUNet(SegmentationNetwork):
    """MONAI's BasicUNet with transposed convolutions, giving logits.

    Parameters
    ----------
    **arguments
        As `BasicUNetArguments` describes them.

    Raises
    ------
    ValueError
        If an argument makes no network.
    """

    def __init__(self, **arguments: Any) -> None:
        given = BasicUNetArguments.of(arguments)
        super().__init__(given)
        widths = given.features
        self.conv_0 = _two(given, given.in_channels, widths[0])
        for level in range(1, 5):
            self.add_module(f"down_{level}", _Down(given, widths[level - 1], widths[level]))
        for level in range(4, 0, -1):
            below, skip = widths[level], widths[level - 1]
            up, out = (below // 2, skip) if level > 1 else (below, widths[5])
            self.add_module(f"upcat_{level}", _UpCat(given, (below, up, skip, out)))
        self.final_conv = CONVOLUTION[given.sides](widths[5], given.out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of the sides of `x`."""
        self.check_input(x)
        skips = [self.conv_0(x)]
        for level in range(1, 5):
            skips.append(self.get_submodule(f"down_{level}")(skips[-1]))
        x = skips.pop()
        for level in range(4, 0, -1):
            x = self.get_submodule(f"upcat_{level}")(x, skips.pop())
        logits: Tensor = self.final_conv(x)
        return logits


def _two(given: BasicUNetArguments, inputs: int, outputs: int) -> nn.Sequential:
    found = nn.Sequential()
    found.add_module("conv_0", Convolution(given, inputs, outputs, bias=given.bias))
    found.add_module("conv_1", Convolution(given, outputs, outputs, bias=given.bias))
    return found


class _Down(nn.Module):
    def __init__(self, given: BasicUNetArguments, inputs: int, outputs: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2) if given.sides == 2 else nn.MaxPool3d(2)
        self.convs = _two(given, inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.convs(self.pool(x))
        return found


class _UpCat(nn.Module):
    def __init__(self, given: BasicUNetArguments, channels: tuple[int, int, int, int]) -> None:
        super().__init__()
        below, up, skip, out = channels
        self.upsample = Upsample(given, below, up)
        self.convs = _two(given, skip + up, out)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        found: Tensor = self.convs(torch.cat((skip, self.upsample(x)), dim=1))
        return found


class ResidualUNet(SegmentationNetwork):
    """MONAI's UNet, giving logits.

    Parameters
    ----------
    **arguments
        As `ResidualUNetArguments` describes them.

    Raises
    ------
    ValueError
        If an argument makes no network.
    """

    def __init__(self, **arguments: Any) -> None:
        given = ResidualUNetArguments.of(arguments)
        super().__init__(given)
        self.model = _level(given, given.in_channels, given.out_channels, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of the sides of `x`."""
        self.check_input(x)
        logits: Tensor = self.model(x)
        return logits

    @classmethod
    def adapt_state(cls, state: Mapping[str, Tensor]) -> State:
        """Return weights under names that begin with ``model.``, which readers of files take off."""
        return {name if name.startswith("model.") else f"model.{name}": t for name, t in state.items()}


class _Skip(nn.Module):
    def __init__(self, submodule: nn.Module) -> None:
        super().__init__()
        self.submodule = submodule

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.submodule(x)), dim=1)


def _level(given: ResidualUNetArguments, inputs: int, outputs: int, level: int) -> nn.Module:
    """Return a level with all levels below it."""
    width, step = given.features[level], given.steps[level]
    lowest = level == len(given.steps) - 1
    below = given.features[level + 1] if lowest else width
    inner = _unit(given, width, below, 1) if lowest else _level(given, width, width, level + 1)
    up = _up(given, width + below, outputs, step, top=level == 0)
    return nn.Sequential(_unit(given, inputs, width, step), _Skip(inner), up)


def _unit(given: ResidualUNetArguments, inputs: int, outputs: int, step: int) -> nn.Module:
    if given.units:
        return _ResidualUnit(given, inputs, outputs, step, given.units)
    return Convolution(given, inputs, outputs, given.kernel, step, bias=given.bias)


def _up(given: ResidualUNetArguments, inputs: int, outputs: int, step: int, top: bool) -> nn.Module:
    alone = top and not given.units
    found = Convolution(
        given, inputs, outputs, given.up_kernel, step, bias=given.bias, alone=alone, transposed=True
    )
    if not given.units:
        return found
    return nn.Sequential(found, _ResidualUnit(given, outputs, outputs, 1, 1, last_alone=top))


class _ResidualUnit(nn.Module):
    def __init__(
        self,
        given: ResidualUNetArguments,
        inputs: int,
        outputs: int,
        step: int,
        count: int,
        last_alone: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Sequential()
        for place in range(count):
            first, last = place == 0, place == count - 1
            unit = Convolution(
                given,
                inputs if first else outputs,
                outputs,
                given.kernel,
                step if first else 1,
                bias=given.bias,
                alone=last_alone and last,
            )
            self.conv.add_module(f"unit{place}", unit)
        self.residual: nn.Module = nn.Identity()
        if step != 1 or inputs != outputs:
            side = 1 if step == 1 else given.kernel
            convolution = CONVOLUTION[given.sides]
            self.residual = convolution(inputs, outputs, side, step, side // 2, bias=given.bias)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.conv(x) + self.residual(x)
        return found


class DynUNet(SegmentationNetwork):
    """MONAI's DynUNet, giving logits.

    Parameters
    ----------
    **arguments
        As `DynUNetArguments` describes them.

    Raises
    ------
    ValueError
        If an argument makes no network.
    """

    def __init__(self, **arguments: Any) -> None:
        given = DynUNetArguments.of(arguments)
        super().__init__(given)
        inputs = [given.in_channels, *given.features]
        blocks = [
            _DynBlock(given, (before, after), kernel, steps, given.residual)
            for before, after, kernel, steps in zip(
                inputs[:-1], given.features, given.kernels, given.steps, strict=True
            )
        ]
        self.input_block, self.bottleneck = blocks[0], blocks[-1]
        self.downsamples = nn.ModuleList(blocks[1:-1])
        places = range(len(given.features) - 2, -1, -1)
        self.upsamples = nn.ModuleList(_DynUp(given, place) for place in places)
        self.output_block = nn.Sequential()
        head = Convolution(given, given.features[0], given.out_channels, 1, alone=True)
        self.output_block.add_module("conv", head)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of the sides of `x`."""
        self.check_input(x)
        skips = [self.input_block(x)]
        for down in self.downsamples:
            skips.append(down(skips[-1]))
        x = self.bottleneck(skips[-1])
        for up in self.upsamples:
            x = up(x, skips.pop())
        logits: Tensor = self.output_block(x)
        return logits

    @classmethod
    def adapt_state(cls, state: Mapping[str, Tensor]) -> State:
        """Return weights without repetitions and without heads below full resolution."""
        left_out = ("skip_layers.", "heads.", "deep_supervision_heads.")
        return {name: tensor for name, tensor in state.items() if not name.startswith(left_out)}


class _DynBlock(nn.Module):
    def __init__(
        self,
        given: DynUNetArguments,
        channels: tuple[int, int],
        kernel: Sequence[int],
        steps: Sequence[int],
        residual: bool,
    ) -> None:
        super().__init__()
        inputs, outputs = channels
        self.conv1 = Convolution(given, inputs, outputs, kernel, steps, bias=False, alone=True)
        self.conv2 = Convolution(given, outputs, outputs, kernel, bias=False, alone=True)
        self.norm1, self.norm2 = norm(given, outputs), norm(given, outputs)
        self.lrelu = activation(given)
        self._projected = residual and (inputs != outputs or any(step != 1 for step in steps))
        self._residual = residual
        if self._projected:
            self.conv3 = Convolution(given, inputs, outputs, 1, steps, bias=False, alone=True)
            self.norm3 = norm(given, outputs)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm2(self.conv2(self.lrelu(self.norm1(self.conv1(x)))))
        if self._residual:
            inner = inner + (self.norm3(self.conv3(x)) if self._projected else x)
        found: Tensor = self.lrelu(inner)
        return found


class _DynUp(nn.Module):
    """A transposed convolution whose kernel is its stride, and a block on (upsampled, skip)."""

    def __init__(self, given: DynUNetArguments, place: int) -> None:
        super().__init__()
        below, width = given.features[place + 1], given.features[place]
        self.transp_conv = _Transposed(given, below, width, given.up_kernels[place])
        whole = [1] * given.sides
        self.conv_block = _DynBlock(
            given, (2 * width, width), given.kernels[place + 1], whole, residual=False
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        found: Tensor = self.conv_block(torch.cat((self.transp_conv(x), skip), dim=1))
        return found


class _Transposed(nn.Module):
    def __init__(self, given: DynUNetArguments, inputs: int, outputs: int, kernel: Sequence[int]) -> None:
        super().__init__()
        sides = tuple(kernel)
        self.conv = TRANSPOSED[given.sides](inputs, outputs, sides, sides, bias=given.up_bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.conv(x)
        return found
