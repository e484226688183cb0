"""A person at the page Correct: buttons, keys and strokes in a real window, voxel by voxel."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from napari.layers import Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)
from napari.utils.key_bindings import coerce_keybinding

from napari_tumorseg import edit
from napari_tumorseg.edit import ANY
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Role, Segmentation
from napari_tumorseg.viewer.correct.boxes import KIND as BOX
from napari_tumorseg.viewer.correct.locked_components import KIND as LOCKED
from napari_tumorseg.viewer.keys import COMMANDS
from napari_tumorseg.viewer.layers.origin import PROBABILITIES_KEY
from napari_tumorseg.viewer.layers.probability_maps import KIND as MAP
from napari_tumorseg.viewer.layers.probability_maps import UNCERTAINTY
from napari_tumorseg.viewer.layers.to_layers import case_layers, group_key, labels_layer
from napari_tumorseg.viewer.layers.views import views
from napari_tumorseg.viewer.widgets import ask
from tests.builders import card_of, save_model, threshold_net
from tests.viewer.conftest import NEEDS_SCREEN, case, grid, image

pytestmark = NEEDS_SCREEN

SHAPE = (8, 24, 24)
KEYS = {command.name: command for command in COMMANDS}
SPACING = (2.0, 1.0, 1.0)


@pytest.fixture(autouse=True)
def nobody_looks(monkeypatch):
    monkeypatch.setattr(ask, "window", lambda: None)


def start() -> np.ndarray:
    """Two lesions: oedema around an enhancing part, and a single block of oedema."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:6, 4:12, 4:12] = 2
    labels[3:5, 6:10, 6:10] = 3
    labels[3:5, 18:21, 18:21] = 2
    return labels


@pytest.fixture
def at_work(open_panel, wait):
    """A scan whose FLAIR is 0 outside a brain, a mask on it in hand, and the page Correct."""
    viewer, panel = open_panel()
    on = grid(SHAPE, SPACING)
    flair = image("case_flair", Role.FLAIR, on)
    data = np.full(SHAPE, 100, np.float32)
    data[:, :, :14] = 200
    data[:, :2] = data[:, -2:] = data[:, :, :2] = data[:, :, -2:] = 0
    one = case(type(flair)("case_flair", Role.FLAIR, data, on))
    for layer in case_layers(one)[0]:
        viewer.add_layer(Layer.create(*layer))
    group = viewer.layers[0].metadata["tumorseg"].group
    assert group_key(one)
    seg = Segmentation(start(), on, CONVENTIONS["brats-2023"], "case")
    viewer.add_layer(Layer.create(*labels_layer(seg, name="case seg", case="case", group=group)))
    layer = viewer.layers[-1]
    viewer.layers.selection.active = layer
    viewer.dims.set_current_step(0, 3)
    assert panel.active_mask.layer is layer
    told = []
    panel.active_mask.changed.connect(lambda _, change: told.append(change))
    return SimpleNamespace(
        viewer=viewer, panel=panel, page=panel.correct, layer=layer, told=told,
        settle=lambda: wait(lambda: not panel.correct.is_busy),
        pause=lambda: wait(lambda: not panel.correct.guard.is_waiting),
    )  # fmt: skip


def press(at, action: str) -> None:
    """Press an action's key."""
    at.viewer.keymap[coerce_keybinding(KEYS[action].key)](at.viewer)
    at.settle()


def click(at, action: str) -> None:
    """Press an action's button."""
    at.page.tools.buttons[action].click()
    at.settle()


def world(layer, point) -> tuple[float, ...]:
    return tuple(layer.data_to_world(point))


def point_at(at, *point: int) -> None:
    at.viewer.cursor.position = world(at.layer, point)


def drag(thing, places, **more) -> None:
    """Press the left button, move and let go."""
    event = SimpleNamespace(
        type="mouse_press", button=1, modifiers=[], pos=(0, 0), handled=False, is_dragging=False,
        view_direction=None, dims_displayed=[1, 2], position=places[0], **more,
    )  # fmt: skip
    mouse_press_callbacks(thing, event)
    for place in places[1:]:
        event.type, event.position, event.is_dragging = "mouse_move", place, True
        mouse_move_callbacks(thing, event)
    event.type = "mouse_release"
    mouse_release_callbacks(thing, event)


