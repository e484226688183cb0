from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.edit import fill_between, gap_at
from napari_tumorseg.edit.interpolate import blend
from napari_tumorseg.errors import InputError


def disc(shape, centre, radius):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def filled(labels, *args, **kwargs):
    change = fill_between(labels, *args, **kwargs)
    after = labels.copy()
    if change is not None:
        change.apply(after)
    return after


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_a_cone_is_filled_along_any_axis(axis):
    labels = np.zeros((41, 41, 41), np.uint8)
    slices = np.moveaxis(labels, axis, 0)
    slices[10], slices[20] = disc((41, 41), (20, 20), 5), disc((41, 41), (20, 20), 15)
    after = np.moveaxis(filled(labels, 1, axis), axis, 0)
    for step in range(1, 10):
        assert np.sqrt(after[10 + step].sum() / np.pi) == pytest.approx(5 + step, abs=0.7)
    assert not after[:10].any() and not after[21:].any()


def test_a_ball_from_every_fifth_slice():
    z, y, x = np.ogrid[:61, :61, :61]
    ball = (z - 30) ** 2 + (y - 30) ** 2 + (x - 30) ** 2 <= 24**2
    sparse = np.zeros(ball.shape, np.uint8)
    sparse[7:54:5] = ball[7:54:5]
    after = filled(sparse, 1) > 0
    inside = slice(7, 53)
    overlap = (after & ball)[inside].sum() * 2 / (after[inside].sum() + ball[inside].sum())
    assert overlap > 0.98


def test_only_background_or_what_may_be_overwritten():
    labels = np.zeros((5, 9, 9), np.uint8)
    labels[0, 2:7, 2:7] = labels[4, 2:7, 2:7] = 1
    labels[2, 4, 4], labels[2, 5, 5] = 3, 4
    after = filled(labels, 1)
    assert after[2, 4, 4] == 3 and after[2, 5, 5] == 4 and after[2].sum() == 23 + 7
    after = filled(labels, 1, into=(0, 3))
    assert after[2, 4, 4] == 1 and after[2, 5, 5] == 4


def test_outlines_that_do_not_overlap_are_joined():
    labels = np.zeros((11, 30, 30), np.uint8)
    labels[0] = disc((30, 30), (6, 6), 3)
    labels[10] = disc((30, 30), (22, 22), 3)
    after = filled(labels, 1)
    for z in range(11):
        middle = np.argwhere(after[z]).mean(axis=0)
        assert middle == pytest.approx([6 + 1.6 * z] * 2, abs=0.6)
        assert after[z].sum() == pytest.approx(labels[0].sum(), abs=6)


def test_ends_of_a_blend():
    one, other = disc((20, 20), (8, 8), 4), disc((20, 20), (11, 11), 6)
    assert np.array_equal(blend(one, other, 0.0), one)
    assert np.array_equal(blend(one, other, 1.0), other)
    assert blend(np.ones((4, 4), bool), np.ones((4, 4), bool), 0.5).all()


def test_spacing_within_the_slice_counts():
    # along the short voxels the outline moves more voxels for the same mm
    one, other = np.zeros((31, 31), bool), np.zeros((31, 31), bool)
    one[10:21, 10:21] = True
    other[4:27, 10:21] = True
    assert not np.array_equal(blend(one, other, 0.3, (1, 1)), blend(one, other, 0.3, (4, 1)))


def test_the_spacing_is_that_of_the_slices_own_axes():
    labels = np.zeros((21, 9, 31), np.uint8)
    labels[10, 0, 10:21], labels[4:17, 8, 10:21] = 1, 1
    as_stated = filled(labels, 1, 1, spacing=(4.0, 99.0, 1.0))
    assert np.array_equal(as_stated, filled(labels, 1, 1, spacing=(4.0, 1.0, 1.0)))
    assert not np.array_equal(as_stated, filled(labels, 1, 1))


def test_a_slice_that_only_shows_other_lesions_is_noted():
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[:, 1, 1] = labels[0, 6, 6] = 1
    with pytest.raises(InputError, match="not painted on both"):
        fill_between(labels, 1, between=(0, 8))


def test_between_two_slices_beside_another_lesion():
    labels = np.zeros((12, 40, 40), np.uint8)
    labels[1:11, 30:36, 30:36] = 1  # complete, and wider at the ends of the gap
    labels[2, 26:39, 26:39] = labels[8, 26:39, 26:39] = 1
    labels[2, 4:10, 4:10] = labels[8, 4:10, 4:10] = 1
    with pytest.raises(InputError, match="no gap"):
        fill_between(labels, 1)
    assert gap_at(labels, 1, 5) == (2, 8)
    after = filled(labels, 1, between=(8, 2))
    assert after[5, 4:10, 4:10].all()
    after[:, 4:10, 4:10] = labels[:, 4:10, 4:10]
    assert np.array_equal(after, labels)


def test_a_slice_that_is_painted_itself_lies_in_no_gap():
    labels = np.zeros((14, 20, 20), np.uint8)
    labels[:, 1, 1] = 1  # another lesion, which passes by
    for z in (2, 6, 7, 11):
        labels[z, 8:14, 8:14] = 1
    found = [gap_at(labels, 1, z) for z in range(2, 12)]
    assert found == [None, (2, 6), (2, 6), (2, 6), None, None, (7, 11), (7, 11), (7, 11), None]


def test_no_gap_to_be_found():
    labels = np.zeros((9, 5, 5), np.uint8)
    assert gap_at(labels, 1, 4) is None
    labels[2:4, 1, 1] = 1
    assert gap_at(labels, 1, 2) is None
    assert gap_at(labels, 1, 8) is None


@pytest.mark.parametrize(
    ("between", "match"), [((2, 3), "no slice between"), ((0, 8), "not on both"), (None, "no gap")]
)
def test_what_cannot_be_filled_is_noted(between, match):
    labels = np.zeros((9, 5, 5), np.uint8)
    labels[2:5, 1, 1] = 1
    with pytest.raises(InputError, match=match):
        fill_between(labels, 1, between=between)
    with pytest.raises(InputError, match="no slice"):
        fill_between(labels, 2)
