"""Training of a model from a recipe and a data set; it can be interrupted and resumed at any time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import lightning
import torch
from torch.multiprocessing.spawn import ProcessRaisedException

from napari_tumorseg._version import __version__
from napari_tumorseg.errors import CancelledError, InputError, ModelError, OutputError, Remedy
from napari_tumorseg.io.atomic import write_text
from napari_tumorseg.io.dataset import DataSet
from napari_tumorseg.models.ensemble import members_of
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.training import checkpoints
from napari_tumorseg.training.checkpoints import Report, Saved
from napari_tumorseg.training.compute import HERE, ComputeSettings, is_first
from napari_tumorseg.training.datamodule import SliceDataModule
from napari_tumorseg.training.export import Start, export
from napari_tumorseg.training.module import SegmentationModule
from napari_tumorseg.training.prepare import cached, divided, prepared
from napari_tumorseg.training.preview import write_preview
from napari_tumorseg.training.recipe import Recipe, load_recipe
from napari_tumorseg.training.split import DataSplit
from napari_tumorseg.training.trainer import make_trainer

RUN = "run.json"
"""File with the settings that `resume` needs; a folder without it holds no training."""


@dataclass(frozen=True)
class _Card:
    """Content of the model's card in addition to recipe and split."""

    start: Start | None
    case_names: bool


def train(
    recipe: Recipe,
    data: Sequence[Path],
    run: Path,
    *,
    machine: ComputeSettings = HERE,
    cache: Path | None = None,
    start_from: str | None = None,
    leave_out: Sequence[str] = (),
    groups: Mapping[str, str] | None = None,
    case_names: bool = True,
    report: Report = lambda sentence: None,
) -> Model:
    """Train a model.

    Parameters
    ----------
    recipe : Recipe
        Recipe of the training.
    data : sequence of Path
        Folders or files of cases with reference masks, in any layout that can be read.
    run : Path
        New folder for all results.
    machine : ComputeSettings
        Computing resources.
    cache : Path, optional
        Folder of prepared slices, which trainings can share; ``run/cache`` by default.
    start_from : str, optional
        Name or path of a model from whose weights to start, as far as they fit.
    leave_out : sequence of str
        Patients or cases of the test part, in place of those that the recipe would draw.
    groups : mapping of str to str, optional
        Group of each case, such as near duplicates; a split by patient keeps a group on one side.
    case_names : bool
        Whether the model's card lists the training cases.
    report : callable
        Called with sentences about the progress.

    Returns
    -------
    Model
        In ``run/model``: the best checkpoint by the recipe's monitor, the last one without validation.

    Raises
    ------
    InputError
        If the data lack what the recipe needs, or `start_from` was trained on validation or test cases.
    ModelError
        If the training diverges.
    OutputError
        If the folder already holds a training, or cannot be made.
    DeviceError
        If the device is not available.
    CancelledError
        If it was interrupted; `resume` continues it.
    """
    _check_new(run)
    machine.choose()
    card = _Card(Start.of(get_model(start_from)) if start_from else None, case_names)
    cache = cache or run / "cache"
    cases = cached(DataSet.find(data, recipe.data.masks), recipe, cache, report)
    recipe = recipe.leaving_out(leave_out) if leave_out else recipe
    data_split = divided(cases, recipe, leave_out, report, groups)
    if card.start is not None:
        _check_start(card.start, data_split, report)
    data_module, module = prepared(recipe, cases, data_split, machine)
    if start_from:
        report(_start_from(module, start_from))
    if is_first():
        _write_settings(run, recipe, data_split, _run_facts(data, cache, start_from, card))
    return _fit(data_module, module, data_split, run, machine, card, report)


def _run_facts(data: Sequence[Path], cache: Path, start_from: str | None, card: _Card) -> dict[str, Any]:
    """Return the settings that `resume` needs beside recipe and split."""
    return {
        "data": [str(Path(p).resolve()) for p in data],
        "cache": str(cache.resolve()),
        "start_from": start_from,
        "start": card.start and asdict(card.start),
        "case_names": card.case_names,
        "versions": {"napari-tumorseg": __version__, "torch": str(torch.__version__)},
    }


def _write_settings(run: Path, recipe: Recipe, data_split: DataSplit, facts: dict[str, Any]) -> None:
    write_text(run / "recipe.toml", recipe.to_toml(), overwrite=True)
    write_text(run / "split.json", data_split.to_json(), overwrite=True)
    write_text(run / RUN, json.dumps(facts, indent=2), overwrite=True)  # last: makes it a training


