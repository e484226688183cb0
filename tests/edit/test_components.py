from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import label as components_of

from napari_tumorseg.edit import (
    ANY,
    component_at,
    keep_only_component,
    largest_slice,
    list_components,
    reject_component,
    relabel_component,
)
from napari_tumorseg.errors import InputError


def scene():
    labels = np.zeros((12, 20, 20), np.uint8)
    labels[2:6, 2:8, 2:8] = 2
    labels[3:5, 4:6, 4:6] = 4
    labels[8:10, 12:15, 12:15] = 2
    labels[10, 15, 15] = 4  # touches the second lesion at a corner
    return labels


def test_same_label_or_whole_lesion():
    labels = scene()
    core = component_at(labels, (3, 4, 4))
    assert (core.voxels, core.box) == (8, (slice(3, 5), slice(4, 6), slice(4, 6)))
    assert component_at(labels, (3, 4, 4), region=ANY).voxels == 4 * 6 * 6
    assert component_at(labels, (10, 15, 15), region={2, 4}).voxels == 2 * 3 * 3 + 1


@pytest.mark.parametrize("point", [(0, 0, 0), (-1, 2, 2), (12, 0, 0)])
def test_nothing_under_the_point(point):
    assert component_at(scene(), point) is None
    assert reject_component(scene(), point) is None
    assert keep_only_component(scene(), point) is None


def test_another_label_than_the_region_is_nothing():
    assert component_at(scene(), (3, 4, 4), region={2}) is None


@given(st.integers(0, 200), st.floats(0.05, 0.6))
def test_equals_scikit_image(seed, share):
    rng = np.random.default_rng(seed)
    labels = (rng.random((30, 70, 60)) < share).astype(np.uint8) * 3
    expected = components_of(labels, connectivity=3)
    point = tuple(rng.choice(np.argwhere(labels)))
    found = component_at(labels, point)
    mask = np.zeros(labels.shape, bool)
    mask[found.box] = found.mask
    assert np.array_equal(mask, expected == expected[point])


def test_a_component_longer_than_the_first_look():
    labels = np.zeros((3, 5, 400), np.uint8)
    labels[1, 2, 3:390] = 1
    assert component_at(labels, (1, 2, 200)).voxels == 387


def test_reject_keep_relabel():
    labels = scene()
    change = reject_component(labels, (9, 13, 13), region=ANY)
    after = labels.copy()
    change.apply(after)
    assert not after[6:].any() and np.array_equal(after[:6], labels[:6])

    after = labels.copy()
    keep_only_component(labels, (2, 2, 2), region={2}).apply(after)
    assert np.array_equal(after[:6], labels[:6])
    assert after[6:].sum() == 4  # the voxel of another label stays

    after = labels.copy()
    relabel_component(labels, (4, 5, 5), 1).apply(after)
    assert (after == 1).sum() == 8 and (after == 4).sum() == 1
    with pytest.raises(InputError, match="0 to 255"):
        relabel_component(labels, (4, 5, 5), 256)


def test_what_is_kept_is_not_cut_by_a_box_around_others():
    labels = np.zeros((3, 9, 9), np.uint8)
    labels[1, 4, 1:8] = 1
    labels[1, 2, 4] = labels[1, 7, 4] = 1
    after = labels.copy()
    keep_only_component(labels, (1, 4, 4)).apply(after)
    assert after.sum() == 7 and after[1, 4, 1:8].all()


def test_list_by_size_with_places():
    labels = scene()
    first, second = list_components(labels, {2, 4})
    assert (first.voxels, second.voxels) == (144, 19)
    assert labels[first.centre] and labels[second.centre]
    assert second.largest_slice() in (8, 9)
    assert second.centre_of_slice()[0] == second.largest_slice()
    assert list_components(labels, {7}) == []


@given(st.integers(0, 200), st.floats(0.001, 0.2))
def test_the_list_equals_scikit_image(seed, share):
    labels = (np.random.default_rng(seed).random((9, 14, 12)) < share).astype(np.uint8)
    numbers = components_of(labels, connectivity=3)
    first = [np.argwhere(numbers == n)[0].tolist() for n in range(1, numbers.max() + 1)]
    sizes = np.bincount(numbers.ravel())[1:]
    expected = sorted(zip(-sizes, first, strict=True))
    found = list_components(labels, {1})
    assert [(-one.voxels, list(one.first)) for one in found] == [(s, f) for s, f in expected]
    for one in found:
        assert np.array_equal(one.mask, (numbers == numbers[one.first])[one.box])


def test_only_what_lies_around_a_component_is_labelled(monkeypatch):
    labels = np.zeros((60, 100, 100), np.uint8)
    labels[0, 0, 0] = labels[-1, -1, -1] = labels[30, 99, 0] = 1
    labels[20:40, 20:80, 30:50] = 1
    label, looked_at = ndimage.label, []

    def counted(mask, **more):
        looked_at.append(np.size(mask))
        return label(mask, **more)

    monkeypatch.setattr(ndimage, "label", counted)
    assert [one.voxels for one in list_components(labels, ANY)] == [24_000, 1, 1, 1]
    assert sum(looked_at) < 30_000
    looked_at.clear()
    assert component_at(labels, (30, 50, 40), region=ANY).voxels == 24_000
    assert looked_at[0] <= 49**3 and sum(looked_at[1:]) < 30_000


def test_the_centre_of_a_shell_lies_on_it():
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[1:8, 1:8, 1:8] = 4
    labels[2:7, 2:7, 2:7] = 0
    (shell,) = list_components(labels, {4})
    assert labels[shell.centre] == 4
    assert labels[shell.centre_of_slice()] == 4


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_largest_slice(axis):
    labels = np.zeros((7, 8, 9), np.uint8)
    np.moveaxis(labels, axis, 0)[5, 2:5, 2:5] = 1
    labels[1, 1, 1] = 1
    point = largest_slice(labels, {1}, axis)
    assert point[axis] == 5 and labels[point] == 1
    assert largest_slice(labels, {3}) is None