def stroke(at, label: int, *points, mode: str = "paint", size: int = 3) -> None:
    at.layer.selected_label, at.layer.mode, at.layer.brush_size = label, mode, size
    drag(at.layer, [world(at.layer, p) for p in points])
    at.pause()


def assert_one_step(at, before: np.ndarray, after: np.ndarray) -> None:
    """Check that the mask is as expected, was announced, and is undone and redone by one step each."""
    np.testing.assert_array_equal(at.layer.data, after)
    assert at.told
    np.testing.assert_array_equal(at.panel.active_mask.counts.labels, after)
    at.layer.undo()
    np.testing.assert_array_equal(at.layer.data, before)
    np.testing.assert_array_equal(at.panel.active_mask.counts.labels, before)
    at.layer.redo()
    np.testing.assert_array_equal(at.layer.data, after)


def applied(before: np.ndarray, change: edit.Change | None) -> np.ndarray:
    out = before.copy()
    assert change is not None
    change.apply(out)
    return out


# ---- components


@pytest.mark.parametrize("by", ["key", "button"])
@pytest.mark.parametrize(
    ("action", "point", "expected"),
    [
        ("reject", (3, 19, 19), lambda b: edit.reject_component(b, (3, 19, 19), region=ANY)),
        ("reject", (3, 7, 7), lambda b: edit.reject_component(b, (3, 7, 7), region=ANY)),
        ("keep_only", (3, 7, 7), lambda b: edit.keep_only_component(b, (3, 7, 7), region=ANY)),
        ("relabel", (3, 7, 7), lambda b: edit.relabel_component(b, (3, 7, 7), 1)),
    ],
)
def test_component_tools(at_work, by, action, point, expected):
    at_work.layer.selected_label = 1
    if by == "key":
        point_at(at_work, *point)
        press(at_work, action)
    else:
        at_work.layer.mode = "paint"
        click(at_work, action)
        assert at_work.layer.mode == "pan_zoom"  # the click that is awaited paints nothing
        drag(at_work.viewer, [world(at_work.layer, point)])
        at_work.settle()
        assert at_work.layer.mode == "paint"
    assert_one_step(at_work, start(), applied(start(), expected(start())))


def test_one_label_can_be_meant_instead_of_the_whole_lesion(at_work):
    at_work.page.tools.scope.value = "one label"
    point_at(at_work, 3, 7, 7)
    press(at_work, "reject")
    assert_one_step(at_work, start(), np.where(start() == 3, 0, start()))


def test_where_there_is_no_component_nothing_happens_and_it_is_told(at_work):
    for point in ((0, 0, 0), (-5, 0, 0)):
        point_at(at_work, *point)
        press(at_work, "reject")
        assert "point at" in at_work.page.status.value
    np.testing.assert_array_equal(at_work.layer.data, start())


def test_a_locked_component_is_shown_and_does_not_change(at_work):
    point_at(at_work, 3, 19, 19)
    steps = at_work.viewer.dims.nsteps
    press(at_work, "lock")
    (shown,) = views(at_work.viewer, LOCKED)
    np.testing.assert_allclose(shown.data_to_world(shown.data[0]), world(at_work.layer, (3, 19, 19)))
    assert at_work.viewer.dims.nsteps == steps  # the slider goes on counting slices
    assert at_work.viewer.layers.selection.active is at_work.layer
    press(at_work, "reject")
    assert "locked" in at_work.page.status.value and "key K" in at_work.page.status.value
    np.testing.assert_array_equal(at_work.layer.data, start())
    point_at(at_work, 3, 7, 7)
    press(at_work, "keep_only")
    np.testing.assert_array_equal(at_work.layer.data, start())  # there is only a locked one beside it
    at_work.layer.selected_label = 2
    press(at_work, "grow")
    np.testing.assert_array_equal(at_work.layer.data[:, 17:22, 17:22] == 2, grown()[:, 17:22, 17:22])
    point_at(at_work, 3, 19, 19)
    press(at_work, "lock")
    assert len(shown.data) == 0
    press(at_work, "reject")
    assert not at_work.layer.data[3:5, 18:21, 18:21].any()


def grown() -> np.ndarray:
    """A locked lesion can grow, but none of its voxels are lost."""
    return applied(start(), edit.grow(start(), 2, 1.0, SPACING, into=range(256))) == 2


# ---- the selected label


