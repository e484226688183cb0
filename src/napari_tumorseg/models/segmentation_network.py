"""Base class of networks that segment slices or windows of a volume."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.network_arguments import NetworkArguments
from napari_tumorseg.models.weight_files import State

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class SegmentationNetwork(nn.Module):
    """A network that takes (batch, channels, ...) images to logits of the same sides, in 2-D or 3-D.

    A subclass builds its layers in `__init__`, from its arguments as keywords, and defines `forward`.

    Parameters
    ----------
    given : NetworkArguments
        Checked arguments.

    Attributes
    ----------
    given : NetworkArguments
        Its arguments.
    arguments : dict
        Keywords that make another network like it.
    in_channels : int
        Channels of the input.
    dimensions : int
        2 or 3: sides of an input.
    strides : tuple of int
        Numbers of which the sides of an input must be multiples.
    stride : int
        A common multiple of them.
    runtime : str
        Library that runs it where that is not torch: it stays on the CPU and in float32 then.
    """

    runtime: ClassVar[str] = ""

    def __init__(self, given: NetworkArguments) -> None:
        super().__init__()
        self.given = given
        self.arguments: dict[str, Any] = given.model_dump()
        self.in_channels = given.in_channels
        self.dimensions = given.dimensions
        self.strides = given.strides
        self.stride = given.stride

    @classmethod
    def from_file(cls, path: Path, arguments: Mapping[str, Any] | None) -> Self | None:
        """Return the network that a file holds; None where the file holds tensors, as most do.

        Raises
        ------
        ModelError
            If it cannot be run; one sentence that names the file.
        """
        return None

    @classmethod
    def adapt_state(cls, state: Mapping[str, Tensor]) -> State:
        """Return weights under this network's own names, from any naming that it knows.

        Raises
        ------
        ModelError
            If the naming is unknown.
        """
        return dict(state)

    @classmethod
    def infer_arguments(cls, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return the arguments of the network that weights were trained in, where they show them.

        Raises
        ------
        ModelError
            If they do not.
        """
        raise ModelError("its card must state the arguments of the network")

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of an encoder that can start from trained weights; none by default."""
        return iter(())

    def load_encoder(self, state: Mapping[str, Tensor]) -> None:
        """Copy trained weights into the encoder, if its arguments say that it is `pretrainable`."""
        raise NotImplementedError

    def folded(self) -> Self:
        """Return a copy for inference: in eval mode, without gradients, and as fast as it can be made."""
        return copy.deepcopy(self).eval().requires_grad_(False)

    def sensitive_layers(self) -> tuple[nn.Module, ...]:
        """Return the layers that stay in float32 where the others run in a reduced precision.

        By default the first and the last convolution: intensities come in at the one, and what the other
        gives is cut at a threshold.
        """
        convolutions = [m for m in self.modules() if isinstance(m, CONVOLUTIONS)]
        return (convolutions[0], convolutions[-1])

    def init_he(self, generator: torch.Generator | None = None) -> None:
        """Draw all convolutions from He's normal distribution; biases 0, batch norms as new.

        Parameters
        ----------
        generator : torch.Generator, optional
            Source of randomness; torch's global one by default.
        """
        for module in self.modules():
            if isinstance(module, CONVOLUTIONS):
                # fan_in of a transposed convolution counts its outputs, in Keras as in torch
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.reset_parameters()

    def check_input(self, x: Tensor) -> None:
        """Raise ValueError if `x` is not (batch, in_channels, ...) with sides on the network's strides."""
        sides = tuple(x.shape[2:])
        if len(sides) != self.dimensions or x.shape[1] != self.in_channels:
            shape = ", ".join(str(side) for side in x.shape)
            names = ", ".join(("depth", "height", "width")[-self.dimensions :])
            raise ValueError(f"the network takes (batch, {self.in_channels}, {names}), not ({shape})")
        if any(side == 0 or side % step for side, step in zip(sides, self.strides, strict=True)):
            steps = " x ".join(str(step) for step in dict.fromkeys(self.strides))
            raise ValueError(
                f"the sides of an input must be multiples of {steps}, "
                f"not {' x '.join(str(side) for side in sides)}; pad it"
            )
