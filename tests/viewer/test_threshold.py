"""The slider of the threshold beside other edits of the same mask."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.utils.interactions import mouse_press_callbacks, mouse_release_callbacks

from tests.viewer import test_correct_window as window
from tests.viewer.conftest import NEEDS_SCREEN
from tests.viewer.test_correct_window import stroke, world

pytestmark = NEEDS_SCREEN
nobody_looks, at_work, with_model, ran = (
    window.nobody_looks, window.at_work, window.with_model, window.ran,
)  # fmt: skip


@pytest.fixture
def moved(ran):
    """A slider that is being moved, at 0.7; `before` is the mask before that."""
    ran.before = np.array(ran.layer.data)
    ran.slider = ran.page.where.slider
    ran.slider.setValue(0.7)
    ran.settle()
    assert (ran.layer.data != ran.before).any()
    return ran


def test_a_stroke_while_a_value_is_awaited_stays(moved):
    moved.slider.setValue(0.8)  # not looked at yet
    stroke(moved, 3, (2, 12, 12), (2, 12, 16), size=2)
    mine = np.array(moved.layer.data)
    assert moved.slider.value() == pytest.approx(0.7)  # what the mask has
    moved.slider.setValue(0.6)
    moved.settle()
    np.testing.assert_array_equal(moved.layer.data[2, 12, 12:16], 3)
    moved.page.where.rethreshold.finish()
    moved.layer.undo()
    np.testing.assert_array_equal(moved.layer.data, mine)


def test_a_stroke_under_way_is_not_disturbed(moved):
    now = np.array(moved.layer.data)
    z, y, x = np.argwhere(now[2:3] == 2)[0] + [2, 0, 0]
    moved.viewer.dims.set_current_step(0, 2)
    moved.layer.selected_label, moved.layer.mode, moved.layer.brush_size = 2, "paint", 1
    event = SimpleNamespace(
        type="mouse_press", button=1, modifiers=[], pos=(0, 0), handled=False, is_dragging=False,
        view_direction=None, dims_displayed=[1, 2], position=world(moved.layer, (z, y, x)),
    )  # fmt: skip
    mouse_press_callbacks(moved.layer, event)  # nothing is another label yet
    moved.slider.setValue(0.9)
    moved.settle()
    np.testing.assert_array_equal(moved.layer.data, now)
    assert moved.slider.value() == pytest.approx(0.7)
    event.type = "mouse_release"
    mouse_release_callbacks(moved.layer, event)
    moved.pause()
    moved.slider.setValue(0.9)
    moved.settle()
    assert (moved.layer.data != now).any()


def test_a_result_does_not_undo_what_nobody_told_of(moved):
    place = tuple(np.argwhere(moved.layer.data != moved.before)[0])
    moved.layer.data[place] = 3  # as a stroke does before it is whole
    moved.slider.setValue(0.9)
    moved.settle()
    assert moved.layer.data[place] == 3
    assert moved.slider.value() == pytest.approx(0.7)
