"""A folder of cases, worked through in a real window, today and tomorrow."""

from __future__ import annotations

import gc
import json
import time
import weakref

import nibabel as nib
import numpy as np
import pytest
from napari.layers import Labels, Layer

from napari_tumorseg.io import read_mask
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.session import STATE_FILE, State, Worklist
from napari_tumorseg.viewer.autosave import close_guard
from napari_tumorseg.viewer.cases.case_list import SIGNS
from napari_tumorseg.viewer.cases.commands import NEXT_CASE
from napari_tumorseg.viewer.layers.edits import edits_of
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.to_layers import labels_layer
from tests.builders import head, write_case
from tests.viewer.conftest import NEEDS_SCREEN

pytestmark = NEEDS_SCREEN


def study(tmp_path, names=("a", "b", "c"), shape=(6, 40, 48)):
    folder = tmp_path / "study"
    for name in names:
        write_case(folder, {"flair": head(shape), "t1c": 2 * head(shape)}, name)
    return folder


@pytest.fixture
def section(new_panel, wait, tmp_path):
    viewer, panel = new_panel()
    panel.cases.open_folder(study(tmp_path))
    wait(lambda: panel.cases.worklist is not None)
    panel.cases.viewer, panel.cases.bar = viewer, panel.safety.bar
    return panel.cases


def opened(section, name, wait):
    section.open_case(name)
    wait(lambda: section.current == name)


def draw(section, viewer, value=2):
    """Draw a mask as a person does: a new Labels layer, and a stroke."""
    image = next(x for x in viewer.layers if origin_of(x))
    layer = viewer.add_labels(
        np.zeros(image.data.shape, np.uint8), scale=image.scale, translate=image.translate, units=image.units
    )
    layer.brush_size = 4
    layer.paint((3, 14, 32), value)
    return layer


def shown(section):
    items = [section.list.topLevelItem(i) for i in range(section.list.topLevelItemCount())]
    return {item.text(0): item.text(1) for item in items}


def segment(section, viewer, monkeypatch=None):
    """Stand in for a run: a mask of a model in the case's group."""
    origin = next(o for o in map(origin_of, viewer.layers) if o)
    labels = np.zeros(origin.grid.shape, np.uint8)
    labels[2:5, 10:18, 30:36] = 1
    seg = Segmentation(
        labels, origin.grid, CONVENTIONS["binary"], origin.case, provenance={"model": {"name": "tiny"}}
    )
    data = labels_layer(seg, name=f"{origin.case} seg", case=origin.case, group=origin.group, model=True)
    layer = viewer.add_layer(Layer.create(*data))
    viewer.layers.selection.active = layer
    return layer


def test_the_cases_are_listed_with_their_states(section, tmp_path):
    assert shown(section) == dict.fromkeys("abc", SIGNS[State.NEW])
    assert section.worklist.output == tmp_path / "study_masks"
    assert "0 of 3 done" in section.folders.text()


@pytest.mark.slow
def test_a_click_opens_a_case_and_the_next_one_takes_its_place(section, wait, new_panel):
    viewer = section._context.viewer
    own = viewer.add_image(np.zeros((6, 40, 48)), name="my own")
    section.list.itemClicked.emit(section.list.topLevelItem(1), 0)
    wait(lambda: section.current == "b")
    assert {x.name for x in viewer.layers} == {"b flair", "b t1c", "my own"}
    section.next.click()
    wait(lambda: section.current == "c")
    assert {x.name for x in viewer.layers} == {"c flair", "c t1c", "my own"} and own in viewer.layers
    section.next.click()
    assert section.current == "c" and section.note.value == "This is the last case."
    section.previous.click()
    wait(lambda: section.current == "b")


@pytest.mark.slow
def test_keys_step_through_the_cases(section, wait):
    viewer = section._context.viewer
    viewer.keymap[next(k for k in viewer.keymap if str(k) == NEXT_CASE.key)](viewer)
    wait(lambda: section.current == "a")
    viewer.keymap[next(k for k in viewer.keymap if str(k) == NEXT_CASE.key)](viewer)
    wait(lambda: section.current == "b")


