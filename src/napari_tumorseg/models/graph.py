"""Networks given as a list of layers: any functional graph of known operations."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from napari_tumorseg.models.graph_arguments import GraphArguments
from napari_tumorseg.models.graph_layers import ConvLayer, module_of
from napari_tumorseg.models.slice_network import SliceNetwork

_CHECKED = (1, 3)
"""Sides of the input, in strides, on which a new network is tried."""


class GraphNetwork(SliceNetwork):
    """A network of layers that each take the outputs of earlier ones, giving logits.

    Parameters
    ----------
    **arguments
        As `GraphArguments` describes them.

    Raises
    ------
    ValueError
        If an argument makes no network that gives an output of its input's size.
    """

    def __init__(self, **arguments: Any) -> None:
        given = GraphArguments.of(arguments)
        super().__init__(given)
        self.arguments = given.plain()
        self._inputs = [layer.inputs for layer in given.layers]
        self._last_use = {place: index for index, places in enumerate(self._inputs) for place in places}
        self.layers = nn.ModuleList(module_of(layer) for layer in given.layers)
        self._check_shapes()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of shape (batch, out_channels, height, width).

        Raises
        ------
        ValueError
            If `x` is not (batch, in_channels, height, width) with sides that are multiples of `stride`.
        """
        self.check_input(x)
        return self._run(x)

    def folded(self) -> Self:
        """Return a copy for inference in which batch norms that follow a convolution are part of it."""
        copied = super().folded()
        users = [place for places in self._inputs for place in places]
        for index, layer in enumerate(copied.layers):
            source = self._inputs[index][0]
            if isinstance(layer, nn.BatchNorm2d) and source and users.count(source) == 1:
                before = copied.layers[source - 1]
                if isinstance(before, ConvLayer):
                    before.fuse(layer)
                    copied.layers[index] = nn.Identity()
        return copied

    def _run(self, x: Tensor) -> Tensor:
        values: dict[int, Tensor] = {0: x}
        for index, (layer, places) in enumerate(zip(self.layers, self._inputs, strict=True)):
            values[index + 1] = layer(*(values[place] for place in places))
            for place in set(places):
                if self._last_use[place] == index:
                    del values[place]
        return values[len(self.layers)]

    def _check_shapes(self) -> None:
        """Raise `ValueError` unless the output has the size of the input."""
        height, width = (self.stride * n for n in _CHECKED)
        training = self.training
        try:
            with torch.no_grad():
                found = self.eval()._run(torch.zeros(1, self.in_channels, height, width))
        except RuntimeError as error:
            raise ValueError(f"layers do not fit together: {str(error).splitlines()[0]}") from error
        self.train(training)
        wanted = (1, self.given.out_channels, height, width)
        if tuple(found.shape) != wanted:
            raise ValueError(f"layers take {height} x {width} pixels to {tuple(found.shape)}, not {wanted}")
