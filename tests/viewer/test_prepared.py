"""A native scan in the panel: its preparation, the brain mask that can be corrected, registered sequences."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Layer

from napari_tumorseg.inference import run_plan
from napari_tumorseg.preparation import Tools
from napari_tumorseg.scan import Role
from napari_tumorseg.viewer.layers.from_layers import to_segmentation
from napari_tumorseg.viewer.layers.origin import is_brain, origin_of
from napari_tumorseg.viewer.layers.to_layers import case_layers, image_layer
from napari_tumorseg.viewer.segment.registration_section import checkerboard
from napari_tumorseg.viewer.widgets import ask
from tests.builders import card_of, save_model, threshold_net
from tests.preparation.phantom import BRAIN, case_of, grid_of, head, inside, motion
from tests.preparation.tools import KnownBrain, knowing
from tests.viewer.conftest import NEEDS_SCREEN
from tests.viewer.test_window import add_case

pytestmark = NEEDS_SCREEN

MOVED = motion((0, 0, 8), (9, 0, 0))


@pytest.fixture(autouse=True)
def nobody_looks(monkeypatch):
    monkeypatch.setattr(ask, "window", lambda: None)


@pytest.fixture
def tools(monkeypatch) -> Tools:
    found = knowing({Role.T1C: MOVED})
    monkeypatch.setattr(run_plan, "missing_packages", lambda needed: "")
    monkeypatch.setattr(run_plan, "default_tools", lambda: found)
    return found


@pytest.fixture
def at_work(new_panel, tools, tmp_path, monkeypatch):
    """The panel with a native scan, and a model that marks what is brighter than 85 in the brain's FLAIR."""
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path))
    card = card_of(("flair", "t1c"), name="bright", input={"skull": "stripped"})
    save_model(tmp_path, threshold_net([0], [85.0], inputs=2), card)
    viewer, panel = new_panel()
    case = case_of(head(Role.FLAIR, grid_of()), head(Role.T1C, grid_of((4, 5, 5), (6, 0, 0)), MOVED))
    add_case(viewer, case)
    panel.model.chooser.value = "bright"
    return viewer, panel, case


def ran(panel, wait):
    panel.segment()
    layer = panel.segment_page.run.layer
    wait(lambda: not panel.is_running)
    return layer


def test_a_native_scan_is_prepared_and_its_steps_become_layers(at_work, wait):
    viewer, panel, case = at_work
    assert "the run begins with brain extraction and registration of T1c onto FLAIR" in panel.model.note.value
    flair, t1c = viewer.layers[:2]
    as_found = np.array(t1c.data)
    mask = ran(panel, wait)
    brain = next(x for x in viewer.layers if is_brain(x))
    np.testing.assert_array_equal(brain.data > 0, inside(BRAIN, grid_of()))
    expected = inside(BRAIN, grid_of()) & (case.images[0].data > 85)
    np.testing.assert_array_equal(mask.data > 0, expected)
    # the registered sequence takes the role over; the one as it was found stays
    registered = next(x for x in viewer.layers if x.name == "head t1c registered")
    np.testing.assert_array_equal(t1c.data, as_found)
    roles = panel.inputs.chosen
    assert (roles[flair], roles[t1c], roles[registered]) == (Role.FLAIR, Role.OTHER, Role.T1C)
    assert not registered.visible
    assert list(viewer.layers).index(registered) < list(viewer.layers).index(mask)
    images = origin_of(mask).images
    assert images == {str(flair.unique_id): Role.FLAIR, str(registered.unique_id): Role.T1C}
    # it is no tumour mask
    assert panel.results_layer is mask
    assert origin_of(mask).provenance["preparation"]["registration"][0]["role"] == "t1c"
    seg = to_segmentation(mask)
    assert seg.grid is case.images[0].grid


def test_the_corrected_brain_mask_counts_in_the_next_run(at_work, tools, wait):
    viewer, panel, case = at_work
    ran(panel, wait)
    asked = list(tools.extractor.asked)
    brain = next(x for x in viewer.layers if is_brain(x))
    brain.data[:20] = 0
    brain.refresh()
    assert "begins with" not in panel.model.note.value  # nothing has to be prepared again
    mask = ran(panel, wait)
    expected = inside(BRAIN, grid_of()) & (case.images[0].data > 85)
    expected[:20] = False
    np.testing.assert_array_equal(mask.data > 0, expected)
    assert tools.extractor.asked == asked
    assert sum(map(is_brain, viewer.layers)) == 1
    scan = panel.correct.context.scan() if hasattr(panel.correct, "context") else panel.active_mask.scan()
    np.testing.assert_array_equal(
        scan.brain_mask, brain.data > 0
    )  # for midline, intensities, what is outside


