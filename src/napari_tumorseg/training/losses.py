"""Losses that recipes name, by MONAI and torch where their definitions are those of the papers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from monai.losses import DiceFocalLoss, DiceLoss, TverskyLoss
from torch import Tensor, nn
from torch.nn import functional

from napari_tumorseg.training.recipe import LossTerm

Term = Callable[[Tensor, Tensor], Tensor]

_SURELY_NOT = -20.0
"""Logit whose sigmoid is 2e-9: it adds nothing to any of the losses."""


class Loss(nn.Module):
    """The weighted sum of a recipe's terms.

    Parameters
    ----------
    terms : sequence of LossTerm
        At least one.
    activation : {"sigmoid", "softmax"}
        What makes probabilities of logits.
    """

    def __init__(self, terms: Sequence[LossTerm], activation: str) -> None:
        super().__init__()
        self.terms = [(term.weight, _MAKERS[term.name](term, activation == "softmax")) for term in terms]

    def forward(self, logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """Return a scalar.

        Parameters
        ----------
        logits, target : (B, O, H, W) Tensor
            Of the network; 0 or 1, classes one-hot.
        known : (B, O) Tensor of bool
            Where it is false, the reference says nothing: the output counts as right and has no gradient.
        """
        silent = ~known[:, :, None, None]
        logits = logits.float().masked_fill(silent, _SURELY_NOT)
        target = target.masked_fill(silent, 0)
        total = logits.new_zeros(())
        for weight, term in self.terms:
            total = total + weight * term(logits, target)
        return total


def _dice(term: LossTerm, softmax: bool) -> Term:
    """1 - (2 |P T| + s) / (|P| + |T| + s), its voxels counted over the batch or each slice by itself."""
    return _calling(
        DiceLoss(
            sigmoid=not softmax,
            softmax=softmax,
            smooth_nr=term.smooth,
            smooth_dr=term.smooth,
            batch=term.over == "batch",
        )
    )


def _bce(term: LossTerm, softmax: bool) -> Term:
    return functional.binary_cross_entropy_with_logits


def _cross_entropy(term: LossTerm, softmax: bool) -> Term:
    def loss(logits: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(logits, target.argmax(dim=1))

    return loss


def _dice_focal(term: LossTerm, softmax: bool) -> Term:
    return _calling(
        DiceFocalLoss(
            sigmoid=not softmax,
            softmax=softmax,
            smooth_nr=term.smooth,
            smooth_dr=term.smooth,
            batch=term.over == "batch",
            gamma=term.gamma,
        )
    )


def _focal_tversky(term: LossTerm, softmax: bool) -> Term:
    """(1 - Tversky index)^(1/gamma), mean over outputs (Abraham and Khan 2019)."""
    tversky = TverskyLoss(
        sigmoid=not softmax,
        softmax=softmax,
        alpha=term.alpha,
        beta=term.beta,
        smooth_nr=term.smooth,
        smooth_dr=term.smooth,
        batch=term.over == "batch",
        reduction="none",
    )

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        # the root's slope is infinite at 0
        return torch.clamp(tversky(logits, target), min=1e-6).pow(1 / term.gamma).mean()

    return loss


_MAKERS: dict[str, Callable[[LossTerm, bool], Term]] = {
    "dice": _dice,
    "bce": _bce,
    "cross-entropy": _cross_entropy,
    "dice-focal": _dice_focal,
    "focal-tversky": _focal_tversky,
}


def _calling(module: nn.Module) -> Term:
    def loss(logits: Tensor, target: Tensor) -> Tensor:
        value: Tensor = module(logits, target)
        return value

    return loss
