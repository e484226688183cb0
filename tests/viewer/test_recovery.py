"""Recovery after a crash, beyond strokes: marks, probability maps and messages."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Layer
from qtpy.QtCore import QTimer

from napari_tumorseg.errors import InputError
from napari_tumorseg.inference.stored_probabilities import StoredProbabilities
from napari_tumorseg.models.card import Output
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.session import EditCounts, Unfinished, journal_folder, unfinished
from napari_tumorseg.viewer.autosave import recovery
from napari_tumorseg.viewer.autosave.close_guard import listed
from napari_tumorseg.viewer.autosave.recovery import offer_text, plain_name
from napari_tumorseg.viewer.correct.locked_components import KIND as KEPT
from napari_tumorseg.viewer.layers.edits import edits_of
from napari_tumorseg.viewer.layers.origin import PROBABILITIES_KEY, origin_of
from napari_tumorseg.viewer.layers.to_layers import labels_layer
from napari_tumorseg.viewer.layers.views import views
from napari_tumorseg.viewer.readers import read_layers
from tests.builders import head, write_case
from tests.viewer.conftest import NEEDS_SCREEN
from tests.viewer.test_window import add

BOX = (slice(1, 5), slice(4, 24), slice(20, 44))
ONE, OTHER = (3, 14, 32), (3, 30, 10)


def result(shape) -> np.ndarray:
    """Two lesions."""
    labels = np.zeros(shape, np.uint8)
    labels[2:5, 10:18, 30:36] = 2
    labels[2:5, 28:33, 8:13] = 2
    return labels


def segmented(viewer, folder, stored=True):
    """Open a case, and stand in for a run of a model on it."""
    add(viewer, read_layers(str(folder)))
    origin = next(o for o in map(origin_of, viewer.layers) if o)
    labels = result(origin.grid.shape)
    seg = Segmentation(
        labels, origin.grid, CONVENTIONS["brats-2023"], "case", provenance={"model": {"name": "x"}}
    )
    data = labels_layer(seg, name="case seg", case="case", group=origin.group, model=True)
    layer = Layer.create(*data)
    if stored:
        maps = {
            n: np.random.default_rng(0).integers(0, 256, (4, 20, 24)).astype(np.uint8) for n in ("WT", "TC")
        }
        output = Output(names=("WT", "TC"), labels=(2, 1), scheme="brats-2023")
        made = (tuple(slice(0, n) for n in labels.shape), labels.copy())
        layer.metadata[PROBABILITIES_KEY] = StoredProbabilities(
            maps, BOX, origin.grid, output, flipped=True, _result=made
        )
    viewer.add_layer(layer)
    viewer.layers.selection.active = layer
    return layer


@pytest.fixture
def folder(tmp_path):
    return write_case(tmp_path, {"flair": head(), "t1c": 2 * head()})


def crash(panel) -> None:
    """Leave the journals as a process that was killed leaves them."""
    panel.safety.autosave.close()


def recovered(open_panel, folder, wait):
    """Open the scan anew and take what is offered."""
    viewer, panel = open_panel()
    add(viewer, read_layers(str(folder)))
    wait(lambda: panel.safety.bar.shown)
    count = len(viewer.layers)
    panel.safety.bar.accept.click()
    wait(lambda: len(viewer.layers) > count)
    panel.safety.autosave.journals.flush()
    return viewer, panel, panel.active_mask.layer


@NEEDS_SCREEN
def test_marks_and_maps_come_back_however_often(open_panel, folder, wait, complaints):
    viewer, panel = open_panel()
    layer = segmented(viewer, folder)
    corrector, stored = panel.correct.corrector, layer.metadata[PROBABILITIES_KEY]
    corrector.toggle_lock(ONE)  # before the first edit
    layer.paint((4, 20, 20), 1)
    corrector.toggle_lock(OTHER)  # and after it
    (first, second), labels = corrector.locked.seeds, np.array(layer.data)
    crash(panel)
    for _ in range(2):
        viewer, panel, layer = recovered(open_panel, folder, wait)
        np.testing.assert_array_equal(layer.data, labels)
        corrector = panel.correct.corrector
        assert corrector.locked.seeds == (first, second)
        wait(lambda v=viewer: views(v, KEPT))
        (shown,) = views(viewer, KEPT)
        np.testing.assert_allclose(shown.data_to_world(shown.data[0]), layer.data_to_world(first))
        assert len(shown.data) == 2 and viewer.layers.selection.active is layer
        found = layer.metadata[PROBABILITIES_KEY]
        assert found.grid is origin_of(layer).grid and found.flipped
        np.testing.assert_array_equal(found.probabilities["WT"], stored.probabilities["WT"])
        np.testing.assert_array_equal(found.result(), stored.result())
        assert set(panel.correct.uncertainty.map_buttons.buttons) >= {"WT", "TC"}
        assert layer.name == "case seg (recovered)" and not complaints
        assert len(list(journal_folder().glob("*.maps"))) == 1
        crash(panel)


@NEEDS_SCREEN
def test_a_threshold_that_was_moved_comes_back(open_panel, folder, wait):
    """Else its voxels would count as corrections, and stay where it is moved again."""
    viewer, panel = open_panel()
    layer = segmented(viewer, folder)
    layer.paint((4, 20, 20), 3)
    where = panel.correct.uncertainty
    where.threshold.slider.setValue(0.8)
    wait(
        lambda: (
            where.threshold.control.thresholds == {"WT": 0.8, "TC": 0.8}
            and not where.threshold.control.is_busy
        )
    )
    where.threshold.control.commit()
    stored, labels = layer.metadata[PROBABILITIES_KEY], np.array(layer.data)
    mine = labels != stored.labels_at(0.8)
    assert mine[4, 20, 20] and (labels != stored.result()).sum() > mine.sum()
    crash(panel)
    viewer, panel, layer = recovered(open_panel, folder, wait)
    np.testing.assert_array_equal(layer.data, labels)
    where = panel.correct.uncertainty
    assert where.threshold.control.thresholds == {"WT": 0.8, "TC": 0.8}
    assert where.threshold.slider.value() == pytest.approx(0.8)
    where.threshold.slider.setValue(0.3)
    wait(lambda: where.threshold.control.thresholds == {"WT": 0.3, "TC": 0.3})
    expected = stored.labels_at(0.3)
    expected[mine] = labels[mine]
    np.testing.assert_array_equal(layer.data, expected)


@NEEDS_SCREEN
def test_marks_that_were_taken_away_stay_away(open_panel, folder, wait):
    viewer, panel = open_panel()
    layer = segmented(viewer, folder)
    layer.paint((4, 20, 20), 1)
    for _ in range(2):
        panel.correct.corrector.toggle_lock(ONE)
    crash(panel)
    _, panel, _ = recovered(open_panel, folder, wait)
    assert panel.correct.corrector.locked.seeds == ()


@NEEDS_SCREEN
def test_maps_that_are_damaged_cost_no_edit(open_panel, folder, wait, complaints):
    viewer, panel = open_panel()
    layer = segmented(viewer, folder)
    layer.paint((4, 20, 20), 1)
    labels = np.array(layer.data)
    crash(panel)
    (maps,) = journal_folder().glob("*.maps")
    maps.write_bytes(maps.read_bytes()[:100])
    _, panel, layer = recovered(open_panel, folder, wait)
    np.testing.assert_array_equal(layer.data, labels)
    assert PROBABILITIES_KEY not in layer.metadata
    assert ["run the model again" in text for text in complaints] == [True]


@NEEDS_SCREEN
def test_without_maps_there_are_none(open_panel, folder, wait, complaints):
    viewer, panel = open_panel()
    segmented(viewer, folder, stored=False).paint((4, 20, 20), 1)
    crash(panel)
    _, panel, layer = recovered(open_panel, folder, wait)
    assert PROBABILITIES_KEY not in layer.metadata and not complaints
    assert "no probability maps" in panel.correct.uncertainty.confidence.value


@NEEDS_SCREEN
def test_nothing_of_a_saved_mask_stays_behind(open_panel, folder, tmp_path):
    viewer, panel = open_panel()
    layer = segmented(viewer, folder)
    panel.correct.corrector.toggle_lock(ONE)
    layer.paint((4, 20, 20), 1)
    panel.safety.autosave.journals.flush()
    assert len(list(journal_folder().glob("*.maps"))) == 1
    panel.save_mask(tmp_path / "m.nii.gz")
    crash(panel)
    assert not list(journal_folder().iterdir())


@NEEDS_SCREEN
def test_marks_outlive_a_panel_and_are_those_of_their_mask(open_panel, folder, wait):
    viewer, panel = open_panel()
    layer = segmented(viewer, folder)
    panel.correct.corrector.toggle_lock(ONE)
    seeds = panel.correct.corrector.locked.seeds
    other = viewer.add_layer(layer.__class__(np.array(layer.data), name="other", scale=layer.scale))
    assert panel.active_mask.layer is other
    wait(lambda: not len(views(viewer, KEPT)[0].data))
    viewer.layers.selection.active = layer
    wait(lambda: len(views(viewer, KEPT)[0].data) == 1)
    viewer.window.remove_dock_widget(panel)
    _, again = viewer.window.add_plugin_dock_widget("napari-tumorseg", "Segment brain tumour")
    viewer.layers.selection.active = layer
    again.active_mask.activate(layer)
    assert again.correct.corrector.locked.seeds == seeds


@NEEDS_SCREEN
def test_an_offer_goes_with_its_scan_and_comes_back_with_it(open_panel, folder, wait):
    viewer, panel = open_panel()
    segmented(viewer, folder).paint((4, 20, 20), 1)
    crash(panel)
    viewer, panel = open_panel()
    add(viewer, read_layers(str(folder)))
    wait(lambda: panel.safety.bar.shown)
    viewer.layers.clear()
    wait(lambda: panel.safety.bar.shown is None)
    add(viewer, read_layers(str(folder)))
    wait(lambda: panel.safety.bar.shown)


@NEEDS_SCREEN
def test_two_recoveries_and_a_layer_that_arrives_do_not_stop_each_other(open_panel, folder, wait):
    for _ in range(2):
        viewer, panel = open_panel()
        segmented(viewer, folder).paint((4, 20, 20), 1)
        crash(panel)
    viewer, panel = open_panel()
    add(viewer, read_layers(str(folder)))
    wait(lambda: len(panel.safety.bar.offers) == 2)
    count = len(viewer.layers)
    QTimer.singleShot(0, lambda: viewer.add_image(np.zeros((6, 40, 48)), name="own"))
    for _ in range(2):
        panel.safety.bar.accept.click()
    panel.safety.recovery._look()
    wait(lambda: len(viewer.layers) == count + 3)
    masks = [layer for layer in viewer.layers if "(recovered)" in layer.name]
    assert len(masks) == 2 and all(edits_of(layer).unsaved for layer in masks)
    panel.safety.autosave.journals.flush()
    assert not unfinished(journal_folder())


@NEEDS_SCREEN
@pytest.mark.parametrize("fails", ["recover", "recovered_layer"])
def test_a_recovery_that_fails_is_offered_again(open_panel, folder, wait, monkeypatch, complaints, fails):
    viewer, panel = open_panel()
    segmented(viewer, folder).paint((4, 20, 20), 1)
    crash(panel)
    viewer, panel = open_panel()
    add(viewer, read_layers(str(folder)))
    wait(lambda: panel.safety.bar.shown)
    count = len(viewer.layers)
    with monkeypatch.context() as patched:

        def fail(*_):
            raise InputError("the disk is away")

        patched.setattr(recovery, fails, fail)
        panel.safety.bar.accept.click()
        wait(lambda: complaints)
    assert complaints == ["the disk is away"] and len(viewer.layers) == count
    wait(lambda: panel.safety.bar.shown)
    panel.safety.bar.accept.click()
    wait(lambda: len(viewer.layers) > count)


@pytest.mark.parametrize(
    "name",
    ["mask", "mask (recovered)", "mask (recovered) (recovered)", "mask (recovered) [1] (recovered) [2]"],
)
def test_recovered_is_said_once(name):
    assert plain_name(name) == "mask"
    one = Unfinished(journal_folder(), "k", {"layer": name}, 0.0, EditCounts({"paint": 1}, 1e9, 1e9))
    assert offer_text(one).startswith("Unsaved corrections of mask can be recovered (1 edit, on ")


def test_an_offer_is_one_sentence():
    one = Unfinished(
        journal_folder(), "/data/a_seg.nii", {}, 0.0, EditCounts({"paint": 2, "undo": 1}, 9e8, 1e9)
    )
    text = offer_text(one)
    assert text.startswith("Unsaved corrections of a_seg.nii can be recovered (3 edits, the last on ")
    assert " Sep 2001 at " in text and text.endswith(").") and text.count(". ") == 0


def test_names_are_listed_in_words():
    assert [listed(["a", "b", "c"][:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
