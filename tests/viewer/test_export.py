"""Everything about a case into a folder, and back."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from napari.layers import Layer

from napari_tumorseg.errors import OutputError
from napari_tumorseg.io import read_mask
from napari_tumorseg.measurement import Rano, agreement, measure, rano
from napari_tumorseg.viewer.compare.export import ExportContent, write_case
from napari_tumorseg.viewer.layers.edits import edits_of
from napari_tumorseg.viewer.readers import read_layers
from tests.viewer.conftest import NEEDS_SCREEN
from tests.viewer.studies import head_case, mask_on, show_case

EVIL = "<script>alert(1)<img src=x onerror=alert(1)>=cmd"
NAMES = {
    "_seg.nii.gz",
    "_seg.json",
    "_statistics.csv",
    "_statistics.json",
    "_lines.json",
    "_report.html",
    "_overlay.png",
}


@pytest.mark.parametrize("ending", [".nii.gz", ".tif", ".h5"])
def test_all_files_are_there_and_hold_what_was_found(tmp_path, ending):
    one = head_case()
    seg = mask_on(one)
    agreed = agreement(seg, mask_on(one, shift=2))
    written = write_case(
        tmp_path / "new folder", ExportContent(seg, one.scan(), agreement=agreed), ending=ending
    )
    assert {p.name for p in written} == {f"case{n}".replace(".nii.gz", ending) for n in NAMES}
    assert all(p.stat().st_size for p in written)
    folder = tmp_path / "new folder"
    np.testing.assert_array_equal(read_mask(folder / f"case_seg{ending}").labels, seg.labels)
    rows = list(csv.DictReader((folder / "case_statistics.csv").read_text().splitlines()))
    assert {r["name"]: int(r["voxels"]) for r in rows} == {r.name: r.voxels for r in measure(seg).rows}
    told = json.loads((folder / "case_statistics.json").read_text())
    assert told["agreement"]["rows"][0]["dice"] == agreed.rows[0].dice
    lines = json.loads((folder / "case_lines.json").read_text())
    assert Rano.from_dict(lines["diameters"]) == rano(seg)
    assert lines["midline"]["unit"] == "mm" and lines["sides"]
    report = (folder / "case_report.html").read_text()
    assert "Research use only" in report and "data:image/png;base64" in report


def test_nothing_is_replaced_unless_that_is_wanted(tmp_path):
    one = head_case()
    content = ExportContent(mask_on(one), one.scan())
    (tmp_path / "case_report.html").write_text("mine")
    with pytest.raises(OutputError, match=r"case_report\.html exists already"):
        write_case(tmp_path, content)
    assert [p.name for p in tmp_path.iterdir()] == ["case_report.html"]
    write_case(tmp_path, content, overwrite=True)
    assert (tmp_path / "case_report.html").read_text() != "mine"


def test_without_images_there_is_no_report(tmp_path):
    written = write_case(tmp_path, ExportContent(mask_on(head_case())))
    assert {p.suffix for p in written} == {".gz", ".json", ".csv"}


def test_names_do_no_harm(tmp_path):
    one = head_case(name=EVIL)
    seg = mask_on(one)
    object.__setattr__(seg, "name", EVIL)
    written = write_case(tmp_path, ExportContent(seg, one.scan()))
    assert all(p.parent == tmp_path for p in written)
    report = next(p for p in written if p.suffix == ".html").read_text()
    assert "<script" not in report and "<img src=x" not in report
    table = next(p for p in written if p.suffix == ".csv").read_text()
    assert not any(cell.startswith(("=", "+", "@")) for row in csv.reader(table.splitlines()) for cell in row)


@NEEDS_SCREEN
def test_a_person_saves_everything_and_opens_the_mask_again(new_panel, wait, tmp_path):
    viewer, panel = new_panel()
    one = head_case()
    mine, theirs = show_case(viewer, one, mask_on(one), mask_on(one, shift=2))
    viewer.layers.selection.active = mine
    mine.brush_size = 4
    mine.paint((3, 30, 10), 2)
    compare = panel.compare
    compare.reference.chooser.choose(theirs)
    compare.reference.compare.click()
    wait(lambda: compare.reference.found is not None)
    compare.diameters.measure.click()
    wait(lambda: compare.diameters.found is not None)
    layer = compare.diameters.lines.layer
    lines = [np.array(x) for x in layer.data]
    lines[0][1] += [0, 2, 0]
    layer.data = lines
    assert compare.diameters.found.rano.lesions[0].edited
    compare.export.run(tmp_path)
    wait(lambda: compare.export.note.value.startswith("Saved in "))
    assert not edits_of(mine).unsaved
    told = json.loads((tmp_path / "case_lines.json").read_text())
    assert Rano.from_dict(told["diameters"]) == compare.diameters.found.rano  # the ends that were moved
    statistics = json.loads((tmp_path / "case_statistics.json").read_text())
    assert statistics["agreement"]["reference"] and statistics["provenance"]["edits"]["total"] == 1
    for data in read_layers(str(tmp_path / "case_seg.nii.gz")):
        viewer.add_layer(Layer.create(*data))
    again = viewer.layers[-1]
    np.testing.assert_array_equal(again.data, mine.data)
    np.testing.assert_allclose(again.extent.world, mine.extent.world)


@NEEDS_SCREEN
def test_files_that_are_there_are_not_replaced_without_a_word(new_panel, wait, tmp_path, complaints):
    viewer, panel = new_panel()
    one = head_case()
    (mine,) = show_case(viewer, one, mask_on(one))
    viewer.layers.selection.active = mine
    (tmp_path / "case_seg.json").write_text("{}")
    panel.compare.export._context.safely(lambda: panel.compare.export.run(tmp_path))()
    assert "case_seg.json belongs to something else" in complaints[0]
    assert [p.name for p in tmp_path.iterdir()] == ["case_seg.json"]
    (tmp_path / "case_seg.json").rename(tmp_path / "case_statistics.csv")
    panel.compare.export._context.safely(lambda: panel.compare.export.run(tmp_path))()
    assert "exist already" in complaints[1]
    assert [p.name for p in tmp_path.iterdir()] == ["case_statistics.csv"]


@NEEDS_SCREEN
def test_a_mask_that_was_made_elsewhere_is_not_replaced(new_panel, tmp_path, complaints, monkeypatch):
    monkeypatch.setattr("napari_tumorseg.viewer.compare.export_section._may_replace", pytest.fail)
    viewer, panel = new_panel()
    one = head_case()
    (mine,) = show_case(viewer, one, mask_on(one))
    viewer.layers.selection.active = mine
    (tmp_path / "case_seg.nii.gz").write_bytes(b"true")
    panel.compare.export._context.safely(lambda: panel.compare.export.run(tmp_path))()
    assert "case_seg.nii.gz was not written by this program" in complaints[0]
    assert [p.name for p in tmp_path.iterdir()] == ["case_seg.nii.gz"]


@NEEDS_SCREEN
def test_a_stroke_with_a_strange_label_while_all_is_saved_is_no_crash(new_panel, wait, tmp_path, complaints):
    viewer, panel = new_panel()
    one = head_case()
    (mine,) = show_case(viewer, one, mask_on(one))
    viewer.layers.selection.active = mine
    mine.paint((3, 30, 10), 2)
    export = panel.compare.export
    export.run(tmp_path)
    mine.paint((3, 30, 20), 77)
    wait(lambda: not export._work.is_busy)
    assert export.note.value.startswith("Saved in ") and not complaints
    assert edits_of(mine).unsaved


@NEEDS_SCREEN
def test_what_is_out_of_date_is_not_taken_along(new_panel, wait):
    viewer, panel = new_panel()
    one = head_case()
    mine, theirs = show_case(viewer, one, mask_on(one), mask_on(one, shift=2))
    viewer.layers.selection.active = mine
    compare = panel.compare
    compare.reference.chooser.choose(theirs)
    compare.reference.compare.click()
    compare.diameters.measure.click()
    wait(lambda: compare.reference.found is not None and compare.diameters.found is not None)
    assert compare.content().rano is not None and compare.content().agreement is not None
    mine.paint((3, 30, 10), 2)
    found = compare.content()
    assert found.rano is None and found.agreement is None and found.midline is not None
