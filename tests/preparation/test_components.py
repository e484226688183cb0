"""Brain masks of one piece."""

from __future__ import annotations

import numpy as np

from napari_tumorseg.preparation.components import largest_component, without_specks


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
    assert not without_specks(empty).any()


def test_a_hole_is_filled() -> None:
    mask = brain()
    mask[3, 8:11, 8:11] = False
    np.testing.assert_array_equal(without_specks(mask), brain())


def test_a_speck_on_a_thread_goes_and_corners_stay() -> None:
    mask = np.pad(brain(), ((0, 0), (0, 0), (0, 6)))
    clean = mask.copy()
    mask[3, 10, 16:20] = True  # a thread of one voxel, with a speck at its end
    mask[3, 9:12, 20:24] = True
    found = without_specks(mask)
    assert not found[..., 18:].any()
    assert (found & clean).sum() == clean.sum()


def test_a_brain_thinner_than_the_opening_is_kept() -> None:
    mask = np.zeros((3, 9, 9), dtype=bool)
    mask[:, 4, 2:7] = True
    np.testing.assert_array_equal(without_specks(mask), mask)