@pytest.mark.parametrize("by", ["key", "button"])
@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("grow", lambda b: edit.grow(b, 3, 1.5, SPACING, into=range(256))),
        ("shrink", lambda b: edit.shrink(b, 3, 1.5, SPACING)),
        ("smooth", lambda b: edit.smooth(b, 3, 1.5, SPACING, into=range(256))),
    ],
)
def test_tools_for_the_selected_label(at_work, by, action, expected):
    at_work.layer.selected_label = 3
    at_work.page.tools.mm.value = 1.5
    (press if by == "key" else click)(at_work, action)
    assert_one_step(at_work, start(), applied(start(), expected(start())))


def test_a_tool_leaves_protected_labels_and_tells_what_it_took(at_work):
    at_work.layer.selected_label = 3
    press(at_work, "grow")
    assert "were ED" in at_work.page.status.value
    at_work.layer.undo()
    at_work.page.labels.ticks[2].setChecked(True)
    press(at_work, "grow")
    assert "nothing to change" in at_work.page.status.value
    np.testing.assert_array_equal(at_work.layer.data, start())


def test_fill_between(at_work):
    before = start()
    at_work.layer.data_setitem(tuple(np.argwhere(before > 0).T), 0)
    at_work.layer.selected_label = 1
    with at_work.layer.block_history():
        for z in (1, 6):
            at_work.layer.data_setitem(np.where(np.arange(8)[:, None, None] == z) and tuple(
                np.array([(z, y, x) for y in range(8, 14) for x in range(8, 14)]).T), 1)  # fmt: skip
    painted = np.array(at_work.layer.data)
    press(at_work, "fill_between")
    assert_one_step(at_work, painted, applied(painted, edit.fill_between(painted, 1, spacing=SPACING)))
    assert (at_work.layer.data[3] == 1).sum() == 36


def test_only_the_gap_around_the_slice_shown_is_filled(at_work):
    at_work.layer.data_setitem(tuple(np.argwhere(start() > 0).T), 0)
    at_work.layer.selected_label = 1
    with at_work.layer.block_history():
        for z in (0, 2, 4, 7):
            square = np.argwhere(np.ones((1, 6, 6))).T + np.array([[z], [8], [8]])
            at_work.layer.data_setitem(tuple(square), 1)
    painted = np.array(at_work.layer.data)
    for shown in (4, 7):  # painted themselves
        at_work.viewer.dims.set_current_step(0, shown)
        press(at_work, "fill_between")
        np.testing.assert_array_equal(at_work.layer.data, painted)
        assert "no gap" in at_work.page.status.value and f"slice {shown}" in at_work.page.status.value
    at_work.viewer.dims.set_current_step(0, 5)
    press(at_work, "fill_between")
    after = painted.copy()
    after[5:7, 8:14, 8:14] = 1
    assert_one_step(at_work, painted, after)


def test_what_is_told_of_an_edit_goes_with_it(at_work):
    status = at_work.page.status
    at_work.layer.selected_label = 3
    press(at_work, "grow")
    assert "Grow ET" in status.value
    at_work.layer.undo()
    assert status.value.startswith("Undone") and "Grow" not in status.value
    at_work.layer.redo()
    assert status.value.startswith("Redone")
    press(at_work, "shrink")
    assert "Shrink ET" in status.value
    stroke(at_work, 1, (3, 16, 5))
    assert status.value == ""
    at_work.layer.selected_label = 0
    press(at_work, "grow")
    assert "background is selected" in status.value
    at_work.page.labels.ticks[3].setChecked(True)
    stroke(at_work, 1, (3, 7, 2), (3, 7, 14))  # the guard undoes it and writes what is allowed
    assert status.value == ""


def test_everything_outside_the_brain_goes(at_work):
    stroke(at_work, 1, (3, 0, 0), (3, 0, 20))
    before = np.array(at_work.layer.data)
    assert before[3, 0].any()
    click(at_work, "erase_outside")
    assert_one_step(at_work, before, start())


def test_a_tool_that_cannot_work_says_why(at_work):
    at_work.layer.selected_label = 0
    press(at_work, "grow")
    assert "background is selected" in at_work.page.status.value
    at_work.layer.selected_label = 9
    press(at_work, "grow")
    assert "not one of this mask's" in at_work.page.status.value
    at_work.viewer.layers.selection.active = None
    at_work.viewer.layers.remove(at_work.layer)
    press(at_work, "shrink")
    assert "Labels layer" in at_work.page.status.value


