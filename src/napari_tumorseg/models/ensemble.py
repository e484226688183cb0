"""Several networks that act as one: their probabilities or logits are averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Self, TypeAlias

import torch
from torch import Tensor
from torch.nn import ModuleList, functional

from napari_tumorseg.models.segmentation_network import SegmentationNetwork

Activation: TypeAlias = Literal["sigmoid", "softmax"]
Mean: TypeAlias = Literal["probabilities", "logits"]


class Ensemble(SegmentationNetwork):
    """Networks whose probabilities or logits are averaged.

    Parameters
    ----------
    members : sequence of SegmentationNetwork
        At least one, with the same channels and stride; their architectures may differ. `given` and
        `arguments` are those of the first.
    activation : {"sigmoid", "softmax"}
        Activation that turns their logits into probabilities.
    mean : {"probabilities", "logits"}
        Values that are averaged.
    """

    def __init__(
        self,
        members: Sequence[SegmentationNetwork],
        activation: Activation,
        mean: Mean = "probabilities",
    ) -> None:
        super().__init__(members[0].given)
        self.members = ModuleList(members)
        self.activation: Activation = activation
        self.mean: Mean = mean

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (batch, outputs, ...) of the mean."""
        logits = torch.stack([member(x) for member in self.members])
        flat = mean_logits(logits.flatten(3, -2), self.activation, self.mean)
        return flat.reshape(logits.shape[1:])

    def folded(self) -> Self:
        """Return a copy for inference, each member folded."""
        members = [member.folded() for member in members_of(self)]
        return type(self)(members, self.activation, self.mean).eval()

    def part(self, indices: Sequence[int]) -> Ensemble:
        """Return the ensemble of some members."""
        members = members_of(self)
        return Ensemble([members[index] for index in indices], self.activation, self.mean)


def members_of(net: SegmentationNetwork) -> tuple[SegmentationNetwork, ...]:
    """Return the members of an ensemble, or the network itself."""
    return tuple(net.members) if isinstance(net, Ensemble) else (net,)  # type: ignore[arg-type]


def mean_logits(logits: Tensor, activation: Activation, mean: Mean = "probabilities") -> Tensor:
    """Return the mean of logits, or the logits of the mean of probabilities.

    The latter are computed from logarithms of probabilities, so that those near 0 and 1 keep their precision.

    Parameters
    ----------
    logits : (members, ..., outputs, height, width) Tensor
        Of each member.
    activation : {"sigmoid", "softmax"}
        Activation that turns logits into probabilities.
    mean : {"probabilities", "logits"}
        Values that are averaged.

    Returns
    -------
    (..., outputs, height, width) Tensor
        Logits; those of a single member are unchanged.
    """
    if len(logits) == 1:
        return logits[0]
    if mean == "logits":
        return logits.mean(dim=0)
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
