"""Dice by the number of simulated clicks, against oracles, geodesics and a random walker; time per click.

Every case starts from the mask of a shipped model, run with those of its members that have not seen the
patient. The robots of `evaluation.clicks_simulation` click five times. `--part held-out` takes the patients
on whom nothing was chosen: the first 34 of LGG by the SHA-256 of their names; `fit_clicks.py` learns from the
others. Of BRISC, the slices count that docs/figures/t1c-tumour.csv lists as kept apart.

    python benchmarks/clicks.py --lgg kaggle_3m --cache FOLDER
    python benchmarks/clicks.py --brisc FOLDER --limit 90
    python benchmarks/clicks.py --time CASE
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.graph import MCP_Geometric
from skimage.segmentation import random_walker

from measuring import about_machine, default_case
from napari_tumorseg.edit.clicks import Click, Evidence, refine
from napari_tumorseg.evaluation.case import Loaded
from napari_tumorseg.evaluation.clicks_simulation import (
    ROBOTS,
    Method,
    Robot,
    dice_by_clicks,
    next_click,
    oracle_disc,
)
from napari_tumorseg.evaluation.scores import Members
from napari_tumorseg.evaluation.select import seen_by_members
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference import Settings
from napari_tumorseg.inference.evidence import tumour_levels
from napari_tumorseg.inference.model_selection import as_expected
from napari_tumorseg.inference.run import run
from napari_tumorseg.inference.steps import result_of
from napari_tumorseg.io import open_case
from napari_tumorseg.io.dataset import CaseRef, DataSet
from napari_tumorseg.models import get_model

HELD_OUT = 34
KEPT_APART = Path(__file__).resolve().parents[1] / "docs" / "figures" / "t1c-tumour.csv"
HARDEST = 9
_REACH = 40
"""Pixels around a click in which the methods in two dimensions work."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A case with its reference and what an unseen model made of it.

    Attributes
    ----------
    name : str
        Of the case.
    channels : tuple of (Z, Y, X) array
        Images.
    mask, reference : (Z, Y, X) array of bool
        The model's mask and what it should be.
    levels : (Z, Y, X) array of uint8
        The model's probability, 255 for 1.
    """

    name: str
    channels: tuple[Array, ...]
    mask: Array
    reference: Array
    levels: Array

    def evidence(self) -> Evidence:
        """Return what clicks are judged by; neither data set states a voxel size."""
        return Evidence.of(self.channels, None, self.levels)


def is_held_out(name: str, among: Sequence[str]) -> bool:
    """Return whether a patient of LGG is one of those on whom nothing is chosen."""
    ordered = sorted(among, key=lambda one: hashlib.sha256(one.encode()).hexdigest())
    return name in ordered[:HELD_OUT]


def lgg_cases(folder: Path, part: str) -> list[CaseRef]:
    """Return the patients of a part, by the names of their folders (TCGA_...)."""
    cases = {case.case.rsplit("/", 1)[-1]: case for case in DataSet.find([folder]).cases}
    return [case for name, case in cases.items() if is_held_out(name, list(cases)) == (part == "held-out")]


def brisc_cases(folder: Path) -> list[CaseRef]:
    """Return the slices that the shipped model was not trained on."""
    with KEPT_APART.open(encoding="utf-8", newline="") as file:
        apart = {row["case"] for row in csv.DictReader(file)}
    return [case for case in DataSet.find([folder]).cases if Path(case.case).name in apart]


class Subjects:
    """Cases segmented by a shipped model, kept in a folder so that another run need not.

    Parameters
    ----------
    model : str
        Name of the model.
    cache : Path or None
        Folder to keep them in.
    """

    def __init__(self, model: str, cache: Path | None) -> None:
        self._model, self._cache = model, cache
        self._loaded: Loaded | None = None

    def subject(self, case: CaseRef) -> Subject:
        """Return a case with its mask, from the folder where it is kept."""
        path = self._cache / f"{case.name}.npz" if self._cache else None
        if path is not None and path.exists():
            with np.load(path) as found:
                images = tuple(found[str(role)] for role in found["roles"])
                return Subject(case.name, images, found["mask"] > 0, found["ref"] > 0, found["prob"])
        made = self._segmented(case)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            images = {f"image {i}": image for i, image in enumerate(made.channels)}
            arrays = {"mask": made.mask, "ref": made.reference, "prob": made.levels, "roles": list(images)}
            np.savez_compressed(path, **arrays, **images)
        return made

    def _segmented(self, case: CaseRef) -> Subject:
        if self._loaded is None:
            self._loaded = Loaded.of(get_model(self._model))
        model = self._loaded
        members = Members.of(case.patient, seen_by_members(model.card), True)
        if members.trained_on:
            raise SystemExit(f"{case.name}: every member of {self._model} was trained on this patient")
        scan, reference = case.load()
        settings = Settings(device="cpu", probabilities=True, precision="float32")
        found = result_of(run(as_expected(scan, model.card), model.part(members.run), settings))
        levels = np.zeros(scan.grid.shape, dtype=np.uint8)
        stack = np.stack([found.probabilities[name] for name in model.card.output.names])
        levels[found.probability_box] = tumour_levels(stack, model.card.output)
        images = tuple(image.data for image in scan.images)
        return Subject(case.name, images, found.labels > 0, reference.labels > 0, levels)


def ours(subject: Subject) -> Method:
    """Return the method of the package."""
    evidence = subject.evidence()

    def method(mask: Array, click: Click, earlier: tuple[Click, ...], reference: Array) -> Array:
        change = refine(mask.astype(np.uint8), evidence, click, earlier)
        found = mask.copy()
        if change is not None:
            found[change.box] = change.after > 0
        return found

    return method


def _around(mask: Array, click: Click) -> tuple[int, tuple[slice, slice], tuple[int, int]]:
    """Return the slice of a click, the square around it and the click's place in the square."""
    index, y, x = click.voxels[len(click.voxels) // 2]
    rows = slice(max(y - _REACH, 0), min(y + _REACH + 1, mask.shape[1]))
    columns = slice(max(x - _REACH, 0), min(x + _REACH + 1, mask.shape[2]))
    return index, (rows, columns), (y - rows.start, x - columns.start)


def geodesic(subject: Subject) -> Method:
    """Return geodesic growth within the slice up to the distance that an oracle finds best."""
    evidence = subject.evidence()

    def method(mask: Array, click: Click, earlier: tuple[Click, ...], reference: Array) -> Array:
        index, square, seed = _around(mask, click)
        here, truth = mask[index][square], reference[index][square]
        images = [image[0] for image in evidence.images((slice(index, index + 1), *square))]
        apart = np.sqrt(sum((image - image[seed]) ** 2 for image in images) / len(images))
        costs, _ = MCP_Geometric(1 + 2 * apart).find_costs([seed])
        steps = np.rint(2 * costs).astype(np.intp)
        gain = np.where(truth == click.adds, 1.0, -1.0) * (here != click.adds)
        best = int(np.cumsum(np.bincount(steps.ravel(), gain.ravel())).argmax())
        found = mask.copy()
        found[index][square][steps <= best] = click.adds
        return found

    return method


def walker(subject: Subject) -> Method:
    """Return a random walk within the slice from the clicks and from what is far from them."""
    evidence = subject.evidence()

    def method(mask: Array, click: Click, earlier: tuple[Click, ...], reference: Array) -> Array:
        index, square, seed = _around(mask, click)
        here = mask[index][square]
        images = [image[0] for image in evidence.images((slice(index, index + 1), *square))]
        far = np.ones(here.shape, dtype=bool)
        far[seed] = False
        clear = ndimage.distance_transform_edt(here != click.adds)[seed]
        apart = ndimage.distance_transform_edt(far)
        marks = np.zeros(here.shape, dtype=np.int8)
        marks[(apart > clear + 4) | (here == click.adds)] = 2  # stays as it is
        marks[apart <= 1] = 1
        labels = random_walker(
            np.stack(images, axis=-1), marks, beta=90, mode="cg_j", prob_tol=0.1, channel_axis=-1
        )
        found = mask.copy()
        found[index][square][labels == 1] = click.adds
        return found

    return method


METHODS: dict[str, Callable[[Subject], Method]] = {
    "clicks": ours,
    "oracle's disc": lambda subject: oracle_disc,
    "oracle's geodesic": geodesic,
    "random walker, one slice": walker,
}


def compare(subjects: Sequence[Subject], robot: Robot, clicks: int, names: Sequence[str]) -> None:
    """Print the mean Dice of each method by the number of clicks, of all cases and of the hardest."""
    for name in names:
        rows, start = [], time.process_time()
        for subject in subjects:
            method = METHODS[name](subject)
            rows.append(dice_by_clicks(subject.mask, subject.reference, method, clicks, robot))
        taken = 1000 * (time.process_time() - start) / (len(rows) * clicks)
        table = np.array(rows)
        worst = table[np.argsort(table[:, 0])[:HARDEST]]
        print(
            f"{robot:<9}{name:<26}{_row(table)}   hardest {HARDEST} {_row(worst)}   {taken:.0f} ms",
            flush=True,
        )


def _row(table: Array) -> str:
    return " ".join(f"{value:.3f}"[1:] for value in table.mean(axis=0))


def from_nothing(subjects: Sequence[Subject], clicks: int) -> None:
    """Print the mean Dice of strokes on an empty mask without a model."""
    rows = []
    for subject in subjects:
        blank = Subject(subject.name, subject.channels, subject.mask, subject.reference, subject.levels)
        evidence = Evidence.of(blank.channels)

        def method(
            mask: Array,
            click: Click,
            earlier: tuple[Click, ...],
            reference: Array,
            evidence: Evidence = evidence,
        ) -> Array:
            change = refine(mask.astype(np.uint8), evidence, click, earlier)
            found = mask.copy()
            if change is not None:
                found[change.box] = change.after > 0
            return found

        empty = np.zeros_like(blank.mask)
        rows.append(dice_by_clicks(empty, blank.reference, method, clicks, "scribble"))
    print(f"from nothing, strokes, no model      {_row(np.array(rows))}")


def time_clicks(folder: Path, clicks: int = 40) -> None:
    """Print the processor time of clicks all over the tumour of a case, with synthetic probabilities."""
    case = open_case(folder)
    scan, mask = case.scan(), case.masks[0].labels > 0
    random = np.random.default_rng(0)
    levels = np.where(mask, 200, 30) + random.integers(0, 50, mask.shape)
    start = time.process_time()
    evidence = Evidence.of([i.data for i in scan.images], scan.grid.spacing_mm, levels.astype(np.uint8))
    prepared = time.process_time() - start
    whole, first = [], []
    for _ in range(clicks):
        wrong = _with_a_hole(mask, random)
        click = next_click(wrong, mask, "noisy", random)
        if click is None:
            continue
        labels = wrong.astype(np.uint8)
        for taken, across in ((first, 0), (whole, None)):
            start = time.process_time()
            refine(labels, evidence, click, across=across)
            taken.append(1000 * (time.process_time() - start))
    print(about_machine())
    print(f"{case.name} {mask.shape}, {len(scan.images)} images; looked over once: {1000 * prepared:.0f} ms")
    for name, taken in (("in its slice", first), ("in all slices", whole)):
        middle, most = np.percentile(taken, [50, 95])
        print(f"a click, {name}: median {middle:.0f} ms, 95th percentile {most:.0f} ms")


def _with_a_hole(mask: Array, random: np.random.Generator) -> Array:
    """Return a mask that lacks, or has too much of, a ball of 6 to 16 voxels around one of its voxels."""
    centre = random.choice(np.argwhere(mask))
    grids = np.ogrid[tuple(slice(0, n) for n in mask.shape)]
    apart = sum((grid - p) ** 2 for grid, p in zip(grids, centre, strict=True))
    ball = apart <= random.uniform(6, 16) ** 2
    return mask & ~ball if random.random() < 0.5 else mask | ball


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lgg", type=Path, help="folder kaggle_3m")
    parser.add_argument("--brisc", type=Path, help="folder with images and masks of BRISC")
    parser.add_argument("--part", choices=["held-out", "development"], default="held-out")
    parser.add_argument("--cache", type=Path, help="folder to keep the models' results in")
    parser.add_argument("--robot", choices=ROBOTS, action="append")
    parser.add_argument("--method", choices=list(METHODS), action="append")
    parser.add_argument("--clicks", type=int, default=5)
    parser.add_argument("--limit", type=int, help="largest number of cases, evenly spread")
    parser.add_argument("--time", type=Path, nargs="?", const=default_case(), help="time clicks on this case")
    asked = parser.parse_args()
    if asked.time:
        time_clicks(asked.time)
    for folder, model in ((asked.lgg, "lgg-flair"), (asked.brisc, "t1c-tumour")):
        if folder is None:
            continue
        cases = lgg_cases(folder, asked.part) if model == "lgg-flair" else brisc_cases(folder)
        if asked.limit:
            cases = cases[:: max(len(cases) // asked.limit, 1)][: asked.limit]
        made = Subjects(model, asked.cache)
        subjects = [subject for subject in map(made.subject, cases) if subject.reference.any()]
        print(f"{model}, {len(subjects)} cases; Dice before and after each click, processor time a click")
        for robot in asked.robot or ROBOTS:
            compare(subjects, robot, asked.clicks, asked.method or list(METHODS))
        from_nothing(subjects, asked.clicks)


if __name__ == "__main__":
    main()