@pytest.mark.slow
def test_the_next_day_goes_on_where_this_one_stopped(section, wait, tmp_path, new_panel):
    viewer = section._context.viewer
    # a: segmented, kept, not looked at further; b: corrected; c: done at once
    opened(section, "a", wait)
    untouched = np.array(segment(section, viewer).data)
    section.save.click()
    wait(lambda: shown(section)["a"] == SIGNS[State.SEGMENTED])
    opened(section, "b", wait)
    layer = segment(section, viewer)
    layer.brush_size = 5
    layer.paint((3, 30, 10), 1)
    corrected = np.array(layer.data)
    section.save.click()
    wait(lambda: shown(section)["b"] == SIGNS[State.CORRECTED])
    opened(section, "c", wait)
    segment(section, viewer)
    section.done.click()
    wait(lambda: shown(section)["c"] == SIGNS[State.DONE] and section.current == "a")

    # the next day: another window
    panel = new_panel()[1]
    again = panel.cases
    again.open_folder(tmp_path / "study")
    wait(lambda: again.worklist is not None)
    assert shown(again) == {"a": SIGNS[State.SEGMENTED], "b": SIGNS[State.CORRECTED], "c": SIGNS[State.DONE]}
    assert "Continue with a" in again.note.value
    again.open_case("b")
    wait(lambda: again.current == "b")
    mask = panel.active_mask.layer
    assert mask.name == "b seg" and isinstance(mask, Labels)
    np.testing.assert_array_equal(mask.data, corrected)
    assert origin_of(mask).provenance["model"] == {"name": "tiny"}
    again.open_case("a")
    wait(lambda: again.current == "a")
    np.testing.assert_array_equal(panel.active_mask.layer.data, untouched)
    # the states lie beside the masks, which lie on the scan's grid
    output = tmp_path / "study_masks"
    told = json.loads((output / STATE_FILE).read_text())["cases"]
    assert {name: noted["state"] for name, noted in told.items()} == {
        "a": "segmented",
        "b": "segmented",
        "c": "done",
    }
    np.testing.assert_array_equal(read_mask(output / "b_seg.nii.gz").labels, corrected)
    scan = nib.load(tmp_path / "study" / "b" / "b_flair.nii.gz")
    written = nib.load(output / "b_seg.nii.gz")
    assert written.shape == scan.shape
    np.testing.assert_allclose(written.affine, scan.affine)


@pytest.mark.slow
def test_a_mask_that_was_drawn_is_kept_with_its_scan(section, wait, tmp_path):
    opened(section, "a", wait)
    layer = draw(section, section._context.viewer, value=1)
    section.done.click()
    wait(lambda: section.current == "b")
    kept = read_mask(tmp_path / "study_masks" / "a_seg.nii.gz")
    np.testing.assert_array_equal(kept.labels, layer.data)
    assert kept.grid.spacing_mm == (1, 1, 1)


def test_a_case_without_a_mask_can_be_done(section, wait):
    opened(section, "a", wait)
    section.done.click()
    wait(lambda: section.current == "b")
    assert shown(section)["a"] == SIGNS[State.DONE]


@pytest.mark.slow
def test_a_mask_that_came_with_the_case_is_not_kept_as_the_persons_own(section, wait, complaints, tmp_path):
    labels = np.zeros((48, 40, 6), np.uint8)
    labels[30:36, 10:18, 2:5] = 1
    truth = nib.Nifti1Image(labels, np.diag([-1.0, -1.0, 1.0, 1.0]))
    truth.header.set_xyzt_units("mm")
    nib.save(truth, tmp_path / "study" / "a" / "a_seg.nii.gz")
    opened(section, "a", wait)
    layer = section._context.active_mask.layer
    assert layer.name == "a_seg (from file)" and section._context.viewer.layers.selection.active is not layer
    section.save.click()
    assert "no mask of yours" in complaints[-1]
    layer.paint((3, 30, 10), 1)  # corrected, it is
    section.done.click()
    wait(lambda: section.current == "b")
    kept = read_mask(tmp_path / "study_masks" / "a_seg.nii.gz")
    assert kept.labels[3, 30, 10] == 1 and shown(section)["a"] == SIGNS[State.DONE]
    assert read_mask(tmp_path / "study" / "a" / "a_seg.nii.gz").labels[3, 30, 10] == 0


