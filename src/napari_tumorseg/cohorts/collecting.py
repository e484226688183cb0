"""Parts of a cohort put together: their records and masks in one folder, and one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from napari_tumorseg.cohorts.outputs import part_manifests, plans_of, write_tables
from napari_tumorseg.cohorts.parcel import Parcel
from napari_tumorseg.cohorts.planning import is_of_a_person, is_whole
from napari_tumorseg.cohorts.record import (
    Record,
    mask_path,
    mixed_precisions,
    read_records,
    record_path,
)
from napari_tumorseg.cohorts.unit import EXPECTED, measured_again, prepare
from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.io.atomic import write_text
from napari_tumorseg.io.bids.dataset import DESCRIPTION
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


@dataclass(frozen=True)
class _Folder:
    """Records and states of cases in a folder, by case."""

    path: Path
    records: Mapping[str, Record]
    states: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path) -> _Folder:
        """Read a folder; nothing is changed in it."""
        records = {record.case: record for record in read_records(path)}
        return cls(path, records, read_states(path / STATE_FILE)[0])

    def candidates(self, name: str) -> Iterator[_Candidate]:
        """Yield the result of a case; a mask of a person counts without a record, too."""
        record, mask = self.records.get(name), mask_path(self.path, name)
        if not is_whole(mask):
            if record is not None and record.state == "failed":
                yield _Candidate(self.path, record, False)
        elif is_of_a_person(record, state_of(self.states.get(name, {})), mask):
            with suppress(*EXPECTED):
                yield _Candidate(self.path, measured_again(name, record, mask, self.path), True)
        elif record is not None:
            yield _Candidate(self.path, record, False)


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
    found = [_Folder.read(folder) for folder in dict.fromkeys([*own, *map(Path, parts)])]
    _check_folders(found, output)
    plans = plans_of({one.path: list(one.records) for one in found})
    planned = {name for names in plans.values() for name in names}
    every = {name for one in found for name in one.records}
    some_of = {name: [c for one in found for c in one.candidates(name)] for name in sorted(every & planned)}
    candidates = {name: some for name, some in some_of.items() if some}
    _check_settings([one for some in candidates.values() for one in some])
    prepare(output)
    warnings = [text for name, some in candidates.items() for text in _contradictions(name, some, output)]
    records = [_taken(_best(some, output), output) for some in candidates.values()]
    facts = {
        "planned": sorted(planned),
        "plans": plans,
        "parts": sum(len(part_manifests(one.path)) for one in found),
    }
    write_tables(output, records, {"began": datetime.now(UTC).isoformat(timespec="seconds"), **facts}, page)
    warnings += [mixed] if (mixed := mixed_precisions(records)) else []
    missing, gone = sorted(planned - candidates.keys()), sorted(every - planned)
    return Collected(tuple(records), tuple(missing), tuple(gone), tuple(warnings))


def _check_folders(found: Sequence[_Folder], output: Path) -> None:
    empty = next((one.path for one in found if not one.records and one.path != output), None)
    if empty is not None or not any(one.records for one in found):
        raise InputError(f"{empty or output} holds no results of a cohort")
    for one in found:
        if (one.path / DESCRIPTION).is_file():
            raise InputError(
                f"the results in {one.path} are a BIDS data set, which the group level of tumorseg-bids puts "
                "into one table"
            )


def _check_settings(candidates: Sequence[_Candidate]) -> None:
    """Raise an error if masks that runs have made are of different settings.

    Masks of a person, and failures, stay from earlier runs when the settings change.
    """
    made = [one for one in candidates if one.record.state == "done" and not one.is_of_a_person]
    digests = {one.record.settings: one.folder for one in made}
    if len(digests) > 1:
        folders = " and ".join(dict.fromkeys(str(folder) for folder in digests.values()))
        raise InputError(f"results in {folders} were made with different settings or models; run them again")


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
    Parcel.pack(best.record, best.folder).write(output)
    noted = read_states(best.folder / STATE_FILE)[0].get(name)
    states, problems = read_states(output / STATE_FILE)
    if noted and best.is_of_a_person and not problems:
        write_states(output / STATE_FILE, {**states, name: noted})
