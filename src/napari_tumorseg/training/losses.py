"""Losses of recipes, from MONAI and torch where their definitions are those of the papers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.losses import DiceFocalLoss, DiceLoss, TverskyLoss
from torch import Tensor, nn
from torch.nn import functional

from napari_tumorseg.training.recipe_tables import LossTerm

_SURELY_NOT = -60.0
"""Logit whose sigmoid is 1e-26, so that it adds nothing to any loss."""


class Loss(nn.Module):
    """Weighted sum of a recipe's terms.

    Parameters
    ----------
    terms : sequence of LossTerm
        At least one term.
    activation : {"sigmoid", "softmax"}
        Function from logits to probabilities.
    """

    def __init__(self, terms: Sequence[LossTerm], activation: str) -> None:
        super().__init__()
        self.weights = [term.weight for term in terms]
        self.terms = nn.ModuleList(_MAKERS[term.name](term, activation == "softmax") for term in terms)

    def forward(self, logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """Return a scalar.

        Parameters
        ----------
        logits, target : (B, O, H, W) Tensor
            Output of the network, and 0 or 1 with one-hot classes.
        known : (B, O) Tensor of bool
            Outputs that the reference knows; others count as correct and have no gradient.
        """
        silent = ~known[:, :, None, None]
        logits = logits.float().masked_fill(silent, _SURELY_NOT)
        target = target.masked_fill(silent, 0)
        total = logits.new_zeros(())
        for weight, term in zip(self.weights, self.terms, strict=True):
            total = total + weight * term(logits, target)
        return total


def _dice(term: LossTerm, softmax: bool) -> nn.Module:
    """Return the loss 1 - (2 |P T| + s) / (|P| + |T| + s), over the batch or each slice."""
    return DiceLoss(**_overlap(term, softmax))


def _dice_focal(term: LossTerm, softmax: bool) -> nn.Module:
    return DiceFocalLoss(**_overlap(term, softmax), gamma=term.gamma)


def _overlap(term: LossTerm, softmax: bool) -> dict[str, Any]:
    return {
        "sigmoid": not softmax,
        "softmax": softmax,
        "smooth_nr": term.smooth,
        "smooth_dr": term.smooth,
        "batch": term.over == "batch",
    }


class _CrossEntropy(nn.Module):
    """Cross-entropy of one-hot classes."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return a scalar."""
        return functional.cross_entropy(logits, target.argmax(dim=1))


class _FocalTversky(nn.Module):
    """Loss (1 - Tversky index)^(1/gamma), mean over outputs (Abraham and Khan 2019)."""

    def __init__(self, term: LossTerm, softmax: bool) -> None:
        super().__init__()
        self.power = 1 / term.gamma
        self.tversky = TverskyLoss(
            **_overlap(term, softmax), alpha=term.alpha, beta=term.beta, reduction="none"
        )

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return a scalar."""
        # the derivative of the root is infinite at 0
        return torch.clamp(self.tversky(logits, target), min=1e-6).pow(self.power).mean()


_MAKERS: dict[str, Callable[[LossTerm, bool], nn.Module]] = {
    "dice": _dice,
    "bce": lambda term, softmax: nn.BCEWithLogitsLoss(),
    "cross-entropy": lambda term, softmax: _CrossEntropy(),
    "dice-focal": _dice_focal,
    "focal-tversky": _FocalTversky,
}