@pytest.mark.slow
def test_unsaved_edits_are_asked_about(section, wait, monkeypatch, tmp_path):
    viewer = section._context.viewer
    opened(section, "a", wait)
    layer = segment(section, viewer)
    layer.paint((3, 30, 10), 1)
    asked = []

    def answer(what):
        def ask_about(names, *args, **kwargs):
            asked.append(list(names))
            return what

        monkeypatch.setattr(close_guard, "ask_about", ask_about)

    answer(close_guard.Answer.CANCEL)
    section.next.click()
    assert asked == [["a seg"]] and section.current == "a" and layer in viewer.layers
    answer(close_guard.Answer.SAVE)
    section.next.click()
    wait(lambda: section.current == "b")
    kept = read_mask(tmp_path / "study_masks" / "a_seg.nii.gz")
    np.testing.assert_array_equal(kept.labels, layer.data)
    layer = segment(section, viewer)
    layer.paint((3, 30, 10), 1)
    answer(close_guard.Answer.DISCARD)
    section.next.click()
    wait(lambda: section.current == "c")
    assert not (tmp_path / "study_masks" / "b_seg.nii.gz").exists()


def test_a_mask_that_someone_else_wrote_meanwhile_is_not_replaced(section, wait, complaints, tmp_path):
    viewer = section._context.viewer
    opened(section, "a", wait)
    segment(section, viewer)
    section.save.click()
    wait(lambda: shown(section)["a"] == SIGNS[State.SEGMENTED])
    path = tmp_path / "study_masks" / "a_seg.nii.gz"
    time.sleep(0.02)
    path.write_bytes(path.read_bytes())
    section.save.click()
    assert "was changed by another program" in complaints[-1]


def test_a_mask_of_another_case_is_not_kept_here(section, wait, complaints, tmp_path):
    viewer = section._context.viewer
    opened(section, "a", wait)
    layer = viewer.add_labels(np.ones((3, 4, 5), np.uint8), name="elsewhere")
    viewer.layers.selection.active = layer
    section.save.click()
    assert "elsewhere does not belong to a" in complaints[-1]
    assert not (tmp_path / "study_masks").exists()


def test_a_case_that_cannot_be_read_is_told_and_the_list_stays(section, wait, complaints, tmp_path):
    for path in (tmp_path / "study" / "b").iterdir():
        path.write_bytes(b"nothing")
    section.open_case("b")
    wait(lambda: bool(complaints))
    assert section.current is None
    opened(section, "c", wait)


def test_a_case_that_cannot_be_read_is_passed_by(section, wait, complaints, tmp_path):
    for path in (tmp_path / "study" / "b").iterdir():
        path.write_bytes(b"nothing")
    opened(section, "a", wait)
    section.next.click()
    wait(lambda: bool(complaints))
    section.next.click()
    wait(lambda: section.current == "c")


def test_a_true_mask_among_the_masks_is_not_replaced(section, wait, complaints, tmp_path):
    labels = np.zeros((48, 40, 6), np.uint8)
    labels[30:36, 10:18, 2:5] = 1
    truth = tmp_path / "study_masks" / "a_seg.nii.gz"
    truth.parent.mkdir()
    nib.save(nib.Nifti1Image(labels, np.diag([-1.0, -1.0, 1.0, 1.0])), truth)
    before = truth.read_bytes()
    opened(section, "a", wait)
    segment(section, section.viewer)
    section.save.click()
    assert "was not written by this program" in complaints[-1] and truth.read_bytes() == before


@pytest.mark.slow
def test_nothing_comes_between_a_mask_and_its_file(section, wait, complaints, tmp_path):
    opened(section, "a", wait)
    segment(section, section.viewer)
    section.done.click()
    section.next.click()
    section.save.click()
    section._context.safely(lambda: section.open_folder(tmp_path / "study"))()
    assert len(complaints) == 3 and all("being saved" in told for told in complaints)
    wait(lambda: section.current == "b")
    section.previous.click()  # and what was refused can be done then
    wait(lambda: section.current == "a")
    assert shown(section)["a"] == SIGNS[State.DONE]


