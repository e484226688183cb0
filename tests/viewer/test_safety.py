"""Nothing is lost: crashes, forgotten saves, closed windows, removed layers; in a real window."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QApplication

from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.session import Journal, journal_folder, recover, unfinished
from napari_tumorseg.viewer.autosave import close_guard
from napari_tumorseg.viewer.autosave.close_guard import Answer
from napari_tumorseg.viewer.layers.edits import edits_of
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.to_layers import labels_layer
from napari_tumorseg.viewer.readers import read_layers
from napari_tumorseg.viewer.state import saving
from napari_tumorseg.viewer.widgets import ask
from tests.viewer.conftest import NEEDS_SCREEN, grid
from tests.viewer.test_window import add

pytestmark = NEEDS_SCREEN

PAINT_AND_WAIT = """
import sys
import napari
import numpy as np
from napari_tumorseg.viewer.readers import read_layers
from napari.layers import Layer
from qtpy.QtCore import QTimer

viewer = napari.Viewer(show=False)
_, panel = viewer.window.add_plugin_dock_widget("napari-tumorseg", "Segment brain tumour")
for data in read_layers(sys.argv[1]):
    viewer.add_layer(Layer.create(*data))
layer = viewer.layers[-1]
layer.visible = True
viewer.layers.selection.active = layer
assert panel.active_mask.layer is layer
rng = np.random.default_rng(0)
layer.brush_size, layer.mode = 7, "paint"
count = 0

def stroke():
    global count
    place = rng.integers(layer.data.shape)
    with layer.block_history():
        for step in range(5):
            layer.paint(place + (0, 0, step), int(rng.choice([1, 2, 3])))
    count += 1
    print(count, flush=True)

