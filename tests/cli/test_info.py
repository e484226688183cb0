"""``tumorseg info``: what is there, what will be made of it, what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.builders import DATA, head, write_case
from tests.cli.conftest import Run


def test_a_good_case(tumorseg: Run, case: Path) -> None:
    done = tumorseg("info", case)
    assert done.code == 0
    for part in ("P-01", "P-01_flair", "P-01_t1c", "brats-regions", "LPS"):
        assert part in done.out
    assert "warning" not in done.err


def test_a_good_case_as_json(tumorseg: Run, case: Path) -> None:
    done = tumorseg("info", case, "--json")
    told = json.loads(done.out)
    assert done.code == 0
    assert told["case"] == "P-01"
    assert [(i["name"], i["role"]) for i in told["images"]] == [("P-01_flair", "flair"), ("P-01_t1c", "t1c")]
    assert told["images"][0]["shape_zyx"] == [6, 40, 48]
    assert told["images"][0]["spacing_mm_zyx"] == [1, 1, 1]
    assert told["model"] == "brats-regions"
    assert told["reference"] == "P-01_flair"


def test_what_cannot_be_segmented_still_opens(tumorseg: Run, tmp_path: Path) -> None:
    case = write_case(tmp_path, {"t2": head()}, "two")
    done = tumorseg("info", case, "--json")
    assert done.code == 0
    told = json.loads(done.out)
    assert told["model"] is None
    assert "cannot be segmented" in told["plan"]
    assert any("no model can run" in w for w in told["warnings"])
    assert "no model can run" in tumorseg("info", case).err


def test_voxels_that_are_no_numbers_make_valid_json(tumorseg: Run, tmp_path: Path) -> None:
    data = head()
    data[1] = np.nan
    data[2, 3, 4] = np.inf
    told = json.loads(tumorseg("info", write_case(tmp_path, {"flair": data}, "nan"), "--json").out)
    assert told["images"][0]["range"][1] == 400


def test_several_cases_are_listed(tumorseg: Run, tmp_path: Path) -> None:
    for name in ("A", "B"):
        write_case(tmp_path / "many", {"flair": head()}, name)
    done = tumorseg("info", tmp_path / "many")
    assert done.code == 0
    assert "holds 2 cases" in done.out
    assert json.loads(tumorseg("info", tmp_path / "many", "--json").out)["cases"] == ["A", "B"]
    assert "A_flair" in tumorseg("info", tmp_path / "many", "--case", "A").out
    wrong = tumorseg("info", tmp_path / "many", "--case", "C")
    assert (wrong.code, "holds no case 'C'" in wrong.err) == (3, True)


def test_nothing_to_read(tumorseg: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "text.txt").touch()
    for path in (empty, tmp_path / "text.txt", tmp_path / "absent"):
        done = tumorseg("info", path)
        assert done.code == 3
        assert done.err.startswith(f"tumorseg: {path}")
        assert len(done.err.splitlines()) == 1


@pytest.mark.skipif(not DATA.is_dir(), reason="the real files are not here")
@pytest.mark.parametrize("path", sorted((DATA / "bad").glob("*.tif")), ids=lambda p: p.name)
def test_damaged_files(path: Path, tumorseg: Run) -> None:
    done = tumorseg("info", path)
    assert done.code == 3
    assert path.name in done.err
    assert len(done.err.splitlines()) == 1
