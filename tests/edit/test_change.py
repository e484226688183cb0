from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tumorseg.edit import Change, change_to, find_change
from napari_tumorseg.errors import InputError

SHAPE = (9, 11, 13)


def noise(seed, shape=SHAPE):
    return np.random.default_rng(seed).integers(0, 5, shape, dtype=np.uint8)


def test_a_change_is_trimmed_to_what_differs():
    labels = np.zeros(SHAPE, np.uint8)
    block = np.zeros((4, 5, 6), np.uint8)
    block[1, 2, 3] = block[2, 2, 5] = 7
    change = change_to(labels, (slice(2, 6), slice(3, 8), slice(4, 10)), block)
    assert change.box == (slice(3, 5), slice(5, 6), slice(7, 10))
    assert change.voxels == 2
    assert not labels.any()
    change.apply(labels)
    assert labels[3, 5, 7] == labels[4, 5, 9] == 7 and labels.sum() == 14
    change.inverse.apply(labels)
    assert not labels.any()


def test_no_change_is_none():
    labels = noise(0)
    assert change_to(labels, (slice(0, 2),) * 3, labels[:2, :2, :2]) is None
    assert find_change(labels, labels.copy()) is None
    assert find_change(labels[:0], labels[:0]) is None


def test_a_change_keeps_copies():
    labels = noise(1)
    after = labels.copy()
    after[2] = 0
    change = find_change(labels, after)
    labels[:] = after[:] = 9
    assert not change.after.any() and change.before.max() < 5


def test_transitions_are_counted():
    before, after = np.array([[[0, 0, 2, 3]]], np.uint8), np.array([[[1, 1, 2, 255]]], np.uint8)
    change = Change((slice(0, 1), slice(0, 1), slice(0, 4)), before, after)
    assert change.transitions() == {(0, 1): 2, (3, 255): 1}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [SHAPE, (1, 1, 1), (3, 240, 240), (40, 64, 61)])
def test_find_change_finds_every_difference(shape, order):
    before = np.array(noise(2, shape), order=order)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        after = before.copy(order="K")
        places = tuple(rng.integers(0, n, 3) for n in shape)
        after[places] ^= 1
        change = find_change(before, after)
        found = before.copy()
        if change is not None:
            change.apply(found)
            differing = np.argwhere(before != after)
            assert [s.start for s in change.box] == differing.min(axis=0).tolist()
            assert [s.stop - 1 for s in change.box] == differing.max(axis=0).tolist()
        assert np.array_equal(found, after)


def test_find_change_in_views_and_other_orders():
    before = noise(3)
    for view in (before[::-1, :, ::-1], before.transpose(2, 0, 1), before[:, ::2]):
        after = view.copy()
        after[1, 2, 3] = 9
        for one, other in ((view, after), (after, view), (np.asfortranarray(view), after)):
            assert find_change(one, other).box == (slice(1, 2), slice(2, 3), slice(3, 4))


def test_find_change_looks_only_into_the_box():
    before, after = noise(4), noise(4)
    after[0, 0, 0], after[5, 5, 5] = 9, 9
    change = find_change(before, after, (slice(3, None), slice(None), slice(-8, None)))
    assert change.box == (slice(5, 6),) * 3


def test_find_change_of_other_types():
    before = noise(5)
    after = before.astype(np.int32)
    after[1, 1, 1] = 200
    change = find_change(before, after)
    assert change.after.dtype == np.uint8 and change.after.item() == 200
    after[1, 1, 1] = 300
    with pytest.raises(InputError, match="300"):
        find_change(before, after)
    with pytest.raises(ValueError, match="cannot be compared"):
        find_change(before, before[1:])


@given(st.integers(0, 1000))
def test_one_undo_step_in_the_viewer(seed):
    rng = np.random.default_rng(seed)
    before, after = noise(seed), noise(seed + 1)
    after[rng.random(SHAPE) < 0.9] = 0
    napari_layers = pytest.importorskip("napari.layers", reason="the viewer extra is not installed")
    layer = napari_layers.Labels(before.copy())
    change = find_change(before, after)
    layer.data_setitem(*change.as_setitem())
    assert np.array_equal(layer.data, after)
    layer.undo()
    assert np.array_equal(layer.data, before)
    layer.redo()
    assert np.array_equal(layer.data, after)


def test_a_whole_volume_is_compared_at_once():
    before = np.zeros((155, 240, 240), np.uint8)
    after = before.copy()
    taken = []
    for _ in range(7):
        start = time.perf_counter()
        find_change(before, after)
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.02  # 1 ms on an idle machine
