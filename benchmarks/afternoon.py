"""A model of one's own by the afternoon: Dice on unseen patients after fine-tuning on 5, 10 and 20.

The 74 patients of the LGG data (``kaggle_3m``) are drawn once: 34 to test on, from the others the first 5, 10
and 20 to train on. The starter is `t1c-tumour`, trained on pictures of another collection (BRISC 2025); it is
given FLAIR and T1 as further inputs. Nothing is chosen on the 34: steps, threshold and share are fixed
before.

    python benchmarks/afternoon.py kaggle_3m -o out --cases 10
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from statistics import fmean, median

import torch

from napari_tumorseg.errors import RoleError
from napari_tumorseg.finetuning.choice import Option
from napari_tumorseg.finetuning.comparison import dice_by_region
from napari_tumorseg.finetuning.networks import Networks
from napari_tumorseg.finetuning.plan import Job
from napari_tumorseg.inference import Settings, segment
from napari_tumorseg.io.dataset import CaseRef, DataSet
from napari_tumorseg.models import Model, get_model
from napari_tumorseg.models.architectures import make_network
from napari_tumorseg.scan import Role
from napari_tumorseg.training.compute import ComputeSettings
from napari_tumorseg.training.prepare import cached
from napari_tumorseg.training.pretrained import imagenet_weights
from napari_tumorseg.training.split import DataSplit, shuffled
from napari_tumorseg.training.tuning import tuned_weights, tuning_recipe, widened_input, with_steps

TEST = 34
ROLES = (Role.T1C, Role.FLAIR, Role.T1)
OPTION = Option(1.0, 0.25)
"""As `lgg-flair`: networks that saw few tumours are too sure that a new one is none."""


def main() -> None:
    """Train for each number of cases, and print the Dice on the test patients."""
    given = arguments()
    torch.set_num_threads(given.threads)
    cases = DataSet.find([given.data]).cases
    order = shuffled(sorted({case.patient for case in cases}), 0)
    test = [case for case in cases if case.patient in order[:TEST]]
    if given.parent_only:
        report("parent", test, get_model("t1c-tumour"), given.output / "parent.csv", 0.0)
        return
    for count in given.cases:
        chosen = [case for case in cases if case.patient in order[TEST : TEST + count]]
        start = time.perf_counter()
        model = tune(chosen, given, given.output / f"{given.start}-{count}")
        spent = time.perf_counter() - start
        report(f"{count} cases", test, model, given.output / f"{given.start}-{count}.csv", spent)


def tune(chosen: list[CaseRef], given: argparse.Namespace, folder: Path) -> Model:
    """Return the starter tuned on some cases."""
    parent = get_model("t1c-tumour")
    card = parent.card.model_copy(update={"input": widened_input(parent.card.input, ROLES, "volume")})
    networks, job = Networks(parent, card, folder / "weights"), Job(0, None, True)
    recipe = tuning_recipe(card, networks.network(0), "afternoon")
    ready = cached(DataSet(tuple(chosen)), recipe, given.output / "cache", print)
    split = DataSplit(tuple(case.name for case in ready), (), ())
    recipe = with_steps(recipe, ready, split, given.steps)
    first = networks.start(0)
    if given.start == "imagenet":
        net = make_network(networks.network(0).architecture, networks.network(0).arguments)
        net.load_encoder(imagenet_weights())
        first = net.state_dict()
    machine = ComputeSettings("cpu", progress=False)
    networks.keep(job, tuned_weights(recipe, ready, split, first, folder / "run", machine, (), print))
    return networks.after([job], OPTION)


def report(title: str, test: list[CaseRef], model: Model, path: Path, spent: float) -> None:
    """Write and print the Dice of the test patients, with the largest component as post-processing."""
    post = model.card.postprocessing.model_copy(update={"largest_only": True})
    rows = []
    for case in test:
        scan, reference = case.load()
        try:
            found = dice_by_region(segment(scan, model, Settings(post=post, precision="float32")), reference)[
                "WT"
            ]
        except RoleError as error:  # a scan without T1c cannot be run by the parent
            print(case.name, error)
            found = 0.0
        rows.append((case.name, round(found, 4)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("case", "dice"), *rows])
    dice = [value for _, value in rows]
    print(
        f"{title}: mean {fmean(dice):.3f}, median {median(dice):.3f} of {len(dice)}; {spent:.0f} s",
        flush=True,
    )


def arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--cases", type=int, nargs="+", default=[5, 10, 20])
    parser.add_argument("--steps", type=int, default=360)
    parser.add_argument("--start", choices=("parent", "imagenet"), default="parent")
    parser.add_argument("--parent-only", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
