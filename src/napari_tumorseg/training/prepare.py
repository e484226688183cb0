"""From a data set to what is trained on: prepared slices, their division, batches and the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lightning

from napari_tumorseg.errors import InputError, OutputError, Remedy
from napari_tumorseg.io.dataset import DataSet
from napari_tumorseg.training.cache import CachedCase, SkippedCase, fill_cache
from napari_tumorseg.training.checkpoints import Tell
from napari_tumorseg.training.compute import ComputeSettings
from napari_tumorseg.training.datamodule import SliceDataModule
from napari_tumorseg.training.module import SegmentationModule
from napari_tumorseg.training.recipe import Recipe
from napari_tumorseg.training.split import DataSplit, absent, divide
from napari_tumorseg.training.trainer import be_quiet


def cached(data: DataSet, recipe: Recipe, folder: Path, tell: Tell) -> list[CachedCase]:
    """Return the cases that can be trained on, prepared in a folder; what is left out is told.

    Raises
    ------
    InputError
        If there is none.
    OutputError
        If the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be a folder for a cache: {error.strerror or error}") from error
    cases = []
    for number, found in enumerate(fill_cache(data, recipe, folder), start=1):
        if isinstance(found, SkippedCase):
            tell(f"left out: {found.reason}")
        else:
            cases.append(found)
        if number % 10 == 0 or number == len(data.cases):
            tell(f"prepared case {number} of {len(data.cases)}")
    if not cases:
        raise InputError("none of the cases can be trained on; see what was left out")
    return cases


def divided(cases: Sequence[CachedCase], recipe: Recipe, leave_out: Sequence[str], tell: Tell) -> DataSplit:
    """Divide; a name that is not there is told where the recipe has it, and a mistake where the user has."""
    slices_of = _taking_part(cases, recipe)
    for name in absent(slices_of, recipe.split):
        if name in leave_out:
            raise InputError(f"the data hold no case {name} to leave out", remedy=Remedy.CHANGE_LEFT_OUT)
        tell(f"the recipe's split names {name}, which the data do not hold")
    return divide(slices_of, recipe.split)


def _taking_part(cases: Sequence[CachedCase], recipe: Recipe) -> dict[str, list[int]]:
    """Return the slices of each case that can be drawn."""
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
    """Return what Lightning takes, having checked that it can be trained."""
    be_quiet()
    lightning.seed_everything(recipe.fit.seed, verbose=False)
    data_module = SliceDataModule(cases, data_split, recipe, machine.workers)
    if not data_module.train_data.samples:
        raise InputError("no slice is left to train on")
    validates = len(data_module.val_data) > 0
    if recipe.schedule.kind == "plateau" and not validates:
        raise InputError(
            "schedule.kind = plateau goes by the validation, and split.fractions leave nobody to validate "
            "on: change one of them"
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