def resume(
    run: Path,
    *,
    machine: ComputeSettings = HERE,
    case_names: bool = True,
    report: Report = lambda sentence: None,
) -> Model:
    """Resume a training from its last checkpoint; the weights become the same as without interruption.

    Parameters
    ----------
    run : Path
        Folder of the training.
    machine, report
        As in `train`; the number of devices must be the same.
    case_names : bool
        As in `train`; names that were left out before stay left out.

    Raises
    ------
    InputError
        If the folder holds no training, its data have moved, or the number of devices differs.
    """
    about, data_split = _about(run)
    machine.choose()
    _check_devices(run, machine)
    recipe = load_recipe(run / "recipe.toml")
    found = DataSet.find([Path(p) for p in about["data"]], recipe.data.masks)
    cases = cached(found, recipe, Path(about["cache"]), report)
    named = {n.partition("#")[0] for n in (*data_split.train, *data_split.validation)}
    gone = named - {case.name for case in cases}
    if gone:
        raise InputError(f"{run} was trained with {sorted(gone)[0]}, which the data no longer contain")
    names = case_names and about.get("case_names", True)
    if is_first():
        write_text(run / RUN, json.dumps({**about, "case_names": names}, indent=2), overwrite=True)
    data_module, module = prepared(recipe, cases, data_split, machine)
    stored = about.get("start")
    start = Start(stored["name"], stored["licence"], tuple(stored["trained_on"])) if stored else None
    if about["start_from"] and checkpoints.latest(run) is None:
        report(_start_from(module, about["start_from"]))
    return _fit(data_module, module, data_split, run, machine, _Card(start, names), report)


def _about(run: Path) -> tuple[dict[str, Any], DataSplit]:
    """Return settings and split of a training from its folder."""
    try:
        about = json.loads((run / RUN).read_text(encoding="utf-8"))
        return about, DataSplit.from_json(run / "split.json")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{run} holds no training to resume ({error})") from error


def _check_devices(run: Path, machine: ComputeSettings) -> None:
    """Raise if a training would be resumed with other batches than it was started with."""
    saved = checkpoints.latest(run)
    if saved is not None and saved.devices not in (None, machine.world):
        raise InputError(
            f"{run} was started on {saved.devices} devices and cannot be continued on {machine.world}",
            remedy=Remedy.CHANGE_DEVICES,
        )


def _check_start(start: Start, data_split: DataSplit, report: Report) -> None:
    start.check(data_split)
    if not start.trained_on:
        report(f"the card of {start.name} does not list its training cases; some may be test cases here")


def _check_new(run: Path) -> None:
    """Make the folder, or raise if it holds more than the files of a training that never started."""
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{run} cannot be a folder for a training: {error.strerror or error}") from error
    if is_first() and {path.name for path in run.iterdir()} - {"cache", "recipe.toml", "split.json"}:
        raise OutputError(f"{run} is not empty", remedy=Remedy.RESUME_TRAINING)


def _fit(
    data_module: SliceDataModule,
    module: SegmentationModule,
    data_split: DataSplit,
    run: Path,
    machine: ComputeSettings,
    card: _Card,
    report: Report,
) -> Model:
    recipe = module.recipe
    if is_first():
        batches = islice(data_module.train_dataloader(), 2)
        write_preview(
            run / "first_batches.png", batches, recipe.output.names, data_module.train_data.background
        )
    validates = len(data_module.val_data) > 0
    last = checkpoints.latest(run, report)
    report(_summary(data_module, data_split, recipe))
    if last is not None and last.stopped:
        report("the training has stopped early, so there is nothing left to train")
    else:
        trainer = make_trainer(recipe, run, machine, validates, module.steps // recipe.fit.epochs)
        run_trainer(trainer, data_module, module, run, last)
    best = checkpoints.load(run, checkpoints.BEST, report) if validates else None
    chosen = best or checkpoints.latest(run, report)
    if chosen is None:
        raise InputError(f"{run} has no checkpoint to make a model from")
    return export(recipe, data_split, chosen.path, run, card.start, card.case_names)


def run_trainer(
    trainer: lightning.Trainer,
    data_module: SliceDataModule,
    module: SegmentationModule,
    run: Path,
    last: Saved | None,
) -> None:
    """Train from a checkpoint on, with errors as one sentence."""
    try:
        trainer.fit(
            module, datamodule=data_module, ckpt_path=str(last.path) if last else None, weights_only=False
        )
    except (KeyboardInterrupt, SystemExit):  # Lightning turns Ctrl-C and SIGTERM into an exit
        raise CancelledError(f"training in {run} was stopped", remedy=Remedy.RESUME_TRAINING) from None
    except ProcessRaisedException as error:  # errors of worker processes arrive as text
        _, sign, sentence = str(error).rpartition(f"{ModelError.__module__}.ModelError: ")
        if not sign:
            raise
        raise ModelError(sentence.strip()) from None


def _start_from(module: SegmentationModule, name: str) -> str:
    """Copy the weights of a model that fit; return a sentence with their number."""
    first, *others = members_of(get_model(name).load())
    theirs, ours = first.state_dict(), module.net.state_dict()
    fitting = {k: v for k, v in theirs.items() if k in ours and v.shape == ours[k].shape}
    if not fitting:
        raise InputError(f"none of the weights of {name} fit into the recipe's network")
    module.net.load_state_dict({**ours, **fitting})
    member = f"the first of {len(others) + 1} members of " if others else ""
    return f"starts from {len(fitting)} of {len(ours)} tensors of {member}{name}"


def _summary(data_module: SliceDataModule, data_split: DataSplit, recipe: Recipe) -> str:
    train, validation, test = (
        len({n.partition("#")[0] for n in names}) for names in asdict(data_split).values()
    )
    return (
        f"cases: {train} for training, {validation} for validation, {test} for testing; slices: "
        f"{len(data_module.train_data)} for training, {len(data_module.val_data)} for validation; epochs: "
        f"{recipe.fit.epochs}, steps in each: {len(data_module.order())}, "
        f"slices in a step: {recipe.fit.batch}"
    )
