"""Training from a recipe and a folder of scans to a model with a card, to be interrupted at any time."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.training import checkpoints
from napari_tumorseg.training.checkpoints import Saved, Tell
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
"""What `resume` needs to know; a folder without it holds no training."""


@dataclass(frozen=True)
class _Card:
    """What the card of the model says beside the recipe and the split."""

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
    case_names: bool = True,
    tell: Tell = lambda sentence: None,
) -> Model:
    """Train a model.

    Parameters
    ----------
    recipe : Recipe
        How.
    data : sequence of Path
        Folders or files of cases with reference masks, in any layout that can be read.
    run : Path
        New folder for everything that comes of it.
    machine : ComputeSettings
        On what.
    cache : Path, optional
        Folder for prepared slices, which trainings can share; ``run/cache`` by default.
    start_from : str, optional
        Name or path of a model whose weights it starts from, as far as they fit.
    leave_out : sequence of str
        Patients or cases to keep apart for testing, instead of those that the recipe's split would.
    case_names : bool
        Whether the model's card names the cases it was trained on.
    tell : callable
        Gets sentences on how it goes.

    Returns
    -------
    Model
        In ``run/model``; the best checkpoint by the recipe's monitor, the last one if nothing validates.

    Raises
    ------
    InputError
        If the data do not give what the recipe needs, or `start_from` has seen who is kept apart.
    ModelError
        If it diverges.
    OutputError
        If the folder holds a training already, or cannot be made.
    DeviceError
        If the device is not there.
    CancelledError
        If it was interrupted; `resume` goes on.
    """
    _check_new(run)
    machine.choose()
    start = Start.of(get_model(start_from)) if start_from else None
    found = DataSet.find(data, recipe.data.masks)
    cases = cached(found, recipe, cache or run / "cache", tell)
    recipe = recipe.leaving_out(leave_out) if leave_out else recipe
    data_split = divided(cases, recipe, leave_out, tell)
    if start is not None:
        _check_start(start, data_split, tell)
    data_module, module = prepared(recipe, cases, data_split, machine)
    if start_from:
        tell(_start_from(module, start_from))
    if is_first():
        about = {
            "data": [str(Path(p).resolve()) for p in data],
            "cache": str((cache or run / "cache").resolve()),
            "start_from": start_from,
            "start": start and asdict(start),
            "case_names": case_names,
            "versions": {"napari-tumorseg": __version__, "torch": str(torch.__version__)},
        }
        write_text(run / "recipe.toml", recipe.to_toml(), overwrite=True)
        write_text(run / "split.json", data_split.to_json(), overwrite=True)
        write_text(run / RUN, json.dumps(about, indent=2), overwrite=True)  # last: now there is a training
    return _fit(data_module, module, data_split, run, machine, _Card(start, case_names), tell)


def resume(
    run: Path,
    *,
    machine: ComputeSettings = HERE,
    case_names: bool = True,
    tell: Tell = lambda sentence: None,
) -> Model:
    """Go on with a training from its last checkpoint, to the same weights as if it had never stopped.

    Parameters
    ----------
    run : Path
        Its folder.
    machine, tell
        As in `train`; the number of devices stays what it was.
    case_names : bool
        As in `train`; once they are left out they stay so.

    Raises
    ------
    InputError
        If the folder holds no training, its data are no longer where they were, or the devices are not as
        many as before.
    """
    about, data_split = _about(run)
    machine.choose()
    _check_devices(run, machine)
    recipe = load_recipe(run / "recipe.toml")
    found = DataSet.find([Path(p) for p in about["data"]], recipe.data.masks)
    cases = cached(found, recipe, Path(about["cache"]), tell)
    named = {n.partition("#")[0] for n in (*data_split.train, *data_split.validation)}
    gone = named - {case.name for case in cases}
    if gone:
        raise InputError(f"{run} was trained with {sorted(gone)[0]}, which the data no longer hold")
    names = case_names and about.get("case_names", True)
    if is_first():
        write_text(run / RUN, json.dumps({**about, "case_names": names}, indent=2), overwrite=True)
    data_module, module = prepared(recipe, cases, data_split, machine)
    told = about.get("start")
    start = Start(told["name"], told["licence"], tuple(told["trained_on"])) if told else None
    if about["start_from"] and checkpoints.latest(run) is None:
        tell(_start_from(module, about["start_from"]))
    return _fit(data_module, module, data_split, run, machine, _Card(start, names), tell)


def _about(run: Path) -> tuple[dict[str, Any], DataSplit]:
    """Return what the folder of a training tells of it."""
    try:
        about = json.loads((run / RUN).read_text(encoding="utf-8"))
        return about, DataSplit.from_json(run / "split.json")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{run} holds no training to go on with ({error})") from error


def _check_devices(run: Path, machine: ComputeSettings) -> None:
    """Raise if a training would go on with other batches than it began with."""
    saved = checkpoints.latest(run)
    if saved is not None and saved.devices not in (None, machine.world):
        raise InputError(
            f"{run} was begun on {saved.devices} devices and cannot be continued on {machine.world}",
            remedy=Remedy.CHANGE_DEVICES,
        )


def _check_start(start: Start, data_split: DataSplit, tell: Tell) -> None:
    start.check(data_split)
    if not start.trained_on:
        tell(f"the card of {start.name} does not tell whom it was trained on; some may be kept apart here")


def _check_new(run: Path) -> None:
    """Make the folder, or raise if it holds more than a training leaves that failed before its first step."""
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
    tell: Tell,
) -> Model:
    recipe = module.recipe
    if is_first():
        batches = islice(data_module.train_dataloader(), 2)
        write_preview(
            run / "first_batches.png", batches, recipe.output.names, data_module.train_data.background
        )
    validates = len(data_module.val_data) > 0
    last = checkpoints.latest(run, tell)
    tell(_told(data_module, data_split, recipe))
    if last is not None and last.stopped:
        tell("it has stopped early, so there is nothing left to train")
    else:
        trainer = make_trainer(recipe, run, machine, validates, module.steps // recipe.fit.epochs)
        _run(trainer, data_module, module, run, last)
    best = checkpoints.load(run, checkpoints.BEST, tell) if validates else None
    chosen = best or checkpoints.latest(run, tell)
    if chosen is None:
        raise InputError(f"{run} has no checkpoint to make a model of")
    return export(recipe, data_split, chosen.path, run, card.start, card.case_names)


def _run(
    trainer: lightning.Trainer,
    data_module: SliceDataModule,
    module: SegmentationModule,
    run: Path,
    last: Saved | None,
) -> None:
    """Train from a checkpoint on; what ends it is told as one sentence."""
    try:
        trainer.fit(
            module, datamodule=data_module, ckpt_path=str(last.path) if last else None, weights_only=False
        )
    except (KeyboardInterrupt, SystemExit):  # Lightning makes an exit of Ctrl-C and of SIGTERM
        raise CancelledError(f"training in {run} was stopped", remedy=Remedy.RESUME_TRAINING) from None
    except ProcessRaisedException as error:  # what a process of several raised comes as text
        _, sign, sentence = str(error).rpartition(f"{ModelError.__module__}.ModelError: ")
        if not sign:
            raise
        raise ModelError(sentence.strip()) from None


def _start_from(module: SegmentationModule, name: str) -> str:
    """Copy what fits of a model's weights; return a sentence on how much that was."""
    theirs, ours = get_model(name).load().state_dict(), module.net.state_dict()
    fitting = {k: v for k, v in theirs.items() if k in ours and v.shape == ours[k].shape}
    if not fitting:
        raise InputError(f"none of the weights of {name} fit into the recipe's network")
    module.net.load_state_dict({**ours, **fitting})
    return f"starts from {len(fitting)} of {len(ours)} tensors of {name}"


def _told(data_module: SliceDataModule, data_split: DataSplit, recipe: Recipe) -> str:
    train, validation, test = (
        len({n.partition("#")[0] for n in names}) for names in asdict(data_split).values()
    )
    return (
        f"cases: {train} to train on, {validation} to validate on, {test} kept apart; slices: "
        f"{len(data_module.train_data)} to train on, {len(data_module.val_data)} to validate on; epochs: "
        f"{recipe.fit.epochs}, steps in each: {len(data_module.order())}, "
        f"slices in a step: {recipe.fit.batch}"
    )
