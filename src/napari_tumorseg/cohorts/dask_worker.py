"""Work on one case in a worker of Dask: what is sent to it, and what it sends back.

All is sent as bytes: versions are compared before anything is unpickled, and Dask does not look into cases.
Nothing is raised: Dask would write the arguments of the call, and with them names of cases, into its logs.
"""

from __future__ import annotations

import pickle
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from napari_tumorseg._version import __version__
from napari_tumorseg.cohorts.models import LoadedModels
from napari_tumorseg.cohorts.parcel import Parcel
from napari_tumorseg.cohorts.planning import CohortPlan, Task
from napari_tumorseg.cohorts.record import FOLDER, Record
from napari_tumorseg.cohorts.unit import failed, prepare
from napari_tumorseg.cohorts.work import run_task
from napari_tumorseg.errors import TumorSegError

MARK = ".shared"
"""File among the records by which a worker knows the output folder of a run."""


@dataclass(frozen=True)
class Refusal:
    """Sentence about why a worker can do no case at all."""

    reason: str


Reply = Record | Parcel | Refusal
"""Record of a case whose files are written; or all of it, for the caller to write."""


@dataclass(frozen=True)
class Order:
    """Plan as a worker needs it.

    Attributes
    ----------
    planned : CohortPlan
        Settings, output folder and digest; no cases.
    mark : str
        Content of the file `MARK` in the output folder of this run.
    """

    planned: CohortPlan
    mark: str

    @cached_property
    def models(self) -> LoadedModels:
        """Models; networks stay in memory."""
        return LoadedModels(self.planned.settings.model)

    @cached_property
    def obstacle(self) -> str:
        """Reason why this worker would get other results; empty if there is none."""
        try:
            is_same = self.planned.settings.digest() == self.planned.digest
        except TumorSegError as error:
            return str(error)
        return "" if is_same else "its models are not those that the cohort was planned with"

    def is_shared(self) -> bool:
        """Return whether the output folder is seen from here."""
        try:
            return (self.planned.output / FOLDER / MARK).read_text(encoding="utf-8") == self.mark
        except OSError:
            return False


_here = threading.local()  # threads do not share networks: some runtimes take one call at a time


def do_case(task: bytes, order: bytes, version: str) -> Reply:
    """Do a case, of a pickled `Task` and a pickled `Order`.

    Its files go into the output folder if that is seen from here; else they are returned.
    """
    if version != __version__:
        return Refusal(f"it has napari-tumorseg {__version__}, not {version}")
    try:
        known, todo = _received(order), pickle.loads(task)
    except Exception as error:  # such as a class that is not the same here
        return Refusal(f"it cannot read what it was sent ({type(error).__name__})")
    return Refusal(known.obstacle) if known.obstacle else _reply(todo, known)


def _reply(task: Task, order: Order) -> Reply:
    started = time.perf_counter()
    try:
        return _done(task, order)
    except TumorSegError as error:
        return Refusal(str(error))
    except Exception as error:
        return Parcel(failed(task.ref, error, order.planned.digest, started), {})


def _received(content: bytes) -> Order:
    """Return an order; a thread keeps its last one, with the networks."""
    if getattr(_here, "content", None) != content:
        _here.order, _here.content = pickle.loads(content), content
    order: Order = _here.order
    return order


def _done(task: Task, order: Order) -> Reply:
    if not task.ref.path.exists():
        return Refusal(f"{task.ref.path} is not there; data need the same path on all machines")
    if order.is_shared():
        return run_task(task, order.planned, order.models)
    if order.planned.settings.bids:
        return Refusal(f"{order.planned.output} is not there; a BIDS data set is written in its place only")
    with tempfile.TemporaryDirectory(prefix="tumorseg-") as folder:
        own = replace(order.planned, output=Path(folder))
        prepare(own.output)
        record = run_task(replace(task, record=None, mask=None), own, order.models)
        return Parcel.pack(record, own.output)
