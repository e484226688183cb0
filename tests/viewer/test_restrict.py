"""Limits on strokes stay as the user set them, whatever happens to other layers."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from tests.viewer import test_correct_window as window
from tests.viewer.conftest import NEEDS_SCREEN
from tests.viewer.test_correct_window import SHAPE, press, start, stroke

pytestmark = NEEDS_SCREEN
nobody_looks, at_work = window.nobody_looks, window.at_work


@pytest.fixture
def restricted(at_work, wait):
    """Strokes only where FLAIR is 150 to 200; `look_around` waits for what follows from other layers."""
    section = at_work.page.restrict
    at_work.look_around = lambda: wait(lambda: not section._later.isActive())
    at_work.look_around()
    section.image.value = "case flair"
    section.range.setValue((150, 200))
    return at_work


def assert_restricted(at) -> None:
    assert at.page.restrict.range.value() == (150, 200)
    rule = at.page.guard.rule
    assert (rule.low, rule.high) == (150, 200)
    np.testing.assert_array_equal(rule.image, at.viewer.layers[0].data)
    stroke(at, 1, (3, 15, 5), (3, 15, 20))
    assert np.argwhere(at.layer.data == 1)[:, 2].max() == 13


def test_another_layer_leaves_the_range_as_it_is(restricted):
    like = restricted.viewer.layers[0]
    restricted.viewer.add_layer(
        Image(np.ones(SHAPE), name="other", scale=like.scale, translate=like.translate)
    )
    restricted.look_around()
    assert "other" in restricted.page.restrict.image.choices
    restricted.viewer.layers.selection.active = restricted.layer
    window.point_at(restricted, 3, 19, 19)
    press(restricted, "lock")  # the mark is a layer, too
    restricted.look_around()
    assert_restricted(restricted)


def test_a_new_name_leaves_the_rule_as_it_is(restricted):
    restricted.viewer.layers[0].name = "renamed"
    restricted.page.labels.ticks[3].setChecked(True)  # makes the rule anew
    restricted.page.labels.ticks[3].setChecked(False)
    restricted.look_around()
    assert restricted.page.restrict.image.value == "renamed"
    assert_restricted(restricted)


def test_the_rule_goes_with_its_image(restricted):
    restricted.viewer.layers.remove(restricted.viewer.layers[0])
    restricted.look_around()
    assert restricted.page.restrict.image.value == "any intensity"
    assert restricted.page.guard.rule.idle


def test_a_stroke_that_is_taken_back_is_told_of(at_work):
    at_work.page.restrict.inside.value = "the background only"
    stroke(at_work, 2, (3, 7, 7), mode="erase")
    np.testing.assert_array_equal(at_work.layer.data, start())
    assert "undone" in at_work.page.status.value
    stroke(at_work, 1, (3, 7, 2), (3, 7, 7))  # a part of it may be
    assert (at_work.layer.data == 1).any()
    assert "undone" not in at_work.page.status.value
