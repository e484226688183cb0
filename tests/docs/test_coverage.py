"""The script that checks intervals on folds that were not used for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).parents[2] / "docs" / "coverage.py"
HEAD = "fold,case,region,voxels,reference_voxels,doubt\n"


def check(path: Path, rows: list[str], *options: str) -> tuple[int, list[list[str]], str]:
    """Write a table, run the script on it, and return the cells that it prints."""
    path.write_text(HEAD + "".join(f"{row}\n" for row in rows))
    command = [sys.executable, str(SCRIPT), str(path), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()[2:]]
    return done.returncode, cells, done.stderr


def test_the_coverage_of_exchangeable_patients_is_as_stated(tmp_path: Path) -> None:
    generator = np.random.default_rng(6)
    doubts = generator.uniform(0.1, 1, 300)
    sizes = (20_000 * np.exp(doubts * generator.standard_t(3, 300))).astype(int)
    rows = [f"{n % 5},p{n},WT,20000,{sizes[n]},{doubts[n]:.4f}" for n in range(300)]
    # one that is in two folds counts once, and what was not found is left out
    rows += ["1,p0,WT,20000,20000,0.5", "2,q,WT,0,400,0.5"]
    code, cells, error = check(tmp_path / "t.csv", rows)
    assert code == 0, error
    assert [(row[1], row[2]) for row in cells] == [
        (score, coverage) for score in ("log-ratio", "by doubt") for coverage in ("80%", "90%")
    ]
    for row in cells:
        inside, of = row[3].split(" (")[0].split(" of ")
        assert of == "300"
        low, high = (float(end.rstrip("%")) / 100 for end in row[4].split(" to "))
        assert low - 0.005 <= int(inside) / 300 <= high + 0.005
    plain, by_doubt = (float(row[5].split(",")[0]) for row in (cells[1], cells[3]))
    assert by_doubt < plain  # the median case is narrower


def test_a_patient_is_not_judged_by_itself(tmp_path: Path) -> None:
    """Nine of ten are exact; the tenth, in both folds, would cover itself."""
    rows = [f"{n % 2},p{n},WT,1000,1000,0.2" for n in range(18)]
    rows += ["0,odd,WT,1000,5000,0.2", "1,odd,WT,1000,5000,0.2"]
    _, cells, _ = check(tmp_path / "t.csv", rows, "--coverage", "0.9")
    assert [row[3] for row in cells] == ["18 of 19 (95%)"] * 2


def test_few_patients_and_a_single_fold_are_told(tmp_path: Path) -> None:
    rows = [f"{n},p{n},WT,1000,1000," for n in range(4)]
    _, cells, _ = check(tmp_path / "t.csv", rows, "--coverage", "0.9")
    assert cells[0][:4] == ["WT", "log-ratio", "90%", "too few patients"]
    code, _, error = check(tmp_path / "u.csv", rows[:1])
    assert code == 1 and "a single fold" in error


def test_patients_of_one_fold_are_left_out_one_by_one(tmp_path: Path) -> None:
    rows = [f"0,p{n},WT,1000,{1000 + n}," for n in range(20)]
    code, cells, _ = check(tmp_path / "t.csv", rows, "--coverage", "0.9", "--one-by-one")
    # of 20 the rank among the other 19 is the 18th, which the two largest exceed
    assert code == 0 and cells[0][3] == "18 of 20 (90%)"
