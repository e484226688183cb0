"""Put the evaluations of several folds together: each case by the model that had not seen it.

    python docs/cross_validation.py runs/lgg-0/test runs/lgg-1/test -o docs/figures/lgg-flair.csv

The folders are those that ``tumorseg evaluate -o`` has written. Prints mean, median, standard deviation and
least per region, of each fold and of all, where a case that several folds kept apart counts once, for the
first. Writes a row per fold, case and region.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from pathlib import Path

KEPT = (
    *("case", "region", "dice_3d", "sensitivity_3d", "precision_3d", "hd95_mm", "volume_error_percent"),
    *("voxels", "reference_voxels", "volume_error_ml", "doubt"),
)


def main() -> None:
    """Read the folds, write the table, print the summary."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    rows = read(arguments.folders)
    with arguments.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("fold", *KEPT), extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for region in dict.fromkeys(row["region"] for row in rows):
        here = [row for row in rows if row["region"] == region]
        for fold in sorted({row["fold"] for row in here}):
            print(f"{region}, fold {fold}: {summary([row for row in here if row['fold'] == fold])}")
        once = {row["case"]: row for row in reversed(here)}
        print(f"{region}: {summary(list(once.values()))}")


def read(folders: list[Path]) -> list[dict[str, str]]:
    """Return the rows of regions, by region, fold and case.

    Refuses a case that failed, or that its model was trained on.

    A case without a reference mask is passed over: there is nothing to score.
    """
    rows: list[dict[str, str]] = []
    for fold, folder in enumerate(folders):
        for row in csv.DictReader((folder / "cases.csv").read_text(encoding="utf-8").splitlines()):
            if row["error"] and row.get("unlabelled") != "yes":
                raise SystemExit(f"{folder}: {row['case']} failed and would be missing: {row['error']}")
            if row["kind"] != "region":
                continue
            if row["trained_on"] == "yes":
                raise SystemExit(f"{folder}: {row['case']} was trained on")
            rows.append({"fold": str(fold), **row})
    return sorted(rows, key=lambda row: (row["region"], row["fold"], row["case"]))


def summary(rows: list[dict[str, str]]) -> str:
    """Return what is told of the Dice of some rows."""
    values = [float(row["dice_3d"]) for row in rows]
    missed = sum(value == 0 for value in values)
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return (
        f"mean {statistics.mean(values):.3f}, median {statistics.median(values):.3f}, sd {spread:.3f}, "
        f"least {min(values):.3f}, {missed} missed of {len(values)}"
    )


if __name__ == "__main__":
    main()