@pytest.mark.slow
def test_memory_stays_flat_over_twenty_cases(new_panel, wait, tmp_path):
    import psutil

    viewer, panel = new_panel()
    names = [f"case{i:02d}" for i in range(20)]
    section, process = panel.cases, psutil.Process()
    section.open_folder(study(tmp_path, names, (20, 96, 96)))
    wait(lambda: section.worklist is not None)
    masks, images, held = [], [], []
    for name in names:
        opened(section, name, wait)
        assert len(viewer.layers) == 2
        images += [weakref.ref(layer) for layer in viewer.layers]
        masks.append(weakref.ref(segment(section, viewer)))
        masks[-1]().paint((3, 30, 10), 1)
        section._keep(State.DONE, lambda: None)
        wait(lambda: not section._work.is_busy)
        gc.collect()
        assert sum(ref() is not None for ref in masks) == 1
        assert sum(ref() is not None for ref in images) == 2
        held.append(process.memory_info().rss / 2**20)
    # what twenty cases hold is some 50 MB; seen were 3 MB from the fifth on
    assert held[-1] - held[4] < 15, [round(value) for value in held]
    assert Worklist.open(tmp_path / "study", tmp_path / "study_masks").counts()[State.DONE] == 20


# ---- the earlier case goes, what the user brought stays


def answers(monkeypatch, what):
    """Answer the question about unsaved edits; return what was asked about."""
    asked = []

    def ask_about(names):
        asked.append(list(names))
        return what

    monkeypatch.setattr(close_guard, "ask_about", ask_about)
    return asked


@pytest.mark.slow
def test_everything_that_was_made_of_a_case_goes_with_it(new_panel, wait, tmp_path):
    from napari_tumorseg.inference.stored_probabilities import StoredProbabilities
    from napari_tumorseg.models.card import Output
    from napari_tumorseg.viewer.layers.origin import PROBABILITIES_KEY

    viewer, panel = new_panel(show=True)
    section = panel.cases
    section.open_folder(study(tmp_path, shape=(12, 48, 56)))
    wait(lambda: section.worklist is not None)
    own = viewer.add_image(np.zeros((12, 48, 56)), name="my own")
    atlas = viewer.add_labels(np.ones((12, 48, 56), np.uint8), name="my atlas")
    opened(section, "a", wait)
    layer = segment(section, viewer)
    viewer.layers.selection.active = own
    viewer.layers.selection.active = layer
    box = tuple(slice(0, n) for n in layer.data.shape)
    maps = {"WT": (200 * layer.data).astype(np.uint8)}
    output = Output(names=("WT",), labels=(1,), scheme="binary")
    layer.metadata[PROBABILITIES_KEY] = StoredProbabilities(maps, box, origin_of(layer).grid, output)
    panel.active_mask.activate(None)
    panel.active_mask.activate(layer)
    kept = [layer]
    panel.correct.corrector.toggle_lock((3, 14, 32))
    for name in ("WT", "uncertainty"):
        panel.correct.uncertainty.map_buttons.toggle(name)
    wait(lambda: not panel.correct.is_busy)
    section.save.click()
    wait(lambda: not section._work.is_busy)
    panel.compare.reference.open_file(tmp_path / "study_masks" / "a_seg.nii.gz")
    wait(lambda: panel.compare.reference.found is not None)
    panel.compare.reference.view.button.click()
    panel.compare.diameters.measure.click()
    wait(lambda: panel.compare.diameters.found is not None)
    panel.compare.presets.surfaces.click()
    wait(lambda: panel.compare.presets.preset.name == "surfaces")
    mine = [x for x in viewer.layers if x not in (own, atlas)]
    assert len(mine) >= 9, [x.name for x in mine]
    gone = [weakref.ref(x) for x in mine]
    del mine, layer, kept
    section.next.click()
    wait(lambda: section.current == "b")
    assert {x.name for x in viewer.layers} == {"b flair", "b t1c", "my own", "my atlas"}
    assert own in viewer.layers and atlas in viewer.layers
    wait(lambda: not panel.compare.presets.preset.is_active)
    assert viewer.layers["b flair"].visible
    gc.collect()
    assert not [ref() for ref in gone if ref() is not None]


