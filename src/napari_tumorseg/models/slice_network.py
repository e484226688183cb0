"""Base class of networks that segment slices."""

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


class SliceNetwork(nn.Module):
    """A network that takes (batch, channels, height, width) images to logits of the same height and width.

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
    stride : int
        Number of which both sides of an input must be multiples.
    runtime : str
        Library that runs it where that is not torch: it stays on the CPU and in float32 then.
    """

    runtime: ClassVar[str] = ""

    def __init__(self, given: NetworkArguments) -> None:
        super().__init__()
        self.given = given
        self.arguments: dict[str, Any] = given.model_dump()
        self.in_channels = given.in_channels
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
        convolutions = [m for m in self.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        return (convolutions[0], convolutions[-1])

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

    def check_input(self, x: Tensor) -> None:
        """Raise ValueError if `x` is not (batch, in_channels, height, width) on the network's stride."""
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            shape = ", ".join(str(side) for side in x.shape)
            raise ValueError(f"the network takes (batch, {self.in_channels}, height, width), not ({shape})")
        height, width = x.shape[2:]
        if height == 0 or width == 0 or height % self.stride or width % self.stride:
            raise ValueError(
                f"the sides of an input must be multiples of {self.stride}, not {height} x {width}; pad it"
            )
