"""Work on one case: read, segment and write, with every failure turned into a record.

Errors that the program does not expect, too, cost their case alone; an end that the user asks for does not
count as one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from napari_tumorseg.cohorts.models import LoadedModels
from napari_tumorseg.cohorts.parcel import Parcel
from napari_tumorseg.cohorts.planning import CohortPlan, Task, is_unchanged, mask_of_a_person
from napari_tumorseg.cohorts.record import Record, record_path
from napari_tumorseg.cohorts.unit import Result, Unit, failed, measured_again, open_unit, write_failure
from napari_tumorseg.errors import OutputError
from napari_tumorseg.io.atomic import write_text
from napari_tumorseg.io.dataset import CaseRef

Stop = Callable[[], bool]
"""Asked before each case whether to begin no more."""


def run_task(task: Task, planned: CohortPlan, models: LoadedModels) -> Record:
    """Do one case from beginning to end."""
    return write_case(segment_case(read_case(task, planned, models), planned, models), task, planned)


def read_case(task: Task, planned: CohortPlan, models: LoadedModels) -> Unit | Record:
    """Return the case as read, or its record if nothing is to be done or it failed."""
    started = time.perf_counter()
    try:
        if (mask := mask_of_a_person(task, planned)) is not None:
            return _of_a_person(task, mask, planned)
        unit = open_unit(task.ref, planned.settings, planned.digest, models)
    except Exception as error:
        return failed(task.ref, error, planned.digest, started)
    if task.record is not None and is_unchanged(unit.record, task.record, planned.output):
        return replace(task.record, signature=unit.record.signature)
    return unit


def segment_case(read: Unit | Record, planned: CohortPlan, models: LoadedModels) -> Result | Record:
    """Run the network on a case that was read; a record passes through."""
    if isinstance(read, Record):
        return read
    try:
        return replace(read, model=models.loaded(read.model)).segment(planned.settings, planned.inference)
    except Exception as error:
        return failed(read.ref, error, planned.digest, read.started)


def write_case(result: Result | Record, task: Task, planned: CohortPlan) -> Record:
    """Write a result; if that fails, the reason is the record.

    Raises
    ------
    OutputError
        If not even that can be written, as on a full disk: no other case could be, either.
    """
    if isinstance(result, Result):
        try:
            return written(result, task, planned)
        except Exception as error:
            result = failed(task.ref, error, planned.digest, result.started)
    return write_record(result, planned.output)


def written(result: Result | Parcel, task: Task, planned: CohortPlan) -> Record:
    """Write a result, unless a person has made a mask of the case since the plan was made."""
    try:
        return result.write(planned.output, partial(_check_free, task, planned))
    except _TakenError as error:
        return write_record(_of_a_person(task, error.mask, planned), planned.output)


class _TakenError(OutputError):
    """The mask of a case is a person's."""

    def __init__(self, mask: Path) -> None:
        super().__init__(f"{mask} was made by a person")
        self.mask = mask


def _check_free(task: Task, planned: CohortPlan) -> None:
    if (mask := mask_of_a_person(task, planned)) is not None:
        raise _TakenError(mask)


def _of_a_person(task: Task, mask: Path, planned: CohortPlan) -> Record:
    return measured_again(task.name, task.record, mask, planned.output, task.ref.patient)


def write_record(record: Record, output: Path) -> Record:
    """Write a record alone, and return it."""
    if record.state == "failed":
        return write_failure(record, output)
    write_text(record_path(output, record.case), record.to_json(), overwrite=True)
    return record


def lost(ref: CaseRef, planned: CohortPlan) -> Record:
    """Return the record of a case whose process ended."""
    reason = "its process ended without a word, as when memory runs out"
    return failed(ref, reason, planned.digest, time.perf_counter())
