"""Images of another reader, masks that were drawn, and layers that are moved; in a real window."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import dask.array
import nibabel as nib
import numpy as np
import pytest
from napari.settings import get_settings
from qtpy.QtWidgets import QApplication

from napari_tumorseg import inference
from napari_tumorseg.inference.settings import Progress
from napari_tumorseg.io import read_mask
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Role, Segmentation
from napari_tumorseg.viewer.layers.from_layers import to_segmentation
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.to_layers import labels_layer
from napari_tumorseg.viewer.widgets import ask
from napari_tumorseg.viewer.widgets.section import Section
from tests.viewer.conftest import NEEDS_SCREEN, case, grid, image
from tests.viewer.studies import SHAPE, head_case, mask_on, show_case
from tests.viewer.test_window import add, add_case, numbers, slow_run

pytestmark = NEEDS_SCREEN

__all__ = ["slow_run"]


@pytest.fixture
def answers(monkeypatch):
    """Answers to the questions of dialogs, first one first; the questions that were asked."""
    given, asked = [], []

    def choose(title, question, options):
        asked.append(question)
        return next(o for o in options if given[0] in o) if given else None

    monkeypatch.setattr(ask, "window", lambda: None)
    monkeypatch.setattr(ask, "choose", choose)
    return given, asked


def add_foreign(viewer, spacing=(2.0, 1.0, 1.0), names=("head flair", "head t1c"), seed=0):
    one = head_case(spacing=spacing, seed=seed)
    return [
        viewer.add_image(x.data, name=name, scale=spacing, units="mm")
        for x, name in zip(one.images, names, strict=True)
    ]


# ---- results of images that another reader added


def test_a_result_belongs_to_the_images_that_a_script_added(open_panel, wait, slow_run, answers, tmp_path):
    viewer, panel = open_panel()
    images = add_foreign(viewer)
    panel.segment()
    wait(lambda: not panel.is_running)
    result = panel.results_layer
    assert origin_of(result).images
    scan = panel.active_mask.scan()
    assert scan is not None and set(scan.roles) == {Role.FLAIR, Role.T1C}
    np.testing.assert_array_equal(scan.roles[Role.FLAIR].data, images[0].data)
    content = panel.compare.content()
    assert content.scan is not None and content.scan.grid.same_space(content.seg.grid)
    panel.compare.diameters.run()
    panel.compare.intensities.run()
    wait(lambda: panel.compare.diameters.found is not None and panel.compare.intensities.found)
    assert panel.compare.diameters.found.midline is not None
    panel.compare.export.run(tmp_path)
    wait(lambda: "Saved" in panel.compare.export.note.value)
    assert {path.suffix for path in tmp_path.iterdir()} >= {".html", ".png", ".gz", ".csv"}


def test_what_an_export_leaves_out_is_named(open_panel, wait, answers, tmp_path):
    viewer, panel = open_panel()
    drawn = viewer.add_labels(np.ones((4, 5, 6), np.uint8), units="mm", name="alone")
    viewer.layers.selection.active = drawn
    panel.compare.export.run(tmp_path)
    wait(lambda: "Saved" in panel.compare.export.note.value)
    assert "Report and picture are left out" in panel.compare.export.note.value
    assert not list(tmp_path.glob("*.html"))


def test_a_result_keeps_its_images_when_those_of_another_person_are_added(
    open_panel, wait, slow_run, answers
):
    viewer, panel = open_panel()
    mine = add_foreign(viewer)
    panel.segment()
    wait(lambda: not panel.is_running)
    result = panel.results_layer
    add_foreign(viewer, names=("other flair", "other t1c"), seed=9)
    viewer.layers.selection.active = result
    scan = panel.active_mask.scan()
    np.testing.assert_array_equal(scan.roles[Role.FLAIR].data, mine[0].data)
    viewer.layers.remove(mine[0])
    assert panel.active_mask.group() is None


def test_a_mask_drawn_on_images_of_a_script_finds_them(open_panel, answers):
    viewer, panel = open_panel()
    add_foreign(viewer)
    drawn = viewer.add_labels(np.zeros(SHAPE, np.uint8), scale=(2, 1, 1), units="mm")
    drawn.data[2, 3, 4] = 1
    viewer.layers.selection.active = drawn
    assert panel.active_mask.scan() is not None


def test_images_of_dask_are_computed_once(open_panel, answers):
    viewer, panel = open_panel()
    computed = []

    def values(block):
        computed.append(1)
        return block

    lazy = [
        dask.array.from_array(x.data, chunks=-1).map_blocks(values, meta=np.empty((0, 0, 0), np.float32))
        for x in head_case().images
    ]
    for name, data in zip(("flair", "t1c"), lazy, strict=True):
        viewer.add_image(data, name=name, scale=(2, 1, 1), units="mm", contrast_limits=(0, 200))
    drawn = viewer.add_labels(np.zeros(SHAPE, np.uint8), scale=(2, 1, 1), units="mm")
    viewer.layers.selection.active = drawn
    panel.active_mask.scan()
    before = len(computed)
    for _ in range(3):
        panel.active_mask.scan()
        panel.segment_page.update_scan()
    assert len(computed) == before


# ---- masks that are drawn


def test_a_mask_drawn_with_any_label_is_counted_named_once_and_saved(open_panel, answers, tmp_path):
    viewer, panel = open_panel()
    add_case(viewer)
    scan = viewer.layers[0]
    given, asked = answers
    drawn = viewer.add_labels(np.zeros((4, 5, 6), int), scale=scan.scale, name="drawn")
    drawn.units = scan.units
    drawn.data[1, 2:4, 2:5] = 7
    drawn.refresh()
    assert numbers(panel)["label"][0:2] == ("0.036", "6")
    given.append("binary")
    panel.save_mask(tmp_path / "one.nii.gz")
    panel.save_mask(tmp_path / "two.nii.gz")
    assert len(asked) == 1 and "7" in asked[0]
    assert numbers(panel)["WT"][0:2] == ("0.036", "6")
    back = read_mask(tmp_path / "two.nii.gz")
    assert back.convention.name == "binary" and back.labels.sum() == 6
    panel.save_table(tmp_path / "table.csv")


def test_labels_of_several_conventions_are_named_in_the_panel(open_panel, answers, tmp_path):
    viewer, panel = open_panel()
    add_case(viewer)
    scan = viewer.layers[0]
    data = np.zeros((4, 5, 6), np.uint8)
    data[1, 1, 1:4] = (1, 2, 3)
    drawn = viewer.add_labels(data, scale=scan.scale, units=scan.units, name="drawn")
    meaning = panel.results.meaning
    assert meaning.native.isVisibleTo(panel) and set(numbers(panel)) == {"label"}
    meaning.value = "msd"
    assert numbers(panel)["ED"][1] == "1" and numbers(panel)["WT"][1] == "3"
    assert not meaning.native.isVisibleTo(panel)
    assert set(panel.correct.labels.choices) == {1, 2, 3}
    panel.save_mask(tmp_path / "mask.nii.gz")
    assert read_mask(tmp_path / "mask.nii.gz").convention.name == "msd"
    viewer.layers.selection.active = scan
    viewer.layers.selection.active = drawn
    assert "msd" in drawn.metadata.values() and not answers[1]


def test_label_4_on_a_mask_of_2023_leaves_the_other_numbers(open_panel, answers, wait):
    viewer, panel = open_panel()
    one = head_case()
    (layer,) = show_case(viewer, one, mask_on(one))
    wait(lambda: panel.numbers.table.is_complete)
    before = numbers(panel)
    layer.data_setitem((np.array([0]), np.array([0]), np.array([0])), 4)
    after = numbers(panel)
    assert {name: after[name][:3] for name in before} == {name: before[name][:3] for name in before}
    assert after["label"][1] == "1" and "Label 4" in panel.results.remark.value
    panel.results.meaning.value = "brats-2024"
    assert numbers(panel)["RC"][1] == "1" and not panel.results.remark.value


# ---- the place of layers


def volumes(panel, path, wait) -> tuple[dict[str, str], dict[str, str]]:
    """Return the volumes in the panel and in a CSV file that is saved now."""
    panel.save_table(path)
    wait(path.exists)
    with path.open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    column = next(name for name in rows[0] if name.startswith("volume"))
    key = next(name for name in rows[0] if name in ("region", "name", "row"))
    table = {row.name: row.volume_ml for row in panel.results.rows}
    return table, {row[key]: float(row[column]) if row[column] else None for row in rows}


@pytest.mark.parametrize("how", ["scale", "units", "pixels", "affine"])
def test_table_and_csv_follow_the_layer(open_panel, answers, wait, tmp_path, how):
    viewer, panel = open_panel()
    one = head_case(spacing=(2.0, 1.0, 1.0))
    (layer,) = show_case(viewer, one, mask_on(one))
    whole = next(row.voxels for row in panel.results.rows if row.name == "WT")
    change = {
        "scale": lambda: setattr(layer, "scale", (4.0, 1.0, 1.0)),
        "units": lambda: setattr(layer, "units", ("um",) * 3),
        "pixels": lambda: setattr(layer, "units", ("pixel",) * 3),
        "affine": lambda: setattr(layer, "affine", np.diag([3.0, 1, 1, 1])),
    }[how]
    change()
    expected = {"scale": 4e-3, "units": 2e-12, "pixels": None, "affine": 6e-3}[how]
    wait(
        lambda: panel.results.rows[-1].volume_ml != next(row.voxels for row in panel.results.rows[-1:]) * 2e-3
    )
    table, saved = volumes(panel, tmp_path / "table.csv", wait)
    if expected is None:
        assert table["WT"] is None and saved["WT"] is None
    else:
        assert table["WT"] == pytest.approx(whole * expected)
        assert saved["WT"] == pytest.approx(table["WT"], rel=1e-3, abs=1e-3)


def test_diameters_go_when_the_mask_gets_another_size(open_panel, answers, wait):
    viewer, panel = open_panel()
    one = head_case(spacing=(2.0, 1.0, 1.0))
    (layer,) = show_case(viewer, one, mask_on(one))
    panel.compare.diameters.run()
    wait(lambda: panel.compare.diameters.found is not None)
    viewer.add_points(np.zeros((1, 3)))  # which moves nothing
    wait(lambda: panel.numbers.table.is_complete)
    assert panel.compare.diameters.found is not None
    layer.scale = (4.0, 1.0, 1.0)
    wait(lambda: panel.compare.diameters.found is None)


def test_a_moved_mask_is_written_where_it_lies(open_panel, answers, tmp_path):
    viewer, panel = open_panel()
    one = head_case(spacing=(2.0, 1.0, 1.0))
    (layer,) = show_case(viewer, one, mask_on(one))
    before = to_segmentation(layer).grid.affine
    layer.translate = np.add(layer.translate, (10, 0, 0))  # towards the head
    panel.save_mask(tmp_path / "moved.nii.gz")
    affine = read_mask(tmp_path / "moved.nii.gz").grid.affine
    np.testing.assert_allclose(affine[:3, 3] - before[:3, 3], (0, 0, 10), atol=1e-4)


def test_a_stated_voxel_size_holds_for_a_reference_that_is_loaded_later(open_panel, answers):
    viewer, panel = open_panel()
    on = grid(unit="unknown", spacing=(1, 1, 1))
    add_case(viewer, case(image("x flair", Role.FLAIR, on), image("x t1c", Role.T1C, on)))
    panel.state_spacing((5.0, 0.5, 0.5))
    labels = np.zeros(on.shape, np.uint8)
    labels[1, 2, 3] = 1
    add(viewer, [labels_layer(Segmentation(labels, on, CONVENTIONS["binary"], "reference"))])
    layer = viewer.layers[-1]
    np.testing.assert_allclose(layer.scale, (5, 0.5, 0.5))
    assert to_segmentation(layer).grid.spacing_mm == pytest.approx((5, 0.5, 0.5))


def test_a_mask_beside_the_scan_is_laid_on_it(open_panel, answers, tmp_path):
    viewer, panel = open_panel()
    add_case(viewer)
    scan = viewer.layers[0]
    given, asked = answers
    drawn = viewer.add_labels(np.zeros((4, 5, 6), np.uint8), name="drawn")
    drawn.data[1, 2, 3] = 1
    drawn.refresh()
    panel.save_mask(tmp_path / "where.nii.gz")
    assert "not on the scan" in panel.runs.status.value
    given.append("lay it on")
    panel.save_mask(tmp_path / "on.nii.gz")
    assert len(asked) == 2 and asked[0].endswith("but has another voxel size.")
    np.testing.assert_allclose(drawn.scale, scan.scale)
    written = nib.load(tmp_path / "on.nii.gz")
    np.testing.assert_allclose(written.affine, origin_of(scan).grid.file_layout.affine, atol=1e-6)
    panel.save_mask(tmp_path / "again.nii.gz")
    assert len(asked) == 2


# ---- what the table is of


def test_before_a_run_the_table_says_that_it_is_no_result(open_panel, wait, slow_run, answers):
    viewer, panel = open_panel()
    one = head_case()
    add_case(viewer, one)
    group = origin_of(viewer.layers[0]).group
    truth = replace(mask_on(one), source=Path("seg.nii.gz"))
    add(viewer, [labels_layer(truth, name="case seg (from file)", group=group, visible=False)])
    heading = next(s.button for s in panel.findChildren(Section) if s.body is panel.results)
    assert "no result" in heading.text()
    viewer.dims.set_current_step(0, 0)
    panel.segment()
    wait(lambda: not panel.is_running)
    assert heading.text() == "Results"


def test_after_a_run_the_view_turns_to_the_slice_with_most_tumour(open_panel, wait, monkeypatch, answers):
    def fake(scan, model, settings, analysis):
        labels = np.zeros(scan.grid.shape, np.uint8)
        labels[1, 1, 1], labels[3, 1:3, 1:3] = 1, 1
        yield Progress(1, 1, 0, 0, labels[0], 0)
        convention = CONVENTIONS[model.card.output.scheme]
        return Segmentation(labels, scan.grid, convention, scan.case, None, {"warnings": []})

    monkeypatch.setattr(inference, "run", fake)
    viewer, panel = open_panel()
    add_case(viewer)
    viewer.dims.set_current_step(0, 0)
    panel.segment()
    wait(lambda: not panel.is_running)
    assert viewer.dims.current_step[0] == 3


def test_many_parts_are_explained_where_they_stand(open_panel, answers, wait):
    viewer, panel = open_panel()
    one = head_case()
    seg = mask_on(one)
    seg.labels[0, ::4, ::4] = 1
    show_case(viewer, one, seg)
    wait(lambda: panel.numbers.table.is_complete)
    assert "NCR" in panel.results.parts_note.value and "single voxels" in panel.results.parts_note.value


def test_the_panel_fits_large_letters_and_small_screens(open_panel):
    settings = get_settings()
    _, panel = open_panel(show=True)
    assert panel.minimumWidth() <= 320 and panel.minimumSizeHint().height() < 450
    before = settings.appearance.font_size
    settings.appearance.font_size = 14
    try:
        QApplication.processEvents()
        panel.resize(panel.sizeHint())
        for index in range(panel.tabs.count()):
            panel.tabs.setCurrentIndex(index)
            QApplication.processEvents()
            assert panel.tabs.widget(index).horizontalScrollBar().maximum() == 0, index
        assert panel.results.minimumSizeHint().width() < panel.minimumWidth()
    finally:
        settings.appearance.font_size = before
