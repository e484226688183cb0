"""Plan of a cohort: its cases, and for each what is to be done, by records, files and settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from napari_tumorseg.cohorts.fingerprint import signature
from napari_tumorseg.cohorts.record import MADE_BY, Record, mask_path, record_path
from napari_tumorseg.cohorts.settings import CohortSettings, Part
from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.inference.settings import Precision, Settings
from napari_tumorseg.io.bids.query import session_labels
from napari_tumorseg.io.case import file_name
from napari_tumorseg.io.dataset import CaseRef, DataSet
from napari_tumorseg.io.formats import side_file
from napari_tumorseg.io.side_files import read_side_file, set_problems
from napari_tumorseg.session.case_status import State, read_states, state_of
from napari_tumorseg.session.worklist import STATE_FILE


class TaskState(StrEnum):
    """State of a case before a run."""

    NEW = "new"
    CHANGED = "changed"
    """Its files, its result, the model or the settings are not those of its record."""
    FAILED = "failed"
    """It failed, and nothing has changed since."""
    DONE = "done"
    KEPT = "kept"
    """Its mask was corrected or approved by a person, or made by another command, and is not made again."""


@dataclass(frozen=True)
class Task:
    """A case and what is to be done about it.

    Attributes
    ----------
    ref : CaseRef
        The case.
    state : TaskState
        Whether there is a result that holds.
    record : Record or None
        Of an earlier run.
    mask : Path or None
        An earlier mask.
    """

    ref: CaseRef
    state: TaskState
    record: Record | None = None
    mask: Path | None = None

    @property
    def name(self) -> str:
        """Name of the case."""
        return self.ref.name


@dataclass(frozen=True)
class CohortPlan:
    """Cases of a cohort, or of one part of it, in the order of their names.

    Attributes
    ----------
    tasks : tuple of Task
        Cases of the part.
    output : Path
        Folder of masks, records and tables.
    settings : CohortSettings
        Settings.
    digest : str
        SHA-256 of settings and models.
    part : Part
        Part of the cohort.
    names : tuple of str
        All cases, those of other parts among them.
    precision : {"float32", "bfloat16", "int8"} or None
        Precision in which the network has run already and is to run on, where the settings leave it open.
    """

    tasks: tuple[Task, ...]
    output: Path
    settings: CohortSettings
    digest: str
    part: Part
    names: tuple[str, ...]
    precision: Precision | None = None

    @property
    def inference(self) -> Settings:
        """Settings of the runs."""
        run = self.settings.inference
        return replace(run, precision=self.precision) if self.precision else run

    def todo(self, retry_failed: bool = False) -> list[Task]:
        """Return the tasks that a run would do."""
        wanted = {TaskState.NEW, TaskState.CHANGED} | ({TaskState.FAILED} if retry_failed else set())
        return [task for task in self.tasks if task.state in wanted]

    def counts(self) -> Mapping[TaskState, int]:
        """Return the number of cases in each state."""
        return Counter(task.state for task in self.tasks)


def plan(
    data: Path | str | Sequence[Path | str],
    output: Path | str,
    settings: CohortSettings | None = None,
    *,
    part: Part | None = None,
) -> CohortPlan:
    """Find the cases and compare them with the records of earlier runs; no image is read.

    Parameters
    ----------
    data : path or sequence of paths
        Files or folders of cases, of any layout that can be read.
    output : path
        Folder of masks, records and tables; it need not exist.
    settings : CohortSettings, optional
        Settings.
    part : Part, optional
        Part of the cases; all of them if left out.

    Raises
    ------
    InputError
        If there is no case, or two would have one file name.
    OutputError
        If the output folder lies in the data or cannot be used.
    ModelError
        If the model cannot be used.
    """
    paths = [Path(p) for p in ([data] if isinstance(data, Path | str) else data)]
    output, settings = Path(output), settings or CohortSettings()
    _check_output(output, paths)
    return plan_cases(DataSet.find(paths).cases, output, settings, part)


def plan_cases(
    cases: Sequence[CaseRef], output: Path, settings: CohortSettings, part: Part | None = None
) -> CohortPlan:
    """Compare cases that were found already with the records of earlier runs; see `plan`."""
    part = part or Part()
    cases = sorted(cases, key=lambda case: case.name)
    _check_names(cases)
    digest = settings.digest()
    mine = cases[part.number - 1 :: part.total]
    states, _ = read_states(output / STATE_FILE)
    tasks = tuple(_task(ref, output, settings, digest, state_of(states.get(ref.name, {}))) for ref in mine)
    return CohortPlan(tasks, output, settings, digest, part, tuple(case.name for case in cases))


def _check_output(output: Path, data: Sequence[Path]) -> None:
    if output.exists() and not output.is_dir():
        raise OutputError(f"{output} is a file; choose a folder for the results")
    for path in data:
        if path.is_dir() and output.resolve().is_relative_to(path.resolve()):
            raise OutputError(
                f"the output folder {output} lies in {path}, where its masks would be taken for data; choose "
                "a folder beside it"
            )


def _check_names(cases: Sequence[CaseRef]) -> None:
    seen: dict[str, CaseRef] = {}
    for case in cases:
        other = seen.setdefault(file_name(case.name).lower(), case)
        if other is not case:
            raise InputError(f"{other.name} and {case.name} would have one file name; rename one")


def _task(ref: CaseRef, output: Path, settings: CohortSettings, digest: str, state: State) -> Task:
    record = Record.read(record_path(output, ref.name))
    mask = _earlier_mask(ref, record, output, settings)
    return Task(ref, _task_state(ref, record, mask, digest, state), record, mask)


def _earlier_mask(ref: CaseRef, record: Record | None, output: Path, settings: CohortSettings) -> Path | None:
    """Return the mask that lies in the output folder for a case; None if there is none, or not all of it."""
    if record is not None and record.mask:
        mask = output / record.mask
    elif settings.bids:
        mask = next(iter(session_labels(output, ref.name)), output)
    else:
        mask = mask_path(output, ref.name)
    return mask if is_whole(mask) else None


def _task_state(
    ref: CaseRef, record: Record | None, mask: Path | None, digest: str, state: State
) -> TaskState:
    if mask is not None and is_of_a_person(record, state, mask):
        return TaskState.KEPT
    if record is None:
        return TaskState.NEW
    if record.state == "failed":
        is_same = record.settings == digest and record.is_case_fault and signature(ref) == record.signature
        return TaskState.FAILED if is_same else TaskState.CHANGED
    is_same = record.settings == digest and mask is not None and _has_same_files(ref, record)
    return TaskState.DONE if is_same else TaskState.CHANGED


def is_of_a_person(record: Record | None, state: State, mask: Path) -> bool:
    """Return whether a mask is a person's, or of another command, and not for a run to replace."""
    if state in (State.CORRECTED, State.DONE) or is_corrected(mask):
        return True
    if MADE_BY not in (read_side_file(side_file(mask)) or {}):
        return True
    return record is not None and record.state == "done" and not record.model


