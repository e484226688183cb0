"""Who trains, who chooses, who is kept apart: drawn once, written down, the same for a seed anywhere."""

from __future__ import annotations

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
    """Names on each side: of cases, or ``case#slice`` where slices were drawn."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, path: Path) -> DataSplit:
        """Read what `to_json` gave."""
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(*(tuple(content[part]) for part in PARTS))

    def side_of(self, case: str, index: int) -> str | None:
        """Return ``train``, ``validation`` or ``test`` for a slice of a case."""
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


def divide(slices_of: Mapping[str, Sequence[int]], rule: SplitSettings) -> DataSplit:
    """Draw a division.

    Parameters
    ----------
    slices_of : mapping of str to sequence of int
        The cases, each with the slices that take part.
    rule : SplitSettings
        How to draw.

    Returns
    -------
    Division
        By patient, all cases of a patient are on one side, in whatever layout they come.

    Raises
    ------
    InputError
        If none is left to train on.
    """
    if rule.by == "slice":
        units = {f"{case}#{i}": [f"{case}#{i}"] for case in sorted(slices_of) for i in slices_of[case]}
    else:
        units = {}
        for case in sorted(slices_of):
            units.setdefault(patient_of(case), []).append(case)
    fixed = {unit: part for part in ("validation", "test") for unit in _fixed(part, rule, units)}
    free = [unit for unit in sorted(units) if unit not in fixed]
    drawn = dict(zip(shuffled(free, rule.seed), _sides(len(free), rule), strict=True))
    side = {**drawn, **fixed}
    parts = {part: tuple(c for u in sorted(units) if side[u] == part for c in units[u]) for part in PARTS}
    if not parts["train"]:
        raise InputError(
            f"the patients there are ({len(units)}) leave none to train on; give more data or other fractions"
        )
    return DataSplit(**parts)


def _share(count: int, fraction: float) -> int:
    """Return how many a share is, upwards, as scikit-learn's `train_test_split` and the papers count."""
    return math.ceil(count * fraction - 1e-9)


def _fixed(part: str, rule: SplitSettings, units: dict[str, list[str]]) -> Iterable[str]:
    for name in getattr(rule, part):
        wanted = (name, patient_of(name))
        for unit, cases in units.items():
            case = unit.partition("#")[0]
            if unit in wanted or name in cases or case == name or patient_of(case) in wanted:
                yield unit


def absent(slices_of: Mapping[str, Sequence[int]], rule: SplitSettings) -> list[str]:
    """Return the names that a rule fixes and the data do not hold."""
    there = {name for case in slices_of for name in (case, patient_of(case))}
    fixed = (*rule.test, *rule.validation)
    return [name for name in fixed if name not in there and patient_of(name) not in there]


def shuffled(units: Sequence[str], seed: int) -> list[str]:
    """Return the names in an order that the seed decides."""
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(units))
    return [units[i] for i in order]


def _sides(count: int, rule: SplitSettings) -> list[str]:
    """Return the side of each of `count` units in their drawn order."""
    if rule.folds is not None:
        test = [i % rule.folds == rule.fold for i in range(count)]  # none of them, where it is "all"
        rest = test.count(False)
        share = rule.fractions[1] / max(rule.fractions[0] + rule.fractions[1], 1e-9)
        validation = round(rest * share)
        others = iter(["validation"] * validation + ["train"] * (rest - validation))
        return ["test" if kept else next(others) for kept in test]
    test_count = _share(count, rule.fractions[2])
    validation = min(_share(count, rule.fractions[1]), count - test_count)
    train = count - validation - test_count
    return ["train"] * train + ["validation"] * validation + ["test"] * test_count
