"""``tumorseg cohort``: many cases, one table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from napari_tumorseg.cli.cohort import line_of
from napari_tumorseg.cohorts.flags import FEWER_ROLES, NOTHING_FOUND
from napari_tumorseg.cohorts.record import Record
from napari_tumorseg.cohorts.run import Outcome
from tests.builders import write_case
from tests.cli.conftest import Run, files_in
from tests.cohorts.conftest import brain


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "my study"
    for name in ("a", "b"):
        write_case(folder, {"flair": brain()}, name)
    return folder


def test_the_main_job(tumorseg: Run, model: Path, study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = tumorseg("cohort", study, "-o", out, "-m", model)
    assert done.code == 0, done.err
    assert files_in(out) == [
        "a_seg.json",
        "a_seg.nii.gz",
        "b_seg.json",
        "b_seg.nii.gz",
        "cohort.csv",
        *(["cohort.parquet"] if (out / "cohort.parquet").exists() else []),
        "cohort.tsv",
        "cohort_columns.json",
        "cohort_manifest.json",
        "cohort_quality.html",
        "cohort_records/a.json",
        "cohort_records/a.webp",
        "cohort_records/b.json",
        "cohort_records/b.webp",
    ]
    assert "a: WT 0.027 mL" in done.err and "2 of 2 cases done" in done.out
    again = tumorseg("cohort", study, "-o", out, "-m", model)
    assert again.code == 0 and "a: WT" not in again.err


def test_failed_case_is_named_with_advice_and_exit_code(
    tumorseg: Run, model: Path, study: Path, tmp_path: Path
) -> None:
    write_case(study, {"t1": brain()}, "odd")
    done = tumorseg("cohort", study, "-o", tmp_path / "out", "-m", model)
    assert done.code == 3 and "1 of 3 cases failed (odd)" in done.err
    assert "odd: failed:" in done.err and "--roles" in done.err


def test_line_of_a_case_says_once_that_nothing_was_found() -> None:
    record = Record("a", "done", flags=(NOTHING_FOUND, FEWER_ROLES), seconds=1.0)
    assert line_of(Outcome(record, is_new=True)) == "a: no tumour found (fewer modalities), 1.0 s"
    alone = replace(record, flags=(NOTHING_FOUND,))
    assert line_of(Outcome(alone, is_new=True)) == "a: no tumour found, 1.0 s"


def test_dry_run_writes_nothing(tumorseg: Run, model: Path, study: Path, tmp_path: Path) -> None:
    write_case(study, {"t1": brain()}, "odd")
    done = tumorseg("cohort", study, "-o", tmp_path / "out", "-m", model, "--dry-run")
    assert done.code == 0 and not (tmp_path / "out").exists()
    assert "3 of 3 cases to do" in done.out and "tiny" in done.out and "flair" in done.out


def test_parts_and_collect(tumorseg: Run, model: Path, study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = tumorseg("cohort", study, "-o", out, "-m", model, "--part", "1/2")
    assert first.code == 0 and "tumorseg cohort --collect" in first.out
    assert "1 case of the plan not run yet (b)" in tumorseg("cohort", "--collect", "-o", out).err
    tumorseg("cohort", study, "-o", out, "-m", model, "--part", "2/2")
    done = tumorseg("cohort", "--collect", "-o", out)
    assert done.code == 0 and "2 cases" in done.out and not done.err


def test_segment_of_several_cases_names_the_command_for_all(
    tumorseg: Run, model: Path, study: Path, tmp_path: Path
) -> None:
    done = tumorseg("segment", study, "-o", tmp_path / "out", "-m", model)
    assert done.code == 4
    assert f"tumorseg cohort '{study}' -o {tmp_path / 'out'}" in " ".join(done.err.split())


def test_post_needs_a_model(tumorseg: Run, study: Path, tmp_path: Path) -> None:
    done = tumorseg("cohort", study, "-o", tmp_path / "out", "--post", "none")
    assert done.code == 2 and "--model" in done.err
