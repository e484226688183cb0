"""The results table follows every edit, and leads to lesions; in a real window."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels

from napari_tumorseg.edit import count_all
from napari_tumorseg.measurement import measure
from napari_tumorseg.measurement.volumes import listed
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.layers.to_layers import labels_layer
from napari_tumorseg.viewer.results.control import as_text
from napari_tumorseg.viewer.widgets import ask
from tests.viewer.conftest import NEEDS_SCREEN, grid
from tests.viewer.studies import head_case, mask_on, show_case
from tests.viewer.test_window import add

pytestmark = NEEDS_SCREEN

GROUPS = {name: members for name, _, _, members in listed(CONVENTIONS["brats-2024"])}


@pytest.fixture(autouse=True)
def nobody_looks(monkeypatch):
    monkeypatch.setattr(ask, "window", lambda: None)


def mask(viewer, labels, unit="mm", convention="brats-2024") -> Labels:
    on = grid(labels.shape, unit=unit, origin=(5.0, -7.0, 11.0))
    add(viewer, [labels_layer(Segmentation(labels, on, CONVENTIONS[convention], "case"), name="mask")])
    viewer.layers.selection.active = viewer.layers[-1]
    return viewer.layers[-1]


def lesions() -> np.ndarray:
    """Three components of label 1 (WT): of 27, 8 and 1 voxels; label 2 in none."""
    labels = np.zeros((12, 20, 24), np.uint8)
    labels[2:5, 2:5, 2:5] = 1
    labels[7:9, 10:12, 10:12] = 1
    labels[10, 15, 20] = 1
    return labels


def shown(panel) -> dict[str, tuple[str, ...]]:
    table = panel.results.table
    cells = [[table.item(r, c).text() for c in range(5)] for r in range(table.rowCount())]
    return {cell[0].split()[0]: tuple(cell[1:]) for cell in cells}


def test_the_number_of_parts_is_explained_where_it_stands(open_panel, wait):
    viewer, panel = open_panel()
    mask(viewer, lesions())
    wait(lambda: shown(panel).get("WT", ("", "", "…"))[2] == "3")
    table = panel.results.table
    column = [table.horizontalHeaderItem(c).text() for c in range(table.columnCount())].index("Parts")
    tips = [table.horizontalHeaderItem(column).toolTip(), table.item(0, column).toolTip()]
    assert all("thin seams between labels count, too" in tip for tip in tips)


@pytest.mark.slow
def test_the_table_follows_200_strokes(open_panel, wait):
    viewer, panel = open_panel()
    rng = np.random.default_rng(5)
    layer = mask(viewer, rng.integers(0, 5, (20, 60, 60)).astype(np.uint8) * (rng.random((20, 60, 60)) > 0.9))
    first = count_all(layer.data, GROUPS)
    layer.mode = "paint"
    for turn in range(200):
        kind = rng.choice(["stroke", "undo", "redo"], p=[0.6, 0.25, 0.15])
        if kind != "stroke":
            getattr(layer, kind)()
        else:
            layer.brush_size = int(rng.integers(1, 15))
            start, label = rng.integers(layer.data.shape), int(rng.integers(5))
            with layer.block_history():
                for step in range(4):
                    layer.paint(np.minimum(start + np.array([0, step, step]), 59 if step else 60), label)
        wait(lambda: panel.numbers.table.is_complete)
        for name, count in count_all(layer.data, GROUPS).items():
            cells = shown(panel)[name]
            assert (cells[1], cells[2]) == (str(count.voxels), str(count.components)), (turn, name)
            more = next(row.more_voxels for row in panel.results.rows if row.name == name)
            assert more == count.voxels - first[name].voxels


def test_the_change_is_in_ml_or_voxels(open_panel, wait):
    viewer, panel = open_panel()
    layer = mask(viewer, lesions())
    layer.data_setitem((np.full(4, 11), np.full(4, 1), np.arange(4)), 1)
    assert shown(panel)["WT"][3] == "+0.024"
    layer = mask(viewer, lesions(), unit="unknown")
    layer.data_setitem((np.array([10]), np.array([15]), np.array([20])), 0)
    assert shown(panel)["WT"][0] == "—"
    assert shown(panel)["WT"][3] == "−1"


def test_switching_layers_switches_the_table(open_panel, wait):
    viewer, panel = open_panel()
    one = mask(viewer, lesions())
    one.data_setitem((np.array([0]), np.array([0]), np.array([0])), 1)
    other = mask(viewer, np.zeros((12, 20, 24), np.uint8))
    wait(lambda: panel.numbers.table.is_complete)
    assert shown(panel)["WT"][1:] == ("0", "0", "0")
    viewer.layers.selection.active = one
    wait(lambda: panel.numbers.table.is_complete)
    assert shown(panel)["WT"][1:3] == ("37", "4")
    assert shown(panel)["WT"][3] == "+0.006"  # since it was opened, not since it was selected
    assert other in viewer.layers


def test_a_click_on_a_row_shows_its_largest_slice(open_panel):
    viewer, panel = open_panel()
    layer = mask(viewer, lesions())
    viewer.dims.set_current_step(0, 0)
    row = next(i for i, row in enumerate(panel.results.rows) if row.name == "WT")
    camera = viewer.scene.camera
    camera.center, camera.zoom = (0.0, *panel.active_mask.position_of((0, 15, 20))[1:]), 2.0
    far, zoom = camera.center, camera.zoom
    panel.results.table.cellClicked.emit(row, 0)
    assert layer.data[viewer.dims.current_step[0]].sum() == 9
    assert camera.center == far and camera.zoom == zoom  # it is in sight
    viewer.dims.set_current_step(0, 0)
    camera.zoom = min(viewer.canvas.size) / 8  # mm to be seen
    panel.results.table.cellClicked.emit(row, 0)
    assert layer.data[viewer.dims.current_step[0]].sum() == 9
    y, x = camera.center[-2:]
    assert panel.active_mask.index_of((viewer.dims.point[0], y, x)) == (3, 3, 3)
    empty = next(i for i, row in enumerate(panel.results.rows) if row.name == "RC")
    panel.results.table.cellClicked.emit(empty, 0)
    assert "no RC" in panel.runs.status.value


def test_a_second_result_tells_what_to_do_with_the_first(open_panel, wait):
    viewer, panel = open_panel()
    one = head_case()
    first, second = show_case(viewer, one, mask_on(one), mask_on(one, shift=2), model=True)
    viewer.layers.selection.active = second
    panel.numbers.report_result()
    wait(lambda: "slices 2 to 5" in panel.runs.status.value)
    assert f"{first.name} is there, too" in panel.runs.status.value
    assert "remove" in panel.runs.status.value and "Compare" in panel.runs.status.value
    first.visible = False
    panel.numbers.report_result()
    wait(lambda: "there, too" not in panel.runs.status.value)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
def test_components_are_stepped_through_in_any_plane(open_panel, order):
    viewer, panel = open_panel()
    mask(viewer, lesions())
    viewer.dims.order = order
    centres = [(3, 3, 3), (7, 10, 10), (10, 15, 20)]
    seen = []
    for direction in (1, 1, 1, 1, -1, -1):
        panel.results.step(direction)
        place = list(viewer.dims.point)
        for axis, value in zip(viewer.dims.displayed, viewer.scene.camera.center[-2:], strict=True):
            place[axis] = value
        seen.append(panel.active_mask.index_of(place))
    wanted = [centres[number] for number in (0, 1, 2, 0, 2, 1)]
    for found, centre in zip(seen, wanted, strict=True):
        assert np.abs(np.subtract(found, centre)).max() <= 1
    assert "of 3" in panel.runs.status.value


def test_the_table_has_the_name_that_the_layer_has_now(open_panel):
    viewer, panel = open_panel()
    layer = mask(viewer, lesions())
    layer.name = "renamed"
    assert panel.results.title.value.startswith("renamed (")
    other = mask(viewer, lesions())
    layer.name = "not in hand"
    assert panel.results.title.value.startswith(other.name)


INTERVALS = {
    "WT": {"voxels": 36, "low": 30.2, "high": 44.0, "coverage": 0.9, "patients": 11},
    "ET": {"voxels": 27, "low": 3.0, "high": 90.0, "coverage": 0.9, "patients": 11},
}


def model_result(viewer, intervals) -> Labels:
    """Show a result of a model: 9 voxels of label 1 and 27 of label 3, with intervals of their regions."""
    labels = np.zeros((12, 20, 24), np.uint8)
    labels[2:5, 2:5, 2:5] = 3
    labels[7:8, 10:13, 10:13] = 1
    on = grid(labels.shape, origin=(5.0, -7.0, 11.0))
    provenance = {"model": {"name": "tiny"}, "intervals": intervals}
    seg = Segmentation(labels, on, CONVENTIONS["brats-2023"], "case", provenance=provenance)
    add(viewer, [labels_layer(seg, name="case seg", model=True)])
    viewer.layers.selection.active = viewer.layers[-1]
    return viewer.layers[-1]


def test_a_result_has_intervals_until_it_is_corrected(open_panel, wait):
    viewer, panel = open_panel()
    layer = model_result(viewer, INTERVALS)
    wait(lambda: panel.results.rows)
    note = panel.results.intervals_note
    assert note.value == (  # of voxels of 6 mm3
        "WT 90\N{NO-BREAK SPACE}%: 0.181 to 0.264 mL; ET 90\N{NO-BREAK SPACE}%: 0.018 to 0.540 mL. "
        "Wide interval of ET: check this case."
    )
    assert "not for a corrected mask" in note.native.toolTip()
    layer.mode = "paint"
    layer.paint((10, 15, 20), 1)
    wait(lambda: note.value == "")
    assert all(row.interval is None for row in panel.results.rows)


def test_the_copied_table_has_a_column_of_intervals():
    measured = measure(
        Segmentation(
            np.full((2, 3, 6), 1, np.uint8),
            grid((2, 3, 6)),
            CONVENTIONS["binary"],
            provenance={"intervals": INTERVALS},
        )
    )
    lines = [line.split("\t") for line in as_text("mask", measured).splitlines()]
    assert lines[1][-1] == "Interval" and lines[2][-1].startswith("90\N{NO-BREAK SPACE}%: ")
