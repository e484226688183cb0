"""Does the order of the worklist find the cases that are worth correcting? A simulation on known references.

    python benchmarks/next_case.py MODEL --data kaggle_3m --save cases.csv
    python benchmarks/next_case.py --table cases.csv

Each case is run with those members of the model that were not trained on its patient. A correction replaces
the mask by the reference. Told is the share of the cohort's error that is gone after the first k corrections,
for each order of the worklist and for random orders: of the Dice error (the sum of 1 - Dice), and of the
number of wrong voxels. `best` corrects the worst case first, which nobody can know; `widest in voxels` is the
interval's width not relative to the volume. Nothing here is fitted: the orders have no parameters, and a
wider or narrower calibration of the intervals leaves their order as it is.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from napari_tumorseg.evaluation.run import plan
from napari_tumorseg.evaluation.scores import CaseScores
from napari_tumorseg.evaluation.settings import EvaluationSettings
from napari_tumorseg.session.mask_facts import MaskFacts
from napari_tumorseg.session.order import ranking

FIRST = (5, 10, 20, 30)
RANDOM = 10_000


class Run(NamedTuple):
    """Result of a case: its scores, and what orders of a worklist go by."""

    case: str
    members: int
    dice: float
    wrong_voxels: float
    voxels: int
    band: float | None
    disagreement: float | None


def runs(model: str, data: Path) -> Iterator[Run]:
    """Yield the result of each case, by members that have not seen its patient."""
    for step in plan(model, data, EvaluationSettings(unseen_members=True)).run():
        found = step.result
        if found is None or step.segmentation is None:
            continue
        assert isinstance(found, CaseScores) and not found.trained_on
        row = found.regions[0].volume
        wrong = (row.voxels + row.reference_voxels) * (1 - row.dice)
        facts = MaskFacts.of(step.segmentation.provenance)
        print(f"{step.number} of {step.total}: {found.name} {row.dice:.3f}", flush=True)
        members = len(found.members.run)
        yield Run(found.name, members, row.dice, wrong, row.voxels, facts.band, facts.disagreement)


def save(found: Sequence[Run], path: Path) -> None:
    """Write the results as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Run._fields)
        writer.writerows(found)


def load(path: Path) -> list[Run]:
    """Read what `save` wrote."""
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    return [
        Run(row["case"], int(row["members"]), *(_number(row[name]) for name in Run._fields[2:]))  # type: ignore[arg-type]
        for row in rows
    ]


def _number(text: str) -> float | None:
    return float(text) if text else None


def orders(found: Sequence[Run]) -> dict[str, np.ndarray]:
    """Return for each order the value by which cases are sorted, the largest first."""
    band, disagreement = ([getattr(run, name) for run in found] for name in ("band", "disagreement"))
    both = np.add(*(np.array(ranking(values), dtype=float) for values in (band, disagreement)))
    width = [(run.band or 0) * run.voxels for run in found]
    named = {"band": band, "disagreement": disagreement, "both": both, "widest in voxels": width}
    return {name: np.nan_to_num(np.array(values, dtype=float), nan=np.inf) for name, values in named.items()}


def removed(error: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return the share of the error that is gone after each correction, the largest values first."""
    first = np.argsort(-value, kind="stable")
    return np.asarray(np.cumsum(error[first]) / error.sum())


def report(found: Sequence[Run], title: str) -> None:
    """Print the shares for each order."""
    firsts = [k for k in FIRST if k < len(found)]
    print(f"\n{title}: {len(found)} cases, mean Dice {np.mean([run.dice for run in found]):.3f}")
    errors = {
        "Dice error": np.array([1 - run.dice for run in found]),
        "wrong voxels": np.array([run.wrong_voxels for run in found]),
    }
    rng = np.random.default_rng(0)
    for what, error in errors.items():
        print(f"| {what} gone after | {' | '.join(map(str, firsts))} | better than random orders |")
        print(f"| --- |{' --- |' * (len(firsts) + 1)}")
        chance = np.stack([removed(error, rng.random(len(error))) for _ in range(RANDOM)])
        low, high = np.percentile(chance, (2.5, 97.5), axis=0)
        cells = [f"{chance[:, k - 1].mean():.2f} ({low[k - 1]:.2f} to {high[k - 1]:.2f})" for k in firsts]
        print(f"| random (95 % of {RANDOM}) | {' | '.join(cells)} | |")
        for name, value in {**orders(found), "best": error}.items():
            curve = removed(error, value)
            beaten = (curve.mean() > chance.mean(axis=1)).mean()
            cells = [f"{curve[k - 1]:.2f}" for k in firsts]
            print(f"| {name} | {' | '.join(cells)} | {100 * beaten:.2f} % |")


def main() -> None:
    """Run or read the cases, and print."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("model", nargs="?", default="lgg-flair")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--table", type=Path, help="results of an earlier run")
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    if (options.data is None) == (options.table is None):
        parser.error("give --data or --table")
    found = load(options.table) if options.table else list(runs(options.model, options.data))
    if options.save:
        save(found, options.save)
    report(found, "all")
    several = [run for run in found if run.members > 1]
    if 10 < len(several) < len(found):
        report(several, "cases with several members that have not seen the patient")


if __name__ == "__main__":
    main()
