"""Score models slice by slice on pictures that they were not trained on.

    python docs/slice_validation.py runs/t1c-0 --data brisc -o docs/figures/t1c-tumour.csv

Each folder is a training, whose model is run on the test part of its split; ``--model`` runs another model on
it. Writes for each slice the areas of reference and result in pixels and their Dice (1 where both are empty),
and prints means by tumour kind and plane, which the names of BRISC tell (``brisc2025_train_00001_gl_ax_t1``).
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from napari_tumorseg.evaluation.case import Loaded
from napari_tumorseg.inference import segment
from napari_tumorseg.io.dataset import DataSet
from napari_tumorseg.models import get_model
from napari_tumorseg.training.split import DataSplit

COLUMNS = ("fold", "case", "reference_px", "predicted_px", "slice_px", "dice")


def main() -> None:
    """Run each model on its test part, write the table, print the summary."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", help="model to run in place of those of the trainings")
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    data = DataSet.find([given.data])
    rows: list[dict[str, Any]] = []
    for fold, run in enumerate(given.runs):
        test = DataSplit.from_json(run / "split.json").test
        model = Loaded.of(get_model(given.model or run / "model"))
        rows += [{"fold": fold, **row} for row in scores(model, data.named(test))]
    with given.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print("\n".join(summary(rows)))


def scores(model: Loaded, data: DataSet) -> Iterator[dict[str, Any]]:
    """Yield a row for each slice; the model sees the picture, not the modality that its name tells."""
    for case in data.cases:
        scan, reference = case.load("binary")
        result = segment(scan.with_roles({scan.images[0].name: model.card.input.roles[0]}), model)
        theirs, ours = reference.labels > 0, result.labels > 0
        areas = int(theirs.sum()), int(ours.sum())
        dice = 2 * int((theirs & ours).sum()) / sum(areas) if any(areas) else 1.0
        yield {
            "case": case.name,
            "reference_px": areas[0],
            "predicted_px": areas[1],
            "slice_px": int(np.prod(theirs.shape)),
            "dice": round(dice, 3),
        }


def summary(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a sentence on all slices with tumour, one for each kind and plane, and one on the others."""
    with_tumour = [row for row in rows if row["reference_px"]]
    yield f"with tumour: {_about(with_tumour)}"
    for kind in ("gl", "me", "pi"):
        yield f"{kind}: {_about([row for row in with_tumour if f'_{kind}_' in row['case']])}"
    for plane in ("ax", "co", "sa"):
        yield f"{plane}: {_about([row for row in with_tumour if f'_{plane}_' in row['case']])}"
    for kind, plane in ((k, p) for k in ("gl", "me", "pi") for p in ("ax", "co", "sa")):
        yield f"{kind} {plane}: {_about([row for row in with_tumour if f'_{kind}_{plane}_' in row['case']])}"
    without = [row for row in rows if not row["reference_px"]]
    wrong = [row for row in without if row["predicted_px"]]
    yield f"without tumour: {len(wrong)} of {len(without)} slices have a false positive"


def _about(rows: Sequence[dict[str, Any]]) -> str:
    dice = [row["dice"] for row in rows]
    if not dice:
        return "no slices"
    missed = sum(not row["predicted_px"] for row in rows)
    return f"{len(dice)} slices, Dice mean {mean(dice):.3f}, median {median(dice):.3f}, {missed} missed"


if __name__ == "__main__":
    main()
