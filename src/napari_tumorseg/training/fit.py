"""Training from a recipe and a folder of scans to a model with a card, to be interrupted at any time."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
)
from lightning.pytorch.loggers import TensorBoardLogger

from napari_tumorseg._version import __version__
from napari_tumorseg.errors import CancelledError, InputError, OutputError
from napari_tumorseg.io.atomic import write_text
from napari_tumorseg.io.dataset import DataSet
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.training.cache import CachedCase, Left, fill_cache
from napari_tumorseg.training.callbacks import History, MovingAverage, Throughput
from napari_tumorseg.training.datamodule import Parts
from napari_tumorseg.training.export import export
from napari_tumorseg.training.module import Training
from napari_tumorseg.training.preview import write_preview
from napari_tumorseg.training.recipe import Recipe, load_recipe
from napari_tumorseg.training.split import Division, divide

Tell = Callable[[str], None]

BEST, LAST, STEP = "best.ckpt", "last.ckpt", "step.ckpt"
"""Checkpoints: the best by the monitor, of the last whole epoch, of the last so-many-th step."""


@dataclass(frozen=True)
class Machine:
    """Where and how long a training runs; none of it changes what a recipe means.

    Attributes
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    devices, nodes : int
        How many devices on each of how many machines.
    workers : int
        Processes that prepare batches.
    max_steps : int
        Stop after so many steps; -1 goes to the end.
    progress : bool
        Whether to show a bar.
    """

    device: str = "auto"
    devices: int = 1
    nodes: int = 1
    workers: int = 0
    max_steps: int = -1
    progress: bool = True


def train(
    recipe: Recipe,
    data: Sequence[Path],
    run: Path,
    *,
    machine: Machine = Machine(),
    cache: Path | None = None,
    start_from: str | None = None,
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
    machine : Machine
        On what.
    cache : Path, optional
        Folder for prepared slices, which trainings can share; ``run/cache`` by default.
    start_from : str, optional
        Name or path of a model whose weights it starts from, as far as they fit.
    tell : callable
        Gets sentences on how it goes.

    Returns
    -------
    Model
        In ``run/model``; the best checkpoint by the recipe's monitor, the last one if nothing validates.

    Raises
    ------
    InputError
        If the data do not give what the recipe needs.
    OutputError
        If the folder holds a training already.
    CancelledError
        If it was interrupted; `resume` goes on.
    """
    if _first() and run.exists() and any(run.iterdir()):
        raise OutputError(f"{run} is not empty; go on with --resume, or choose a new folder")
    run.mkdir(parents=True, exist_ok=True)
    found = DataSet.find(data, recipe.data.masks)
    cases = _cached(found, recipe, cache or run / "cache", tell)
    division = divide(_taking_part(cases, recipe), recipe.split)
    if _first():
        about = {
            "data": [str(Path(p).resolve()) for p in data],
            "cache": str((cache or run / "cache").resolve()),
            "start_from": start_from,
            "versions": {"napari-tumorseg": __version__, "torch": str(torch.__version__)},
        }
        write_text(run / "recipe.toml", recipe.to_toml(), overwrite=True)
        write_text(run / "split.json", division.to_json(), overwrite=True)
        write_text(run / "run.json", json.dumps(about, indent=2), overwrite=True)
    return _fit(recipe, cases, division, run, machine, start_from, tell)


def resume(run: Path, *, machine: Machine = Machine(), tell: Tell = lambda sentence: None) -> Model:
    """Go on with a training from its last checkpoint, to the same weights as if it had never stopped.

    Parameters
    ----------
    run : Path
        Its folder.
    machine, tell
        As in `train`.

    Raises
    ------
    InputError
        If the folder holds no training, or its data are no longer where they were.
    """
    try:
        about = json.loads((run / "run.json").read_text(encoding="utf-8"))
        division = Division.from_json(run / "split.json")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{run} holds no training to go on with ({error})") from error
    recipe = load_recipe(run / "recipe.toml")
    found = DataSet.find([Path(p) for p in about["data"]], recipe.data.masks)
    cases = _cached(found, recipe, Path(about["cache"]), tell)
    named = {n.partition("#")[0] for n in (*division.train, *division.validation)}
    gone = named - {case.name for case in cases}
    if gone:
        raise InputError(f"{run} was trained with {sorted(gone)[0]}, which the data no longer hold")
    return _fit(recipe, cases, division, run, machine, about["start_from"], tell)


def _cached(data: DataSet, recipe: Recipe, folder: Path, tell: Tell) -> list[CachedCase]:
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for number, found in enumerate(fill_cache(data, recipe, folder), start=1):
        if isinstance(found, Left):
            tell(f"left out: {found.reason}")
        else:
            cases.append(found)
        if number % 10 == 0 or number == len(data.cases):
            tell(f"prepared {number} of {len(data.cases)} cases")
    if not cases:
        raise InputError("none of the cases can be trained on; see what was left out")
    return cases


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


