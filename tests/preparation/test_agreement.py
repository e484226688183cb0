"""Check of a registration: mutual information and overlap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from napari_tumorseg.preparation import Head
from napari_tumorseg.preparation.agreement import agreement, normalised_mutual_information
from napari_tumorseg.scan import Role
from tests.preparation.phantom import BRAIN, grid_of, head, inside, motion


def test_mutual_information_agrees_with_the_entropies_of_scipy() -> None:
    noise = np.random.default_rng(0)
    one = noise.uniform(0, 1, 4000)
    other = np.clip(one**2 + noise.normal(0, 0.1, 4000), 0, 0.999)
    bins = [(values * 32).astype(int) for values in (one, other)]
    single = [stats.entropy(np.bincount(b)) for b in bins]
    joint = stats.entropy(np.bincount(bins[0] * 32 + bins[1]))
    assert normalised_mutual_information(one, other) == pytest.approx(sum(single) / joint, rel=1e-9)


def test_equal_images_give_two_and_independent_ones_about_one() -> None:
    one, other = np.random.default_rng(1).uniform(0, 1, (2, 200_000))
    assert normalised_mutual_information(one, one) == pytest.approx(2)
    assert normalised_mutual_information(one, other) == pytest.approx(1, abs=0.01)


def test_a_displacement_and_its_inverse() -> None:
    moved = motion((0, 0, 10), (12, 0, 0))
    fixed = Head(head(Role.FLAIR, grid_of()), inside(BRAIN, grid_of()))
    other = grid_of((4, 5, 5), (3, 0, 0))
    moving = Head(head(Role.T1C, other, moved), inside(BRAIN, other, moved))
    wrong, right = agreement(fixed, moving, np.eye(4)), agreement(fixed, moving, np.linalg.inv(moved))
    assert wrong.overlap is not None and right.overlap is not None
    assert wrong.overlap < 0.92 < 0.96 < right.overlap
    assert right.similarity > wrong.similarity + 0.02
    assert right.coverage > 0.99


def test_only_what_the_moving_image_reaches_counts() -> None:
    fixed = Head(head(Role.FLAIR, grid_of()), inside(BRAIN, grid_of()))
    half = slice(20, None)  # the upper half of the head
    whole = grid_of()
    affine = whole.affine.copy()
    affine[:3, 3] = whole.to_world((20, 0, 0))
    upper = type(whole)((20, *whole.shape[1:]), affine)
    image = head(Role.T1C, whole)
    cut = Head(type(image)(image.name, image.role, image.data[half], upper), inside(BRAIN, whole)[half])
    found = agreement(fixed, cut, np.eye(4))
    assert found.overlap == pytest.approx(1)
    assert found.coverage == pytest.approx(0.5, abs=0.03)
