"""A person who clicks on the page Correct: clicks, strokes, boxes and undo, in a real window."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.layers import Labels, Layer
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)
from napari.utils.key_bindings import coerce_keybinding

from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Role, Segmentation
from napari_tumorseg.viewer.correct.click_points import KIND
from napari_tumorseg.viewer.correct.tools import CLICKS
from napari_tumorseg.viewer.layers.from_layers import to_segmentation
from napari_tumorseg.viewer.layers.to_layers import case_layers, labels_layer
from napari_tumorseg.viewer.layers.views import views
from tests.edit.test_clicks import SHAPE, STEPS, TUMOUR, ball, half
from tests.viewer.conftest import NEEDS_SCREEN, case, grid, image

pytestmark = NEEDS_SCREEN

MISSING, INSIDE, OUTSIDE = (12, 32, 38), (12, 32, 24), (12, 32, 60)


@pytest.fixture
def at_work(open_panel, wait):
    """A scan with a bright tumour, half of which its mask lacks, and the page Correct."""
    viewer, panel = open_panel()
    on = grid(SHAPE, STEPS)
    flair = image("case_flair", Role.FLAIR, on)
    noise = np.random.default_rng(0).normal(0, 8, SHAPE)
    data = np.where(ball((12, 32, 32), 33), 100 + 90 * TUMOUR + noise, 0).astype(np.float32)
    for layer in case_layers(case(type(flair)("case_flair", Role.FLAIR, data, on)))[0]:
        viewer.add_layer(Layer.create(*layer))
    seg = Segmentation(half() * np.uint8(2), on, CONVENTIONS["brats-2021"], "case")
    group = viewer.layers[0].metadata["tumorseg"].group
    viewer.add_layer(Layer.create(*labels_layer(seg, name="case seg", case="case", group=group)))
    layer = viewer.layers[-1]
    viewer.layers.selection.active = layer
    layer.selected_label = 2
    viewer.dims.set_current_step(0, 12)
    page = panel.correct
    return SimpleNamespace(
        viewer=viewer, panel=panel, page=page, layer=layer, clicks=page.clicks,
        settle=lambda: wait(lambda: not page.is_busy),
    )  # fmt: skip


def toggle(at) -> None:
    at.viewer.keymap[coerce_keybinding(CLICKS.key)](at.viewer)


def gesture(at, *voxels, held=()) -> None:
    """Press the left button at the first voxel, move over the others, and let go."""
    places = [tuple(at.layer.data_to_world(voxel)) for voxel in voxels]
    event = SimpleNamespace(
        type="mouse_press", button=1, modifiers=list(held), pos=(0, 0), handled=False, is_dragging=False,
        position=places[0], view_direction=None, up_direction=None, dims_displayed=[1, 2],
        dims_point=list(at.viewer.dims.point), delta=(0, 0), inverted=False, native=None, source=None,
    )  # fmt: skip
    mouse_press_callbacks(at.viewer, event)
    for place in places[1:]:
        event.type, event.position, event.is_dragging = "mouse_move", place, True
        mouse_move_callbacks(at.viewer, event)
    event.type = "mouse_release"
    mouse_release_callbacks(at.viewer, event)


def marks(at) -> int:
    return sum(len(layer.data) for layer in views(at.viewer, KIND))


def test_a_click_shows_at_once_is_refined_and_is_one_undo_step(at_work):
    before = at_work.layer.data.copy()
    toggle(at_work)
    assert at_work.clicks.button.isChecked()
    gesture(at_work, MISSING)
    first = at_work.layer.data.copy()
    assert first[MISSING] == 2  # in its own slice, before anything ran in the background
    np.testing.assert_array_equal(np.delete(first, 12, axis=0), np.delete(before, 12, axis=0))
    at_work.settle()
    assert (at_work.layer.data[[9, 15], 32, 38] == 2).all()
    assert marks(at_work) == 1
    at_work.layer.undo()
    np.testing.assert_array_equal(at_work.layer.data, before)
    assert marks(at_work) == 0
    at_work.layer.redo()
    assert at_work.layer.data[9, 32, 38] == 2
    assert marks(at_work) == 1


def test_live_numbers_follow(at_work):
    toggle(at_work)
    gesture(at_work, MISSING)
    at_work.settle()
    assert at_work.panel.active_mask.counts.voxels("WT") == np.count_nonzero(at_work.layer.data)
    assert at_work.panel.active_mask.mask.edits.edit_counts.actions == {"click": 1}


def test_alt_removes(at_work):
    toggle(at_work)
    gesture(at_work, INSIDE, held=["Alt"])
    at_work.settle()
    assert at_work.layer.data[INSIDE] == 0


def test_a_drag_is_a_stroke_and_with_shift_a_box(at_work):
    toggle(at_work)
    gesture(at_work, *[(12, 32, x) for x in range(34, 44)])
    at_work.settle()
    (stroke,) = (step.click for step in at_work.panel.active_mask.mask.edits.clicks)
    assert len(stroke.voxels) == 10 and not stroke.is_box
    at_work.layer.undo()
    gesture(at_work, (12, 20, 33), (12, 30, 40), (12, 45, 47), held=["Shift"])
    at_work.settle()
    (box,) = (step.click for step in at_work.panel.active_mask.mask.edits.clicks)
    assert box.is_box and box.voxels == ((12, 20, 33), (12, 45, 47))
    assert not at_work.layer.data[:, :, 48:].any()


def test_a_stroke_through_slices_counts_in_a_coronal_view(at_work):
    at_work.viewer.dims.order = (1, 0, 2)
    at_work.viewer.dims.set_current_step(1, 32)
    before = at_work.layer.data.copy()
    toggle(at_work)
    gesture(at_work, *[(z, 32, 38) for z in range(9, 15)])
    first = at_work.layer.data.copy()
    assert (first[9:15, 32, 38] == 2).all()
    np.testing.assert_array_equal(np.delete(first, 32, axis=1), np.delete(before, 32, axis=1))
    at_work.settle()
    assert at_work.layer.data[12, 30, 38] == 2
    at_work.layer.undo()
    np.testing.assert_array_equal(at_work.layer.data, before)


def test_an_undo_takes_back_the_click_before_one_that_changed_nothing(at_work):
    toggle(at_work)
    gesture(at_work, MISSING)
    at_work.settle()
    gesture(at_work, MISSING)  # it is there already
    at_work.settle()
    assert marks(at_work) == 2
    at_work.layer.undo()
    assert marks(at_work) == 0
    at_work.layer.redo()
    assert marks(at_work) == 1


def test_protected_labels_and_locked_components_stay(at_work):
    at_work.layer.data[12, 30:35, 36:42] = 4
    at_work.layer.refresh()
    at_work.panel.active_mask.sync()
    at_work.page.labels.ticks[4].setChecked(True)
    toggle(at_work)
    gesture(at_work, (12, 32, 34))
    at_work.settle()
    assert (at_work.layer.data[12, 30:35, 36:42] == 4).all()
    assert at_work.layer.data[12, 25, 38] == 2
    before = at_work.layer.data.copy()
    at_work.page.corrector.toggle_lock(INSIDE)
    gesture(at_work, INSIDE, held=["Alt"])
    at_work.settle()
    np.testing.assert_array_equal(at_work.layer.data, before)


def test_three_clicks_and_one_undone_are_kept_in_the_provenance(at_work):
    toggle(at_work)
    for voxel, held in ((MISSING, ()), (INSIDE, ("Alt",)), (INSIDE, ())):
        gesture(at_work, voxel, held=held)
        at_work.settle()
    at_work.layer.undo()
    told = to_segmentation(at_work.layer, at_work.viewer.layers).provenance["clicks"][-1]["clicks"]
    assert [click["sign"] for click in told] == ["+", "-"]
    assert told[0]["at"] == list(MISSING)
    assert marks(at_work) == 2


def test_clicks_made_in_quick_succession_all_count(at_work):
    toggle(at_work)
    gesture(at_work, MISSING)
    gesture(at_work, OUTSIDE)
    at_work.settle()
    assert at_work.layer.data[MISSING] == 2 and at_work.layer.data[OUTSIDE] == 2
    assert len(at_work.panel.active_mask.mask.edits.clicks) == 2


def test_a_region_gets_its_own_label(at_work):
    assert list(at_work.clicks.scope.choices) == ["selected label", "whole lesion", "WT", "TC"]
    at_work.clicks.scope.value = "TC"
    toggle(at_work)
    gesture(at_work, MISSING)
    at_work.settle()
    assert at_work.layer.data[MISSING] == 1


def test_the_mode_gives_the_layer_back_as_it_was(at_work):
    at_work.layer.mode = "paint"
    toggle(at_work)
    assert (str(at_work.layer.mode), at_work.layer.mouse_pan) == ("pan_zoom", False)
    at_work.layer.keymap[coerce_keybinding("Escape")](at_work.layer)
    assert str(at_work.layer.mode) == "paint"
    assert not at_work.clicks.button.isChecked()
    at_work.layer.mode = "pan_zoom"
    assert at_work.layer.mouse_pan


def test_what_is_lacking_is_said(at_work, complaints):
    at_work.layer.selected_label = 7
    toggle(at_work)
    gesture(at_work, MISSING)
    assert "Select the label" in at_work.page.status.value
    toggle(at_work)
    at_work.viewer.dims.ndisplay = 3
    at_work.clicks.button.click()
    assert "In 3-D" in at_work.page.status.value
    assert not at_work.clicks.button.isChecked()
    at_work.viewer.dims.ndisplay = 2
    at_work.viewer.layers.selection.active = at_work.viewer.add_layer(Labels(np.zeros((3, 4, 5), np.uint8)))
    at_work.clicks.button.click()
    assert "open its scan" in at_work.page.status.value


def test_a_click_that_is_undone_while_it_is_refined_stays_undone(at_work):
    before = at_work.layer.data.copy()
    toggle(at_work)
    gesture(at_work, MISSING)
    at_work.layer.undo()
    at_work.settle()
    np.testing.assert_array_equal(at_work.layer.data, before)
    assert at_work.page.status.value == "The click was undone." and marks(at_work) == 0


def test_a_mask_of_equal_shape_in_another_place_is_refused(at_work, complaints):
    at_work.layer.translate = np.add(at_work.layer.translate, (0, 7, 0))
    at_work.clicks.button.click()
    assert "does not lie on the voxels of the scan" in at_work.page.status.value
    assert not at_work.clicks.button.isChecked()
