"""Errors that nobody expects, and processes that are stopped: one case at most is lost."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_tumorseg.cohorts import CohortSettings, collect, plan, processes, run_plan, unit, work
from napari_tumorseg.cohorts.flags import flags_of
from napari_tumorseg.cohorts.planning import Task
from napari_tumorseg.cohorts.record import Record
from napari_tumorseg.errors import OutputError
from napari_tumorseg.io import atomic, read_mask, write_mask
from napari_tumorseg.io.output_set import PART, finish
from napari_tumorseg.measurement import measure
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation
from tests.builders import card_of, head, make_scan
from tests.cohorts.conftest import new, run, table

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SENTENCE = "the program met an error that it does not expect (ValueError)"


def break_case_b(monkeypatch: pytest.MonkeyPatch, place: str, error: BaseException) -> None:
    """Let a step of case b raise an error."""
    target: Any = {"open_unit": work, "segment": unit.Unit, "write": unit.Result}[place]
    real = getattr(target, place)

    def broken(first: Any, *more: Any) -> Any:
        name = first.record.case if hasattr(first, "record") else first.name
        if name == "b":
            raise error
        return real(first, *more)

    monkeypatch.setattr(target, place, broken)


@pytest.mark.parametrize("place", ["open_unit", "segment", "write"])
def test_unexpected_error_costs_its_case_alone(
    data: Path, tmp_path: Path, settings: CohortSettings, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    break_case_b(monkeypatch, place, ValueError("DOE^JANE"))
    run(data, tmp_path / "out", settings)
    states = {row[0]: row[3] for row in table(tmp_path / "out")[1:]}
    assert states == {"a": "done", "b": "failed", "c": "done", "odd": "failed"}
    text = (tmp_path / "out" / "cohort_records" / "b.json").read_text()
    assert SENTENCE in text and "JANE" not in text


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode on other systems")
def test_name_that_is_no_unicode_is_written_with_escapes(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    """An archive of an old system unpacks to names in its own code page."""
    for name in ("a", "odd"):
        (data / name).rename(os.fsdecode(os.fsencode(data / name) + b"\xfc"))
    run(data, tmp_path / "out", settings)
    states = {row[0]: row[3] for row in table(tmp_path / "out")[1:]}
    assert states == {r"a\udcfc": "done", "b": "done", "c": "done", r"odd\udcfc": "failed"}
    assert new(run(data, tmp_path / "out", settings)) == []
    assert len(collect(tmp_path / "out").records) == 4


def test_end_that_the_user_asks_for_is_no_failure(
    data: Path, tmp_path: Path, settings: CohortSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_case_b(monkeypatch, "segment", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "out", settings)
    assert not (tmp_path / "out" / "cohort_records" / "b.json").exists()


def test_kept_mask_that_cannot_be_measured_is_named(
    data: Path, tmp_path: Path, settings: CohortSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(data, tmp_path / "made", settings)
    seg = read_mask(tmp_path / "made" / "a_seg.nii.gz")
    (tmp_path / "out").mkdir()
    write_mask(replace(seg, provenance={"corrected_by_hand": True}), tmp_path / "out" / "a_seg.nii.gz")

    def broken(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr("napari_tumorseg.cohorts.run.measured_again", broken)
    outcomes = {one.record.case: one.record for one in run(data, tmp_path / "out", settings)}
    assert outcomes["a"].reason == SENTENCE and outcomes["b"].state == "done"


class _Pool:
    """Stands for a pool whose processes send an error instead of a record for case b."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, _: object, task: Task) -> Future[Record]:
        future: Future[Record] = Future()
        if task.name == "b":
            future.set_exception(self.error)
        else:
            future.set_result(Record(task.name, "done"))
        return future


