"""Choice of the cases to evaluate, and of the patients that the model has seen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_tumorseg.errors import InputError
from napari_tumorseg.io.dataset import CaseRef, DataSet, patient_of
from napari_tumorseg.models.card import ModelCard

PARTS = ("train", "validation", "test")
_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class SavedSplit:
    """Split of the cases of a training.

    Attributes
    ----------
    train, validation, test : tuple of str
        Names of cases; ``NAME#INDEX`` where single slices were split.
    """

    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def part(self, name: str) -> tuple[str, ...]:
        """Return the names of a part.

        Raises
        ------
        InputError
            If there is no such part, or it is empty.
        """
        if name not in PARTS:
            raise InputError(f"a split has the parts {', '.join(PARTS)}, not {name!r}")
        names: tuple[str, ...] = getattr(self, name)
        if not names:
            sizes = ", ".join(f"{part}: {len(getattr(self, part))}" for part in PARTS)
            raise InputError(f"the split keeps no case for {name} ({sizes}); take another part of it")
        return names

    def slices(self, name: str) -> dict[str, frozenset[int]]:
        """Return slice numbers by case, for the cases of which a part holds single slices."""
        found: dict[str, set[int]] = {}
        for entry in self.part(name):
            case, number = _slice_of(entry)
            if number is not None:
                found.setdefault(case, set()).add(number)
        whole = set(self.part(name))
        return {case: frozenset(numbers) for case, numbers in found.items() if case not in whole}


def read_split(path: Path) -> SavedSplit:
    """Read a split from JSON: ``{"train": [...], "validation": [...], "test": [...]}``, names of cases.

    Raises
    ------
    InputError
        If the file cannot be read or is no split.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} is too large to be a split")
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"the split {path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"the split {path} is not valid JSON: {error}") from error
    if not isinstance(content, dict) or not any(part in content for part in PARTS):
        raise InputError(f"{path} is no split: it has none of the parts {', '.join(PARTS)}")
    return SavedSplit(*(_names(content.get(part, []), part, path) for part in PARTS))


def select(data: DataSet, names: Sequence[str], among: Sequence[str] | None, limit: int | None) -> DataSet:
    """Return the cases that are wanted.

    Parameters
    ----------
    data : DataSet
        All cases.
    names : sequence of str
        Those that were named; all where none was.
    among : sequence of str or None
        The part of a split to which they are limited. It may have been made on another layout of the same
        data: where no name fits, patients are compared.
    limit : int or None
        How many to take at most, from the first on.

    Raises
    ------
    InputError
        If nothing is left, or a case that was named is not there.
    """
    cases = data.named(names).cases if names else data.cases
    if among is not None:
        cases = _within(cases, among)
    if limit is not None:
        if limit < 1:
            raise InputError(f"at least one case is evaluated, not {limit}")
        cases = cases[:limit]
    if not cases:
        raise InputError("there is no case to evaluate")
    return DataSet(cases)


def seen(card: ModelCard, split: SavedSplit | None = None) -> frozenset[str]:
    """Return the patients that a model, any member of it, was trained on, by its card and the split."""
    return frozenset().union(*seen_by_members(card, split))


def seen_by_members(card: ModelCard, split: SavedSplit | None = None) -> tuple[frozenset[str], ...]:
    """Return the patients that each member of a model was trained on, according to its card and the split.

    A model of one set of weights has one member. The split is taken for that of all members.
    """
    unseen = [set(member.unseen) for member in card.members] or [set()]
    every, trained = card.about.trained_on, split.train if split else ()
    return tuple(_patients((*(name for name in every if name not in those), *trained)) for those in unseen)


def _patients(names: Iterable[str]) -> frozenset[str]:
    return frozenset(patient_of(_slice_of(name)[0]) for name in names)


def _slice_of(entry: str) -> tuple[str, int | None]:
    """Return case and slice of an entry of a split; no slice where it is a whole case."""
    case, mark, number = entry.rpartition("#")
    return (case, int(number)) if mark and number.isascii() and number.isdigit() else (entry, None)


def _within(cases: tuple[CaseRef, ...], names: Sequence[str]) -> tuple[CaseRef, ...]:
    wanted = {_slice_of(name)[0] for name in names} | set(names)
    found = tuple(case for case in cases if case.name in wanted or case.case in wanted)
    if not found:
        patients = {patient_of(name) for name in wanted}
        found = tuple(case for case in cases if case.patient in patients)
    if not found:
        raise InputError(
            f"of the cases of that part of the split ({len(names)}) none is in the data; check the folder"
        )
    return found


def _names(value: object, part: str, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InputError(f"{path}: {part} is not a list of names of cases")
    return tuple(value)
