"""Check intervals of volumes on folds that were not used to calibrate them.

    python docs/coverage.py docs/figures/lgg-flair.csv
    python docs/coverage.py runs/fold-0/test runs/fold-1/test runs/fold-2/test
    python docs/coverage.py --one-by-one runs/lgg/cases.csv

Takes tables of ``docs/cross_validation.py`` (with a column ``fold``), or a folder of ``tumorseg evaluate``
for each fold. The residuals of all other folds, without the patient's own, give the interval of each patient;
with ``--one-by-one``, those of all other patients, as for the patients of a single model.
Prints a row for each region, score and coverage: in how many patients the reference lies inside, the share
that one would find in 95 % of samples of as many patients, and how wide the intervals are.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from scipy import stats

from napari_tumorseg.evaluation.calibration import VolumePair, intervals_of, read_pairs
from napari_tumorseg.inference.intervals import calibration_of
from napari_tumorseg.measurement.intervals import VolumeInterval

Tested = tuple[VolumePair, VolumeInterval]


def main() -> None:
    """Read the folds and print the table."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--coverage", nargs="+", type=float, default=[0.8, 0.9])
    parser.add_argument("--one-by-one", action="store_true")
    arguments = parser.parse_args()
    pairs = [pair for pair in read_pairs(arguments.tables) if pair.predicted]
    print("| region | score | stated | inside | expected | upper / lower: median, 90th percentile | wide |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for region in dict.fromkeys(pair.region for pair in pairs):
        here = [pair for pair in pairs if pair.region == region]
        scores = (False, True) if all(pair.doubt is not None for pair in here) else (False,)
        for by_doubt in scores:
            for coverage in arguments.coverage:
                found = list(tested(here, by_doubt, coverage, arguments.one_by_one))
                print(line(region, by_doubt, coverage, found))


def tested(
    pairs: Sequence[VolumePair], by_doubt: bool, coverage: float, one_by_one: bool = False
) -> Iterator[Tested]:
    """Yield each patient once, as its first fold has it, with the interval that the others give."""
    first = {pair.patient: pair for pair in reversed(pairs)}
    for pair in first.values():
        others = [one for one in pairs if one.patient != pair.patient]
        if not one_by_one:
            others = [one for one in others if one.fold != pair.fold]
        if not others:
            raise SystemExit("there is a single fold, so no other one to calibrate with")
        (table,) = intervals_of(others, by_doubt=by_doubt)
        found = calibration_of(table).interval(pair.predicted, pair.voxel_mm3, pair.doubt, coverage)
        if found is not None:
            yield pair, found


def line(region: str, by_doubt: bool, coverage: float, found: Sequence[Tested]) -> str:
    """Return a row of the table."""
    score = "by doubt" if by_doubt else "log-ratio"
    if not found:
        return f"| {region} | {score} | {coverage:.0%} | too few patients | | | |"
    stated = min(interval.coverage for _, interval in found)
    inside = sum(interval.low <= pair.reference <= interval.high for pair, interval in found)
    low, high = (stats.binom.ppf(q, len(found), stated) / len(found) for q in (0.025, 0.975))
    ratios = sorted(interval.high / max(interval.low, 1.0) for _, interval in found)
    tail = ratios[min(int(0.9 * len(ratios)), len(ratios) - 1)]
    wide = sum(interval.is_wide for _, interval in found)
    return (
        f"| {region} | {score} | {stated:.0%} | {inside} of {len(found)} ({inside / len(found):.0%}) | "
        f"{low:.0%} to {high:.0%} | {statistics.median(ratios):.2f}, {tail:.2f} | {wide} |"
    )


if __name__ == "__main__":
    main()
