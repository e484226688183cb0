"""All cases of a worklist segmented in the background, in a real window and a process of its own."""

from __future__ import annotations

import json
import os
import time
from functools import partial

import numpy as np
import pytest
from napari.layers import Labels

from napari_tumorseg.cohorts import CohortSettings, plan
from napari_tumorseg.cohorts.background import Errand
from napari_tumorseg.io import read_mask
from napari_tumorseg.io.side_files import set_problems
from napari_tumorseg.session import State
from napari_tumorseg.viewer.cases.case_list import FAILED, FLAG, RUNNING, SIGNS, name_of
from tests.builders import card_of, head, save_model, threshold_net, write_case
from tests.viewer.conftest import NEEDS_SCREEN

pytestmark = NEEDS_SCREEN

SHAPE = (6, 40, 48)
NAMES = ("anna", "b", "c")


@pytest.fixture(autouse=True)
def model(tmp_path, monkeypatch):
    """The user's only model; takes what is brighter than 300 in FLAIR for tumour."""
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return save_model(tmp_path / "models", threshold_net([0], [300.0]), card_of())


@pytest.fixture
def cases(tmp_path):
    for name in NAMES:
        write_case(tmp_path / "study", {"flair": head(SHAPE)}, name)
    write_case(tmp_path / "study", {"t1": head(SHAPE)}, "odd")
    return tmp_path / "study"


@pytest.fixture
def page(new_panel, wait, cases, monkeypatch):
    # else a busy machine that tests would wait for it
    monkeypatch.setattr("napari_tumorseg.viewer.cases.page.Errand", partial(Errand, niceness=0))
    _, panel = new_panel()
    panel.cases.open_folder(cases)
    wait(lambda: panel.cases.worklist is not None)
    panel.cases.segment_all.model.setCurrentText("tiny")
    yield panel.cases
    panel.cases.segment_all.end()


def shown(page):
    items = [page.list.topLevelItem(i) for i in range(page.list.topLevelItemCount())]
    return {name_of(item): item.text(1).removesuffix(f" {FLAG}") for item in items}


def visible(page):
    items = [page.list.topLevelItem(i) for i in range(page.list.topLevelItemCount())]
    return [name_of(item) for item in items if not item.isHidden()]


def run_to_end(page, wait):
    page.segment_all.start.click()
    assert page.segment_all.is_running and page.segment_all.start.text() == "Stop"
    wait(lambda: not page.segment_all.is_running)


def opened(page, name, wait):
    page.open_case(name)
    wait(lambda: page.current == name)


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_all_cases_are_segmented_and_a_failure_is_told_in_its_row(page, wait, tmp_path, complaints):
    run_to_end(page, wait)
    wait(lambda: shown(page)["c"] == SIGNS[State.SEGMENTED] and shown(page)["odd"] == FAILED)
    assert page.segment_all.note.value == "3 cases segmented. 1 case failed: the list has the reasons."
    assert page.segment_all.start.text() == "Segment all" and not complaints
    tip = page.list.topLevelItem(3).toolTip(1)
    assert tip.startswith("The last run failed: odd: the model tiny needs FLAIR")
    output = tmp_path / "study_masks"
    for name in NAMES:
        labels = read_mask(output / f"{name}_seg.nii.gz").labels
        np.testing.assert_array_equal(labels > 0, head(SHAPE) > 300)
    # the very files of a cohort: a run of it has nothing to do
    planned = plan(tmp_path / "study", output, CohortSettings("tiny"))
    assert not planned.todo() and planned.counts()["done"] == 3
    page.search.setText("failed")
    assert visible(page) == ["odd"]
    page.search.setText("ANN")
    assert visible(page) == ["anna"]
    page.search.returnPressed.emit()
    wait(lambda: page.current == "anna")
    assert page._context.active_mask.layer.name == "anna seg"


