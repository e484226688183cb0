"""A person at the panel: these tests open a real window."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import QTimer
from qtpy.QtGui import QGuiApplication

from napari_tumorseg.errors import InputError
from napari_tumorseg.inference.settings import Progress
from napari_tumorseg.measurement import measure
from napari_tumorseg.notice import RESEARCH_USE
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Role, Segmentation
from napari_tumorseg.viewer.layers.from_layers import to_segmentation
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.readers import read_layers
from napari_tumorseg.viewer.segment.options_section import SLICE
from napari_tumorseg.viewer.widgets import ask
from tests.viewer.conftest import NEEDS_SCREEN, case, grid, image
from tests.viewer.test_inputs import plain

pytestmark = NEEDS_SCREEN


@pytest.fixture(autouse=True)
def nobody_looks(monkeypatch):
    monkeypatch.setattr(ask, "window", lambda: None)


def add(viewer, layers) -> None:
    from napari.layers import Layer

    for data in layers:
        viewer.add_layer(Layer.create(*data))


def add_case(viewer, one=None) -> None:
    from napari_tumorseg.viewer.layers.to_layers import case_layers

    add(viewer, case_layers(one or case())[0])


@pytest.fixture
def slow_run(monkeypatch):
    """A stand-in for the network: a slice every few ms, the middle of each is tumour (label 1)."""
    import napari_tumorseg.inference as inference

    settings_seen = []

    def fake(scan, model, settings, analysis):
        import time

        settings_seen.append(settings)
        labels = np.zeros(scan.grid.shape, np.uint8)
        todo = settings.slices or range(scan.grid.shape[0])
        for done, index in enumerate(todo, start=1):
            time.sleep(0.03)
            labels[index, 1:3, 1:3] = 1
            yield Progress(done, len(todo), 0, index, labels[index], 0.03 * (len(todo) - done))
        provenance = {"model": {"name": model.name}, "warnings": []}
        return Segmentation(
            labels, scan.grid, CONVENTIONS[model.card.output.scheme], scan.case, None, provenance
        )

    monkeypatch.setattr(inference, "run", fake)
    return settings_seen


def numbers(panel) -> dict[str, tuple[str, ...]]:
    table = panel.results.table
    rows = [[table.item(r, c).text() for c in range(table.columnCount())] for r in range(table.rowCount())]
    return {row[0].split()[0]: tuple(row[1:]) for row in rows}


def recount(layer) -> dict[str, str]:
    return {row.name: str(row.voxels) for row in measure(to_segmentation(layer)).rows}


# ---- the whole session, with the shipped model on the shipped sample


@pytest.mark.slow
def test_a_session_from_sample_to_saved_mask(open_panel, brats, wait, tmp_path):
    viewer, panel = open_panel(show=True)
    add(viewer, read_layers(str(brats)))
    earlier = {layer: np.array(layer.data) for layer in viewer.layers}
    assert panel.problem == "Looking at the scan…" and not panel.runs.segment.enabled
    wait(lambda: panel.runs.segment.enabled)
    assert panel.model.model.name == "brats-regions"

    # cancel after a few slices: as it was
    panel.segment()
    partial = panel.segment_page.run.layer
    wait(lambda: partial.data.any())
    panel.runs.cancel.changed.emit(True)
    assert partial not in viewer.layers
    assert list(viewer.layers) == list(earlier)
    assert panel.runs.status.value == "Cancelled, nothing was kept."
    assert panel.runs.segment.enabled

    # segment again
    panel.runs.segment.changed.emit(True)
    layer = panel.segment_page.run.layer
    wait(lambda: not panel.is_running)
    assert panel.segment_page.run.layer is layer and layer in viewer.layers
    assert layer.name == "TumorSeg-Sample-000 seg"
    for before, data in earlier.items():
        np.testing.assert_array_equal(before.data, data)
    reference = to_segmentation(next(x for x in earlier if isinstance(x, Labels))).labels > 0
    found = np.asarray(layer.data) > 0
    assert 2 * (found & reference).sum() / (found.sum() + reference.sum()) > 0.8
    wait(lambda: panel.results.rows and panel.results_layer is layer)
    wait(lambda: {k: v[1] for k, v in numbers(panel).items()} == recount(layer))

    # correct, undo, redo: the numbers follow
    wait(lambda: panel.numbers.table.is_complete)
    before = numbers(panel)
    layer.selected_label = 2
    layer.brush_size = 12
    layer.paint((40, 30, 30), 2)
    wait(lambda: numbers(panel) != before)
    assert {k: v[1] for k, v in numbers(panel).items()} == recount(layer)
    layer.undo()
    wait(lambda: numbers(panel) == before)
    layer.redo()
    wait(lambda: numbers(panel) != before)

    # save, reopen: same voxels, same place
    path = tmp_path / "TumorSeg-Sample-000_seg.nii.gz"
    panel.save_mask(path)
    assert json.loads(path.with_name("TumorSeg-Sample-000_seg.json").read_text())["corrected_by_hand"] is True
    source = nib.load(next(brats.glob("*t2f*")))
    written = nib.load(path)
    assert written.shape == source.shape
    np.testing.assert_allclose(written.affine, source.affine, atol=1e-5)
    add(viewer, read_layers(str(path)))
    again = viewer.layers[-1]
    np.testing.assert_array_equal(again.data, layer.data)
    np.testing.assert_allclose(again.extent.world, layer.extent.world)
    assert origin_of(again).convention.name == origin_of(layer).convention.name


# ---- runs


def test_the_window_stays_alive_during_a_run(open_panel, slow_run, wait):
    viewer, panel = open_panel()
    add_case(viewer, case(image("case_flair", Role.FLAIR, grid((40, 8, 8)))))
    ticks = []
    timer = QTimer()
    timer.setInterval(10)
    timer.timeout.connect(lambda: ticks.append(1))
    timer.start()
    panel.segment()
    wait(lambda: not panel.is_running)
    timer.stop()
    assert len(ticks) > 20


def test_slices_appear_as_they_finish(open_panel, slow_run, wait):
    viewer, panel = open_panel()
    add_case(viewer, case(image("case_flair", Role.FLAIR, grid((30, 8, 8)))))
    panel.segment()
    layer = panel.segment_page.run.layer
    assert not layer.editable
    wait(lambda: layer.data[3].any())
    assert panel.is_running and not layer.data[29].any()
    assert panel.runs.status.value.startswith("Slice ")
    assert "left" in panel.runs.status.value
    wait(lambda: not panel.is_running)
    assert layer.data[29].any() and layer.editable


def test_every_run_makes_a_layer_of_its_own(open_panel, slow_run, wait):
    viewer, panel = open_panel()
    add_case(viewer)
    panel.segment()
    wait(lambda: not panel.is_running)
    first = panel.segment_page.run.layer
    first.data_setitem((np.array([0]), np.array([4]), np.array([4])), 1)
    corrected = np.array(first.data)
    panel.segment()
    wait(lambda: not panel.is_running)
    assert [x.name for x in viewer.layers if isinstance(x, Labels)] == ["case seg", "case seg [1]"]
    np.testing.assert_array_equal(first.data, corrected)


def test_the_new_mask_is_selected_and_other_layers_are_not_hidden(open_panel, slow_run, wait):
    viewer, panel = open_panel()
    add_case(viewer)
    mine = viewer.add_labels(np.zeros((4, 5, 6), int), name="mine")
    mine.mode = "paint"
    visible = {layer: layer.visible for layer in viewer.layers}
    panel.segment()
    wait(lambda: not panel.is_running)
    assert {layer: layer.visible for layer in visible} == visible
    assert viewer.layers.selection.active is panel.results_layer is panel.segment_page.run.layer


def test_the_current_slice_alone(open_panel, slow_run, wait):
    viewer, panel = open_panel()
    add_case(viewer)
    panel.options.region.value = SLICE
    viewer.dims.set_current_step(0, 2)
    panel.segment()
    layer = panel.segment_page.run.layer
    wait(lambda: not panel.is_running)
    assert slow_run[-1].slices == range(2, 3)
    assert np.flatnonzero(layer.data.any(axis=(1, 2))).tolist() == [2]


def test_the_precision_of_the_run(open_panel):
    viewer, panel = open_panel()
    add_case(viewer)
    assert panel.segment_page.job().settings.precision == "auto"
    panel.options.precision.value = "bfloat16"
    assert panel.segment_page.job().settings.precision == "bfloat16"


def test_the_current_slice_must_be_one_of_the_models_plane(open_panel, slow_run):
    viewer, panel = open_panel()
    add_case(viewer)
    panel.options.region.value = SLICE
    viewer.dims.order = (2, 0, 1)
    panel.segment()
    assert not panel.is_running
    assert "axial" in panel.runs.status.value


@pytest.mark.parametrize("error", [InputError("the scan is upside down"), RuntimeError("boom")])
def test_an_error_is_a_sentence_and_leaves_nothing(open_panel, monkeypatch, wait, error):
    import napari_tumorseg.inference as inference

    def broken(scan, model, settings, analysis):
        raise error
        yield

    told = []
    monkeypatch.setattr(inference, "run", broken)
    monkeypatch.setattr("napari_tumorseg.viewer.panel.show_error", told.append)
    viewer, panel = open_panel()
    add_case(viewer)
    panel.segment()
    wait(lambda: not panel.is_running)
    assert len(viewer.layers) == 2
    assert str(error) in panel.runs.status.value
    assert told == [panel.runs.status.value]
    assert panel.runs.segment.enabled


def test_removing_the_partial_layer_cancels(open_panel, slow_run, wait):
    viewer, panel = open_panel()
    add_case(viewer, case(image("case_flair", Role.FLAIR, grid((30, 8, 8)))))
    panel.segment()
    wait(lambda: panel.segment_page.run.layer.data.any())
    viewer.layers.remove(panel.segment_page.run.layer)
    assert not panel.is_running
    assert "Cancelled" in panel.runs.status.value


def test_removing_the_input_does_not_hurt_a_run(open_panel, slow_run, wait):
    viewer, panel = open_panel()
    add_case(viewer, case(image("case_flair", Role.FLAIR, grid((20, 8, 8)))))
    panel.segment()
    layer = panel.segment_page.run.layer
    viewer.layers.remove(viewer.layers[0])
    wait(lambda: not panel.is_running)
    assert layer.data[19].any()
    assert not panel.runs.segment.enabled


def test_clearing_the_layer_list_cancels(open_panel, slow_run, wait):
    viewer, panel = open_panel()
    add_case(viewer, case(image("case_flair", Role.FLAIR, grid((30, 8, 8)))))
    panel.segment()
    wait(lambda: panel.segment_page.run.layer.data.any())
    viewer.layers.clear()
    assert not panel.is_running and len(viewer.layers) == 0


def test_closing_the_panel_stops_its_run(open_panel, slow_run, wait):
    viewer, panel = open_panel()
    add_case(viewer, case(image("case_flair", Role.FLAIR, grid((30, 8, 8)))))
    panel.segment()
    wait(lambda: panel.segment_page.run.layer.data.any())
    run = panel.segment_page.run
    viewer.window.remove_dock_widget(panel)
    assert run.is_over
    assert len(viewer.layers) == 1
    viewer.add_image(np.zeros((3, 3)), name="later_flair")  # nobody follows any more
    assert len(panel.inputs.groups) == 1


def test_closing_the_viewer_during_a_run_is_no_crash(open_panel, slow_run, wait):
    viewer, panel = open_panel(show=True)
    add_case(viewer, case(image("case_flair", Role.FLAIR, grid((30, 8, 8)))))
    panel.segment()
    wait(lambda: panel.segment_page.run.layer.data.any())
    run = panel.segment_page.run
    viewer.close()
    wait(lambda: run.is_over, 20)
    assert not panel.is_running


def test_two_viewers_share_nothing(open_panel, slow_run, wait):
    one, panel_one = open_panel()
    two, panel_two = open_panel()
    add_case(one)
    assert panel_one.runs.segment.enabled and not panel_two.runs.segment.enabled
    panel_one.segment()
    assert panel_one.is_running and not panel_two.is_running
    assert not panel_two.results.rows
    wait(lambda: not panel_one.is_running)
    assert len(two.layers) == 0


# ---- what the panel shows


def test_the_panel_says_what_it_is_for(open_panel):
    from qtpy.QtWidgets import QLabel

    _, panel = open_panel()
    assert RESEARCH_USE in [label.text() for label in panel.findChildren(QLabel)]
    assert "no image layer" in panel.runs.status.value


def test_roles_are_guessed_shown_and_kept(open_panel):
    viewer, panel = open_panel()
    viewer.add_layer(plain("a_flair"))
    viewer.add_layer(plain("a_t1"))
    assert [box.value for box in panel.inputs.roles] == [Role.FLAIR, Role.T1]
    panel.inputs.roles[1].value = Role.T1C
    viewer.add_layer(plain("a_t2"))
    assert [box.value for box in panel.inputs.roles] == [Role.FLAIR, Role.T1C, Role.T2]
    viewer.layers[2].name = "a_brainmask"
    assert [box.value for box in panel.inputs.roles] == [Role.FLAIR, Role.T1C, Role.BRAIN_MASK]
    viewer.layers.pop(0)
    assert [box.value for box in panel.inputs.roles] == [Role.T1C, Role.BRAIN_MASK]


def test_a_missing_role_is_told_at_once(open_panel):
    viewer, panel = open_panel()
    add_case(viewer, case(image("case_flair", Role.FLAIR)))
    assert panel.runs.segment.enabled  # a model for FLAIR alone is found
    panel.model.chooser.value = "brats-regions"
    assert not panel.runs.segment.enabled
    assert "T1c" in panel.runs.status.value
    panel.model.chooser.value = ""
    assert panel.runs.segment.enabled


def test_two_layers_of_one_role_are_told_at_once(open_panel):
    viewer, panel = open_panel()
    viewer.add_layer(plain("a_flair"))
    viewer.add_layer(plain("b_flair"))
    assert not panel.runs.segment.enabled
    assert "both FLAIR" in panel.runs.status.value


def test_a_picture_from_napari_itself_works(open_panel, slow_run, wait):
    viewer, panel = open_panel()
    viewer.add_image(np.random.default_rng(0).normal(100, 9, (9, 8)), name="photo")
    assert not panel.runs.segment.enabled
    panel.inputs.roles[0].value = Role.FLAIR
    panel.segment()
    layer = panel.segment_page.run.layer
    wait(lambda: not panel.is_running)
    assert layer.data.shape == (1, 9, 8)
    wait(lambda: panel.results.rows)
    assert numbers(panel)["WT"] == ("—", "4", "1", "0")


def test_defaults_come_from_the_card_and_mm_need_a_unit(open_panel, slow_run, wait):
    viewer, panel = open_panel()
    add_case(viewer, case(image("case_flair", Role.FLAIR, grid(unit="unknown", spacing=(1, 1, 1)))))
    card = panel.model.model.card
    assert panel.options.steps["largest_only"].value == card.postprocessing.largest_only
    assert not panel.options.steps["min_component_mm3"].enabled
    panel.options.steps["min_component_mm3"].value = 50
    assert panel.options.post.min_component_mm3 == 0
    panel.inputs.spacing.text.value = "5 0.5 x"
    panel.inputs.spacing.take()
    assert "three positive numbers" in panel.runs.status.value
    viewer.dims.set_current_step(0, 2)
    for typed in ("50 0.5 0.5", "5, 0.5, 0.5"):  # what was mistyped can be mended
        panel.inputs.spacing.text.value = typed
        panel.inputs.spacing.take()
        assert viewer.dims.current_step[0] == 2
        assert not panel.inputs.spacing.isHidden()
    assert panel.options.steps["min_component_mm3"].enabled
    assert panel.options.post.min_component_mm3 == 50
    panel.segment()
    layer = panel.segment_page.run.layer
    np.testing.assert_allclose(layer.scale, viewer.layers[0].scale)
    np.testing.assert_allclose(layer.scale, (5, 0.5, 0.5))


def test_the_device_list_holds_what_works_here(open_panel, wait):
    _, panel = open_panel()
    wait(lambda: len(panel.options.device.choices) > 1)
    assert panel.options.device.choices[0] == "auto"
    assert "cpu" in panel.options.device.choices
    assert panel.options.device.value == "auto"


def test_the_card_is_a_click_away(open_panel):
    from napari_tumorseg.viewer.segment.model_section import show_card

    viewer, panel = open_panel()
    add_case(viewer)
    dialog = show_card(panel.model.model.card, panel)
    from qtpy.QtWidgets import QPlainTextEdit

    assert "Licence" in dialog.findChild(QPlainTextEdit).toPlainText()
    dialog.close()
    assert panel.model.model.card.about.licence in panel.model.note.value


def test_the_table_can_be_copied_and_saved(open_panel, slow_run, wait, tmp_path):
    viewer, panel = open_panel()
    add_case(viewer)
    panel.segment()
    wait(lambda: not panel.is_running)
    wait(lambda: panel.results.rows)
    QGuiApplication.clipboard().clear()
    panel.results.copy.changed.emit(True)
    wait(lambda: QGuiApplication.clipboard().text())
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0].startswith("Mask: case seg (")
    assert lines[1].split("\t")[:4] == ["Region", "mL", "Voxels", "Components"]
    assert lines[1].endswith("First slice\tLast slice\tLongest diameter (mm)")
    assert {len(line.split("\t")) for line in lines[1:-1]} == {7}
    assert len(lines) == 3 + len(panel.results.rows)
    assert lines[-1] == RESEARCH_USE
    panel.save_table(tmp_path / "numbers.csv")
    wait(lambda: (tmp_path / "numbers.csv").exists())
    assert "volume_ml" in (tmp_path / "numbers.csv").read_text()
    panel.save_table(tmp_path / "numbers.json")
    wait(lambda: (tmp_path / "numbers.json").exists())
    assert json.loads((tmp_path / "numbers.json").read_text())["provenance"]["model"]
    panel.save_table(tmp_path / "numbers.xlsx")
    assert ".csv" in panel.runs.status.value


def test_selecting_another_mask_shows_its_numbers(open_panel, wait):
    from napari_tumorseg.viewer.layers.to_layers import labels_layer

    viewer, panel = open_panel()
    on = grid()
    for value in (1, 2):
        labels = np.zeros(on.shape, np.uint8)
        labels[:value] = value
        add(
            viewer,
            [labels_layer(Segmentation(labels, on, CONVENTIONS["brats-2021"], "case"), name=f"m{value}")],
        )
    for index, voxels in ((0, "30"), (1, "60")):
        viewer.layers.selection.active = viewer.layers[index]
        wait(lambda voxels=voxels: numbers(panel).get("WT", ("", ""))[1] == voxels)
    viewer.layers.pop(1)
    wait(lambda: numbers(panel).get("WT", ("", ""))[1] == "30")
    assert len(viewer.layers) == 1


def test_a_mask_that_cannot_be_measured_says_why(open_panel, wait):
    viewer, panel = open_panel()
    viewer.add_labels(np.array([[[1, 2, 3]]]), name="odd")
    wait(lambda: "several conventions" in panel.results.remark.value)


def test_the_head_is_up_in_every_plane(open_panel):
    viewer, _ = open_panel()
    add_case(viewer)
    camera = viewer.scene.camera
    assert str(camera.orientation2d[0]) == "down"
    for order in ((2, 0, 1), (1, 0, 2)):
        viewer.dims.order = order
        assert str(camera.orientation2d[0]) == "up"
    viewer.dims.order = (0, 1, 2)
    assert str(camera.orientation2d[0]) == "down"


def test_without_a_layer_of_ours_the_camera_is_left_alone(open_panel):
    viewer, _ = open_panel()
    viewer.add_image(np.zeros((3, 4, 5)))
    viewer.dims.order = (2, 0, 1)
    assert str(viewer.scene.camera.orientation2d[0]) == "down"


# ---- what napari's own menus do with the plugin


def test_napari_opens_and_saves_through_the_plugin(make_napari_viewer, brats, tmp_path):
    viewer = make_napari_viewer()
    viewer.open(str(brats), plugin="napari-tumorseg")
    mask = viewer.layers[-1]
    assert mask.save(str(tmp_path / "mine.nii.gz")) == [
        str(tmp_path / "mine.nii.gz"),
        str(tmp_path / "mine.json"),
    ]
    viewer.open(str(tmp_path / "mine.nii.gz"), plugin="napari-tumorseg")
    np.testing.assert_array_equal(viewer.layers[-1].data, mask.data)
    np.testing.assert_allclose(viewer.layers[-1].extent.world, mask.extent.world)


def test_a_mask_drawn_by_hand_is_saved_on_the_scans_grid(make_napari_viewer, brats, tmp_path):
    viewer = make_napari_viewer()
    viewer.open(str(brats), plugin="napari-tumorseg")
    scan = viewer.layers[0]
    drawn = viewer.add_labels(
        np.zeros(scan.data.shape, np.uint8), scale=scan.scale, translate=scan.translate, units=scan.units
    )
    drawn.data[30, 100:110, 100:110] = 1
    drawn.save(str(tmp_path / "drawn.nii.gz"))
    source = nib.load(next(brats.glob("*t2f*")))
    written = nib.load(tmp_path / "drawn.nii.gz")
    assert written.shape == source.shape
    np.testing.assert_allclose(written.affine, source.affine, atol=1e-5)
    assert np.count_nonzero(written.dataobj) == 100


@pytest.mark.parametrize("codes", ["RAS", "LPS", "ASR", "PIL", "SAL"])
def test_a_scan_looks_the_same_whatever_the_order_of_its_file(make_napari_viewer, brats, tmp_path, codes):
    viewer = make_napari_viewer()
    source = nib.load(next(brats.glob("*t2f*")))
    found = nib.orientations.io_orientation(source.affine)
    turned = source.as_reoriented(
        nib.orientations.ornt_transform(found, nib.orientations.axcodes2ornt(codes))
    )
    for name, one in (("as_is", source), ("turned", turned)):
        one.to_filename(tmp_path / f"{name}_flair.nii")
        viewer.open(str(tmp_path / f"{name}_flair.nii"), plugin="napari-tumorseg")
    first, second = viewer.layers
    np.testing.assert_array_equal(first.data, second.data)
    np.testing.assert_allclose(first.extent.world, second.extent.world, atol=1e-4)
