"""Score a model slice by slice on pictures that it was not trained on.

    python docs/slice_validation.py runs/t1c-0 runs/t1c-1 --data brisc -o docs/figures/t1c-tumour.csv

Each folder is a training; its model is run on the test part of its split. Writes for each slice the area of the
reference and of the result in pixels and their Dice, and prints means by tumour kind and plane, which the names
of BRISC tell (``brisc2025_train_00001_gl_ax_t1``).
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_tumorseg.evaluation.case import Loaded
from napari_tumorseg.inference import Settings, segment
from napari_tumorseg.io.dataset import DataSet, as_wanted
from napari_tumorseg.models import get_model
from napari_tumorseg.training.split import DataSplit

COLUMNS = ("fold", "case", "kind", "plane", "reference_px", "predicted_px", "slice_px", "dice")


def main() -> None:
    """Run each model on its test part, write the table, print the summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    rows = [row for fold, run in enumerate(given.runs) for row in scores(run, given.data, fold)]
    with given.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print("\n".join(summary(rows)))
