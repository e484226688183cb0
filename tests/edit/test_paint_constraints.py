from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.edit import allowed, erase_outside, repair_stroke
from napari_tumorseg.errors import InputError
from tests.edit.shapes import after

SHAPE = (4, 8, 8)


def test_range_and_labels():
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, :, 4:] = 2
    labels[:, :, 6:] = 4
    image = np.arange(labels.size, dtype=np.float32).reshape(SHAPE)
    image[0, 0, 0] = np.nan
    assert not allowed(labels, image)[0, 0, 0]
    assert allowed(labels, image).sum() == labels.size - 1
    assert np.array_equal(allowed(labels, image, 10, 20), (image >= 10) & (image <= 20))
    assert np.array_equal(allowed(labels, inside=[2, 4]), labels > 0)
    assert np.array_equal(allowed(labels, protected=[4]), labels != 4)
    both = allowed(
        labels,
        np.nan_to_num(image).astype(np.int16),
        30,
        inside=[2],
        box=(slice(1, 2), slice(0, 8), slice(0, 8)),
    )
    assert both.shape == (1, 8, 8) and np.array_equal(both[0], labels[1] == 2)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((None, 1.0), "needs an image"),
        ((np.zeros(SHAPE), 2.0, 1.0), "is empty"),
        ((np.zeros((1, 2, 3)),), "on their grid"),
        ((np.zeros(SHAPE), float("nan"), 1.0), "is empty"),
    ],
)
def test_ranges_that_cannot_be(arguments, match):
    with pytest.raises(InputError, match=match):
        allowed(np.zeros(SHAPE, np.uint8), *arguments)


@pytest.mark.parametrize("hint", [None, (slice(0, 3), slice(1, 8), slice(0, 8))])
def test_a_stroke_is_taken_back_where_it_must_not_be(hint):
    before = np.zeros(SHAPE, np.uint8)
    before[1, 3, 3] = 4
    stroke = before.copy()
    stroke[1, 2:6, 2:6] = 1
    may = np.zeros(SHAPE, bool)
    may[:, :, :5] = True
    change = repair_stroke(before, stroke, may, protected=[4], box=hint)
    out = after(stroke, change)
    expected = stroke.copy()
    expected[1, 2:6, 5], expected[1, 3, 3] = 0, 4
    assert np.array_equal(out, expected)
    if hint:
        change = repair_stroke(before, stroke, may[hint], protected=[4], box=hint)
        assert np.array_equal(after(stroke, change), out)
    assert repair_stroke(before, out, may, protected=[4]) is None
    assert repair_stroke(before, before, may) is None
    assert repair_stroke(before, stroke) is None


def test_a_mask_that_fits_nothing_is_a_mistake():
    before, stroke = np.zeros(SHAPE, np.uint8), np.ones(SHAPE, np.uint8)
    with pytest.raises(ValueError, match="fits neither"):
        repair_stroke(before, stroke, np.ones((1, 2, 3), bool))


def test_erase_outside():
    labels = np.full(SHAPE, 2, np.uint8)
    labels[3] = 4
    brain = np.zeros(SHAPE)
    brain[:2] = 1
    out = after(labels, erase_outside(labels, brain))
    assert np.array_equal(out > 0, brain > 0)
    assert (after(labels, erase_outside(labels, brain, protected=[4]))[3] == 4).all()
    assert erase_outside(out, brain) is None
    with pytest.raises(InputError, match="everything would be erased"):
        erase_outside(labels, np.zeros(SHAPE))
    with pytest.raises(InputError, match="on their grid"):
        erase_outside(labels, np.zeros((1, 1, 1)))
