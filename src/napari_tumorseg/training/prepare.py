"""Preparation of a training: cached slices, their split, batches and the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning

from napari_tumorseg.errors import InputError, Notice, OutputError, Remedy
from napari_tumorseg.io.dataset import DataSet, patient_of
from napari_tumorseg.models.messages import some
from napari_tumorseg.training.cache import CachedCase, SkippedCase, fill_cache
from napari_tumorseg.training.checkpoints import Report
from napari_tumorseg.training.compute import ComputeSettings
from napari_tumorseg.training.datamodule import SliceDataModule
from napari_tumorseg.training.module import SegmentationModule
from napari_tumorseg.training.recipe import Recipe
from napari_tumorseg.training.split import DataSplit, absent, divide, shuffled
from napari_tumorseg.training.trainer import be_quiet

_VALIDATION_SHARE = 0.2
"""Share of the patients that is suggested for validation where the split keeps none."""


def cached(data: DataSet, recipe: Recipe, folder: Path, report: Report) -> list[CachedCase]:
    """Return the cases that can be used for training, prepared in a folder; others are reported.

    Raises
    ------
    InputError
        If there are none.
    OutputError
        If the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the cache {folder} cannot be made: {error.strerror or error}") from error
    cases = []
    for number, found in enumerate(fill_cache(data, recipe, folder), start=1):
        if isinstance(found, SkippedCase):
            report(f"left out: {found.reason}")
        else:
            cases.append(found)
        if number % 10 == 0 or number == len(data.cases):
            report(f"prepared case {number} of {len(data.cases)}")
    if not cases:
        raise InputError("none of the cases can be used for training; see the reasons above")
    return cases


def divided(
    cases: Sequence[CachedCase],
    recipe: Recipe,
    leave_out: Sequence[str],
    report: Report,
    groups: Mapping[str, str] | None = None,
) -> DataSplit:
    """Split the cases, and report what is missing for the split.

    A name that the user leaves out must be in the data. Names of the recipe are reported only if the data
    hold some of them: data in which none of them is found are another data set.

    Raises
    ------
    InputError
        If the data lack a case that the user leaves out, or no case is left for training.
    """
    slices_of = _taking_part(cases, recipe)
    missing = absent(slices_of, recipe.split)
    for name in leave_out:
        if name in missing:
            raise InputError(f"the data contain no case {name} to leave out", remedy=Remedy.CHANGE_LEFT_OUT)
    for part, named in (("testing", recipe.split.test), ("validation", recipe.split.validation)):
        wanted = [name for name in named if name not in leave_out]
        lacking = [name for name in wanted if name in missing]
        if 0 < len(lacking) < len(wanted):
            count = f"{len(lacking)} of {len(wanted)} patients"
            report(f"the data lack {count} that the recipe names for {part}: {some(lacking, quote=False)}")
    data_split = divide(slices_of, recipe.split, groups)
    if not data_split.validation:
        report(_unvalidated(data_split, recipe))
    return data_split


def _unvalidated(data_split: DataSplit, recipe: Recipe) -> Notice:
    """Return a warning that there are no validation cases, with patients to choose."""
    fact = "no patient is kept for validation, so the weights of the last epoch are kept, good or not"
    patients = sorted({patient_of(name.partition("#")[0]) for name in data_split.train})
    if len(patients) == 1:
        return Notice(f"{fact}; {patients[0]} is the only patient to train on", Remedy.ADD_CASES)
    count = max(1, round(len(patients) * _VALIDATION_SHARE))
    suggested = sorted(shuffled(patients, recipe.split.seed)[:count])
    named = some(suggested, quote=False)
    example = f"of {len(patients)} patients, take for example {count}: {named}"
    return Notice(f"{fact}; {example}", Remedy.CHANGE_SPLIT)


def _taking_part(cases: Sequence[CachedCase], recipe: Recipe) -> dict[str, list[int]]:
    """Return the slices of each case that take part."""
    every = recipe.data.slices == "all"
    return {
        case.name: [
            index
            for index, tissue, tumour in zip(case.slices, case.tissue, case.tumour, strict=True)
            if tissue and (every or tumour)
        ]
        for case in cases
    }


def prepared(
    recipe: Recipe, cases: Sequence[CachedCase], data_split: DataSplit, machine: ComputeSettings
) -> tuple[SliceDataModule, SegmentationModule]:
    """Return the modules for Lightning, after a check that they can be trained."""
    be_quiet()
    lightning.seed_everything(recipe.fit.seed, verbose=False)
    data_module = SliceDataModule(cases, data_split, recipe, machine.workers)
    if not data_module.train_data.samples:
        raise InputError("no slice is left to train on")
    validates = len(data_module.val_data) > 0
    if recipe.schedule.kind == "plateau" and not validates:
        raise InputError(
            "schedule.kind = plateau needs validation cases, but split.fractions leave none: change one of "
            "them"
        )
    counts = {
        "training": len(data_module.order()),
        "validation": len(data_module.val_dataloader()) if validates else machine.world,
    }
    for part, count in counts.items():
        if count < machine.world:
            raise InputError(
                f"batches for {part} ({count}) are too few for {machine.world} devices: take fewer devices"
            )
    steps = len(data_module.order(0, machine.world)) * recipe.fit.epochs
    return data_module, SegmentationModule(recipe, data_module.validation_known, steps)
