from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from napari_tumorseg.edit import grow, shrink, smooth, smooth_median
from napari_tumorseg.errors import InputError
from tests.edit.shapes import SPACINGS, after, blob


def distances(points, others, spacing):
    steps = np.asarray(spacing)
    return np.linalg.norm((points[:, None] - others[None]) * steps, axis=-1).min(axis=1)


def brute_force(mask, mm, spacing):
    """Return where the nearest voxel of a mask is within mm."""
    found = np.zeros(mask.shape, bool)
    every = np.argwhere(np.ones(mask.shape, bool))
    found[tuple(every.T)] = distances(every, np.argwhere(mask), spacing) <= mm + 1e-9
    return found


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("mm", [1.0, 2.5, 5.0])
def test_grow_and_shrink_equal_brute_force(mm, spacing):
    labels = blob()
    assert np.array_equal(after(labels, grow(labels, 1, mm, spacing)) == 1, brute_force(labels, mm, spacing))
    thick = blob(1, 0.6)
    rest = ~brute_force(thick == 0, mm, spacing)
    assert np.array_equal(after(thick, shrink(thick, 1, mm, spacing)) == 1, rest)


def test_grow_equals_simpleitk():
    labels = blob(2)
    image = SimpleITK.GetImageFromArray(labels)
    image.SetSpacing((0.5, 1.0, 2.0))
    found = SimpleITK.SignedMaurerDistanceMap(image, False, False, True)
    far = SimpleITK.GetArrayFromImage(found)
    # Maurer's map is zero on the label's own border voxels
    expected = (labels > 0) | (far <= 2.0 + 1e-6)
    assert np.array_equal(after(labels, grow(labels, 1, 2.0, (2.0, 1.0, 0.5))) > 0, expected)


def test_growth_spares_others_and_keeps_to_a_mask():
    labels = np.zeros((3, 9, 9), np.uint8)
    labels[1, 4, 4], labels[1, 4, 5], labels[1, 5, 4] = 4, 2, 1
    where = np.ones(labels.shape, bool)
    where[1, 3, 4] = False
    out = after(labels, grow(labels, 4, 1, (1, 1, 1), into=(0, 2), where=where))
    assert out[1, 4, 5] == 4 and out[1, 5, 4] == 1 and out[1, 3, 4] == 0 and out[0, 4, 4] == 4


def test_what_shrinks_leaves_no_hole():
    labels = np.zeros((9, 11, 11), np.uint8)
    labels[1:8, 1:10, 1:10] = 2
    labels[3:6, 3:8, 3:8] = 4
    out = after(labels, shrink(labels, 4, 1, (1, 1, 1)))
    assert np.array_equal(out > 0, labels > 0)
    assert (out == 4).sum() == 1 * 3 * 3
    out = after(labels, shrink(labels, 2, 1, (1, 1, 1)))
    assert not out[1].any() and out[3:6, 3:8, 3:8].min() == 4
    assert not after(labels, shrink(labels, 4, 1, (1, 1, 1), leaving=0))[3, 3:8, 3:8].any()


def test_the_edge_of_the_array_is_no_border():
    labels = np.zeros((4, 6, 6), np.uint8)
    labels[:2] = 1
    out = after(labels, shrink(labels, 1, 1, (1, 1, 1)))
    assert out[0].all() and not out[1:].any()
    assert shrink(np.ones((3, 3, 3), np.uint8), 1, 1, (1, 1, 1)) is None


@pytest.mark.parametrize(
    ("step", "name"),
    [(grow, "grow"), (shrink, "shrink"), (smooth, "smooth")],
)
def test_unknown_spacing_and_odd_lengths_are_refused(step, name):
    with pytest.raises(InputError, match=f"one cannot {name} a label by mm"):
        step(blob(), 1, 2.0, None)
    for mm in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(InputError, match="above 0 and up to"):
            step(blob(), 1, mm, (1, 1, 1))
    with pytest.raises(InputError, match="background"):
        step(blob(), 0, 2.0, (1, 1, 1))
    with pytest.raises(InputError, match="three positive"):
        step(blob(), 1, 2.0, (1, 0, 1))


def test_less_than_a_voxel_is_noted():
    with pytest.raises(InputError, match="nothing would change"):
        grow(blob(), 1, 0.5, (2, 1, 1))


@pytest.mark.parametrize("step", [grow, shrink, smooth])
def test_a_label_that_is_not_there(step):
    assert step(blob(), 3, 2.0, (1, 1, 1)) is None
    assert smooth_median(blob(), 3) is None
