"""Near duplicates of slices. Oracle: copies made by numpy in all orientations."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.training.near_duplicates import SIDE, connected, near_duplicates, thumbnail

RNG = np.random.default_rng(4)


def slice_of(seed: int, side: int = 96) -> np.ndarray:
    """Return an ellipse of smooth random tissue on a black frame."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    waves = sum(
        rng.uniform(20, 40)
        * np.sin(rng.uniform(3, 9) * rows + rng.uniform(3, 9) * columns + rng.uniform(0, 6))
        for _ in range(6)
    )
    return np.where((rows / 0.8) ** 2 + (columns / 0.6) ** 2 < 1, np.clip(120 + waves, 30, 255), 0)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("quarter", range(4))
def test_a_copy_in_any_orientation_is_found(quarter: int, mirror: bool) -> None:
    one = slice_of(1)
    turned = np.rot90(one[:, ::-1] if mirror else one, quarter)
    noisy = np.clip(0.7 * turned + RNG.normal(0, 4, turned.shape), 0, 255)
    others = [slice_of(seed) for seed in range(2, 6)]
    thumbnails = [thumbnail(values) for values in (one, *others, noisy)]
    assert near_duplicates(thumbnails) == [(0, 5)]


def test_framing_and_resolution_do_not_matter() -> None:
    one = slice_of(1, 96)
    framed = np.zeros((300, 260))
    framed[60:252, 40:232] = np.kron(one, np.ones((2, 2)))
    assert float((thumbnail(one) * thumbnail(framed)).sum()) > 0.98


def test_a_thumbnail_has_mean_zero_and_norm_one() -> None:
    found = thumbnail(slice_of(3))
    assert found.shape == (SIDE, SIDE)
    assert float(found.mean()) == pytest.approx(0, abs=1e-6)
    assert float(np.linalg.norm(found)) == pytest.approx(1, abs=1e-5)


def test_slices_without_content_are_no_duplicates() -> None:
    assert near_duplicates([thumbnail(np.zeros((64, 64)))] * 3) == []


def test_groups_are_linked_by_way_of_others() -> None:
    groups = connected(6, [(0, 3), (3, 5), (1, 2)])
    assert groups[0] == groups[3] == groups[5]
    assert groups[1] == groups[2]
    assert len(set(groups)) == 3
    assert len(set(connected(3, []))) == 3
