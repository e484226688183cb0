from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label as components_of

from napari_tumorseg.edit import LiveCounts, change_to, count_all
from napari_tumorseg.edit.incremental_components import ComponentCounter
from napari_tumorseg.io import read_mask

GROUPS = {"1": (1,), "2": (2,), "3": (3,), "4": (4,), "WT": (1, 2, 3, 4), "TC": (1, 3, 4), "ET": (4,)}


def counted_by_scikit_image(labels):
    found = {}
    for name, members in GROUPS.items():
        mask = np.isin(labels, members)
        found[name] = (int(mask.sum()), components_of(mask, connectivity=3, return_num=True)[1])
    return found


def as_tuples(counts):
    return {name: (count.voxels, count.components) for name, count in counts.items()}


def random_box(rng, shape, longest):
    starts = rng.integers(0, shape)
    stops = np.minimum(starts + rng.integers(1, longest, 3), shape)
    return tuple(slice(int(a), int(b)) for a, b in zip(starts, stops, strict=True))


def random_edit(rng, labels, longest=8):
    """Return a box and a block: paint, erase, speckle, or a large fill."""
    box = random_box(rng, labels.shape, 40 if rng.random() < 0.05 else longest)
    block = labels[box].copy()
    value = int(rng.integers(0, 5))
    where = rng.random(block.shape) < rng.choice([0.05, 0.5, 1.0])
    block[where] = value
    return box, block


@given(st.integers(0, 10_000), st.integers(3, 17), st.floats(0.01, 0.5))
def test_blocks_count_as_scikit_image(seed, size, share):
    rng = np.random.default_rng(seed)
    labels = (rng.random(rng.integers(1, 35, 3)) < share).astype(np.uint8)
    counter = ComponentCounter(labels, {1}, size)
    assert counter.count == components_of(labels, connectivity=3, return_num=True)[1]
    for _ in range(5):
        box, block = random_edit(rng, labels)
        labels[box] = block
        counter.mark_changed(box)
    assert counter.count == components_of(labels == 1, connectivity=3, return_num=True)[1]


@pytest.mark.parametrize("seed", range(4))
def test_long_random_edits_equal_a_full_recount(seed):
    rng = np.random.default_rng(seed)
    labels = np.zeros((37, 70, 66), np.uint8)
    counts = LiveCounts(labels, GROUPS)
    done = []
    for number in range(250):
        if done and rng.random() < 0.3:
            change = done.pop().inverse  # undo
        else:
            change = change_to(labels, *random_edit(rng, labels))
            if change is not None:
                done.append(change)
        if change is None:
            continue
        change.apply(labels)
        if number % 2:
            counts.apply(change)
        else:
            assert counts.update(labels).voxels == change.voxels
        if number % 25 == 0:
            assert as_tuples(counts.counts()) == counted_by_scikit_image(labels)
    assert np.array_equal(counts.labels, labels)
    assert counts.counts() == counts.recount() == count_all(labels, GROUPS)
    assert as_tuples(counts.counts()) == counted_by_scikit_image(labels)


def test_a_bridge_joins_and_its_loss_splits():
    labels = np.zeros((5, 80, 80), np.uint8)
    labels[2, 10:70, 10:30] = labels[2, 10:70, 50:70] = 1
    counts = LiveCounts(labels, {"WT": (1, 2)})
    assert counts.components("WT") == 2
    labels[2, 40, 30:50] = 2
    counts.update(labels)
    assert counts.components("WT") == 1
    labels[2, 40, 33] = 0
    counts.update(labels, (slice(2, 3), slice(40, 41), slice(33, 34)))
    assert counts.components("WT") == 2


def test_a_change_from_other_labels_is_refused():
    labels = np.zeros((4, 4, 4), np.uint8)
    counts = LiveCounts(labels, GROUPS)
    change = change_to(labels, (slice(0, 2),) * 3, np.ones((2, 2, 2)))
    counts.apply(change)
    with pytest.raises(ValueError, match="compare with update"):
        counts.apply(change)
    assert counts.voxels("1") == 8
    with pytest.raises(ValueError, match="read-only"):
        counts.labels[0] = 1


def test_starts_from_its_own_copy():
    labels = np.ones((3, 3, 3), np.uint8, order="F")
    counts = LiveCounts(labels, GROUPS)
    labels[:] = 0
    assert counts.voxels("WT") == 27 and counts.components("WT") == 1
    assert counts.update(labels).voxels == 27
    assert counts.update(labels) is None
    assert counts.voxels("WT") == counts.components("WT") == 0


def test_strokes_on_a_real_scan_are_counted_in_time(shared_data):
    path = shared_data / "brats" / "BraTS-GLI-00001-000" / "seg-BraTS23_1_mapped.nii.gz"
    labels = np.ascontiguousarray(read_mask(path, labels="brats-2021").labels)
    counts = LiveCounts(labels, GROUPS)
    counts.counts()
    rng, taken = np.random.default_rng(0), []
    inside = np.argwhere(labels)
    for _ in range(40):
        z, y, x = rng.choice(inside)
        labels[z, y - 5 : y + 6, x - 5 : x + 6] = rng.integers(0, 5)
        start = time.perf_counter()
        counts.update(labels)
        counts.counts()
        taken.append(time.perf_counter() - start)
    assert counts.counts() == counts.recount()
    assert np.median(taken) < 0.05
