"""Simulated brain extraction: the rim of a head goes, the tumour stays, statistics are those of the rest."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.training.augment_config import SkullRemoval
from napari_tumorseg.training.skull_removal import remove_skull

SIDE = 80
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
RADIUS = np.hypot(ROWS - 40, COLUMNS - 40)


def head() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a head with a bright scalp of 4 pixels, its background, and a target in its middle."""
    rng = np.random.default_rng(0)
    tissue = np.where(RADIUS < 30, rng.uniform(1.0, 2.0, (SIDE, SIDE)), 0)
    image = np.where((RADIUS >= 30) & (RADIUS < 34), 4.0, tissue)[None].astype(np.float32)
    target = (np.hypot(ROWS - 38, COLUMNS - 46) < 6)[None].astype(np.float32)
    return image, np.full((1, 1, 1), -1.5, np.float32), target


def removed(
    depth: float = 0.1, extent: float = 3.0, target: np.ndarray | None = None
) -> tuple[np.ndarray, ...]:
    image, fill, own = head()
    wanted = SkullRemoval(kind="skull-removal", depth=(depth, depth), extent=(extent, extent))
    rng = np.random.default_rng(1)
    return remove_skull(image, fill, own if target is None else target, wanted, rng)


def test_the_rim_becomes_background_and_the_middle_stays() -> None:
    image, _ = removed()
    assert not image[0, RADIUS > 29].any()
    assert (image[0, RADIUS < 25] > 0).all()


def test_mean_and_deviation_are_those_of_the_brain() -> None:
    image, fill = removed()
    inside = (image + fill)[0, image[0] != 0]
    assert float(inside.mean()) == pytest.approx(0, abs=1e-4)
    assert float(inside.std()) == pytest.approx(1, abs=1e-4)


def test_the_ellipse_cuts_more() -> None:
    whole, cut = (np.count_nonzero(removed(extent=extent)[0]) for extent in (3.0, 0.6))
    assert 0 < cut < 0.75 * whole


def test_a_tumour_in_the_rim_keeps_the_slice_as_it_is() -> None:
    image, fill, target = head()
    target[:] = (np.hypot(ROWS - 8, COLUMNS - 40) < 4)[None]
    changed, background = removed(target=target)
    np.testing.assert_array_equal(changed, image)
    np.testing.assert_array_equal(background, fill)


def test_a_tumour_at_the_edge_stays_whole() -> None:
    _, _, target = head()
    target[:] = (np.hypot(ROWS - 40, COLUMNS - 18) < 6)[None]
    image, _ = removed(target=target)
    assert (image[0, target[0] > 0] != 0).all()


def test_an_empty_slice_is_left_alone() -> None:
    wanted = SkullRemoval(kind="skull-removal")
    empty, fill = np.zeros((1, 16, 16), np.float32), np.zeros((1, 1, 1), np.float32)
    image, _ = remove_skull(empty, fill, empty, wanted, np.random.default_rng(0))
    assert not image.any()
