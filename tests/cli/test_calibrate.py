"""``tumorseg calibrate``, and the intervals that `segment` gives from then on."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

HEAD = "case,trained_on,error,kind,region,voxels,reference_voxels,volume_error_ml,doubt\n"


def evaluated(folder: Path, patients: int) -> Path:
    """Write the table of an evaluation in which every volume is found by half."""
    folder.mkdir()
    rows = (f"p{n},no,,region,WT,100,300,-0.2,\n" for n in range(patients))
    (folder / "cases.csv").write_text(HEAD + "".join(rows))
    return folder


def test_segment_gives_intervals_once_a_model_is_calibrated(
    tumorseg: Run, tmp_path: Path, model: Path, case: Path
) -> None:
    done = tumorseg("calibrate", model, evaluated(tmp_path / "test", 9), "--source", "nine patients")
    assert done.code == 0, done.err
    assert "WT" in done.out and "4.00" in done.out and f"wrote {model}" in done.out
    table = tmp_path / "out" / "table.csv"
    done = tumorseg("segment", case, "--model", model, "-o", tmp_path / "out", "--csv", table)
    assert done.code == 0, done.err
    # 144 voxels of 1 mm, a ratio of 2 with a floor of 0.1 mL: 244 / 2 - 100 to 244 * 2 - 100
    assert "interval (mL)" in done.out and "90\N{NO-BREAK SPACE}%: 0.022 to 0.388" in done.out
    assert "Wide interval of WT: check this case." in " ".join(done.out.split())
    with table.open() as file:
        row = next(csv.DictReader(file))
    assert row["interval_coverage"] == "0.9"
    ends = [float(row[f"interval_{end}_ml"]) for end in ("low", "high")]
    assert ends == pytest.approx([0.022, 0.388], abs=1e-4)
    assert (row["interval_patients"], row["interval_wide"]) == ("9", "yes")
    written = json.loads((tmp_path / "out" / "P-01_seg.json").read_text())
    assert written["measurements"]["rows"][0]["interval"]["patients"] == 9
    told = json.loads(tumorseg("segment", case, "--model", model, "-o", tmp_path / "2", "--json").out)
    assert told["rows"][0]["interval"]["high_voxels"] == 388


def test_few_patients_are_told(tumorseg: Run, tmp_path: Path, model: Path) -> None:
    done = tumorseg("calibrate", model, evaluated(tmp_path / "test", 3))
    assert done.code == 0 and "75\N{NO-BREAK SPACE}%, too few patients" in done.out


def test_tables_are_printed_as_json(tumorseg: Run, tmp_path: Path, model: Path) -> None:
    done = tumorseg("calibrate", model, evaluated(tmp_path / "test", 4), "--roles", "flair", "--json")
    (table,) = json.loads(done.out)
    assert (table["region"], table["roles"], len(table["residuals"])) == ("WT", ["flair"], 4)


def test_wrong_use(tumorseg: Run, tmp_path: Path, model: Path) -> None:
    folder = evaluated(tmp_path / "test", 4)
    assert tumorseg("calibrate", model, folder, "--roles", "ct").code == 2
    done = tumorseg("calibrate", "lgg-flair", folder)
    assert done.code == 5 and "comes with the program" in done.err
    done = tumorseg("calibrate", model, tmp_path / "not there")
    assert done.code == 3 and "cannot be read as the table of an evaluation" in done.err