def mask_of_a_person(task: Task, planned: CohortPlan) -> Path | None:
    """Return the mask of a case if, by now, it is a person's: the plan may be of hours ago."""
    mask = _earlier_mask(task.ref, task.record, planned.output, planned.settings)
    if mask is None:
        return None
    states, _ = read_states(planned.output / STATE_FILE)
    return mask if is_of_a_person(task.record, state_of(states.get(task.name, {})), mask) else None


def is_automatic(mask: Path) -> bool:
    """Return whether a run of a cohort made a mask, and nobody has changed it since."""
    content = read_side_file(side_file(mask)) or {}
    return MADE_BY in content and is_whole(mask) and not is_corrected(mask)


def _has_same_files(ref: CaseRef, record: Record) -> bool:
    """Return whether the input files are those of the record, by names, sizes and times."""
    return signature(ref, record.inputs) == record.signature


def is_unchanged(new: Record, old: Record | None, output: Path) -> bool:
    """Return whether a case that was read anew has a result that holds: only times of files had changed."""
    return (
        old is not None
        and old.state == "done"
        and bool(new.inputs)
        and (old.settings, old.inputs, old.roles) == (new.settings, new.inputs, new.roles)
        and is_whole(output / old.mask)
    )


def is_whole(mask: Path) -> bool:
    """Return whether mask and side file are there and of one run."""
    return mask.is_file() and side_file(mask).is_file() and not set_problems(mask)


def is_corrected(mask: Path) -> bool:
    """Return whether a mask was corrected by hand, as its side file says."""
    content = read_side_file(side_file(mask)) or {}
    edits = content.get("edits")
    total = edits.get("total") if isinstance(edits, dict) else None
    return mask.is_file() and bool(content.get("corrected_by_hand") or total)