@pytest.mark.slow
def test_a_drawn_mask_goes_with_its_case(section, wait, tmp_path):
    viewer = section._context.viewer
    opened(section, "a", wait)
    layer = draw(section, viewer, value=1)
    section.done.click()
    wait(lambda: section.current == "b")
    assert layer not in viewer.layers and {x.name for x in viewer.layers} == {"b flair", "b t1c"}


@pytest.mark.slow
def test_a_mask_of_before_is_not_taken_for_the_next_cases(section, wait, tmp_path):
    viewer = section._context.viewer
    opened(section, "a", wait)
    image = viewer.layers[0]
    place = {name: getattr(image, name) for name in ("scale", "translate", "units")}
    atlas = viewer.add_labels(np.ones(image.data.shape, np.uint8), name="atlas", **place)
    assert section._context.active_mask.layer == atlas
    section.next.click()
    wait(lambda: section.current == "b")
    assert atlas in viewer.layers and section._context.active_mask.layer is None
    section.done.click()
    wait(lambda: section.current == "c")
    assert not (tmp_path / "study_masks" / "b_seg.nii.gz").exists()


@pytest.mark.slow
def test_a_mask_of_before_is_refused_even_if_it_is_chosen(section, wait, complaints, tmp_path):
    viewer = section._context.viewer
    opened(section, "a", wait)
    image = viewer.layers[0]
    place = {name: getattr(image, name) for name in ("scale", "translate", "units")}
    atlas = viewer.add_labels(np.zeros(image.data.shape, np.uint8), name="atlas", **place)
    on = origin_of(image).grid
    seg = Segmentation(np.zeros(on.shape, np.uint8), on, CONVENTIONS["binary"], "x", tmp_path / "x.nii.gz")
    mine = viewer.add_layer(Layer.create(*labels_layer(seg, name="from a file")))
    mine.paint((3, 14, 32), 1)
    section.save.click()  # opened and corrected while a is open: meant for it
    wait(lambda: shown(section)["a"] != SIGNS[State.NEW])
    section.next.click()
    wait(lambda: section.current == "b")
    for layer in (atlas, mine):  # both lie on the grid of b
        viewer.layers.selection.active = layer
        layer.paint((3, 30, 10), 1)
        section.done.click()
        assert f"{layer.name} does not belong to b" in complaints[-1]
    assert not (tmp_path / "study_masks" / "b_seg.nii.gz").exists()


@pytest.mark.slow
def test_a_mask_that_is_put_back_is_not_the_next_cases(section, wait, complaints, tmp_path):
    viewer, bar = section.viewer, section.bar
    opened(section, "a", wait)
    layer = draw(section, viewer, value=1)
    viewer.layers.remove(layer)
    section.next.click()
    wait(lambda: section.current == "b")
    bar.accept.click()
    assert layer in viewer.layers and section._context.active_mask.layer is layer
    section.done.click()
    assert "does not belong to b" in complaints[-1]
    assert not (tmp_path / "study_masks" / "b_seg.nii.gz").exists()


@pytest.mark.slow
def test_only_edits_of_the_case_are_asked_about(section, wait, monkeypatch, tmp_path):
    viewer = section._context.viewer
    opened(section, "a", wait)
    mine = viewer.add_labels(np.zeros((3, 4, 5), np.uint8), name="elsewhere")
    mine.paint((1, 1, 1), 1)
    drawn = draw(section, viewer, value=1)
    drawn.name = "drawn"
    asked = answers(monkeypatch, close_guard.Answer.SAVE)
    section.next.click()
    wait(lambda: section.current == "b")
    assert asked == [["drawn"]] and mine in viewer.layers and drawn not in viewer.layers
    np.testing.assert_array_equal(read_mask(tmp_path / "study_masks" / "a_seg.nii.gz").labels, drawn.data)
    section.next.click()
    wait(lambda: section.current == "c")
    assert len(asked) == 1 and mine in viewer.layers