@pytest.mark.slow
def test_stop_ends_the_process_and_the_button_goes_on(page, wait, tmp_path):
    for number in range(12):
        write_case(tmp_path / "study", {"flair": head(SHAPE)}, f"p{number:02d}")
    page.open_folder(tmp_path / "study")
    wait(lambda: len(page.worklist.entries) == 16)
    page.segment_all.start.click()
    process = page.segment_all._run._process.processId()
    wait(lambda: page.segment_all.bar.value() > 1)
    assert RUNNING in shown(page).values() and " left" in page.segment_all.note.value
    pressed = time.monotonic()
    page.segment_all.start.click()
    wait(lambda: not page.segment_all.is_running)
    assert time.monotonic() - pressed < 5 and not is_alive(process)
    assert page.segment_all.note.value.startswith("Stopped after ")
    done = sorted((tmp_path / "study_masks").glob("*_seg.nii.gz"))
    assert 0 < len(done) < 15 and not any(set_problems(path) for path in done)
    run_to_end(page, wait)
    wait(lambda: list(shown(page).values()).count(SIGNS[State.SEGMENTED]) == 15)


@pytest.mark.slow
def test_what_a_person_does_meanwhile_stays(page, wait, tmp_path, complaints):
    viewer = page._context.viewer
    opened(page, "b", wait)
    run_to_end(page, wait)
    wait(lambda: any(layer.name == "b seg" for layer in viewer.layers))
    assert page.note.value == "The mask of b is ready."
    layer = page._context.active_mask.layer
    layer.paint((3, 30, 10), 1)
    page.done.click()
    wait(lambda: shown(page)["b"] == SIGNS[State.DONE] and page.current not in (None, "b"))
    corrected = read_mask(tmp_path / "study_masks" / "b_seg.nii.gz").labels
    np.testing.assert_array_equal(corrected, layer.data)
    page.segment_all.redo.setChecked(True)
    run_to_end(page, wait)
    after = read_mask(tmp_path / "study_masks" / "b_seg.nii.gz").labels
    np.testing.assert_array_equal(after, corrected)
    assert not complaints


def test_a_mask_that_is_being_drawn_replaces_the_automatic_one(page, wait, tmp_path, complaints):
    viewer = page._context.viewer
    opened(page, "b", wait)
    image = viewer.layers[0]
    drawn = viewer.add_labels(np.zeros(SHAPE, np.uint8), scale=image.scale, translate=image.translate)
    drawn.units = image.units
    drawn.paint((3, 14, 32), 1)
    run_to_end(page, wait)
    wait(lambda: shown(page)["b"] == SIGNS[State.SEGMENTED])
    assert [x for x in viewer.layers if isinstance(x, Labels)] == [drawn]
    page.save.click()
    wait(lambda: shown(page)["b"] == SIGNS[State.CORRECTED])
    np.testing.assert_array_equal(read_mask(tmp_path / "study_masks" / "b_seg.nii.gz").labels, drawn.data)
    assert not complaints


def test_a_process_that_dies_is_told(page, wait):
    page.segment_all.start.click()
    page.segment_all._run._process.kill()
    wait(lambda: not page.segment_all.is_running)
    assert "ended unexpectedly" in page.segment_all.note.value


def test_what_cannot_be_done_at_all_is_told(page, wait, complaints, tmp_path):
    page.set_output(tmp_path / "study" / "masks")
    wait(lambda: page.worklist.output == tmp_path / "study" / "masks")
    page.segment_all.start.click()
    wait(lambda: bool(complaints))
    assert "lies in study" in complaints[-1]


def test_the_order_of_the_list_is_chosen(page, wait, tmp_path):
    output = tmp_path / "study_masks"
    output.mkdir()
    values = {"anna": 0.1, "b": 0.4, "c": 0.2}
    for name, value in values.items():
        side = {"scheme": "binary", "disagreement": value}
        (output / f"{name}_seg.json").write_text(json.dumps(side))
    for name in values:  # last, since it is the mask that is noticed
        (output / f"{name}_seg.nii.gz").write_bytes(b"mask")
    wait(lambda: shown(page)["c"] == SIGNS[State.SEGMENTED])  # noticed, whoever wrote them
    page.order.setCurrentIndex(2)
    page.order.activated.emit(2)
    assert list(shown(page)) == ["b", "c", "anna", "odd"]
    assert "disagreement 0.40" in page.list.topLevelItem(0).toolTip(1)
    page.next.click()
    wait(lambda: page._asked_for == "b")
