"""One brain from the extractions of several sequences."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.errors import PreparationError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.preparation import Voter, vote
from napari_tumorseg.scan import Image, Role

GRID = Grid((30, 40, 40), np.diag([4.0, 4.0, 4.0, 1.0]))


def chance(shift: int = 0, value: float = 1.0) -> Array:
    found = np.zeros(GRID.shape, dtype=np.float32)
    found[5:25, 8 + shift : 32 + shift, 8:32] = value
    return found


def voter(role: Role, found: Array) -> Voter:
    return Voter(Image(str(role), role, np.zeros(GRID.shape), GRID), found)


def test_the_mean_probability_decides() -> None:
    with_orbit = chance()
    with_orbit[10, 32:34, 10:20] = 1
    brain = vote([voter(Role.T1, chance()), voter(Role.FLAIR, chance()), voter(Role.T2, with_orbit)], GRID)
    np.testing.assert_array_equal(brain.mask, chance() > 0)
    assert brain.volume_ml == pytest.approx(20 * 24 * 24 * 64 / 1000)
    assert brain.agreements["t1"] == 1
    assert 0.99 < brain.agreements["t2"] < 1
    assert brain.left_out == ()


def test_one_that_differs_from_the_others_does_not_count() -> None:
    brain = vote([voter(Role.T1, chance()), voter(Role.T2, chance(12)), voter(Role.FLAIR, chance())], GRID)
    np.testing.assert_array_equal(brain.mask, chance() > 0)
    assert brain.left_out == ("t2",)


def test_of_two_that_differ_the_better_sequence_counts() -> None:
    brain = vote([voter(Role.T2, chance(12)), voter(Role.T1C, chance())], GRID)
    np.testing.assert_array_equal(brain.mask, chance() > 0)
    assert brain.left_out == ("t2",)


def test_what_is_too_small_for_a_brain_is_refused() -> None:
    small = np.zeros(GRID.shape, dtype=np.float32)
    small[10:14, 10:14, 10:14] = 1
    with pytest.raises(PreparationError, match="4 mL"):
        vote([voter(Role.T1, small)], GRID)


def test_without_a_voxel_size_its_share_of_the_image_counts() -> None:
    grid = Grid(GRID.shape, GRID.affine, "unknown")
    assert vote([voter(Role.T1, chance())], grid).volume_ml is None
    with pytest.raises(PreparationError, match="100% of the image"):
        vote([voter(Role.T1, np.ones(GRID.shape, dtype=np.float32))], grid)