@pytest.mark.slow
def test_only_the_mask_in_hand_is_kept_of_several(section, wait, monkeypatch, tmp_path):
    viewer = section._context.viewer
    opened(section, "a", wait)
    layer = segment(section, viewer)
    layer.paint((3, 30, 10), 1)
    other = draw(section, viewer, value=1)
    viewer.layers.selection.active = layer
    saved = []
    where = lambda *_: saved.append(1) or tmp_path / "o.nii"  # noqa: E731
    monkeypatch.setattr("napari_tumorseg.viewer.state.saving.ask_where", where)
    answers(monkeypatch, close_guard.Answer.SAVE)
    section.next.click()
    wait(lambda: section.current == "b")
    assert saved == [1]
    np.testing.assert_array_equal(read_mask(tmp_path / "study_masks" / "a_seg.nii.gz").labels, layer.data)
    np.testing.assert_array_equal(read_mask(tmp_path / "o.nii").labels, other.data)


@pytest.mark.slow
def test_edits_kept_for_later_are_offered_with_their_case(new_panel, wait, monkeypatch, tmp_path):
    viewer, panel = new_panel()
    section, bar = panel.cases, panel.safety.bar
    section.open_folder(study(tmp_path))
    wait(lambda: section.worklist is not None)
    opened(section, "a", wait)
    layer = segment(section, viewer)
    layer.paint((3, 30, 10), 1)
    labels, gone = np.array(layer.data), weakref.ref(layer)
    del layer
    answers(monkeypatch, close_guard.Answer.LATER)
    section.next.click()
    wait(lambda: section.current == "b")
    assert bar.shown is None  # it was no accident
    gc.collect()
    assert gone() is None
    section.previous.click()
    wait(lambda: section.current == "a" and bar.shown)
    assert "a seg can be recovered" in bar.text.text()
    bar.accept.click()
    wait(lambda: len(viewer.layers) == 3)
    np.testing.assert_array_equal(viewer.layers[-1].data, labels)
    assert viewer.layers[-1].name == "a seg (recovered)"
    section.done.click()
    wait(lambda: section.current == "b")
    np.testing.assert_array_equal(read_mask(tmp_path / "study_masks" / "a_seg.nii.gz").labels, labels)


@pytest.mark.slow
def test_a_result_that_nobody_saved_is_asked_about_and_kept_for_later(section, wait, monkeypatch):
    viewer = section.viewer
    opened(section, "a", wait)
    labels = np.array(segment(section, viewer).data)
    asked = answers(monkeypatch, close_guard.Answer.CANCEL)
    section.next.click()
    assert asked == [["a seg"]] and section.current == "a"
    asked = answers(monkeypatch, close_guard.Answer.LATER)
    section.next.click()
    wait(lambda: section.current == "b")
    assert section.bar.shown is None
    section.previous.click()
    wait(lambda: section.current == "a" and section.bar.shown)
    assert "The unsaved result a seg can be recovered (made on " in section.bar.text.text()
    section.bar.accept.click()
    wait(lambda: len(viewer.layers) == 3)
    np.testing.assert_array_equal(viewer.layers[-1].data, labels)
    section.save.click()
    wait(lambda: shown(section)["a"] == SIGNS[State.SEGMENTED])
    section.next.click()  # saved: nothing to ask
    wait(lambda: section.current == "b")
    assert asked == [["a seg"]]


def test_saving_on_leaving_that_is_broken_off_can_be_done_again(section, wait, monkeypatch, complaints):
    viewer = section.viewer
    opened(section, "a", wait)
    layer = segment(section, viewer)
    layer.paint((3, 30, 10), 1)
    draw(section, viewer, value=1)
    viewer.layers.selection.active = layer
    monkeypatch.setattr("napari_tumorseg.viewer.state.saving.ask_where", lambda *_: None)
    answers(monkeypatch, close_guard.Answer.SAVE)
    section.next.click()
    assert section.current == "a" and shown(section)["a"] != SIGNS[State.DONE]
    layer.paint((3, 30, 20), 1)
    section.save.click()
    wait(lambda: not section._work.is_busy)
    assert not complaints and not edits_of(layer).unsaved


