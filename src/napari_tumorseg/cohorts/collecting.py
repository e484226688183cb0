"""Parts of a cohort put together: their records and masks in one folder, and one table."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from napari_tumorseg.cohorts.outputs import part_manifests, plans_of, write_tables
from napari_tumorseg.cohorts.planning import is_of_a_person, is_whole
from napari_tumorseg.cohorts.record import (
    Record,
    mask_path,
    mixed_precisions,
    picture_path,
    read_records,
    record_path,
)
from napari_tumorseg.cohorts.unit import EXPECTED, measured_again, prepare
from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.io.atomic import atomic_path, write_text
from napari_tumorseg.io.formats import side_file
from napari_tumorseg.io.output_set import output_set
from napari_tumorseg.io.reading import read_mask
from napari_tumorseg.io.side_files import check_replaceable
from napari_tumorseg.session.case_status import read_states, state_of, write_states
from napari_tumorseg.session.worklist import STATE_FILE


@dataclass(frozen=True)
class Collected:
    """Cohort that was put together.

    Attributes
    ----------
    records : tuple of Record
        Of all cases that were run.
    missing : tuple of str
        Cases that the parts planned and none has run.
    passed_over : tuple of str
        Cases with a record that are in no plan any more.
    warnings : tuple of str
        Sentences on masks that contradict each other, and on precisions that differ.
    """

    records: tuple[Record, ...]
    missing: tuple[str, ...]
    passed_over: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Candidate:
    """Result of a case in one of the folders."""

    folder: Path
    record: Record
    is_of_a_person: bool


def collect(output: Path | str, parts: Sequence[Path | str] = (), *, page: bool = True) -> Collected:
    """Put the parts of a cohort together and write its table and its quality page.

    Masks of a person go before all others and are measured as they are; one that lies in `output` is never
    replaced. Cases that the latest plans do not name, because they were removed from the data, are passed
    over.

    Parameters
    ----------
    output : path
        Folder of the whole cohort; parts that were written into it need not be named.
    parts : sequence of paths
        Output folders of parts elsewhere; their masks and records are copied.
    page : bool
        Whether to write the quality page.

    Raises
    ------
    InputError
        If a folder holds no part, or two parts disagree about the settings.
    OutputError
        If something cannot be written.
    """
    output = Path(output)
    own = [output] if output.is_dir() else []
    found = {folder: read_records(folder) for folder in dict.fromkeys([*own, *map(Path, parts)])}
    _check_folders(found, output)
    plans = plans_of({folder: [record.case for record in records] for folder, records in found.items()})
    planned = {name for names in plans.values() for name in names}
    every = {record.case for records in found.values() for record in records}
    some_of = {name: _candidates(name, found) for name in sorted(every & planned)}
    candidates = {name: some for name, some in some_of.items() if some}
    _check_settings([one for some in candidates.values() for one in some])
    prepare(output)
    warnings = [text for name, some in candidates.items() for text in _contradictions(name, some, output)]
    records = [_taken(_best(some, output), output) for some in candidates.values()]
    facts = {"planned": sorted(planned), "plans": plans, "parts": sum(map(len, map(part_manifests, found)))}
    write_tables(output, records, {"began": datetime.now(UTC).isoformat(timespec="seconds"), **facts}, page)
    warnings += [mixed] if (mixed := mixed_precisions(records)) else []
    missing, gone = sorted(planned - candidates.keys()), sorted(every - planned)
    return Collected(tuple(records), tuple(missing), tuple(gone), tuple(warnings))


def _check_folders(found: dict[Path, list[Record]], output: Path) -> None:
    empty = next((folder for folder, records in found.items() if not records and folder != output), None)
    if empty is not None or not any(found.values()):
        raise InputError(f"{empty or output} holds no results of a cohort")


def _check_settings(candidates: Sequence[_Candidate]) -> None:
    """Raise an error if masks that runs have made are of different settings.

    Masks of a person, and failures, stay from earlier runs when the settings change.
    """
    made = [one for one in candidates if one.record.state == "done" and not one.is_of_a_person]
    digests = {one.record.settings: one.folder for one in made}
    if len(digests) > 1:
        folders = " and ".join(dict.fromkeys(str(folder) for folder in digests.values()))
        raise InputError(f"results in {folders} were made with different settings or models; run them again")


def _candidates(name: str, found: dict[Path, list[Record]]) -> list[_Candidate]:
    return [one for folder, records in found.items() for one in _candidates_in(folder, name, records)]


def _candidates_in(folder: Path, name: str, records: Sequence[Record]) -> Iterator[_Candidate]:
    """Yield the result of a case in a folder; a mask of a person counts without a record, too."""
    record = next((one for one in records if one.case == name), None)
    mask = mask_path(folder, name)
    states, _ = read_states(folder / STATE_FILE)
    if not is_whole(mask):
        if record is not None and record.state == "failed":
            yield _Candidate(folder, record, False)
    elif is_of_a_person(record, state_of(states.get(name, {})), mask):
        with suppress(*EXPECTED):
            yield _Candidate(folder, measured_again(name, record, mask, folder), True)
    elif record is not None:
        yield _Candidate(folder, record, False)


def _best(candidates: Sequence[_Candidate], output: Path) -> _Candidate:
    """Return a mask of a person, at best the one in the output folder; else a result, the latest."""

    def rank(one: _Candidate) -> tuple[Any, ...]:
        stays = one.is_of_a_person and one.folder == output
        return one.is_of_a_person, stays, one.record.state == "done", one.record.finished

    return max(candidates, key=rank)


def _contradictions(name: str, candidates: Sequence[_Candidate], output: Path) -> Iterator[str]:
    """Yield a sentence if persons have made different masks of a case."""
    theirs = [one for one in candidates if one.is_of_a_person]
    if len(theirs) < 2:
        return
    best = _best(theirs, output)
    labels = read_mask(mask_path(best.folder, name)).labels
    others = [one.folder for one in theirs if one is not best]
    differ = [
        str(folder)
        for folder in others
        if not np.array_equal(labels, read_mask(mask_path(folder, name)).labels)
    ]
    if differ:
        yield (
            f"{name} was corrected in {best.folder} and, differently, in {' and '.join(differ)}; the one in "
            f"{best.folder} is taken"
        )


def _taken(best: _Candidate, output: Path) -> Record:
    """Put a result into the output folder and return its record."""
    record = best.record
    if best.folder != output and record.state == "done":
        mask = mask_path(output, record.case)
        try:
            check_replaceable(mask)
        except OutputError:
            reason = f"{mask.name} among the results was not made by this program, so it is not replaced"
            record = replace(
                Record(record.case, "failed", record.settings), reason=reason, is_case_fault=False
            )
        else:
            _copy(best, output)
            return record
    path = record_path(output, record.case)
    if record != Record.read(path):
        write_text(path, record.to_json(), overwrite=True)
    return record


def _copy(best: _Candidate, output: Path) -> None:
    """Copy a case's files as one set, and the state that a person has given it."""
    name = best.record.case
    mask, picture = mask_path(best.folder, name), picture_path(best.folder, name)
    with output_set():
        for path in (mask, side_file(mask)):
            _copy_file(path, output / path.name)
        if picture.is_file():
            _copy_file(picture, picture_path(output, name))
        write_text(record_path(output, name), best.record.to_json(), overwrite=True)
    noted = read_states(best.folder / STATE_FILE)[0].get(name)
    states, problems = read_states(output / STATE_FILE)
    if noted and best.is_of_a_person and not problems:
        write_states(output / STATE_FILE, {**states, name: noted})


def _copy_file(path: Path, target: Path) -> None:
    with atomic_path(target, overwrite=True) as temporary:
        shutil.copyfile(path, temporary)
