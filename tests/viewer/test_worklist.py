"""A folder of cases, worked through in a real window, today and tomorrow."""

from __future__ import annotations

import gc
import json
import time
import weakref

import nibabel as nib
import numpy as np
import pytest
from napari.layers import Labels

from napari_tumorseg.io import read_mask
from napari_tumorseg.session import STATE_FILE, State, Worklist
from napari_tumorseg.viewer.cases.page import SIGNS
from napari_tumorseg.viewer.keys import KEYS
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.safety import closing
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
    panel.viewer = viewer
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
    from napari.layers import Layer

    from napari_tumorseg.regions import SCHEMES
    from napari_tumorseg.scan import Segmentation
    from napari_tumorseg.viewer.layers.to_layers import labels_layer

    origin = next(o for o in map(origin_of, viewer.layers) if o)
    labels = np.zeros(origin.grid.shape, np.uint8)
    labels[2:5, 10:18, 30:36] = 1
    seg = Segmentation(
        labels, origin.grid, SCHEMES["binary"], origin.case, provenance={"model": {"name": "tiny"}}
    )
    data = labels_layer(seg, name=f"{origin.case} seg", case=origin.case, group=origin.group, model=True)
    layer = viewer.add_layer(Layer.create(*data))
    viewer.layers.selection.active = layer
    return layer


def test_the_cases_are_listed_with_their_states(section, tmp_path):
    assert shown(section) == dict.fromkeys("abc", SIGNS[State.NEW])
    assert section.worklist.output == tmp_path / "study_masks"
    assert "0 of 3 done" in section.folders.text()


def test_a_click_opens_a_case_and_the_next_one_takes_its_place(section, wait, new_panel):
    viewer = section._around.viewer
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


def test_keys_step_through_the_cases(section, wait):
    viewer = section._around.viewer
    viewer.keymap[next(k for k in viewer.keymap if str(k) == KEYS["next_case"].key)](viewer)
    wait(lambda: section.current == "a")
    viewer.keymap[next(k for k in viewer.keymap if str(k) == KEYS["next_case"].key)](viewer)
    wait(lambda: section.current == "b")


def test_the_next_day_goes_on_where_this_one_stopped(section, wait, tmp_path, new_panel):
    viewer = section._around.viewer
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
    assert "Go on with a" in again.note.value
    again.open_case("b")
    wait(lambda: again.current == "b")
    mask = panel.in_hand.layer
    assert mask.name == "b seg" and isinstance(mask, Labels)
    np.testing.assert_array_equal(mask.data, corrected)
    assert origin_of(mask).provenance["model"] == {"name": "tiny"}
    again.open_case("a")
    wait(lambda: again.current == "a")
    np.testing.assert_array_equal(panel.in_hand.layer.data, untouched)
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


def test_a_mask_that_was_drawn_is_kept_with_its_scan(section, wait, tmp_path):
    opened(section, "a", wait)
    layer = draw(section, section._around.viewer, value=1)
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


def test_a_mask_that_came_with_the_case_is_not_kept_as_the_persons_own(section, wait, complaints, tmp_path):
    labels = np.zeros((48, 40, 6), np.uint8)
    labels[30:36, 10:18, 2:5] = 1
    truth = nib.Nifti1Image(labels, np.diag([-1.0, -1.0, 1.0, 1.0]))
    truth.header.set_xyzt_units("mm")
    nib.save(truth, tmp_path / "study" / "a" / "a_seg.nii.gz")
    opened(section, "a", wait)
    layer = section._around.in_hand.layer
    assert layer.name == "a_seg (from file)" and section._around.viewer.layers.selection.active is not layer
    section.save.click()
    assert "no mask of yours" in complaints[-1]
    layer.paint((3, 30, 10), 1)  # corrected, it is
    section.done.click()
    wait(lambda: section.current == "b")
    kept = read_mask(tmp_path / "study_masks" / "a_seg.nii.gz")
    assert kept.labels[3, 30, 10] == 1 and shown(section)["a"] == SIGNS[State.DONE]
    assert read_mask(tmp_path / "study" / "a" / "a_seg.nii.gz").labels[3, 30, 10] == 0


def test_unsaved_edits_are_asked_about(section, wait, monkeypatch, tmp_path):
    viewer = section._around.viewer
    opened(section, "a", wait)
    layer = segment(section, viewer)
    layer.paint((3, 30, 10), 1)
    asked = []

    def answer(what):
        def ask_about(names, *args, **kwargs):
            asked.append(list(names))
            return what

        monkeypatch.setattr(closing, "ask_about", ask_about)

    answer(closing.Answer.CANCEL)
    section.next.click()
    assert asked == [["a seg"]] and section.current == "a" and layer in viewer.layers
    answer(closing.Answer.SAVE)
    section.next.click()
    wait(lambda: section.current == "b")
    kept = read_mask(tmp_path / "study_masks" / "a_seg.nii.gz")
    np.testing.assert_array_equal(kept.labels, layer.data)
    layer = segment(section, viewer)
    layer.paint((3, 30, 10), 1)
    answer(closing.Answer.DISCARD)
    section.next.click()
    wait(lambda: section.current == "c")
    assert not (tmp_path / "study_masks" / "b_seg.nii.gz").exists()


def test_a_mask_that_someone_else_wrote_meanwhile_is_not_replaced(section, wait, complaints, tmp_path):
    viewer = section._around.viewer
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
    viewer = section._around.viewer
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
