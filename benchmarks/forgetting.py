"""Forgetting by a fine-tuned model: Dice on new and on old cases by the share of the tuned weights.

The tuned weights are those that ``benchmarks/afternoon.py`` wrote for `t1c-tumour`. New cases are patients of
the LGG data that it was not tuned on and that are not among its 34 test patients; old ones are BRISC slices
that were kept apart when the starter was trained (``docs/figures/t1c-tumour.csv``), laid out by
``docs/brisc_pairs.py``.

    python benchmarks/forgetting.py out/parent-10 --new kaggle_3m --old brisc
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from statistics import fmean

from afternoon import OPTION, ROLES, TEST
from napari_tumorseg.errors import TumorSegError
from napari_tumorseg.finetuning.choice import SHARES, Option
from napari_tumorseg.finetuning.comparison import dice_by_region
from napari_tumorseg.finetuning.networks import Networks
from napari_tumorseg.finetuning.plan import Job
from napari_tumorseg.inference import Settings, segment
from napari_tumorseg.io.dataset import CaseRef, DataSet
from napari_tumorseg.models import Model, get_model
from napari_tumorseg.scan import Role, Scan
from napari_tumorseg.training.split import shuffled
from napari_tumorseg.training.tuning import widened_input

KEPT_APART = Path(__file__).parents[1] / "docs" / "figures" / "t1c-tumour.csv"


def main() -> None:
    """Print a row for each share."""
    given = arguments()
    parent = get_model("t1c-tumour")
    card = parent.card.model_copy(update={"input": widened_input(parent.card.input, ROLES, "volume")})
    networks, job = Networks(parent, card, given.tuned / "weights"), Job(0, None, True)
    new, old = new_cases(given.new, given.count), old_cases(given.old, given.count)
    for share in (0.0, *SHARES):
        for threshold in (card.output.threshold, OPTION.threshold):
            model = networks.after([job], Option(share, threshold))
            print(
                f"share {share:.2f} threshold {threshold:.2f}: {mean(model, new)}, {mean(model, old)}",
                flush=True,
            )


def new_cases(data: Path, count: int) -> list[CaseRef]:
    """Return cases of the patients that are neither tested on nor, with up to 20 cases, tuned on."""
    cases = DataSet.find([data]).cases
    order = shuffled(sorted({case.patient for case in cases}), 0)
    return [case for case in cases if case.patient in order[TEST + 20 :]][:count]


def old_cases(data: Path, count: int) -> list[CaseRef]:
    """Return slices with tumour that were kept apart when the starter was trained."""
    with KEPT_APART.open(encoding="utf-8") as file:
        names = {row["case"] for row in csv.DictReader(file) if int(row["reference_px"])}
    cases = {case.name: case for case in DataSet.find([data]).cases if case.name in names}
    return [cases[name] for name in shuffled(sorted(cases), 0)[:count]]


def mean(model: Model, cases: list[CaseRef]) -> str:
    """Return the mean Dice of some cases."""
    found = []
    for case in cases:
        scan, reference = case.load("binary")
        try:
            seg = segment(_as_t1c(scan), model, Settings(precision="float32"))
        except TumorSegError as error:
            print(case.name, error)
            continue
        found.append(dice_by_region(seg, reference)["WT"])
    return f"{fmean(found):.3f} ({len(found)})"


def _as_t1c(scan: Scan) -> Scan:
    """Return a lone picture as T1c: the names of BRISC say only T1."""
    lone = scan.images[0]
    return scan.with_roles({lone.name: Role.T1C}) if len(scan.images) == 1 else scan


def arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tuned", type=Path)
    parser.add_argument("--new", type=Path, required=True)
    parser.add_argument("--old", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100)
    return parser.parse_args()


if __name__ == "__main__":
    main()
