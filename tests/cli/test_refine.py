"""``tumorseg refine``: a mask corrected by the clicks in a file."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_tumorseg.io import read_mask
from napari_tumorseg.io.click_files import grid_checksum
from tests.builders import head, write_case
from tests.cli.conftest import Run


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """Return a mask beside its scan that lacks half of the lesion."""
    lesion = head() > 300
    columns = np.flatnonzero(lesion.any(axis=(0, 1)))
    half = lesion.astype(np.uint8)
    half[..., columns[len(columns) // 2] :] = 0
    return write_case(tmp_path, {"flair": head(), "t1c": head(), "seg": half}, "P-02") / "P-02_seg.nii.gz"


def clicks_on(mask: Path, sign: str = "+") -> Path:
    z, y, x = np.argwhere(head() > 300)[-1]
    seg = read_mask(mask)
    told = {"at": [int(z) - 1, int(y) - 3, int(x) - 1], "sign": sign, "label": 1}
    path = mask.parent.parent / "clicks.json"
    path.write_text(json.dumps({"format": 1, "grid": grid_checksum(seg.grid), "clicks": [told]}))
    return path


def test_a_click_adds_what_is_missing_and_is_kept_in_the_side_file(
    tumorseg: Run, wrong: Path, tmp_path: Path
) -> None:
    out = tmp_path / "better_seg.nii.gz"
    done = tumorseg("refine", wrong, "--clicks", clicks_on(wrong), "-o", out)
    assert done.code == 0, done.err
    assert "1 click changed" in done.out
    lesion, found = head() > 300, read_mask(out).labels > 0
    assert np.count_nonzero(found & lesion) > 1.2 * np.count_nonzero(read_mask(wrong).labels)
    side = json.loads(out.with_name("better_seg.json").read_text())
    assert side["clicks"][0]["clicks"][0]["sign"] == "+"
    assert side["corrected_by_hand"] is True


def test_the_same_clicks_give_the_same_file(tumorseg: Run, wrong: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{n}_seg.nii" for n in "ab"]
    for path in files:
        assert tumorseg("refine", wrong, "--clicks", clicks_on(wrong), "-o", path, "-q").code == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_clicks_of_an_earlier_round_stay_in_the_side_file(tumorseg: Run, wrong: Path, tmp_path: Path) -> None:
    once, twice = tmp_path / "1_seg.nii.gz", tmp_path / "2_seg.nii.gz"
    assert tumorseg("refine", wrong, "--clicks", clicks_on(wrong), "-o", once, "-q").code == 0
    again = ("--clicks", clicks_on(wrong, "-"), "--scan", wrong.parent, "-o", twice, "--json")
    done = tumorseg("refine", once, *again)
    assert done.code == 0, done.err
    assert json.loads(done.out)["clicks"] == 1
    rounds = json.loads(twice.with_name("2_seg.json").read_text())["clicks"]
    assert [one["clicks"][0]["sign"] for one in rounds] == ["+", "-"]


def test_a_model_is_run_for_its_probabilities(
    tumorseg: Run, wrong: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m_seg.nii.gz"
    done = tumorseg("refine", wrong, "--clicks", clicks_on(wrong), "-o", out, "-m", model)
    assert done.code == 0, done.err


def test_clicks_for_another_grid_are_refused(tumorseg: Run, wrong: Path, tmp_path: Path) -> None:
    clicks = clicks_on(wrong)
    clicks.write_text(clicks.read_text().replace('"grid": "', '"grid": "f'))
    done = tumorseg("refine", wrong, "--clicks", clicks, "-o", tmp_path / "x_seg.nii.gz")
    assert done.code == 3
    assert "clicks.json" in done.err and "made on the grid" in done.err
    assert not (tmp_path / "x_seg.nii.gz").exists()


def test_a_scan_on_another_grid_is_refused(tumorseg: Run, wrong: Path, tmp_path: Path) -> None:
    other = write_case(tmp_path, {"flair": head()[:, :30]}, "P-03")
    arguments = ("--clicks", clicks_on(wrong), "-o", tmp_path / "x_seg.nii.gz", "--scan", other)
    done = tumorseg("refine", wrong, *arguments)
    assert done.code == 3
    assert "no image of P-03 lies on the grid" in done.err


def test_the_input_is_not_replaced(tumorseg: Run, wrong: Path) -> None:
    before = wrong.read_bytes()
    done = tumorseg("refine", wrong, "--clicks", clicks_on(wrong), "-o", wrong, "--overwrite")
    assert done.code != 0 and "is an input" in done.err
    assert wrong.read_bytes() == before
    assert nib.load(wrong).shape


def test_a_mask_without_its_scan_beside_it_says_what_to_name(
    tumorseg: Run, wrong: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "masks" / wrong.name
    alone.parent.mkdir()
    wrong.rename(alone)
    told = tumorseg("refine", alone, "--clicks", clicks_on(alone), "-o", tmp_path / "better_seg.nii.gz")
    assert told.code != 0 and "holds no scan" in told.err and "--scan" in told.err
