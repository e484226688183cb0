"""Run of a cohort on Dask distributed: it gives cases to workers, and those of a worker that died to another.

Workers that see the output folder write into it. Of others, all files of a case come back and are written
here. Needs the extra ``cluster``.
"""

from __future__ import annotations

import io
import pickle
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_tumorseg._version import __version__
from napari_tumorseg.cohorts.dask_client import connected
from napari_tumorseg.cohorts.dask_worker import MARK, Order, Refusal, do_case
from napari_tumorseg.cohorts.fingerprint import root_of, signature
from napari_tumorseg.cohorts.parcel import Parcel
from napari_tumorseg.cohorts.planning import CohortPlan, Task
from napari_tumorseg.cohorts.processes import cores
from napari_tumorseg.cohorts.record import FOLDER, Record
from napari_tumorseg.cohorts.unit import failed
from napari_tumorseg.cohorts.work import Stop, lost, write_record, written
from napari_tumorseg.errors import ClusterError, InputError
from napari_tumorseg.io.atomic import write_text
from napari_tumorseg.io.output_set import sha256
from napari_tumorseg.models.store import get_model

if TYPE_CHECKING:
    from distributed import Client, Future

_PAUSE = 0.05  # seconds between two looks at what is finished


def run_on_dask(
    planned: CohortPlan,
    todo: Sequence[Task],
    where: str | Client,
    workers: int | None,
    stop: Stop,
    threads: int | None = None,
) -> Iterator[Record]:
    """Yield a record for each case, in the order in which they are finished.

    Parameters
    ----------
    where : str or distributed.Client
        Address of a scheduler, ``"local"``, or a client.
    workers, threads : int, optional
        Number of local workers, and of threads of each; by default one worker a core.

    Raises
    ------
    ClusterError
        If the scheduler does not answer, or workers cannot do any case.
    """
    if not todo or stop():
        return
    count = min(workers or cores(), len(todo))
    share = threads or max(1, cores() // count)
    with connected(where, count, share) as client, _mark(planned.output) as mark:
        run = _Run(planned, client, _pickled(Order(_bare(planned), mark)), stop)
        yield from run.records(todo)
        for task in run.suspects.copy():
            yield from run.records([task])


def _bare(planned: CohortPlan) -> CohortPlan:
    """Return a plan without cases, with a model that is found from every folder."""
    settings, name = planned.settings, planned.settings.model
    if name is not None and get_model(name).name != name:
        settings = replace(settings, model=str(Path(name).expanduser().absolute()))
    return replace(planned, tasks=(), names=(), settings=settings)


@dataclass
class _Run:
    """Cases on their way to workers and back.

    Attributes
    ----------
    planned : CohortPlan
        The cohort.
    client : distributed.Client
        Client of the scheduler.
    order : bytes
        Pickled `Order`.
    stop : callable
        Asked whether to begin no more cases.
    suspects : list of Task
        Cases that workers had when they died. Dask cannot say which of those was the reason, so each is to be
        run alone.
    """

    planned: CohortPlan
    client: Client
    order: bytes
    stop: Stop
    suspects: list[Task] = field(default_factory=list)

    def records(self, tasks: Sequence[Task]) -> Iterator[Record]:
        """Yield the record of each case but the suspects."""
        sent = list(map(_pickled, tasks)) if not self.stop() else []
        facts = {"order": self.order, "version": __version__}
        running = dict(zip(self.client.map(do_case, sent, **facts, pure=False), tasks, strict=False))
        try:
            for future, task in self._finished(running):
                if (record := self._record(future, task, is_alone=len(tasks) == 1)) is not None:
                    yield record
        except GeneratorExit:  # whoever closes the iterator gets what has begun
            self._end(running)
            raise
        finally:
            self.client.cancel(list(running))

    def _finished(self, running: dict[Future, Task]) -> Iterator[tuple[Future, Task]]:
        """Take finished cases from `running` until it is empty."""
        from distributed import as_completed

        finished = as_completed(list(running), raise_errors=False)
        is_stopping = False
        while running:
            if not is_stopping and self.stop():
                is_stopping = True
                self._cancel_waiting(running)
            elif not finished.has_ready():
                time.sleep(_PAUSE)
            elif (future := next(finished)) in running:
                yield future, running.pop(future)

    def _cancel_waiting(self, running: dict[Future, Task]) -> None:
        """Cancel the cases that no worker has."""
        begun = {key for keys in self.client.processing().values() for key in keys}
        waiting = [future for future in running if future.key not in begun and not future.done()]
        for future in waiting:
            del running[future]
        self.client.cancel(waiting)

    def _end(self, running: dict[Future, Task]) -> None:
        """Wait for the cases that workers have; the others are cancelled."""
        from distributed import wait

        self._cancel_waiting(running)
        wait(list(running))

    def _record(self, future: Future, task: Task, is_alone: bool) -> Record | None:
        """Return the record of a case that a worker is done with; None if it becomes a suspect."""
        from distributed import KilledWorker

        if future.cancelled():
            raise ClusterError("the connection to the Dask scheduler was lost; cases that are done are kept")
        error = future.exception()
        if isinstance(error, KilledWorker):
            if is_alone:
                return write_record(lost(task.ref, self.planned), self.planned.output)
            self.suspects.append(task)
            return None
        if error is not None:
            raise ClusterError(f"a worker cannot run napari-tumorseg {__version__}: {error}")
        reply = future.result()
        if isinstance(reply, Refusal):
            raise ClusterError(f"a worker can do no case: {reply.reason}")
        return _unpacked(reply, task, self.planned) if isinstance(reply, Parcel) else reply


def _unpacked(parcel: Parcel, task: Task, planned: CohortPlan) -> Record:
    """Write what a worker could not write itself.

    The record gets the signature of the files that are here: copies have other times.
    """
    record = parcel.record
    try:
        _check_copies(task, record)
        own = replace(record, signature=signature(task.ref, record.inputs))
        if own.state == "failed":
            return write_record(own, planned.output)
        return written(Parcel(own, parcel.files), task, planned)
    except Exception as error:
        return _failed(task, error, planned)


def _check_copies(task: Task, record: Record) -> None:
    """Raise an error if a worker has read other files than those that are here; series are not compared."""
    for name, digest in record.inputs.items():
        path = root_of(task.ref) / name
        if path.is_file() and sha256(path) != digest:
            raise InputError(f"the copy of {name} that a worker has read is not the file that is here")


def _failed(task: Task, error: Exception, planned: CohortPlan) -> Record:
    return write_record(failed(task.ref, error, planned.digest, time.perf_counter()), planned.output)


@contextmanager
def _mark(output: Path) -> Iterator[str]:
    """Leave a file by which workers know the output folder, as long as a run goes on."""
    path, mark = output / FOLDER / MARK, uuid.uuid4().hex
    write_text(path, mark, overwrite=True)
    try:
        yield mark
    finally:
        with suppress(OSError):
            path.unlink()


class _Pickler(pickle.Pickler):
    """Pickler that makes paths absolute: workers have folders of their own."""

    def reducer_override(self, value: Any) -> tuple[Callable[..., Any], tuple[Any, ...]] | Any:
        """Return how a value is rebuilt."""
        return (type(value), (str(value.absolute()),)) if isinstance(value, Path) else NotImplemented


def _pickled(value: object) -> bytes:
    content = io.BytesIO()
    _Pickler(content).dump(value)
    return content.getvalue()
