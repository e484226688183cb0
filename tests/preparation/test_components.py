"""Brain masks of one piece."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.geometry import Grid
from napari_tumorseg.preparation.components import largest_component, without_specks

GRID = Grid((8, 20, 20), np.diag([5.0, 1.0, 1.0, 1.0]))


def brain() -> np.ndarray:
    mask = np.zeros((8, 20, 20), dtype=bool)
    mask[1:7, 4:16, 4:16] = True
    return mask


def test_the_largest_piece_is_kept() -> None:
    mask = brain()
    mask[0, 0, 0] = mask[7, 19, 18:] = True
    np.testing.assert_array_equal(largest_component(mask), brain())


def test_pieces_that_touch_by_an_edge_are_apart() -> None:
    mask = brain()
    mask[0, 3, 3] = True
    np.testing.assert_array_equal(largest_component(mask), brain())


def test_an_empty_mask_stays_empty() -> None:
    empty = np.zeros((4, 5, 6), dtype=bool)
    assert not largest_component(empty).any()
    assert not without_specks(empty, GRID).any()


def test_a_hole_is_filled() -> None:
    mask = brain()
    mask[3, 8:11, 8:11] = False
    np.testing.assert_array_equal(without_specks(mask, GRID), brain())


def test_a_speck_on_a_thread_goes_and_corners_stay() -> None:
    mask = np.pad(brain(), ((0, 0), (0, 0), (0, 6)))
    clean = mask.copy()
    mask[3, 10, 16:20] = True  # a thread of one voxel, with a speck at its end
    mask[3, 9:12, 20:24] = True
    found = without_specks(mask, GRID)
    assert not found[..., 18:].any()
    assert (found & clean).sum() == clean.sum()


def test_a_brain_thinner_than_the_opening_is_kept() -> None:
    mask = np.zeros((3, 9, 9), dtype=bool)
    mask[:, 4, 2:7] = True
    np.testing.assert_array_equal(without_specks(mask, GRID), mask)


@pytest.mark.parametrize("across", [0, 1, 2])
def test_the_opening_is_in_the_plane_of_the_thick_slices(across: int) -> None:
    """One slice of the brain, which an opening through the slices would remove."""
    mask = np.zeros((9, 9, 9), dtype=bool)
    np.moveaxis(mask, across, 0)[4, 2:7, 2:7] = True
    clean = mask.copy()
    np.moveaxis(mask, across, 0)[4, 4, 7] = True  # a thread with a speck at its end
    np.moveaxis(mask, across, 0)[4:7, 4, 8] = True
    sides = np.ones(3)
    sides[across] = 6
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, -1], [0, -1, 0], [1, 0, 0]]) * sides
    found = without_specks(mask, Grid((9, 9, 9), affine))
    assert not np.moveaxis(found, across, 0)[5:].any()
    assert (found & clean).sum() == clean.sum()
