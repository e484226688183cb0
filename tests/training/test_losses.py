from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_tumorseg.training.losses import Loss
from napari_tumorseg.training.recipe import LossTerm

RNG = np.random.default_rng(0)
LOGITS = torch.tensor(RNG.normal(size=(3, 2, 6, 5)), dtype=torch.float32)
TARGET = torch.tensor(RNG.integers(0, 2, size=(3, 2, 6, 5)), dtype=torch.float32)
KNOWN = torch.ones(3, 2, dtype=torch.bool)
P, T = 1 / (1 + np.exp(-LOGITS.double().numpy())), TARGET.double().numpy()


def loss(name: str, activation: str = "sigmoid", **fields: object) -> Loss:
    return Loss([LossTerm.model_validate({"name": name, **fields})], activation)


def test_dice_over_the_batch() -> None:
    axes = (0, 2, 3)
    expected = 1 - (2 * (P * T).sum(axes) + 100) / (P.sum(axes) + T.sum(axes) + 100)
    assert loss("dice", smooth=100.0)(LOGITS, TARGET, KNOWN).item() == pytest.approx(
        expected.mean(), rel=1e-5
    )


def test_dice_of_each_slice() -> None:
    axes = (2, 3)
    expected = 1 - (2 * (P * T).sum(axes) + 1e-6) / (P.sum(axes) + T.sum(axes) + 1e-6)
    found = loss("dice", smooth=1e-6, over="sample")(LOGITS, TARGET, KNOWN).item()
    assert found == pytest.approx(expected.mean(), rel=1e-5)


def test_bce() -> None:
    expected = -(T * np.log(P) + (1 - T) * np.log(1 - P)).mean()
    assert loss("bce")(LOGITS, TARGET, KNOWN).item() == pytest.approx(expected, rel=1e-5)


def test_cross_entropy() -> None:
    classes = RNG.integers(0, 2, size=(3, 6, 5))
    target = torch.tensor(np.eye(2)[classes].transpose(0, 3, 1, 2), dtype=torch.float32)
    e = np.exp(LOGITS.double().numpy())
    chance = (e / e.sum(axis=1, keepdims=True) * target.numpy()).sum(axis=1)
    found = loss("cross-entropy", "softmax")(LOGITS, target, KNOWN).item()
    assert found == pytest.approx(-np.log(chance).mean(), rel=1e-5)


def test_focal_tversky() -> None:
    axes = (0, 2, 3)
    both, false, missed = (P * T).sum(axes), (P * (1 - T)).sum(axes), ((1 - P) * T).sum(axes)
    index = (both + 1e-5) / (both + 0.3 * false + 0.7 * missed + 1e-5)
    found = loss("focal-tversky", gamma=4 / 3)(LOGITS, TARGET, KNOWN).item()
    assert found == pytest.approx(((1 - index) ** 0.75).mean(), rel=1e-4)


def test_dice_focal_is_dice_and_focal() -> None:
    focal = -(T * (1 - P) ** 2 * np.log(P) + (1 - T) * P**2 * np.log(1 - P)).mean()
    dice = loss("dice")(LOGITS, TARGET, KNOWN).item()
    assert loss("dice-focal")(LOGITS, TARGET, KNOWN).item() == pytest.approx(dice + focal, rel=1e-4)


def test_terms_are_weighted_and_summed() -> None:
    both = Loss([LossTerm(name="bce", weight=0.5), LossTerm(name="dice")], "sigmoid")
    expected = 0.5 * loss("bce")(LOGITS, TARGET, KNOWN) + loss("dice")(LOGITS, TARGET, KNOWN)
    torch.testing.assert_close(both(LOGITS, TARGET, KNOWN), expected)


@pytest.mark.parametrize("name", ["dice", "bce", "dice-focal", "focal-tversky"])
def test_what_is_not_known_teaches_nothing(name: str) -> None:
    known = torch.tensor([[True, False], [True, True], [True, False]])
    logits = LOGITS.clone().requires_grad_()
    loss(name)(logits, TARGET, known).backward()
    assert logits.grad is not None
    assert (logits.grad[~known] == 0).all() and (logits.grad[known] != 0).any(dim=-1).any(dim=-1).all()
    other = TARGET.clone()
    other[~known] = 1 - other[~known]
    assert loss(name)(LOGITS, other, known).item() == pytest.approx(loss(name)(LOGITS, TARGET, known).item())