@pytest.mark.parametrize("change", ["remove", "select another", "paint a strange label"])
def test_what_happens_while_a_mask_is_saved_is_no_crash(section, wait, complaints, tmp_path, change):
    viewer = section.viewer
    opened(section, "a", wait)
    layer = segment(section, viewer)
    layer.paint((3, 30, 10), 1)
    section.save.click()
    if change == "remove":
        viewer.layers.remove(layer)
    elif change == "select another":
        draw(section, viewer, value=2)
    else:
        layer.paint((3, 30, 20), 77)
    wait(lambda: not section._work.is_busy)
    assert section.note.value == "a seg is kept as a_seg.nii.gz." and not complaints
    assert edits_of(layer).unsaved is (change == "paint a strange label")


def test_masks_are_not_kept_among_the_cases(section, wait, complaints, tmp_path):
    section._context.safely(lambda: section.set_output(tmp_path / "study"))()
    assert "study holds the cases: choose another folder for the masks" in complaints[-1]
    assert section.worklist.output == tmp_path / "study_masks"


def test_another_list_of_the_same_cases_leaves_the_open_one(section, wait, monkeypatch, tmp_path):
    viewer = section._context.viewer
    opened(section, "a", wait)
    layer = segment(section, viewer)
    layer.paint((3, 30, 10), 1)
    asked = answers(monkeypatch, close_guard.Answer.CANCEL)
    section.set_output(tmp_path / "elsewhere")
    wait(lambda: section.worklist.output == tmp_path / "elsewhere")
    assert section.current == "a" and layer in viewer.layers and not asked
    section.save.click()
    wait(lambda: shown(section)["a"] == SIGNS[State.CORRECTED])
    assert (tmp_path / "elsewhere" / "a_seg.nii.gz").exists()


@pytest.mark.slow
def test_another_folder_closes_the_open_case_after_asking(section, wait, monkeypatch, tmp_path):
    viewer = section._context.viewer
    opened(section, "a", wait)
    layer = segment(section, viewer)
    layer.paint((3, 30, 10), 1)
    other = study(tmp_path / "more", ("x", "y"))
    asked = answers(monkeypatch, close_guard.Answer.CANCEL)
    section.open_folder(other)
    wait(lambda: asked)
    assert section.current == "a" and layer in viewer.layers and set(shown(section)) == {"a", "b", "c"}
    answers(monkeypatch, close_guard.Answer.DISCARD)
    section.open_folder(other)
    wait(lambda: set(shown(section)) == {"x", "y"})
    assert section.current is None and not viewer.layers


# ---- the next day


@pytest.mark.slow
def test_the_next_day_goes_on_with_the_last_folder(section, wait, new_panel, tmp_path):
    assert section.go_on.isHidden()
    opened(section, "a", wait)
    segment(section, section._context.viewer)
    section.done.click()
    wait(lambda: section.current == "b")
    _, panel = new_panel()
    tomorrow = panel.cases
    assert not tomorrow.go_on.isHidden() and tomorrow.go_on.text() == "Continue with study"
    assert str(tmp_path / "study_masks") in tomorrow.go_on.toolTip()
    tomorrow.go_on.click()
    wait(lambda: tomorrow.worklist is not None)
    assert tomorrow.go_on.isHidden()
    assert shown(tomorrow) == {"a": SIGNS[State.DONE], "b": SIGNS[State.NEW], "c": SIGNS[State.NEW]}
    assert "Continue with b" in tomorrow.note.value
    tomorrow.next.click()
    wait(lambda: tomorrow.current == "b")


def test_a_last_folder_that_is_gone_is_told(section, new_panel, wait, complaints, tmp_path):
    (tmp_path / "study").rename(tmp_path / "moved")
    _, panel = new_panel()
    panel.cases.go_on.click()
    wait(lambda: complaints)
    assert "study" in complaints[-1] and panel.cases.worklist is None
    panel.cases.open_folder(tmp_path / "moved")
    wait(lambda: panel.cases.worklist is not None)
