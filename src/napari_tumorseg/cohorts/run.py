"""Run of a cohort: one case after the other or in several processes, with a record for each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from napari_tumorseg.cohorts.models import LoadedModels
from napari_tumorseg.cohorts.outputs import write_outputs
from napari_tumorseg.cohorts.planning import CohortPlan, Task, TaskState, plan
from napari_tumorseg.cohorts.processes import run_in_processes
from napari_tumorseg.cohorts.record import Record
from napari_tumorseg.cohorts.settings import CohortSettings, Part
from napari_tumorseg.cohorts.unit import failed, measured_again, prepare
from napari_tumorseg.cohorts.work import Stop, read_case, segment_case, write_case, write_record
from napari_tumorseg.errors import InputError


@dataclass(frozen=True)
class Outcome:
    """Record of a case, and whether this run made it.

    Attributes
    ----------
    record : Record
        State, numbers, flags and sentences.
    is_new : bool
        False if an earlier result was kept.
    """

    record: Record
    is_new: bool


def cohort(
    data: Path | str | Sequence[Path | str],
    output: Path | str,
    settings: CohortSettings | None = None,
    *,
    jobs: int = 1,
    part: Part | None = None,
    retry_failed: bool = False,
) -> Iterator[Outcome]:
    """Segment every case of some data, and yield each result as soon as it is written.

    Close the iterator to stop after the current case; a later call does the rest. At the end, or when it is
    closed, the tables and the manifest are written.

    Parameters
    ----------
    data : path or sequence of paths
        Files or folders of cases, of any layout that can be read.
    output : path
        Folder of masks, records and tables, outside of the data.
    settings : CohortSettings, optional
        Model and settings of the runs.
    jobs : int
        Processes to share the cases.
    part : Part, optional
        Do only this part; `collect` puts parts together.
    retry_failed : bool
        Run cases again that failed and have not changed.

    Yields
    ------
    Outcome
        First those whose earlier result holds, then the others. A case that failed has a record with the
        reason, and the others go on.

    Raises
    ------
    TumorSegError
        If there is no case, or the model or the output folder cannot be used.

    Examples
    --------
    >>> for done in cohort("study", "results"):  # doctest: +SKIP
    ...     print(done.record.case, done.record.state)
    """
    planned = plan(data, output, settings, part=part)
    yield from run_plan(planned, jobs=jobs, retry_failed=retry_failed)


def run_plan(
    planned: CohortPlan,
    *,
    jobs: int = 1,
    retry_failed: bool = False,
    stop: Stop = lambda: False,
    threads: int | None = None,
) -> Iterator[Outcome]:
    """Run a plan; parameters and results are those of `cohort`.

    Parameters
    ----------
    stop : callable
        Asked before each case; if it returns True, those that were begun are finished and no other is.
    threads : int, optional
        Threads of each of several processes; by default they divide the cores.
    """
    if jobs < 1:
        raise InputError(f"at least one process does the work, not {jobs}")
    prepare(planned.output)
    began = datetime.now(UTC).isoformat(timespec="seconds")
    todo = planned.todo(retry_failed)
    try:
        for task in planned.tasks:
            if task not in todo and (record := _kept(task, planned)) is not None:
                yield Outcome(record, is_new=False)
        if jobs > 1 and len(todo) > 1:
            records = run_in_processes(planned, todo, jobs, stop, threads)
        else:
            records = _one_after_the_other(planned, todo, stop)
        for record in records:
            yield Outcome(record, is_new=True)
    finally:
        if not planned.settings.bids:
            write_outputs(planned, began)


def _one_after_the_other(planned: CohortPlan, todo: Sequence[Task], stop: Stop) -> Iterator[Record]:
    """Yield a record for each case; the next is read and the last is written while the network runs."""
    models = LoadedModels(planned.settings.model)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        written: Future[Record] | None = None
        ahead = reader.submit(read_case, todo[0], planned, models) if todo and not stop() else None
        for number, task in enumerate(todo, start=1):
            if ahead is None:
                break
            read = ahead.result()
            is_last = number == len(todo) or stop()
            ahead = None if is_last else reader.submit(read_case, todo[number], planned, models)
            result = segment_case(read, planned, models)
            if written is not None:
                yield written.result()
            written = writer.submit(write_case, result, task, planned)
        if written is not None:
            yield written.result()


def _kept(task: Task, planned: CohortPlan) -> Record | None:
    """Return the record that holds; a mask that a person made or changed is measured again."""
    if task.state is not TaskState.KEPT or task.mask is None:
        return task.record
    started = time.perf_counter()
    try:
        record = measured_again(task.name, task.record, task.mask, planned.output, task.ref.patient)
    except Exception as error:
        record = task.record or failed(task.ref, error, planned.digest, started)
    return record if record == task.record else write_record(record, planned.output)
