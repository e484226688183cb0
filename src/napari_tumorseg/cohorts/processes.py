"""Run of a cohort in several processes that divide the threads of the machine.

A process that dies (killed, out of memory) breaks its pool. The cases that were running are then run alone,
one by one, so that only the one that breaks a process again is recorded as failed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context

from napari_tumorseg.cohorts.models import LoadedModels
from napari_tumorseg.cohorts.planning import CohortPlan, Task
from napari_tumorseg.cohorts.record import Record
from napari_tumorseg.cohorts.unit import failed
from napari_tumorseg.cohorts.work import Stop, lost, run_task, write_record
from napari_tumorseg.errors import OutputError

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

_MOST_ON_WINDOWS = 61
"""Processes that a pool can wait for there."""

_work: tuple[CohortPlan, LoadedModels] | None = None


def run_in_processes(
    planned: CohortPlan, todo: Sequence[Task], jobs: int, stop: Stop, threads: int | None = None
) -> Iterator[Record]:
    """Yield a record for each case, in the order in which they are finished.

    `threads` is the number of threads of each process; by default they divide the cores.
    """
    waiting = list(todo)
    while waiting and not stop():
        suspects: list[Task] = []
        yield from _in_pool(
            planned, _pool(planned, min(jobs, len(waiting)), threads), waiting, jobs, stop, suspects
        )
        for task in suspects:
            if stop():
                return
            yield _alone(planned, task, threads)


def _in_pool(
    planned: CohortPlan,
    workers: ProcessPoolExecutor,
    waiting: list[Task],
    jobs: int,
    stop: Stop,
    suspects: list[Task],
) -> Iterator[Record]:
    """Take cases from `waiting` until it is empty; if the pool breaks, running ones become suspects."""
    with workers as pool:
        running: dict[Future[Record], Task] = {}
        while True:
            while waiting and len(running) < jobs and not stop() and not suspects:
                task = waiting.pop(0)
                try:
                    running[pool.submit(_do, task)] = task
                except BrokenProcessPool:
                    waiting.insert(0, task)
                    break
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                try:
                    record = future.result()
                except BrokenProcessPool:
                    suspects.append(task)
                    continue
                except Exception as error:
                    record = _unsent(planned, task, error)
                yield record


def _alone(planned: CohortPlan, task: Task, threads: int | None) -> Record:
    """Run one case in a process of its own."""
    try:
        with _pool(planned, 1, threads) as pool:
            return pool.submit(_do, task).result()
    except BrokenProcessPool:
        return write_record(lost(task.ref, planned), planned.output)
    except Exception as error:
        return _unsent(planned, task, error)


def _unsent(planned: CohortPlan, task: Task, error: Exception) -> Record:
    """Return the record of a case whose process could not send one.

    Raises
    ------
    OutputError
        If records cannot be written: no other case's could be, either.
    """
    if isinstance(error, OutputError):
        raise error
    return write_record(failed(task.ref, error, planned.digest, time.perf_counter()), planned.output)


def _pool(planned: CohortPlan, jobs: int, threads: int | None) -> ProcessPoolExecutor:
    bare = replace(planned, tasks=(), names=())  # what a process need not know is not sent to it
    jobs = min(jobs, _MOST_ON_WINDOWS) if sys.platform == "win32" else jobs
    share = threads or max(1, cores() // jobs)
    return ProcessPoolExecutor(jobs, get_context("spawn"), _prepare, (bare, share))


def cores() -> int:
    """Return the number of cores that this process may use; batch systems allow fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _prepare(planned: CohortPlan, threads: int) -> None:
    """Set up a process: its share of threads, before torch is imported, and no answer to Ctrl-C."""
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _THREADS:
        os.environ[name] = str(threads)
    _work = planned, LoadedModels(planned.settings.model)


def _do(task: Task) -> Record:
    assert _work is not None
    planned, models = _work
    return run_task(task, planned, models)
