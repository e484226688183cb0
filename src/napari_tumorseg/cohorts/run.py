"""Run of a cohort: case after case, in several processes or on Dask, with a record for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from napari_tumorseg.cohorts.dask_client import LOCAL
from napari_tumorseg.cohorts.dask_run import run_on_dask
from napari_tumorseg.cohorts.models import LoadedModels
from napari_tumorseg.cohorts.outputs import write_outputs
from napari_tumorseg.cohorts.planning import CohortPlan, Task, TaskState, plan
from napari_tumorseg.cohorts.precision import is_open, settled
from napari_tumorseg.cohorts.processes import run_in_processes
from napari_tumorseg.cohorts.record import Record
from napari_tumorseg.cohorts.settings import CohortSettings, Part
from napari_tumorseg.cohorts.unit import failed, measured_again, prepare
from napari_tumorseg.cohorts.work import Stop, read_case, segment_case, write_case, write_record
from napari_tumorseg.errors import InputError

if TYPE_CHECKING:
    from distributed import Client


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
    jobs: int | None = None,
    dask: str | Client | None = None,
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
    jobs : int, optional
        Processes to share the cases; by default this one alone, with ``dask="local"`` a worker for each core.
    dask : str or distributed.Client, optional
        Dask distributed does the cases (extra ``cluster``): the address of a scheduler, ``"local"`` for
        workers on this machine, or a client.
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
        If there is no case, or the model, the output folder or the cluster cannot be used.

    Examples
    --------
    >>> for done in cohort("study", "results"):  # doctest: +SKIP
    ...     print(done.record.case, done.record.state)
    """
    planned = plan(data, output, settings, part=part)
    yield from run_plan(planned, jobs=jobs, dask=dask, retry_failed=retry_failed)


def run_plan(
    planned: CohortPlan,
    *,
    jobs: int | None = None,
    dask: str | Client | None = None,
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
        Threads of each of several processes on this machine; by default they divide the cores.
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"at least one process does the work, not {jobs}")
    prepare(planned.output)
    began = datetime.now(UTC).isoformat(timespec="seconds")
    todo = planned.todo(retry_failed)
    wanted = {task.name for task in todo}
    try:
        for task in planned.tasks:
            if task.name not in wanted and (record := _kept(task, planned)) is not None:
                yield Outcome(record, is_new=False)
        planned = settled(planned, (task.record for task in planned.tasks))
        for record in _way(jobs if len(todo) > 1 else 1, dask, stop, threads)(planned, todo):
            yield Outcome(record, is_new=True)
    finally:
        if not planned.settings.bids:
            write_outputs(planned, began)


_Way = Callable[[CohortPlan, Sequence[Task]], Iterator[Record]]


def _way(jobs: int | None, dask: str | Client | None, stop: Stop, threads: int | None) -> _Way:
    """Return what does the cases: Dask, several processes, or this process."""

    def by_dask(planned: CohortPlan, todo: Sequence[Task]) -> Iterator[Record]:
        return run_on_dask(planned, todo, dask or LOCAL, jobs, stop, threads)

    def by_processes(planned: CohortPlan, todo: Sequence[Task]) -> Iterator[Record]:
        return run_in_processes(planned, todo, jobs or 1, stop, threads)

    def here(planned: CohortPlan, todo: Sequence[Task]) -> Iterator[Record]:
        return _one_after_the_other(planned, todo, stop)

    if dask is not None:
        return _one_first(by_dask)
    return _one_first(by_processes) if jobs and jobs > 1 else here


def _one_first(way: _Way) -> _Way:
    """Return a way by which one case comes before the others, if anything is chosen at the first run."""

    def records(planned: CohortPlan, todo: Sequence[Task]) -> Iterator[Record]:
        rest = list(todo)
        is_chosen = planned.precision is not None or not is_open(planned.settings)
        while not is_chosen and len(rest) > 1:
            first = list(way(planned, [rest.pop(0)]))
            yield from first
            planned = settled(planned, first)
            is_chosen = not first or first[0].state == "done"
        yield from way(planned, rest)

    return records


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
