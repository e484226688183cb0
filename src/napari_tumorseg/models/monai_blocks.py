"""Layers of MONAI's networks, with its names of weights."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from napari_tumorseg.models.monai_arguments import MonaiArguments

CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_INSTANCE = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_BATCH = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def norm(given: MonaiArguments, channels: int) -> nn.Module:
    """Return a norm of these channels."""
    if given.norm == "none":
        return nn.Identity()
    if given.norm == "group":
        return nn.GroupNorm(given.groups, channels)
    if given.norm == "batch":
        return _BATCH[given.sides](channels)
    return _INSTANCE[given.sides](channels, affine=given.norm == "instance-affine")


def activation(given: MonaiArguments) -> nn.Module:
    """Return an activation."""
    if given.activation == "prelu":
        return nn.PReLU()
    return nn.LeakyReLU(given.slope) if given.activation == "leaky-relu" else nn.ReLU()


class Convolution(nn.Module):
    """A convolution ``conv``, and ``adn`` with norm ``N`` and activation ``A`` unless it is `alone`."""

    def __init__(
        self,
        given: MonaiArguments,
        inputs: int,
        outputs: int,
        kernel: int | Sequence[int] = 3,
        step: int | Sequence[int] = 1,
        *,
        bias: bool = True,
        alone: bool = False,
        transposed: bool = False,
    ) -> None:
        super().__init__()
        sides = [kernel] * given.sides if isinstance(kernel, int) else list(kernel)
        steps = [step] * given.sides if isinstance(step, int) else list(step)
        padding = tuple(side // 2 for side in sides)
        options = {"kernel_size": tuple(sides), "stride": tuple(steps), "padding": padding, "bias": bias}
        if transposed:
            more = tuple(one - 1 for one in steps)
            self.conv: nn.Module = TRANSPOSED[given.sides](inputs, outputs, output_padding=more, **options)  # type: ignore[arg-type]
        else:
            self.conv = CONVOLUTION[given.sides](inputs, outputs, **options)  # type: ignore[arg-type]
        self.adn: nn.Module = nn.Identity()
        if not alone:
            self.adn = nn.Sequential()
            self.adn.add_module("N", norm(given, outputs))
            self.adn.add_module("A", activation(given))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features."""
        found: Tensor = self.adn(self.conv(x))
        return found


class Upsample(nn.Module):
    """A transposed convolution ``deconv`` that doubles all sides."""

    def __init__(self, given: MonaiArguments, inputs: int, outputs: int) -> None:
        super().__init__()
        self.deconv = TRANSPOSED[given.sides](inputs, outputs, kernel_size=2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features."""
        found: Tensor = self.deconv(x)
        return found
