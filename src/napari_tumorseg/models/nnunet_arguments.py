"""Arguments of the U-Nets that nnU-Net plans."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, StrictBool, model_validator

from napari_tumorseg.models.network_arguments import MAX_LEVELS, Channels, NetworkArguments

Count: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=32)]
Kernel: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=15)]
Step: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=8)]

Sides: TypeAlias = Annotated[list[Kernel], Field(min_length=2, max_length=3)]
Steps: TypeAlias = Annotated[list[Step], Field(min_length=2, max_length=3)]


class PlannedUNetArguments(NetworkArguments):
    """Arguments of a U-Net whose stages are planned one by one.

    Attributes
    ----------
    features : list of int
        Channels of each encoder stage, from full resolution downwards; the decoder mirrors them.
    kernels : list of list of int
        Kernel of each stage, odd, along each axis; two axes for slices, three for volumes.
    steps : list of list of int
        Strides with which each stage begins, along each axis.
    encoder_blocks : list of int
        Convolutions, or residual blocks, of each encoder stage.
    decoder_convs : list of int
        Convolutions of each decoder stage, from the lowest resolution upwards.
    conv_bias : bool
        Whether convolutions have a bias. The head always does.
    norm : {"instance", "batch", "none"}
        Norm after each convolution.
    norm_eps : float
        Of the norms.
    slope : float
        Of the leaky ReLUs for negative values; 0 for ReLUs.
    """

    features: Annotated[list[Channels], Field(min_length=2, max_length=MAX_LEVELS)]
    kernels: Annotated[list[Sides], Field(min_length=2, max_length=MAX_LEVELS)]
    steps: Annotated[list[Steps], Field(min_length=2, max_length=MAX_LEVELS)]
    encoder_blocks: Annotated[list[Count], Field(min_length=2, max_length=MAX_LEVELS)]
    decoder_convs: Annotated[list[Count], Field(min_length=1, max_length=MAX_LEVELS)]
    conv_bias: StrictBool = True
    norm: Literal["instance", "batch", "none"] = "instance"
    norm_eps: float = Field(1e-5, ge=1e-12, le=1)
    slope: float = Field(0.01, ge=0, le=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        stages = len(self.features)
        lengths = (len(self.kernels), len(self.steps), len(self.encoder_blocks), len(self.decoder_convs) + 1)
        if any(length != stages for length in lengths):
            raise ValueError(f"there are {stages} stages, and their lists have other lengths")
        if len({len(sides) for sides in (*self.kernels, *self.steps)}) != 1:
            raise ValueError("kernels and steps have two axes, or all have three")
        if any(side % 2 == 0 for sides in self.kernels for side in sides):
            raise ValueError("kernels have odd sides")
        return self

    @property
    def dimensions(self) -> Literal[2, 3]:
        """Number of dimensions of the kernels."""
        return 2 if len(self.kernels[0]) == 2 else 3

    @property
    def strides(self) -> tuple[int, ...]:
        """Product of the steps along each axis."""
        return tuple(math.prod(steps) for steps in zip(*self.steps, strict=True))

    @property
    def stride(self) -> int:
        """Least common multiple of the strides."""
        return math.lcm(*self.strides)

    @property
    def normalised(self) -> bool:
        """True if convolutions are followed by a norm."""
        return self.norm != "none"


class PlainConvUNetArguments(PlannedUNetArguments):
    """Arguments of `PlainConvUNet`.

    Attributes
    ----------
    norm_first : bool
        Whether the norm comes before the activation.
    """

    norm_first: StrictBool = True


class ResidualEncoderUNetArguments(PlannedUNetArguments):
    """Arguments of `ResidualEncoderUNet`.

    Attributes
    ----------
    stem : int or None
        Channels of the convolution before the first stage; those of the first stage if None.
    """

    stem: Channels | None = None