def test_preparation_can_be_switched_off(at_work, tools, wait):
    viewer, panel, _ = at_work
    panel.options.prepare.value = False
    assert "seems to have its skull" in panel.model.note.value
    before = list(viewer.layers)
    mask = ran(panel, wait)
    assert list(viewer.layers) == [*before, mask]
    assert tools.extractor.asked == []


def test_cancel_between_steps_leaves_the_layers_as_they_were(at_work, wait, monkeypatch):
    viewer, panel, _ = at_work
    begun, go_on = threading.Event(), threading.Event()

    class Slow(KnownBrain):
        def extract(self, image):
            begun.set()
            assert go_on.wait(60)
            return super().extract(image)

    slow = Slow({Role.T1C: MOVED})
    monkeypatch.setattr(run_plan, "default_tools", lambda: Tools(slow, knowing().registration))
    before, roles = list(viewer.layers), dict(panel.inputs.chosen)
    panel.segment()
    wait(begun.is_set)
    wait(lambda: panel.runs.status.value.startswith("Finding the brain in FLAIR"))
    assert "(1 of 3)" in panel.runs.status.value
    panel.cancel()
    go_on.set()
    assert list(viewer.layers) == before
    assert panel.inputs.chosen == roles
    assert panel.runs.status.value == "Cancelled, nothing was kept."


def test_a_brain_that_is_not_found_is_an_error_in_words(at_work, wait, monkeypatch, complaints):
    viewer, panel, _ = at_work

    class Nothing(KnownBrain):
        def extract(self, image):
            return np.zeros(image.grid.shape, np.float32)

    monkeypatch.setattr(run_plan, "default_tools", lambda: Tools(Nothing(), knowing().registration))
    before = list(viewer.layers)
    ran(panel, wait)
    assert list(viewer.layers) == before
    assert "0 mL, which no brain has" in complaints[0]
    assert "untick Prepare native scans" in complaints[0]


def test_a_registered_sequence_is_flicked_and_shown_in_squares(at_work, wait):
    viewer, panel, _ = at_work
    section = panel.segment_page.registration
    assert not section.visible
    ran(panel, wait)
    registered = next(x for x in viewer.layers if x.name == "head t1c registered")
    assert section.layer is registered
    section.flick.changed.emit(True)
    assert registered.visible
    section.flick.changed.emit(True)
    assert not registered.visible
    section.board.changed.emit(True)
    (board,) = [x for x in viewer.layers if x.name == "checkerboard"]
    assert board.data.shape == registered.data.shape
    section.board.changed.emit(True)
    assert board not in viewer.layers


def test_squares_are_of_an_image_on_the_same_grid(at_work, wait):
    """Files that were opened one by one lie on grids of their own, and any may be the lowest."""
    viewer, panel, _ = at_work
    group = origin_of(viewer.layers[0]).group
    image = replace(head(Role.T1, grid_of((6, 6, 6))), role=Role.T2)
    other = Layer.create(*image_layer(image, "head", group))
    assert other.data.shape != viewer.layers[0].data.shape
    ran(panel, wait)
    viewer.layers.insert(0, other)
    panel.segment_page.registration.board.changed.emit(True)
    (board,) = [x for x in viewer.layers if x.name == "checkerboard"]
    assert board.data.shape == viewer.layers[1].data.shape


def test_the_squares_of_a_checkerboard():
    one, other = np.zeros((2, 8, 12), np.float32), np.zeros((2, 8, 12), np.float32)
    one[:, 1:] = 50.0
    other[:, 1:] = np.linspace(10, 20, 12)
    found = checkerboard(one, other, (5.0, 6.0, 12.0))  # squares of 4 x 2 voxels
    from napari_tumorseg.intensity import normalise_intensity

    a, b = normalise_intensity(one), normalise_intensity(other)
    np.testing.assert_array_equal(found[:, :4, :2], a[:, :4, :2])
    np.testing.assert_array_equal(found[:, :4, 2:4], b[:, :4, 2:4])
    np.testing.assert_array_equal(found[:, 4:, :2], b[:, 4:, :2])
    np.testing.assert_array_equal(found[:, 4:, 2:4], a[:, 4:, 2:4])


def test_sequences_of_equal_shape_on_other_grids_are_shown():
    tilted = head(Role.T1C, grid_of(turned=(5, 0, 0)))
    layers, notes = case_layers(case_of(head(Role.FLAIR, grid_of()), tilted))
    assert len(layers) == 2
    assert notes == ["head_t1c: resampled onto the grid of flair"]
