"""Split of a data set into training, validation and test parts, determined by a seed."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.io.dataset import patient_of
from napari_tumorseg.training.recipe_tables import SplitSettings

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class DataSplit:
    """Names in each part: of cases, or ``case#slice`` for a split by slices."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def to_json(self) -> str:
        """Return the split as JSON."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, path: Path) -> DataSplit:
        """Read the JSON of `to_json`."""
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(*(tuple(content[part]) for part in PARTS))

    def side_of(self, case: str, index: int) -> str | None:
        """Return the part of a slice of a case: ``train``, ``validation`` or ``test``."""
        for part in PARTS:
            names = self._sets[part]
            if case in names or f"{case}#{index}" in names:
                return part
        return None

    @property
    def _sets(self) -> dict[str, frozenset[str]]:
        if "_made" not in self.__dict__:
            self.__dict__["_made"] = {part: frozenset(getattr(self, part)) for part in PARTS}
        made: dict[str, frozenset[str]] = self.__dict__["_made"]
        return made


def divide(
    slices_of: Mapping[str, Sequence[int]], rule: SplitSettings, groups: Mapping[str, str] | None = None
) -> DataSplit:
    """Draw a split.

    Parameters
    ----------
    slices_of : mapping of str to sequence of int
        Slices of each case that take part.
    rule : SplitSettings
        Rule of the split.
    groups : mapping of str to str, optional
        Group of each case, which then takes the place of the patient; cases that are not in it are groups
        of their own patient.

    Returns
    -------
    DataSplit
        By patient, all cases of a patient are in one part.

    Raises
    ------
    InputError
        If the training part is empty.
    """
    units = _units(slices_of, rule.by, groups or {})
    fixed = {unit: part for part in ("validation", "test") for unit in _fixed(part, rule, units)}
    free = [unit for unit in sorted(units) if unit not in fixed]
    drawn = dict(zip(shuffled(free, rule.seed), _sides(len(free), rule), strict=True))
    side = {**drawn, **fixed}
    parts = {part: tuple(c for u in sorted(units) if side[u] == part for c in units[u]) for part in PARTS}
    if not parts["train"]:
        raise InputError(
            f"of {len(units)} patients none is left for training; give more data or other fractions"
        )
    return DataSplit(**parts)


def read_groups(path: Path) -> dict[str, str]:
    """Return the group of each case from a table with the columns ``case`` and ``group``.

    Raises
    ------
    InputError
        If it cannot be read or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"the table of groups {path} cannot be read: {error}") from error
    if not rows or not {"case", "group"} <= rows[0].keys():
        raise InputError(
            f"the table of groups {path} needs the columns case and group, and a row for each case"
        )
    return {row["case"]: row["group"] for row in rows}


def _units(
    slices_of: Mapping[str, Sequence[int]], by: str, groups: Mapping[str, str]
) -> dict[str, list[str]]:
    """Return the names in each unit of the split: a slice, or all cases of a patient or group."""
    if by == "slice":
        return {f"{case}#{i}": [f"{case}#{i}"] for case in sorted(slices_of) for i in slices_of[case]}
    units: dict[str, list[str]] = {}
    for case in sorted(slices_of):
        units.setdefault(groups.get(case) or patient_of(case), []).append(case)
    return units


def _share(count: int, fraction: float) -> int:
    """Return the number of units of a share, rounded up as in scikit-learn's `train_test_split`."""
    return math.ceil(count * fraction - 1e-9)


def _fixed(part: str, rule: SplitSettings, units: dict[str, list[str]]) -> Iterable[str]:
    for name in getattr(rule, part):
        wanted = (name, patient_of(name))
        for unit, cases in units.items():
            case = unit.partition("#")[0]
            if unit in wanted or name in cases or case == name or patient_of(case) in wanted:
                yield unit


def absent(slices_of: Mapping[str, Sequence[int]], rule: SplitSettings) -> list[str]:
    """Return the names that a rule fixes but the data do not have."""
    there = {name for case in slices_of for name in (case, patient_of(case))}
    fixed = (*rule.test, *rule.validation)
    return [name for name in fixed if name not in there and patient_of(name) not in there]


def shuffled(units: Sequence[str], seed: int) -> list[str]:
    """Return the names in an order that the seed decides."""
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(units))
    return [units[i] for i in order]


def _sides(count: int, rule: SplitSettings) -> list[str]:
    """Return the part of each of `count` units in their drawn order."""
    if rule.folds is not None:
        test = [i % rule.folds == rule.fold for i in range(count)]  # none for "all"
        rest = test.count(False)
        share = rule.fractions[1] / max(rule.fractions[0] + rule.fractions[1], 1e-9)
        validation = round(rest * share)
        others = iter(["validation"] * validation + ["train"] * (rest - validation))
        return ["test" if kept else next(others) for kept in test]
    test_count = _share(count, rule.fractions[2])
    validation = min(_share(count, rule.fractions[1]), count - test_count)
    train = count - validation - test_count
    return ["train"] * train + ["validation"] * validation + ["test"] * test_count