def test_the_picker_and_napari_agree_on_the_label(at_work):
    picker = at_work.page.labels
    assert [b.text().split()[0] for b in picker.choices.values()] == ["NCR", "ED", "ET"]
    picker.choices[3].click()
    assert at_work.layer.selected_label == 3
    at_work.layer.selected_label = 2
    assert [v for v, b in picker.choices.items() if b.isChecked()] == [2]
    at_work.layer.selected_label = 9
    assert not any(b.isChecked() for b in picker.choices.values())


# ---- strokes


def test_a_stroke_is_free_without_a_rule(at_work):
    before = start()
    stroke(at_work, 1, (3, 5, 5), (3, 5, 20))
    assert (at_work.layer.data != before).sum() > 40
    at_work.layer.undo()
    np.testing.assert_array_equal(at_work.layer.data, before)


@pytest.mark.parametrize("mode", ["paint", "erase", "fill"])
def test_a_stroke_leaves_protected_labels_and_one_undo_takes_all_of_it_back(at_work, mode):
    before = start()
    at_work.page.labels.ticks[3].setChecked(True)
    if mode == "fill":
        at_work.page.labels.ticks[2].setChecked(True)
    stroke(at_work, 1, (3, 7, 2), (3, 7, 14), mode=mode)
    after = np.array(at_work.layer.data)
    np.testing.assert_array_equal(after == 3, before == 3)
    if mode == "fill":
        np.testing.assert_array_equal(after == 2, before == 2)
    assert (after != before).any()
    assert_one_step(at_work, before, after)
    at_work.layer.undo()
    at_work.layer.undo()  # there is no further step
    np.testing.assert_array_equal(at_work.layer.data, before)


def test_a_stroke_that_is_not_allowed_at_all_leaves_no_step(at_work):
    stroke(at_work, 1, (3, 16, 5))
    first = np.array(at_work.layer.data)
    at_work.page.restrict.inside.value = "ET"
    stroke(at_work, 1, (3, 16, 16))
    np.testing.assert_array_equal(at_work.layer.data, first)
    at_work.layer.undo()
    np.testing.assert_array_equal(at_work.layer.data, start())


@pytest.mark.parametrize(
    ("inside", "labels"),
    [("ED", {2}), ("the tumour (any label)", {1, 2, 3}), ("the background only", {0})],
)
def test_strokes_keep_inside_a_label(at_work, inside, labels):
    before = start()
    at_work.page.restrict.inside.value = inside
    stroke(at_work, 1, (3, 7, 2), (3, 7, 14))
    after = np.array(at_work.layer.data)
    assert set(np.unique(before[after != before])) <= labels
    assert_one_step(at_work, before, after)


def test_strokes_keep_to_an_intensity_range(at_work):
    before = start()
    section = at_work.page.restrict
    section.image.value = "case flair"
    section.range.setValue((150, 250))
    stroke(at_work, 1, (3, 15, 5), (3, 15, 20))
    after = np.array(at_work.layer.data)
    changed = np.argwhere(after != before)
    assert len(changed) and changed[:, 2].max() == 13
    assert_one_step(at_work, before, after)
    section.image.value = "any intensity"
    stroke(at_work, 1, (3, 15, 5), (3, 15, 20))
    assert at_work.layer.data[3, 15, 20] == 1


def test_two_strokes_before_there_was_time_to_look_are_two_steps(at_work):
    before = start()
    at_work.page.labels.ticks[3].setChecked(True)
    at_work.layer.selected_label, at_work.layer.mode, at_work.layer.brush_size = 1, "paint", 1
    for x in (7, 8):
        drag(at_work.layer, [world(at_work.layer, (3, 4, x)), world(at_work.layer, (3, 8, x))])
    at_work.pause()
    after = np.array(at_work.layer.data)
    np.testing.assert_array_equal(after == 3, before == 3)
    assert (after == 1).sum() == 4
    at_work.layer.undo()
    assert (at_work.layer.data == 1).sum() == 2
    at_work.layer.undo()
    np.testing.assert_array_equal(at_work.layer.data, before)