def test_process_that_sends_an_error_costs_its_case_alone(
    data: Path, tmp_path: Path, settings: CohortSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_pool", lambda *_: _Pool(ValueError("DOE^JANE")))
    outcomes = list(run_plan(plan(data, tmp_path / "out", settings), jobs=2))
    assert sorted(new(outcomes)) == ["a", "b", "c", "odd"]
    assert {one.record.case: one.record.reason for one in outcomes}["b"] == SENTENCE


def test_process_that_ends_costs_the_case_that_ends_it_again(
    data: Path, tmp_path: Path, settings: CohortSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_pool", lambda *_: _Pool(BrokenProcessPool()))
    found = {one.record.case: one.record for one in run_plan(plan(data, tmp_path / "out", settings), jobs=2)}
    assert {name: record.state for name, record in found.items()} == {
        "a": "done",
        "b": "failed",
        "c": "done",
        "odd": "done",
    }
    assert "its process ended without a word" in found["b"].reason


def test_stop_ends_the_search_for_the_case_that_breaks_processes(
    data: Path, tmp_path: Path, settings: CohortSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: list[str] = []

    def broken_pool(_: object, __: object, waiting: list[Task], *more: Any) -> list[Record]:
        more[-1].extend(waiting)  # all of them are suspects
        waiting.clear()
        return []

    def run_alone(_: object, task: Task, __: object) -> Record:
        alone.append(task.name)
        return Record(task.name, "done")

    monkeypatch.setattr(processes, "_pool", lambda *_: None)
    monkeypatch.setattr(processes, "_in_pool", broken_pool)
    monkeypatch.setattr(processes, "_alone", run_alone)
    planned = plan(data, tmp_path / "out", settings)
    list(processes.run_in_processes(planned, planned.todo(), 2, lambda: bool(alone)))
    assert alone == ["a"]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no such limit")
def test_threads_are_shared_among_the_cores_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert processes.cores() == 2


@pytest.mark.parametrize(("reason", "flags"), [(None, False), ("the shift is implausible", True)])
def test_sequence_that_was_left_out_is_flagged(reason: str | None, flags: bool) -> None:
    scan = make_scan({"flair": head()})
    scan = replace(scan, preparation={"registration": [{"role": "t2", "left_out": reason}]})
    seg = Segmentation(np.zeros(scan.grid.shape, np.uint8), scan.grid, CONVENTIONS["binary"], "a")
    found = flags_of(seg, scan, card_of(), measure(seg), {})
    assert ("poor registration" in found) == flags


def fill_disk(monkeypatch: pytest.MonkeyPatch, is_full: Callable[[Path], bool]) -> None:
    """Let the disk be full for some temporary files; of a name, they keep the last twelve letters."""

    def finish_or_fail(temporary: Path) -> None:
        if is_full(temporary):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finish(temporary)

    monkeypatch.setattr(atomic, "finish", finish_or_fail)


def test_mask_that_does_not_fit_on_the_disk_is_named_and_tried_again(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        fill_disk(patch, lambda temporary: temporary.name.endswith("b_seg.nii.gz"))
        outcomes = {one.record.case: one.record for one in run(data, out, settings)}
    assert "No space left on device" in outcomes["b"].reason and outcomes["c"].state == "done"
    assert not list(out.glob("b_seg*")) and not list(out.rglob(f"{PART}*"))
    assert new(run(data, out, settings)) == ["b"]
    assert {row[0]: row[3] for row in table(out)[1:]}["b"] == "done"


def test_full_disk_ends_the_run_and_keeps_what_is_done(
    data: Path, tmp_path: Path, settings: CohortSettings
) -> None:
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        fill_disk(patch, lambda _: (out / "cohort_records" / "a.json").exists())
        with pytest.raises(OutputError, match="No space left on device"):
            run(data, out, settings)
    assert sorted(p.name for p in out.glob("*")) == ["a_seg.json", "a_seg.nii.gz", "cohort_records"]
    assert new(run(data, out, settings)) == ["b", "c", "odd"]


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_source_that_was_removed_meanwhile_is_told_of_its_case(
    data: Path, tmp_path: Path, settings: CohortSettings, jobs: int
) -> None:
    planned = plan(data, tmp_path / "out", settings)
    shutil.rmtree(data / "b")
    (data / "c" / "c_flair.nii.gz").unlink()
    list(run_plan(planned, jobs=jobs))
    found = {row[0]: row for row in table(tmp_path / "out")[1:]}
    assert {name: row[3] for name, row in found.items()} == {
        "a": "done",
        "b": "failed",
        "c": "failed",
        "odd": "failed",
    }
    reasons = [found[name][4] for name in ("b", "c")]
    assert reasons == ["study/b cannot be read: No such file or directory", "study/c holds no NIfTI file"]
