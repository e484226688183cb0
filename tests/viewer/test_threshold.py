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
    ran.slider = ran.page.uncertainty.threshold.slider
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
    moved.page.uncertainty.threshold.control.commit()
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


def test_a_move_that_returned_can_be_redone(moved):
    """The redo brings the thresholds back with the voxels."""
    at_07 = np.array(moved.layer.data)
    moved.slider.setValue(0.5)
    moved.settle()
    np.testing.assert_array_equal(moved.layer.data, moved.before)
    moved.page.uncertainty.threshold.control.commit()
    moved.layer.redo()
    np.testing.assert_array_equal(moved.layer.data, at_07)
    assert moved.slider.value() == pytest.approx(0.7)
    assert moved.panel.active_mask.mask.edits.thresholds == {"WT": 0.7, "TC": 0.7}


def test_a_move_ends_where_another_mask_is_selected(moved):
    """Its undo is known as such when the mask is selected again."""
    mask, layers = moved.panel.active_mask.mask, moved.viewer.layers
    other = layers[1]
    assert other is not moved.layer
    layers.selection.active = other
    moved.settle()
    assert moved.panel.active_mask.mask is not mask
    layers.selection.active = moved.layer
    moved.settle()
    moved.layer.undo()
    np.testing.assert_array_equal(moved.layer.data, moved.before)
    edits = moved.panel.active_mask.mask.edits
    assert edits.thresholds == {} and moved.slider.value() == pytest.approx(0.5)


def test_steps_outlive_a_panel(moved):
    moved.page.uncertainty.threshold.control.commit()
    window, stored = moved.viewer.window, moved.page.uncertainty.maps.stored
    window.remove_dock_widget(moved.panel)
    _, panel = window.add_plugin_dock_widget("napari-tumorseg", "Segment brain tumour")
    moved.viewer.layers.selection.active = moved.layer
    moved.settle()
    where = panel.correct.uncertainty
    assert where.maps.stored is stored and where.threshold.slider.value() == pytest.approx(0.7)
    moved.layer.undo()
    np.testing.assert_array_equal(moved.layer.data, moved.before)
    assert (
        where.threshold.slider.value() == pytest.approx(0.5) and panel.active_mask.mask.edits.thresholds == {}
    )
