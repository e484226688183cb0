"""Several networks that act as one: their probabilities are averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Self, TypeAlias

import torch
from torch import Tensor
from torch.nn import ModuleList, functional

from napari_tumorseg.models.slice_network import SliceNetwork

Activation: TypeAlias = Literal["sigmoid", "softmax"]


class Ensemble(SliceNetwork):
    """Networks whose probabilities are averaged.

    Parameters
    ----------
    members : sequence of SliceNetwork
        At least one, with the same channels and stride; their architectures may differ. `given` and
        `arguments` are those of the first.
    activation : {"sigmoid", "softmax"}
        Activation that turns their logits into probabilities.
    """

    def __init__(self, members: Sequence[SliceNetwork], activation: Activation) -> None:
        super().__init__(members[0].given)
        self.members = ModuleList(members)
        self.activation: Activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (batch, outputs, height, width) of the mean probabilities."""
        return mean_logits(torch.stack([member(x) for member in self.members]), self.activation)

    def folded(self) -> Self:
        """Return a copy for inference, each member folded."""
        return type(self)([member.folded() for member in members_of(self)], self.activation).eval()

    def part(self, indices: Sequence[int]) -> Ensemble:
        """Return the ensemble of some members."""
        members = members_of(self)
        return Ensemble([members[index] for index in indices], self.activation)


def members_of(net: SliceNetwork) -> tuple[SliceNetwork, ...]:
    """Return the members of an ensemble, or the network itself."""
    return tuple(net.members) if isinstance(net, Ensemble) else (net,)  # type: ignore[arg-type]


def mean_logits(logits: Tensor, activation: Activation) -> Tensor:
    """Return the logits of the mean of probabilities.

    Computed from logarithms of probabilities, so that those near 0 and 1 keep their precision.

    Parameters
    ----------
    logits : (members, ..., outputs, height, width) Tensor
        Of each member.
    activation : {"sigmoid", "softmax"}
        Activation that turns logits into probabilities.

    Returns
    -------
    (..., outputs, height, width) Tensor
        Logits; those of a single member are unchanged.
    """
    if len(logits) == 1:
        return logits[0]
    if activation == "softmax":
        return functional.log_softmax(logits, dim=-3).logsumexp(dim=0) - math.log(len(logits))
    yes, no = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    return yes.logsumexp(dim=0) - no.logsumexp(dim=0)


def disagreement(logits: Tensor, activation: Activation) -> Tensor:
    """Return the disagreement between members at each pixel, from 0 (none) to 1.

    The largest standard deviation of their probabilities over the outputs, relative to its maximum of 0.5,
    which is reached if half of the members predict 0 and half predict 1.

    Parameters
    ----------
    logits : (members, ..., outputs, height, width) Tensor
        Of each member.
    activation : {"sigmoid", "softmax"}
        Activation that turns logits into probabilities.

    Returns
    -------
    (..., height, width) Tensor
        The largest over the outputs.
    """
    probabilities = logits.softmax(dim=-3) if activation == "softmax" else logits.sigmoid()
    return (2 * probabilities.std(dim=0, correction=0)).amax(dim=-3)
