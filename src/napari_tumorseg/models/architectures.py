"""Networks that cards and recipes can name, with their arguments.

A new architecture is a `SegmentationNetwork` (a `SliceNetwork` if it takes slices) in a module of its own,
and its arguments and a line of `ARCHITECTURES` here. Importing this module does not import torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self, TypeAlias

from pydantic import Field, StrictBool, model_validator

from napari_tumorseg.models.graph_arguments import GraphArguments
from napari_tumorseg.models.monai_arguments import (
    BasicUNetArguments,
    DynUNetArguments,
    ResidualUNetArguments,
    SegResNetArguments,
)
from napari_tumorseg.models.network_arguments import MAX_LEVELS, Channels, NetworkArguments, Probability
from napari_tumorseg.models.nnunet_arguments import PlainConvUNetArguments, ResidualEncoderUNetArguments

if TYPE_CHECKING:
    from napari_tumorseg.models.segmentation_network import SegmentationNetwork

TENSOR_ENDINGS = (".safetensors", ".pt", ".pth")
"""Endings of files that hold tensors by name."""

Side: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=4096)]

Order: TypeAlias = Literal["conv-norm-relu", "conv-relu-norm", "conv-relu"]
"""Order of the layers of a block."""

Norms: TypeAlias = Literal["both", "first", "none"]
"""Convolutions of a block, of its two, that have a batch norm."""

Upsampling: TypeAlias = Literal["transposed", "bilinear"]
"""A learnt 2x2 transposed convolution, or interpolation with aligned corners."""


class UNetArguments(NetworkArguments):
    """Arguments of `UNet`.

    Attributes
    ----------
    widths : list of int
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
    """

    widths: Annotated[list[Channels], Field(min_length=1, max_length=MAX_LEVELS)]
    bottleneck: Channels
    conv_bias: StrictBool = False
    order: Order = "conv-norm-relu"
    encoder_norm: Norms = "both"
    bottleneck_norm: Norms = "both"
    decoder_norm: Norms = "both"
    upsampling: Upsampling = "transposed"
    dropout: Probability = 0.0
    bottleneck_dropout: Probability = 0.0
    norm_eps: float = Field(1e-5, strict=True, ge=1e-12, le=1)
    norm_momentum: Probability = 0.1

    @property
    def stride(self) -> int:
        """Each level halves both sides."""
        return 1 << len(self.widths)

    @property
    def normalised(self) -> bool:
        """True if blocks have batch norms."""
        return self.order != "conv-relu"


class EfficientNetUNetArguments(NetworkArguments):
    """Arguments of `EfficientNetUNet`.

    Attributes
    ----------
    widths : list of int
        Channels of each decoder level, from full resolution downwards; their number, up to five, decides how
        many resolutions of the encoder are used.
    dropout : float
        Probability of dropout before the 1x1 head.
    """

    widths: Annotated[list[Channels], Field(min_length=2, max_length=5)]
    dropout: Probability = 0.0

    @property
    def stride(self) -> int:
        """Each level halves both sides."""
        return 1 << len(self.widths)

    @property
    def normalised(self) -> bool:
        """All 3x3 convolutions have batch norms."""
        return True

    @property
    def pretrainable(self) -> bool:
        """The encoder is a published one."""
        return True


class OnnxArguments(NetworkArguments):
    """Arguments of `OnnxNetwork`: what an ONNX file does not say, or what it must agree with.

    Attributes
    ----------
    volumes : bool
        Whether it takes volumes (depth, height, width) in place of slices.
    sides : list of int or None
        Sides of an image, where the file takes one size only.
    multiple : int
        Number of which the sides must be multiples where they are free.
    activation : {"none", "sigmoid", "softmax"}
        Activation that the file ends with; it is taken back, since a network gives logits.
    channels_last : bool
        Whether the channels are the last axis, as Keras has them.
    output : str
        Name of the result to take, where there are several.
    """

    volumes: StrictBool = False
    sides: Annotated[list[Side], Field(min_length=2, max_length=3)] | None = None
    multiple: int = Field(1, strict=True, ge=1, le=1024)
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    channels_last: StrictBool = False
    output: Annotated[str, Field(max_length=200)] = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.sides and len(self.sides) != self.dimensions:
            raise ValueError(f"sides {self.sides} are not those of {self.dimensions} dimensions")
        return self

    @property
    def dimensions(self) -> Literal[2, 3]:
        """3 for volumes."""
        return 3 if self.volumes else 2

    @property
    def stride(self) -> int:
        """The least common multiple of fixed sides, or `multiple`."""
        return math.lcm(*self.sides) if self.sides else self.multiple

    @property
    def strides(self) -> tuple[int, ...]:
        """The fixed sides, or `multiple` for each."""
        return tuple(self.sides or (self.multiple,) * self.dimensions)

    @property
    def normalised(self) -> bool:
        """Its layers are not known."""
        return True

    @property
    def trainable(self) -> bool:
        """Its weights are not torch's."""
        return False


class Architecture(NamedTuple):
    """A network's arguments, and where its class is: ``module:class``, imported when one is made.

    `endings` are those of its files of weights.
    """

    arguments: type[NetworkArguments]
    network: str
    endings: tuple[str, ...] = TENSOR_ENDINGS

    def network_class(self) -> type[SegmentationNetwork]:
        """Return the class (imports torch)."""
        module, _, name = self.network.partition(":")
        found: type[SegmentationNetwork] = getattr(import_module(module), name)
        return found


ARCHITECTURES: dict[str, Architecture] = {
    "unet": Architecture(UNetArguments, "napari_tumorseg.models.unet:UNet"),
    "efficientnet-unet": Architecture(
        EfficientNetUNetArguments, "napari_tumorseg.models.efficientnet_unet:EfficientNetUNet"
    ),
    "onnx": Architecture(OnnxArguments, "napari_tumorseg.models.onnx.network:OnnxNetwork", (".onnx",)),
    "graph": Architecture(GraphArguments, "napari_tumorseg.models.graph:GraphNetwork"),
    "plain-conv-unet": Architecture(PlainConvUNetArguments, "napari_tumorseg.models.nnunet:PlainConvUNet"),
    "residual-encoder-unet": Architecture(
        ResidualEncoderUNetArguments, "napari_tumorseg.models.nnunet:ResidualEncoderUNet"
    ),
    "segresnet": Architecture(SegResNetArguments, "napari_tumorseg.models.monai_networks:SegResNet"),
    "basic-unet": Architecture(BasicUNetArguments, "napari_tumorseg.models.monai_networks:BasicUNet"),
    "residual-unet": Architecture(
        ResidualUNetArguments, "napari_tumorseg.models.monai_networks:ResidualUNet"
    ),
    "dynunet": Architecture(DynUNetArguments, "napari_tumorseg.models.monai_networks:DynUNet"),
}
"""Architectures by the name that `network.architecture` of a card or recipe holds."""


def make_network(name: str, arguments: Mapping[str, Any]) -> SegmentationNetwork:
    """Return a new network of an architecture (imports torch).

    Raises
    ------
    ValueError
        If the arguments make no such network.
    """
    return ARCHITECTURES[name].network_class()(**arguments)
