"""Entropy of probabilities, against SciPy, and the slices it points at."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy

from napari_tumorseg.inference.uncertainty import entropy_map, uncertain_slices

LEVELS = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)


def test_of_a_yes_or_no_it_is_the_binary_entropy():
    p = LEVELS.ravel() / 255
    expected = entropy(np.stack([p, 1 - p]), base=2, axis=0)
    found = entropy_map({"WT": LEVELS}).ravel() / 255
    np.testing.assert_allclose(found, expected, atol=0.5 / 255 + 1e-9)
    assert found[0] == found[255] == 0
    assert found[127] == found[128] == 1


def test_of_several_outputs_the_most_uncertain_one_counts():
    sure, unsure = np.full((1, 2, 2), 255, np.uint8), np.full((1, 2, 2), 128, np.uint8)
    assert (entropy_map({"WT": sure, "TC": unsure, "ET": sure}) == 255).all()


def test_of_classes_it_is_the_share_of_the_largest_entropy():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([0.5] * 4, size=500).T
    stored = {str(k): np.rint(p[k] * 255).astype(np.uint8).reshape(1, 20, 25) for k in range(4)}
    q = np.stack([v.ravel() for v in stored.values()]) / 255
    expected = entropy(q / q.sum(axis=0), base=4, axis=0)
    found = entropy_map(stored, "softmax").ravel() / 255
    np.testing.assert_allclose(found, expected, atol=0.02)
    same = {str(k): np.full((1, 1, 1), 64, np.uint8) for k in range(4)}
    assert entropy_map(same, "softmax")[0, 0, 0] >= 254


def test_nothing_in_doubt_is_black():
    p = np.array([0, 255], np.uint8).reshape(1, 1, 2)
    assert not entropy_map({"WT": p}).any()
    assert not entropy_map({"a": p, "b": 255 - p}, "softmax").any()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_come_by_their_sum_without_their_neighbours(axis):
    sums = np.zeros((12, 3, 3), np.uint8)
    for index, height in {2: 90, 3: 100, 4: 95, 9: 60, 6: 30, 11: 1}.items():
        sums[index, 0, 0] = height
    assert uncertain_slices(np.moveaxis(sums, 0, axis), axis, apart=2) == [3, 9, 6]


def test_no_slice_is_uncertain_where_nothing_is():
    assert uncertain_slices(np.zeros((4, 3, 3), np.uint8)) == []