timer = QTimer()
timer.setInterval(20)
timer.timeout.connect(stroke)
timer.start()
napari.run()
"""


@pytest.fixture(autouse=True)
def nobody_looks(monkeypatch):
    monkeypatch.setattr(ask, "window", lambda: None)


def one_mask(viewer, name="mask", model=False, **more) -> Labels:
    on = grid()
    seg = Segmentation(np.zeros(on.shape, np.uint8), on, CONVENTIONS["brats-2021"], "case", **more)
    add(viewer, [labels_layer(seg, name=name, model=model)])
    viewer.layers.selection.active = viewer.layers[-1]
    return viewer.layers[-1]


def scribble(layer, label=2) -> None:
    layer.mode = "paint"
    layer.paint((1, 2, 2), label)


@pytest.mark.slow
def test_strokes_come_back_after_a_kill(open_panel, brats, wait, own_state):
    folder = str(brats)
    environment = {**os.environ, "TUMORSEG_STATE": str(own_state)}
    command = [sys.executable, "-c", PAINT_AND_WAIT, folder]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        told = 0
        for line in process.stdout:
            told = int(line)
            if told >= 25:
                break
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        process.wait(30)
    assert process.returncode == -signal.SIGKILL
    painted = int(rest[-1]) if rest else told

    (left,) = unfinished(journal_folder())
    assert painted - 3 <= left.edit_counts.actions["paint"] <= painted + 1
    expected = recover(left.path).labels

    viewer, panel = open_panel()
    add(viewer, read_layers(folder))
    first = {layer: np.array(layer.data) for layer in viewer.layers}
    wait(lambda: panel.safety.bar.shown)
    text = panel.safety.bar.text.text()
    assert "Unsaved corrections of TumorSeg-Sample-000" in text and "edits" in text
    panel.safety.bar.accept.click()
    wait(lambda: len(viewer.layers) > len(first))
    layer = viewer.layers[-1]
    np.testing.assert_array_equal(layer.data, expected)
    assert np.count_nonzero(expected != first[viewer.layers[len(first) - 1]])
    for other, data in first.items():  # nothing is overwritten
        np.testing.assert_array_equal(other.data, data)
    assert panel.active_mask.layer is layer and edits_of(layer).unsaved
    assert origin_of(layer).convention.name == "brats-2023"

    panel.safety.autosave.journals.flush()
    assert not left.path.exists()  # its edits are in another journal now
    assert not unfinished(journal_folder())  # which is in work
    wait(lambda: panel.results.rows)
    assert any(row.more_voxels for row in panel.results.rows)


def test_a_forgotten_save_is_offered_and_can_be_discarded(open_panel, tmp_path, wait):
    viewer, panel = open_panel()
    scribble(one_mask(viewer, source=tmp_path / "m.nii.gz"))
    panel.safety.autosave.close()
    (left,) = unfinished(journal_folder())
    viewer, panel = open_panel()
    one_mask(viewer, "another", source=tmp_path / "other.nii.gz")
    wait(lambda: not panel.safety.recovery._timer.isActive())
    wait(lambda: not panel.safety.recovery._background.is_busy)
    assert panel.safety.bar.shown is None  # it is of another file
    one_mask(viewer, source=tmp_path / "m.nii.gz")
    wait(lambda: panel.safety.bar.shown)
    panel.safety.bar.reject.click()
    assert not left.path.exists() and panel.safety.bar.isHidden()


def test_a_saved_mask_leaves_no_journal(open_panel, tmp_path, wait):
    viewer, panel = open_panel()
    layer = one_mask(viewer)
    scribble(layer)
    layer.undo()
    layer.redo()
    journals = panel.safety.autosave.journals
    journals.flush()
    assert len(list(journal_folder().glob("*.journal"))) == 1
    panel.save_mask(tmp_path / "m.nii.gz")
    journals.flush()
    assert not list(journal_folder().glob("*.journal"))
    assert not panel.safety.autosave.unsaved
    edits = json.loads((tmp_path / "m.json").read_text())["edits"]
    assert edits["actions"] == {"paint": 1, "redo": 1, "undo": 1}
    assert edits["first"] and edits["last"] and edits["total"] == 3
    scribble(layer, 1)
    assert panel.safety.autosave.unsaved
    layer.save(str(tmp_path / "by_napari.nii.gz"))  # napari's own menu
    assert not panel.safety.autosave.unsaved
    assert json.loads((tmp_path / "by_napari.json").read_text())["edits"]["total"] == 4


@pytest.mark.parametrize("answer", list(Answer))
def test_closing_asks(open_panel, monkeypatch, tmp_path, wait, answer):
    asked = []

    def ask_about(names):
        asked.append(names)
        return answer

    monkeypatch.setattr(close_guard, "ask_about", ask_about)
    viewer, panel = open_panel(show=True)
    layer = one_mask(viewer)
    window = close_guard.outermost(panel)
    scribble(layer)
    monkeypatch.setattr(saving, "ask_where", lambda *_: tmp_path / "m.nii.gz")
    event = QCloseEvent()
    stopped = QApplication.notify(QApplication.instance(), window, event) and not event.isAccepted()
    assert asked == [["mask"]]
    assert stopped is (answer is Answer.CANCEL)
    assert (tmp_path / "m.nii.gz").exists() is (answer is Answer.SAVE)
    panel.safety.autosave.close()
    left = unfinished(journal_folder())
    assert bool(left) is (answer in (Answer.LATER, Answer.CANCEL))


def test_a_save_that_is_not_made_keeps_the_window(open_panel, monkeypatch):
    monkeypatch.setattr(close_guard, "ask_about", lambda _: Answer.SAVE)
    monkeypatch.setattr(saving, "ask_where", lambda *_: None)
    viewer, panel = open_panel()
    scribble(one_mask(viewer))
    assert not panel.safety.may_close()


def test_closing_asks_about_a_result_that_nobody_saved(open_panel, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(close_guard, "ask_about", lambda names: asked.append(names) or Answer.DISCARD)
    viewer, panel = open_panel()
    journals = panel.safety.autosave.journals
    one_mask(viewer, model=True)
    one_mask(viewer, "of another run", model=True)
    one_mask(viewer, "from a file", model=True, source=tmp_path / "m.nii.gz")
    journals.flush()
    assert len(list(journal_folder().glob("*.journal"))) == 2
    viewer.layers.remove("of another run")  # not wanted
    assert panel.safety.bar.shown is None
    assert panel.safety.may_close() and asked == [["mask"]]
    journals.flush()
    assert not list(journal_folder().glob("*.journal"))


def test_closing_without_edits_asks_nothing(open_panel, monkeypatch):
    monkeypatch.setattr(close_guard, "ask_about", lambda _: pytest.fail("asked"))
    viewer, panel = open_panel()
    one_mask(viewer)
    assert panel.safety.may_close()


def test_a_removed_layer_can_be_put_back(open_panel, wait):
    viewer, panel = open_panel()
    layer = one_mask(viewer)
    scribble(layer)
    viewer.layers.remove(layer)
    assert "removed with unsaved corrections" in panel.safety.bar.text.text()
    panel.safety.bar.accept.click()
    assert layer in viewer.layers and panel.active_mask.layer is layer
    assert panel.safety.autosave.unsaved
    panel.safety.autosave.journals.flush()
    assert len(list(journal_folder().glob("*.journal"))) == 1
    assert panel.active_mask.mask.edits.edit_counts.total == 1
    viewer.layers.remove(layer)
    panel.safety.bar.reject.click()
    panel.safety.autosave.journals.flush()
    assert not list(journal_folder().glob("*.journal"))


def test_a_full_disk_is_reported_once_and_so_is_its_end(open_panel, monkeypatch, wait):
    from napari_tumorseg.errors import OutputError

    def full(self, change, action):
        raise OutputError("edits cannot be autosaved: no space left")

    append = Journal.append
    monkeypatch.setattr(Journal, "append", full)
    told = []
    monkeypatch.setattr("napari_tumorseg.viewer.panel.show_error", told.append)
    monkeypatch.setattr("napari_tumorseg.viewer.panel.show_info", told.append)
    viewer, panel = open_panel()
    journals = panel.safety.autosave.journals
    layer = one_mask(viewer)
    for label in (1, 2, 4):
        scribble(layer, label)
        journals.flush()
        journals.sync()  # writes nothing, so its success is no news
    wait(lambda: told)
    assert told == ["edits cannot be autosaved: no space left"]
    monkeypatch.setattr(Journal, "append", append)
    scribble(layer, 1)
    scribble(layer, 2)
    wait(lambda: len(told) > 1)
    assert told[1:] == ["Edits are autosaved again."]


def test_a_script_ends_quietly_with_an_open_viewer(tmp_path):
    script = """
import napari, numpy as np
viewer = napari.Viewer()
_, panel = viewer.window.add_plugin_dock_widget("napari-tumorseg", "Segment brain tumour")
layer = viewer.add_labels(np.ones((4, 5, 6), np.uint8))
layer.paint((2, 2, 2), 2)
print("script over")
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "script over" in done.stdout and "Traceback" not in done.stderr, done.stderr
    assert unfinished(journal_folder())  # the stroke is offered next time


def test_edits_outlive_a_panel_that_is_closed_and_opened(open_panel, wait):
    viewer, panel = open_panel()
    layer = one_mask(viewer)
    scribble(layer)
    viewer.window.remove_dock_widget(panel)
    assert unfinished(journal_folder())
    _, again = viewer.window.add_plugin_dock_widget("napari-tumorseg", "Segment brain tumour")
    assert [m.layer for m in again.safety.autosave.unsaved] == [layer]
    again.safety.autosave.journals.flush()
    assert not unfinished(journal_folder())  # the one there is is in work again
    assert again.active_mask.mask.edits.edit_counts.total == 1
