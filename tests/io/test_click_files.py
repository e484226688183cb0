import json

import numpy as np
import pytest

from napari_tumorseg.edit.clicks import Click
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.io.click_files import clicks_of, clicks_to_dict, grid_checksum, read_clicks
from napari_tumorseg.regions import CONVENTIONS

BRATS = CONVENTIONS["brats-2021"]
BINARY = CONVENTIONS["binary"]
GRID = Grid.from_file((40, 30, 20), np.diag([-1.0, -2.0, 3.0, 1.0]))


def content(*clicks, **more):
    return {"format": 1, "clicks": list(clicks), **more}


def test_what_is_written_is_read_again():
    clicks = (
        Click(((1, 2, 3),)),
        Click(((1, 2, 3), (1, 2, 4)), adds=False, label=4),
        Click(((1, 2, 3), (4, 5, 6)), label=2, is_box=True),
        Click(((1, 2, 3),), label=1, region=frozenset(BRATS.regions["TC"])),
        Click(((1, 2, 3),), label=4, region=frozenset(BRATS.regions["WT"])),
    )
    told = json.loads(json.dumps(clicks_to_dict(clicks, GRID, BRATS)))
    assert clicks_of(told, GRID, BRATS) == clicks


def test_mm_are_those_of_the_affine():
    voxel = (5, 7, 9)
    place = GRID.to_world(voxel) + 0.4
    (found,) = clicks_of(content({"at": place.tolist()}, space="mm"), GRID, BINARY)
    assert found.voxels == (voxel,)


def test_labels_are_known_by_number_abbreviation_and_region():
    entries = [{"at": [0, 0, 0], "label": name} for name in (4, "ET", "TC", "WT")]
    found = clicks_of(content(*entries), GRID, BRATS)
    assert [click.label for click in found[:2]] == [4, 4]
    assert found[2].members == {1, 4} and found[3].members == {1, 2, 4}
    assert found[3].label == 2  # what is in the whole tumour and not in its core


def test_the_checksum_tells_grids_apart():
    moved = Grid.from_file((40, 30, 20), np.diag([-1.0, -2.0, 3.1, 1.0]))
    assert grid_checksum(GRID) == grid_checksum(Grid.from_file((40, 30, 20), np.diag([-1.0, -2.0, 3.0, 1.0])))
    assert grid_checksum(GRID) != grid_checksum(moved)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ([], "no list `clicks`"),
        ({"clicks": []}, "format 1"),
        (content(grid="0" * 16), "made on the grid 0000000000000000"),
        (content(space="inch"), "voxel or mm"),
        (content({"at": [1, 2]}), "click 1: a place is three numbers"),
        (content({"at": [1, 2, None]}), "three numbers"),
        (content({"at": [1, 2, 1e300]}), "far outside"),
        (content({"at": [1, 2, 40]}), r"voxel \[1, 2, 40\] lies outside"),
        (content({"at": [1, 2, 3], "sign": 1}), "sign of a click is"),
        (content({"at": [1, 2, 3], "stroke": [[1, 2, 3]]}), "one of `at`"),
        (content({"stroke": []}), "three numbers"),
        (content({"box": [[1, 2, 3]]}), "two corners"),
        (content({"at": [1, 2, 3], "label": "ED"}), "'ED' is not one of"),
        (content("click"), "no click"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(told, words):
    with pytest.raises(InputError, match=words):
        clicks_of(told, GRID, BINARY)


def test_a_file_may_begin_with_the_mark_of_windows_editors(tmp_path):
    path = tmp_path / "clicks.json"
    path.write_text(json.dumps(content({"at": [0, 0, 0]})), encoding="utf-8-sig")
    assert read_clicks(path, GRID, BINARY) == (Click(((0, 0, 0),)),)


def test_mm_need_a_voxel_size():
    with pytest.raises(InputError, match="no voxel size"):
        clicks_of(content(space="mm"), Grid.from_codes((4, 5, 6)), BINARY)


def test_a_label_must_be_named_where_there_are_several():
    with pytest.raises(InputError, match="names no label"):
        clicks_of(content({"at": [1, 2, 3]}), GRID, BRATS)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\udcff"])
def test_a_damaged_file_is_named(tmp_path, text):
    path = tmp_path / "clicks.json"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError, match=r"clicks\.json"):
        read_clicks(path, GRID, BINARY)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_clicks(tmp_path / "none.json", GRID, BINARY)
