"""Arguments of `GraphNetwork`: a network as a list of layers, each of a known operation.

Padding follows TensorFlow: ``same`` gives as many pixels as the input has, divided by the stride, with the
odd pixel of padding at the bottom and right; ``valid`` pads nothing.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, StrictBool, model_validator

from napari_tumorseg.models.network_arguments import Channels, NetworkArguments
from napari_tumorseg.toml_table import TomlTable

MAX_LAYERS = 3000
MAX_STRIDE = 1024
MAX_ENLARGEMENT = 8
"""Factor by which a layer's output may be larger than the input, along each axis."""

Padding: TypeAlias = Literal["same", "valid"]
Function: TypeAlias = Literal[
    "relu", "leaky-relu", "elu", "selu", "gelu", "gelu-tanh", "silu", "sigmoid", "tanh", "softplus",
    "hard-sigmoid", "hard-sigmoid-keras2", "exponential", "softmax",
]  # fmt: skip
"""Activations; those that end a network are not part of it, since it gives logits."""

Merging: TypeAlias = Literal["concatenate", "add", "subtract", "multiply", "mean", "maximum", "minimum"]

_Place: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=MAX_LAYERS)]
_Small: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=64)]
_Pair: TypeAlias = Annotated[tuple[_Small, _Small], Field(strict=False)]
_Edge: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=4096)]
_Scale: TypeAlias = tuple[Fraction, Fraction] | None
"""Size of an output as a fraction of the input's, rows and columns; None for one pixel."""


class _Layer(TomlTable):
    """A layer.

    Attributes
    ----------
    name : str
        Name in the source, for people.
    inputs : tuple of int
        Places of the layers whose outputs it takes: 0 is the network's input, 1 the first layer.
    """

    name: str = Field("", max_length=200)
    inputs: Annotated[tuple[_Place, ...], Field(min_length=1, max_length=64)]

    def scaled(self, rows: Fraction, columns: Fraction) -> _Scale:
        """Return the scale of the output for an input of this scale."""
        return rows, columns


class Conv(_Layer):
    """Convolution; depthwise with as many groups as channels."""

    op: Literal["conv"] = "conv"
    channels_in: Channels
    channels_out: Channels
    kernel: _Pair
    stride: _Pair = (1, 1)
    dilation: _Pair = (1, 1)
    groups: Channels = 1
    padding: Padding = "same"
    bias: StrictBool = True

    def scaled(self, rows: Fraction, columns: Fraction) -> _Scale:
        """Return the scale of the output for an input of this scale."""
        return rows / self.stride[0], columns / self.stride[1]


class ConvTranspose(_Layer):
    """Transposed convolution; ``same`` multiplies the sides by the stride."""

    op: Literal["conv-transpose"] = "conv-transpose"
    channels_in: Channels
    channels_out: Channels
    kernel: _Pair
    stride: _Pair = (1, 1)
    padding: Padding = "same"
    bias: StrictBool = True

    def scaled(self, rows: Fraction, columns: Fraction) -> _Scale:
        """Return the scale of the output for an input of this scale."""
        return rows * self.stride[0], columns * self.stride[1]


class BatchNorm(_Layer):
    """Batch norm by the statistics of the training."""

    op: Literal["batch-norm"] = "batch-norm"
    channels: Channels
    eps: float = Field(1e-3, ge=1e-12, le=1)


class GroupNorm(_Layer):
    """Norm over groups of channels; one channel each is an instance norm."""

    op: Literal["group-norm"] = "group-norm"
    channels: Channels
    groups: Channels
    eps: float = Field(1e-3, ge=1e-12, le=1)


class Activation(_Layer):
    """Activation without weights; `slope` is that of leaky ReLU or the factor of ELU, `most` its limit."""

    op: Literal["activation"] = "activation"
    function: Function
    slope: float = Field(0.01, ge=-100, le=100)
    most: float | None = Field(None, gt=0)


class PReLU(_Layer):
    """Leaky ReLU whose slope is learnt, one for each channel."""

    op: Literal["prelu"] = "prelu"
    channels: Channels


class Pool(_Layer):
    """Maximum or mean of windows; pixels of padding do not count."""

    op: Literal["pool"] = "pool"
    function: Literal["maximum", "mean"]
    size: _Pair
    stride: _Pair
    padding: Padding = "valid"

    def scaled(self, rows: Fraction, columns: Fraction) -> _Scale:
        """Return the scale of the output for an input of this scale."""
        return rows / self.stride[0], columns / self.stride[1]


