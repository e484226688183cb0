"""Pointing at components, locked ones, and the slice that is meant."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import Dims
from napari.layers import Labels, Layer
from napari.utils.key_bindings import coerce_keybinding

from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.correct.locked_components import KIND as LOCKED
from napari_tumorseg.viewer.layers.axes import LayerAxes
from napari_tumorseg.viewer.layers.showing import shown_slice
from napari_tumorseg.viewer.layers.to_layers import labels_layer
from napari_tumorseg.viewer.layers.views import views
from napari_tumorseg.viewer.state.navigation import sliced_axis
from tests.viewer import test_correct_window as window
from tests.viewer.conftest import NEEDS_SCREEN, grid
from tests.viewer.test_correct_window import SHAPE, SPACING, drag, point_at, press, start, world

pytestmark = NEEDS_SCREEN
nobody_looks, at_work, with_model, ran = (
    window.nobody_looks, window.at_work, window.with_model, window.ran,
)  # fmt: skip


def other_mask(at) -> Labels:
    seg = Segmentation(start(), grid(SHAPE, SPACING), CONVENTIONS["brats-2023"], "case")
    return at.viewer.add_layer(Layer.create(*labels_layer(seg, name="other")))


# ---- a click that is waited for


def set_mode(at) -> None:
    at.layer.mode = "erase"


def turn_to_3d(at) -> None:
    at.viewer.dims.ndisplay = 3
    at.viewer.dims.ndisplay = 2


@pytest.mark.parametrize(
    ("by", "mode"),
    [
        (lambda at: at.viewer.keymap[coerce_keybinding("Escape")](at.viewer), "paint"),
        (lambda at: at.page.tools.buttons["reject"].click(), "paint"),
        (other_mask, "paint"),
        (turn_to_3d, "paint"),
        (set_mode, "erase"),
    ],
    ids=["escape", "button", "mask", "3-D", "mode"],
)
def test_a_click_is_not_waited_for_any_more(at_work, by, mode):
    at_work.layer.mode = "paint"
    at_work.page.tools.buttons["reject"].click()
    assert "Click" in at_work.page.status.value
    by(at_work)
    assert at_work.layer.mode == mode
    assert at_work.page.status.value == ""
    assert coerce_keybinding("Escape") not in at_work.viewer.keymap
    drag(at_work.viewer, [world(at_work.layer, (3, 19, 19))])
    at_work.settle()
    np.testing.assert_array_equal(at_work.layer.data, start())
    assert at_work.layer.mode == mode


def test_another_tool_takes_the_place_of_the_one_that_waits(at_work):
    at_work.layer.selected_label = 1
    for action in ("reject", "relabel"):
        at_work.page.tools.buttons[action].click()
    drag(at_work.viewer, [world(at_work.layer, (3, 19, 19))])
    at_work.settle()
    np.testing.assert_array_equal(at_work.layer.data[3:5, 18:21, 18:21], 1)


def test_in_3d_nothing_is_pointed_at(at_work):
    at_work.layer.mode = "paint"
    at_work.viewer.dims.ndisplay = 3
    at_work.viewer.cursor.position = world(at_work.layer, (4, 19, 19))
    mode = at_work.layer.mode
    press(at_work, "reject")
    assert "In 3-D" in at_work.page.status.value
    at_work.page.tools.buttons["reject"].click()
    assert "In 3-D" in at_work.page.status.value and at_work.layer.mode == mode
    drag(at_work.viewer, [world(at_work.layer, (4, 19, 19))])
    at_work.settle()
    np.testing.assert_array_equal(at_work.layer.data, start())


# ---- marks


def test_marks_are_shown_where_they_hold(at_work, wait):
    point_at(at_work, 3, 19, 19)
    press(at_work, "lock")
    (shown,) = views(at_work.viewer, LOCKED)
    other_mask(at_work)
    wait(lambda: len(shown.data) == 0)
    at_work.viewer.layers.selection.active = at_work.layer
    wait(lambda: len(shown.data) == 1)
    point_at(at_work, 3, 7, 7)
    press(at_work, "lock")
    press(at_work, "keep_only")
    assert len(shown.data) == 2  # a locked component is not removed
    z, y, x = np.nonzero(start()[:, 18:])
    at_work.layer.data_setitem((z, y + 18, x), 0)
    wait(lambda: len(shown.data) == 1)
    at_work.layer.undo()
    wait(lambda: len(shown.data) == 2)


# ---- the slice that is meant


def test_each_plane_has_its_own_uncertain_slices(ran):
    for _ in range(SHAPE[0]):
        press(ran, "next_uncertain")
    ran.viewer.dims.order = (1, 0, 2)
    press(ran, "next_uncertain")
    assert "number 1 of" in ran.page.status.value


def test_a_picture_is_its_own_only_slice():
    flat, dims = grid((1, 40, 48)), Dims(ndim=2, ndisplay=2)
    dims.set_point(1, 30.0)
    assert shown_slice(dims, flat, 0) == 0
    assert shown_slice(dims, flat, 1) is None
    layer = Labels(np.zeros((40, 48), np.uint8))
    assert sliced_axis(dims, SimpleNamespace(axes=LayerAxes.of(layer))) == 0


@pytest.mark.parametrize(("order", "axis"), [((0, 1, 2), 0), ((1, 0, 2), 1), ((2, 1, 0), 2)])
def test_the_axis_that_is_cut(order, axis):
    seg = Segmentation(start(), grid(SHAPE, SPACING), CONVENTIONS["brats-2023"], "case")
    mask = SimpleNamespace(axes=LayerAxes.of(Layer.create(*labels_layer(seg, name="mask"))))
    dims = Dims(ndim=3, ndisplay=2, order=order)
    assert sliced_axis(dims, mask) == axis
    assert sliced_axis(Dims(ndim=4, ndisplay=2, order=(0, *(a + 1 for a in order))), mask) == axis
    dims.ndisplay = 3
    assert sliced_axis(dims, mask) is None