def _fit(
    recipe: Recipe,
    cases: Sequence[CachedCase],
    division: Division,
    run: Path,
    machine: Machine,
    start_from: str | None,
    tell: Tell,
) -> Model:
    _quiet()
    lightning.seed_everything(recipe.fit.seed, verbose=False)
    parts = Parts(cases, division, recipe, machine.workers)
    if not parts.train_data.samples:
        raise InputError("no slice is left to train on")
    if _first():
        batches = islice(parts.train_dataloader(), 2)
        write_preview(run / "first_batches.png", batches, recipe.output.names, parts.train_data.background)
    world = machine.devices * machine.nodes
    steps = len(parts.order(0, world))
    module = Training(recipe, parts.validation_cases, steps * recipe.fit.epochs)
    if start_from:
        tell(_start_from(module, start_from))
    validates = len(parts.val_data) > 0
    trainer = _trainer(recipe, run, machine, validates)
    last = _last_checkpoint(run, steps)
    tell(_told(parts, division, recipe))
    try:
        trainer.fit(module, datamodule=parts, ckpt_path=str(last) if last else None, weights_only=False)
    except KeyboardInterrupt:
        raise CancelledError(f"training was stopped; go on with --resume -o {run}") from None
    if trainer.interrupted:
        raise CancelledError(f"training was stopped; go on with --resume -o {run}")
    best = run / "checkpoints" / BEST
    chosen = best if validates and best.is_file() else _last_checkpoint(run, steps)
    if chosen is None:
        raise InputError(f"{run} has no checkpoint to make a model of")
    return export(recipe, division, chosen, run)


def _trainer(recipe: Recipe, run: Path, machine: Machine, validates: bool) -> lightning.Trainer:
    several = machine.devices * machine.nodes > 1
    launched = "LOCAL_RANK" in os.environ or "SLURM_PROCID" in os.environ
    strategy = ("ddp" if launched or machine.nodes > 1 else "ddp_spawn") if several else "auto"
    return lightning.Trainer(
        accelerator={"cuda": "gpu"}.get(machine.device, machine.device),
        devices=machine.devices,
        num_nodes=machine.nodes,
        strategy=strategy,
        use_distributed_sampler=False,
        precision=recipe.fit.precision,
        max_epochs=recipe.fit.epochs,
        max_steps=machine.max_steps,
        gradient_clip_val=recipe.optimiser.clip_norm,
        gradient_clip_algorithm="norm",
        callbacks=_callbacks(recipe, run, validates),
        logger=_loggers(run),
        default_root_dir=run,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if validates else 0,
        log_every_n_steps=1,
        enable_model_summary=False,
        enable_progress_bar=machine.progress,
    )


def _callbacks(recipe: Recipe, run: Path, validates: bool) -> list[Callback]:
    fit, folder = recipe.fit, run / "checkpoints"
    mode = "min" if fit.monitor == "val_loss" else "max"
    made: list[Callback] = [Throughput(), History(run / "log" / "metrics.csv")]
    if fit.ema is not None:
        made.append(MovingAverage(fit.ema))
    if validates and fit.monitor != "last":
        made.append(ModelCheckpoint(folder, "best", fit.monitor, mode=mode, enable_version_counter=False))
        if fit.patience is not None:
            made.append(EarlyStopping(fit.monitor, min_delta=0.0, patience=fit.patience, mode=mode))
    made.append(ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False))
    if fit.checkpoint_steps is not None:
        made.append(
            ModelCheckpoint(
                folder, "step", every_n_train_steps=fit.checkpoint_steps, enable_version_counter=False
            )
        )
    return [*made, LearningRateMonitor(logging_interval="epoch")]


def _loggers(run: Path) -> list[TensorBoardLogger]:
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        return []
    return [TensorBoardLogger(run, name="", version="tensorboard")]


def _last_checkpoint(run: Path, steps_per_epoch: int) -> Path | None:
    """Return the checkpoint to go on from: the one with most steps, of an epoch's end or of its middle.

    A training that was told to stop in mid-epoch leaves both; only the latter knows where in the epoch it is.
    """
    found = [p for p in (run / "checkpoints" / name for name in (LAST, STEP)) if p.is_file()]

    def rank(path: Path) -> tuple[int, bool]:
        steps: int = torch.load(path, map_location="cpu", mmap=True, weights_only=False)["global_step"]
        return steps, (path.name == LAST) == (steps % steps_per_epoch == 0)

    return max(found, key=rank, default=None)


def _start_from(module: Training, name: str) -> str:
    """Copy what fits of a model's weights; return a sentence on how much that was."""
    theirs, ours = get_model(name).load().state_dict(), module.net.state_dict()
    fitting = {k: v for k, v in theirs.items() if k in ours and v.shape == ours[k].shape}
    if not fitting:
        raise InputError(f"none of the weights of {name} fit into the recipe's network")
    module.net.load_state_dict({**ours, **fitting})
    return f"starts from {len(fitting)} of {len(ours)} tensors of {name}"


def _told(parts: Parts, division: Division, recipe: Recipe) -> str:
    sizes = {name: len({n.partition("#")[0] for n in names}) for name, names in asdict(division).items()}
    cases = ", ".join(f"{count} {name}" for name, count in sizes.items())
    return (
        f"{cases} cases; {len(parts.train_data)} slices to train on, {len(parts.val_data)} to validate on, "
        f"{len(parts.order())} steps of {recipe.fit.batch} in each of {recipe.fit.epochs} epochs"
    )


def _first() -> bool:
    """Tell whether this is the first of several processes that were launched from outside."""
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"


def _quiet() -> None:
    """Leave what concerns developers of trainers out of users' sight."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", module="monai")