def test_a_stroke_under_way_is_not_disturbed(at_work):
    at_work.page.labels.ticks[3].setChecked(True)
    at_work.layer.selected_label, at_work.layer.mode, at_work.layer.brush_size = 1, "paint", 1
    event = SimpleNamespace(
        type="mouse_press", button=1, modifiers=[], pos=(0, 0), handled=False, is_dragging=False,
        view_direction=None, dims_displayed=[1, 2], position=world(at_work.layer, (3, 7, 7)),
    )  # fmt: skip
    mouse_press_callbacks(at_work.layer, event)
    at_work.page.guard.check()
    assert at_work.layer.data[3, 7, 7] == 1
    event.type = "mouse_release"
    mouse_release_callbacks(at_work.layer, event)
    at_work.pause()
    np.testing.assert_array_equal(at_work.layer.data, start())


def test_tools_are_not_held_to_the_rule_for_strokes(at_work):
    at_work.page.restrict.inside.value = "ET"
    point_at(at_work, 3, 19, 19)
    press(at_work, "reject")
    at_work.pause()
    assert not at_work.layer.data[3:5, 18:21, 18:21].any()


# ---- the model again


@pytest.fixture
def with_model(at_work, tmp_path, monkeypatch):
    """The page with a model that calls what is over 150 in FLAIR tumour core (label 1)."""
    card = card_of(name="core", output={"names": ["WT", "TC"], "labels": [2, 1], "scheme": "brats-2023"})
    model = save_model(tmp_path / "models", threshold_net([0, 0], [50, 150]), card)
    panel = at_work.panel
    panel.model.models["core"] = model
    panel.model.chooser.reset_choices()
    panel.model.chooser.value = "core"
    assert not panel.problem
    return at_work


def model_says() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, 2:-2, 2:-2] = 2
    labels[:, 2:-2, 2:14] = 1
    return labels


def test_the_model_again_on_this_slice(with_model):
    press(with_model, "rerun_slice")
    after = start()
    after[3] = model_says()[3]
    assert_one_step(with_model, start(), after)


def test_the_model_again_in_a_rectangle(with_model):
    at = with_model
    at.page.rerun.draw.click()
    (shapes,) = views(at.viewer, BOX)
    assert shapes.mode == "add_rectangle"
    corners = [world(at.layer, (3, y, x)) for y, x in ((10, 10), (10, 15), (16, 15), (16, 10))]
    shapes.add_rectangles(np.array([shapes.world_to_data(c) for c in corners]))
    at.viewer.layers.selection.active = at.layer
    at.page.rerun.slices.value = 1
    press(at, "rerun_box")
    after = start()
    box = (slice(2, 5), slice(10, 17), slice(10, 16))
    after[box] = model_says()[box]
    assert_one_step(at, start(), after)


def test_the_model_again_around_a_component(with_model):
    at = with_model
    at.page.rerun.what.value = "the component pointed at"
    at.page.rerun.margin.value = 2
    at.page.rerun.box.click()
    drag(at.viewer, [world(at.layer, (3, 19, 19))])
    at.settle()
    after = start()
    box = (slice(2, 6), slice(16, 23), slice(16, 23))
    after[box] = model_says()[box]
    assert_one_step(at, start(), after)


def test_the_model_again_can_be_cancelled(with_model, wait, monkeypatch):
    import time

    import napari_tumorseg.inference as inference
    from napari_tumorseg.inference.settings import Progress

    def slow(scan, model, settings, analysis):
        for index in range(1000):
            time.sleep(0.02)
            yield Progress(index + 1, 1000, 0, 0, np.zeros(SHAPE[1:], np.uint8))

    monkeypatch.setattr(inference, "run", slow)
    rerun = with_model.page.rerun
    rerun.slice.click()
    wait(lambda: "Slice" in with_model.page.status.value)
    assert not rerun.slice.isEnabled()
    rerun.cancel.click()
    assert rerun.slice.isEnabled() and not with_model.page.is_busy
    np.testing.assert_array_equal(with_model.layer.data, start())


def test_without_a_rectangle_it_says_so(with_model):
    press(with_model, "rerun_box")
    assert "no rectangle" in with_model.page.status.value


# ---- where to look


@pytest.fixture
def ran(with_model, wait):
    """A run of the model whose probabilities were kept."""
    panel = with_model.panel
    data = with_model.viewer.layers[0].data
    ramp = np.linspace(49, 53, SHAPE[2], dtype=np.float32)  # logits of WT from -1 to 3
    data[:] = np.where(data > 0, ramp, 0)
    data[4] = np.where(data[4] > 0, 50.0, 0)
    panel.segment()
    wait(lambda: not panel.is_running)
    with_model.layer = panel.active_mask.layer
    assert PROBABILITIES_KEY in with_model.layer.metadata
    with_model.settle()
    with_model.told.clear()
    return with_model