class GlobalPool(_Layer):
    """Maximum or mean of each channel, as one pixel."""

    op: Literal["global-pool"] = "global-pool"
    function: Literal["maximum", "mean"]

    def scaled(self, rows: Fraction, columns: Fraction) -> _Scale:
        """Return None, the scale of one pixel."""
        return None


class Upsample(_Layer):
    """Enlargement by whole factors; bilinear between the centres of pixels."""

    op: Literal["upsample"] = "upsample"
    size: _Pair
    mode: Literal["nearest", "bilinear"] = "nearest"

    def scaled(self, rows: Fraction, columns: Fraction) -> _Scale:
        """Return the scale of the output for an input of this scale."""
        return rows * self.size[0], columns * self.size[1]


class Merge(_Layer):
    """Several inputs combined: along the channels, or number by number."""

    op: Literal["merge"] = "merge"
    function: Merging


class Pad(_Layer):
    """Zeros around an image: above, below, left, right."""

    op: Literal["pad"] = "pad"
    edges: tuple[_Edge, _Edge, _Edge, _Edge]


class Crop(_Layer):
    """Image without some rows and columns: above, below, left, right."""

    op: Literal["crop"] = "crop"
    edges: tuple[_Edge, _Edge, _Edge, _Edge]


class Rescale(_Layer):
    """Intensities multiplied by a number, and another one added."""

    op: Literal["rescale"] = "rescale"
    scale: float
    offset: float = 0.0


Layer: TypeAlias = Annotated[
    Conv
    | ConvTranspose
    | BatchNorm
    | GroupNorm
    | Activation
    | PReLU
    | Pool
    | GlobalPool
    | Upsample
    | Merge
    | Pad
    | Crop
    | Rescale,
    Field(discriminator="op"),
]
"""A layer of any operation."""


class GraphArguments(NetworkArguments):
    """Arguments of `GraphNetwork`.

    Attributes
    ----------
    layers : tuple of layers
        In an order in which each takes outputs of earlier ones only; the last gives the logits.
    """

    layers: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=MAX_LAYERS)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not any(isinstance(layer, Conv | ConvTranspose) for layer in self.layers):
            raise ValueError("layers hold no convolution")
        if self.scales[-1] != (Fraction(1), Fraction(1)):
            raise ValueError("layers give an output of another size than their input")
        if self.stride > MAX_STRIDE:
            raise ValueError(f"layers reduce the sides by {self.stride}, more than {MAX_STRIDE}")
        return self

    def plain(self) -> dict[str, Any]:
        """Return the arguments as a card holds them, without what is a default."""
        layers = [{"op": x.op, **x.model_dump(mode="json", exclude_defaults=True)} for x in self.layers]
        return {"in_channels": self.in_channels, "out_channels": self.out_channels, "layers": layers}

    @property
    def scales(self) -> list[_Scale]:
        """Scale of each output, that of the network's input first.

        Raises
        ------
        ValueError
            If a layer takes the output of itself or a later one, or outputs of different scales.
        """
        found: list[_Scale] = [(Fraction(1), Fraction(1))]
        for place, layer in enumerate(self.layers, start=1):
            if max(layer.inputs) >= place:
                raise ValueError(f"layers: {layer.name or place} takes an output that is not yet there")
            given = {scale for scale in (found[i] for i in layer.inputs) if scale is not None}
            if len(given) > 1:
                raise ValueError(f"layers: {layer.name or place} takes outputs of different sizes")
            found.append(layer.scaled(*given.pop()) if given else None)
            if max(found[-1] or (0,)) > MAX_ENLARGEMENT:
                raise ValueError(f"layers: {layer.name or place} enlarges an image too much")
        return found

    @property
    def stride(self) -> int:
        """Number by which all reductions divide."""
        parts = [part for scale in self.scales for part in (scale or ())]
        return math.lcm(*(part.denominator for part in parts))

    @property
    def normalised(self) -> bool:
        """True if there is a norm."""
        return any(isinstance(layer, BatchNorm | GroupNorm) for layer in self.layers)

    @property
    def sees_whole_image(self) -> bool:
        """True if there are means over the image: global pooling, or norms of groups of channels."""
        return any(isinstance(layer, GlobalPool | GroupNorm) for layer in self.layers)
