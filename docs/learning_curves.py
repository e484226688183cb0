"""Draw the learning curves of trainings, a picture for each: loss and validation Dice over epochs.

    python docs/learning_curves.py runs/hassan2025 runs/ragab2025 -o docs/figures

Each argument is the folder of a training, whose name becomes the picture's. Without validation there is no
Dice to draw, and the picture shows the loss alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_tumorseg.report.charts import Curve, curves
from napari_tumorseg.report.learning import LOG, read_log

TRAINING, VALIDATION = "#0072b2", "#d55e00"


def main() -> None:
    """Write an SVG for each run."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for run in arguments.runs:
        for what, picture in charts(run).items():
            path = arguments.output / f"{run.name}-{what}.svg"
            path.write_text(picture, encoding="utf-8")
            print(path)


def charts(run: Path) -> dict[str, str]:
    """Return the pictures of a run by what they show; those without a point are left out."""
    lines = read_log(run / LOG).lines
    losses = [
        Curve("training loss", TRAINING, lines.get("train_loss", ())),
        Curve("validation loss", VALIDATION, lines.get("val_loss", ())),
    ]
    dice = [Curve("validation Dice", VALIDATION, lines.get("val_dice", ()))]
    drawn = {
        "loss": curves(losses, f"{run.name}: loss over epochs", "loss"),
        "dice": curves(dice, f"{run.name}: Dice over epochs", "Dice", (0.0, 1.0)),
    }
    named = '<svg xmlns="http://www.w3.org/2000/svg" '  # a file of its own needs the name space
    return {what: named + picture.removeprefix("<svg ") for what, picture in drawn.items() if picture}


if __name__ == "__main__":
    main()