def test_it_says_how_sure_the_model_is(ran):
    words = ran.page.uncertainty.confidence.value
    assert words.startswith("Mean probability inside: WT 0.")
    assert "not found, largest probability anywhere: TC below 0.01" in words


def test_maps_are_shown_in_their_place_on_demand(ran):
    where = ran.page.uncertainty
    active = ran.viewer.layers.selection.active
    for name in ("WT", UNCERTAINTY):
        where.map_buttons.buttons[name].click()
        ran.settle()
    shown = views(ran.viewer, MAP)
    assert len(shown) == 2 and ran.viewer.layers.selection.active is active
    stored = where.maps.stored
    for layer, values in zip(shown, (stored.probabilities["WT"], stored.uncertainty()), strict=True):
        np.testing.assert_array_equal(layer.data, values)
        corner = [side.start for side in stored.box]
        np.testing.assert_allclose(layer.data_to_world((0, 0, 0)), world(ran.layer, corner))
    assert len(ran.panel.inputs.groups) == 1  # a map is no input
    where.map_buttons.buttons["WT"].click()
    assert len(views(ran.viewer, MAP)) == 1
    ran.viewer.layers.remove(shown[1])
    assert not where.map_buttons.buttons[UNCERTAINTY].isChecked()


def test_a_map_is_clear_where_there_is_nothing(ran):
    where = ran.page.uncertainty
    for name in ("WT", UNCERTAINTY):
        where.map_buttons.buttons[name].click()
        ran.settle()
    for layer in views(ran.viewer, MAP):
        alpha = layer.colormap.map(np.array([0, 0.02, 0.5, 1]))[:, 3]
        np.testing.assert_allclose(alpha, [0, 0, 1, 1], atol=0.01)
        assert layer.contrast_limits == [0, 255]


def test_next_most_uncertain_slice(ran):
    ran.viewer.dims.set_current_step(0, 0)
    press(ran, "next_uncertain")
    assert ran.viewer.dims.current_step[0] == 4
    press(ran, "next_uncertain")
    assert ran.viewer.dims.current_step[0] != 4


def test_the_threshold_is_one_step_and_keeps_corrections(ran, wait):
    where, before = ran.page.uncertainty, np.array(ran.layer.data)
    stroke(ran, 3, (2, 12, 12), (2, 12, 16), size=2)
    corrected = np.array(ran.layer.data)
    mine = corrected != before
    where.threshold.slider.sliderPressed.emit()
    for value in (0.6, 0.7, 0.9):  # a slider that is moved
        where.threshold.slider.setValue(value)
        ran.settle()
    where.threshold.slider.sliderReleased.emit()
    expected = where.maps.stored.labels_at(0.9)
    expected[mine] = corrected[mine]
    assert (expected != corrected).any()
    assert_one_step(ran, corrected, expected)


def test_undo_of_the_threshold_moves_the_slider_back_and_forth(ran):
    where, before = ran.page.uncertainty, np.array(ran.layer.data)
    where.threshold.slider.setValue(0.9)
    ran.settle()
    where.threshold.control.commit()
    edits = ran.panel.active_mask.mask.edits
    assert edits.thresholds == {"WT": 0.9, "TC": 0.9}
    ran.layer.undo()
    assert where.threshold.slider.value() == pytest.approx(0.5) and edits.thresholds == {}
    np.testing.assert_array_equal(ran.layer.data, before)
    ran.layer.redo()
    assert where.threshold.slider.value() == pytest.approx(0.9) and edits.thresholds == {"WT": 0.9, "TC": 0.9}
    where.threshold.button.click()
    ran.settle()
    np.testing.assert_array_equal(ran.layer.data, before)


def test_painting_ends_the_move_of_the_slider(ran):
    where = ran.page.uncertainty
    where.threshold.slider.setValue(0.8)
    ran.settle()
    stroke(ran, 3, (2, 12, 12), size=2)
    mine = np.array(ran.layer.data)
    where.threshold.slider.setValue(0.9)
    ran.settle()
    assert "corrected" in ran.page.status.value or (ran.layer.data[2, 12, 12] == 3)
    where.threshold.control.commit()
    ran.layer.undo()
    np.testing.assert_array_equal(ran.layer.data, mine)


