"""The script that puts the evaluations of several folds together."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "docs" / "cross_validation.py"
HEAD = "case,trained_on,error,unlabelled,kind,region,dice_3d,sensitivity_3d\n"


def put_together(folder: Path, *folds: str) -> tuple[int, str, str]:
    """Write each fold's table and run the script on them."""
    for number, rows in enumerate(folds):
        (folder / str(number)).mkdir()
        (folder / str(number) / "cases.csv").write_text(HEAD + rows)
    named = [str(folder / str(number)) for number in range(len(folds))]
    command = [sys.executable, str(SCRIPT), *named, "-o", str(folder / "out.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_each_case_counts_once_and_every_row_is_written(tmp_path: Path) -> None:
    first = "a,no,,,region,WT,0.8,0.7\na,no,,,label,L,0.1,0.1\nb,no,,,region,WT,0,0\n"
    second = "b,no,,,region,WT,0.9,0.9\nc,no,,,region,WT,0.4,0.5\n"
    code, told, _ = put_together(tmp_path, first, second)
    assert code == 0 and told.splitlines() == [
        "WT, fold 0: mean 0.400, median 0.400, sd 0.566, least 0.000, 1 missed of 2",
        "WT, fold 1: mean 0.650, median 0.650, sd 0.354, least 0.400, 0 missed of 2",
        "WT: mean 0.400, median 0.400, sd 0.400, least 0.000, 1 missed of 3",  # b as in its first fold
    ]
    with (tmp_path / "out.csv").open() as file:
        rows = [(row["fold"], row["case"], row["dice_3d"]) for row in csv.DictReader(file)]
    assert rows == [("0", "a", "0.8"), ("0", "b", "0"), ("1", "b", "0.9"), ("1", "c", "0.4")]


def test_a_case_trained_on_is_refused(tmp_path: Path) -> None:
    code, _, error = put_together(tmp_path, "a,yes,,,region,WT,0.8,0.7\n")
    assert (code, "a was trained on" in error) == (1, True)


def test_a_case_that_failed_is_refused(tmp_path: Path) -> None:
    code, told, error = put_together(tmp_path, "a,no,,,region,WT,0.8,0.7\nb,no,memory ran out,no,,,,\n")
    assert (code, told) == (1, "")
    assert "b failed" in error and "memory ran out" in error
    assert not (tmp_path / "out.csv").exists()


def test_a_case_without_reference_is_passed_over(tmp_path: Path) -> None:
    code, told, _ = put_together(tmp_path, "a,no,,,region,WT,0.8,0.7\nb,no,no reference mask,yes,,,,\n")
    assert (code, "missed of 1" in told) == (0, True)
