"""Arguments of networks that MONAI bundles name."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, StrictBool, model_validator

from napari_tumorseg.models.network_arguments import MAX_LEVELS, Channels, NetworkArguments
from napari_tumorseg.models.nnunet_arguments import Count, Kernel, Step

Kernels: TypeAlias = Annotated[list[Kernel], Field(min_length=2, max_length=3)]
Steps: TypeAlias = Annotated[list[Step], Field(min_length=2, max_length=3)]


class MonaiArguments(NetworkArguments):
    """Arguments that the networks of MONAI share.

    Attributes
    ----------
    sides : {2, 3}
        2 for slices, 3 for volumes.
    norm : {"instance", "instance-affine", "batch", "group", "none"}
        Norm after or before each convolution.
    groups : int
        Of the group norms.
    activation : {"relu", "leaky-relu", "prelu"}
        Activation after each norm.
    slope : float
        Of leaky ReLUs for negative values.
    """

    sides: Literal[2, 3] = 3
    norm: Literal["instance", "instance-affine", "batch", "group", "none"] = "instance"
    groups: Count = 8
    activation: Literal["relu", "leaky-relu", "prelu"] = "relu"
    slope: float = Field(0.01, ge=0, le=1)

    @property
    def dimensions(self) -> Literal[2, 3]:
        """`sides`."""
        return self.sides

    @property
    def normalised(self) -> bool:
        """True if there are norms."""
        return self.norm != "none"


class SegResNetArguments(MonaiArguments):
    """Arguments of `SegResNet`.

    Attributes
    ----------
    width : int
        Channels at full resolution; each level below has twice as many.
    blocks_down, blocks_up : list of int
        Residual blocks of each level of the encoder, and of the decoder from the lowest level upwards.
    upsampling : {"interpolated", "transposed"}
        Linear interpolation or a transposed convolution.
    """

    width: Channels = 8
    blocks_down: Annotated[list[Count], Field(min_length=2, max_length=8)]
    blocks_up: Annotated[list[Count], Field(min_length=1, max_length=7)]
    upsampling: Literal["interpolated", "transposed"] = "interpolated"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.blocks_up) != len(self.blocks_down) - 1:
            raise ValueError("blocks_up has one entry less than blocks_down")
        return self

    @property
    def stride(self) -> int:
        """Each level halves all sides."""
        return 1 << len(self.blocks_up)


class BasicUNetArguments(MonaiArguments):
    """Arguments of `BasicUNet`.

    Attributes
    ----------
    features : list of int
        Channels of the five levels of the encoder, and of the last level of the decoder.
    bias : bool
        Whether convolutions have a bias.
    """

    features: Annotated[list[Channels], Field(min_length=6, max_length=6)]
    bias: StrictBool = True

    @property
    def stride(self) -> int:
        """Four levels halve all sides."""
        return 16


class ResidualUNetArguments(MonaiArguments):
    """Arguments of `ResidualUNet`, which MONAI calls UNet.

    Attributes
    ----------
    features : list of int
        Channels of each level.
    steps : list of int
        Stride from each level to the one below.
    kernel, up_kernel : int
        Sides of the kernels of convolutions and of transposed convolutions.
    units : int
        Convolutions of each residual unit; 0 for plain convolutions.
    bias : bool
        Whether convolutions have a bias.
    """

    features: Annotated[list[Channels], Field(min_length=2, max_length=MAX_LEVELS)]
    steps: Annotated[list[Step], Field(min_length=1, max_length=MAX_LEVELS)]
    kernel: Kernel = 3
    up_kernel: Kernel = 3
    units: Annotated[int, Field(strict=True, ge=0, le=16)] = 0
    bias: StrictBool = True

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.steps) != len(self.features) - 1:
            raise ValueError("steps has one entry less than features")
        if self.kernel % 2 == 0 or self.up_kernel % 2 == 0:
            raise ValueError("kernels have odd sides")
        return self

    @property
    def stride(self) -> int:
        """Product of the steps."""
        return math.prod(self.steps)


class DynUNetArguments(MonaiArguments):
    """Arguments of `DynUNet`.

    Attributes
    ----------
    features : list of int
        Channels of each level.
    kernels, steps : list of list of int
        Kernel and stride of each level along each axis.
    up_kernels : list of list of int
        Kernels, and strides, of the transposed convolutions from the second level downwards.
    residual : bool
        Whether blocks of the encoder are residual.
    up_bias : bool
        Whether transposed convolutions have a bias.
    """

    features: Annotated[list[Channels], Field(min_length=3, max_length=MAX_LEVELS)]
    kernels: Annotated[list[Kernels], Field(min_length=3, max_length=MAX_LEVELS)]
    steps: Annotated[list[Steps], Field(min_length=3, max_length=MAX_LEVELS)]
    up_kernels: Annotated[list[Steps], Field(min_length=2, max_length=MAX_LEVELS)]
    residual: StrictBool = False
    up_bias: StrictBool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        levels = len(self.features)
        if (len(self.kernels), len(self.steps), len(self.up_kernels) + 1) != (levels,) * 3:
            raise ValueError(f"there are {levels} levels, and their lists have other lengths")
        if self.up_kernels != self.steps[1:]:
            raise ValueError("up_kernels differ from the steps, so that levels would not fit together")
        if any(len(one) != self.sides for one in (*self.kernels, *self.steps)):
            raise ValueError(f"kernels and steps have {self.sides} axes")
        if any(side % 2 == 0 for one in self.kernels for side in one):
            raise ValueError("kernels have odd sides")
        return self

    @property
    def strides(self) -> tuple[int, ...]:
        """Product of the steps along each axis."""
        return tuple(math.prod(steps) for steps in zip(*self.steps, strict=True))

    @property
    def stride(self) -> int:
        """Least common multiple of the strides."""
        return math.lcm(*self.strides)