def test_a_mask_without_maps_says_how_to_get_them(at_work):
    where = at_work.page.uncertainty
    assert "Keep probability maps" in where.confidence.value
    assert where.next.isHidden()
    press(at_work, "next_uncertain")
    assert "no probability maps" in at_work.page.status.value


# ---- keys


def test_no_key_is_one_of_naparis():
    import napari.layers as kinds
    from napari.components import ViewerModel
    from napari.utils.shortcuts import default_shortcuts

    used = {str(key) for keys in default_shortcuts.values() for key in keys}
    for kind in (ViewerModel, *(getattr(kinds, name) for name in kinds.__all__)):
        used |= {str(key) for key in getattr(kind, "class_keymap", {})}
    ours = [str(coerce_keybinding(key.key)) for key in KEYS.values()]
    assert not used & set(ours)
    assert len(set(ours)) == len(ours)


def test_keys_raise_no_warning(at_work):
    at_work.layer.selected_label = 3
    point_at(at_work, 3, 19, 19)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        for action in KEYS:
            press(at_work, action)


def test_what_the_docs_call_a_button_is_called_so(ran):
    from qtpy.QtWidgets import QAbstractButton

    read = (Path(__file__).resolve().parents[2] / "docs" / "howto" / "correct.md").read_text(encoding="utf-8")
    text = " ".join(read.split())
    panel = ran.panel
    shown = {button.text().split("  [")[0] for button in panel.findChildren(QAbstractButton)}
    shown |= {panel.tabs.tabText(i) for i in range(panel.tabs.count())} | {"ET", "Threshold"}
    shown |= {"Hide agreement", "Stop", "Nothing is lost."}  # other names of two buttons; no button
    named = {name.replace("...", "…") for name in re.findall(r"\*\*(.+?)\*\*", text)}
    assert named - shown == set()
    for action in ("lock", "reject", "keep_only", "relabel", "fill_between", "erase_outside"):
        button = at_button(ran, action)
        assert f"**{button}** ({KEYS[action].written_key})" in text


def at_button(at, action: str) -> str:
    """Return the text of an action's button, without its key."""
    return at.page.tools.buttons[action].text().split("  [")[0]


def test_swatches_are_what_the_mask_shows(at_work):
    colours = {None: "#FF00FF", 0: "transparent", 1: "#123456", 2: "#FEDCBA", 3: "#00FF00"}
    seg = Segmentation(start(), grid(SHAPE, SPACING), CONVENTIONS["brats-2023"], "case")
    other = Layer.create(*labels_layer(seg, name="other"))
    other.colormap = DirectLabelColormap(color_dict=colours)
    at_work.viewer.add_layer(other)
    assert at_work.panel.active_mask.layer is other
    picker, table = at_work.page.labels, at_work.panel.results.table
    assert [colour_at(picker.choices[v].icon(), 0.5) for v in (1, 2, 3)] == list(colours.values())[2:]
    assert [colour_at(table.item(r, 0).icon(), 0.5) for r in (0, 1)] == ["#123456", "#FEDCBA"]
    assert [colour_at(table.item(2, 0).icon(), x) for x in (0.1, 0.5, 0.9)] == list(colours.values())[2:]
    at_work.viewer.layers.selection.active = at_work.layer
    assert colour_at(table.item(0, 0).icon(), 0.5) != "#123456"
    assert colour_at(picker.choices[1].icon(), 0.5) != "#123456"


def colour_at(icon, across: float) -> str:
    picture = icon.pixmap(14, 14).toImage()
    return picture.pixelColor(int(across * (picture.width() - 1)), 5).name().upper()


def test_every_button_shows_its_key(at_work):
    page = at_work.page
    buttons = {
        **page.tools.buttons,
        "rerun_slice": page.rerun.slice,
        "rerun_box": page.rerun.box,
        "next_uncertain": page.uncertainty.next,
    }
    for action, button in buttons.items():
        assert button.text().endswith(f"[{KEYS[action].shown_key}]")
        assert KEYS[action].tip in button.toolTip()


def test_the_keys_go_with_the_panel(at_work):
    ours = {coerce_keybinding(KEYS[name].key) for name in ("grow", "reject", "next_uncertain")}
    assert ours <= set(at_work.viewer.keymap)
    at_work.viewer.window.remove_dock_widget(at_work.panel)
    assert not ours & set(at_work.viewer.keymap)
    stroke_free = Labels(np.zeros((4, 4), np.uint8))
    at_work.viewer.add_layer(stroke_free)  # nobody follows any more
