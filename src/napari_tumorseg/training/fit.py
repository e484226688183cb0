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
from pickle import UnpicklingError

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch.multiprocessing.spawn import ProcessRaisedException

from napari_tumorseg._version import __version__
from napari_tumorseg.errors import CancelledError, DeviceError, InputError, ModelError, OutputError
from napari_tumorseg.inference.predict import choose_device
from napari_tumorseg.io.atomic import write_text
from napari_tumorseg.io.dataset import DataSet
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.training.cache import CachedCase, Left, fill_cache
from napari_tumorseg.training.callbacks import (
    EpochCheckpoint,
    History,
    MovingAverage,
    StepCheckpoint,
    Throughput,
)
from napari_tumorseg.training.datamodule import Parts
from napari_tumorseg.training.export import Start, export
from napari_tumorseg.training.module import Training
from napari_tumorseg.training.preview import write_preview
from napari_tumorseg.training.recipe import Recipe, load_recipe
from napari_tumorseg.training.split import Division, absent, divide

Tell = Callable[[str], None]

BEST, LAST, STEP = "best.ckpt", "last.ckpt", "step.ckpt"
"""Checkpoints: the best by the monitor, of the last whole epoch, of the last so-many-th step within one."""

RUN = "run.json"
"""What `resume` needs to know; a folder without it holds no training."""


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

    @property
    def world(self) -> int:
        """Devices of all machines."""
        return self.devices * self.nodes


def train(
    recipe: Recipe,
    data: Sequence[Path],
    run: Path,
    *,
    machine: Machine = Machine(),
    cache: Path | None = None,
    start_from: str | None = None,
    leave_out: Sequence[str] = (),
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
    leave_out : sequence of str
        Patients or cases to keep apart for testing, instead of those that the recipe's split would.
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
    _device(machine)
    start = Start.of(get_model(start_from)) if start_from else None
    found = DataSet.find(data, recipe.data.masks)
    cases = _cached(found, recipe, cache or run / "cache", tell)
    recipe = recipe.leaving_out(leave_out) if leave_out else recipe
    division = _divided(_taking_part(cases, recipe), recipe, leave_out, tell)
    if start is not None:
        start.check(division)
    parts, module = _prepared(recipe, cases, division, machine)
    if start_from:
        tell(_start_from(module, start_from))
    if is_first():
        about = {
            "data": [str(Path(p).resolve()) for p in data],
            "cache": str((cache or run / "cache").resolve()),
            "start_from": start_from,
            "start": start and asdict(start),
            "versions": {"napari-tumorseg": __version__, "torch": str(torch.__version__)},
        }
        write_text(run / "recipe.toml", recipe.to_toml(), overwrite=True)
        write_text(run / "split.json", division.to_json(), overwrite=True)
        write_text(run / RUN, json.dumps(about, indent=2), overwrite=True)  # last: now there is a training
    return _fit(parts, module, division, run, machine, start, tell)


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
        about = json.loads((run / RUN).read_text(encoding="utf-8"))
        division = Division.from_json(run / "split.json")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{run} holds no training to go on with ({error})") from error
    _device(machine)
    recipe = load_recipe(run / "recipe.toml")
    found = DataSet.find([Path(p) for p in about["data"]], recipe.data.masks)
    cases = _cached(found, recipe, Path(about["cache"]), tell)
    named = {n.partition("#")[0] for n in (*division.train, *division.validation)}
    gone = named - {case.name for case in cases}
    if gone:
        raise InputError(f"{run} was trained with {sorted(gone)[0]}, which the data no longer hold")
    parts, module = _prepared(recipe, cases, division, machine)
    told = about.get("start")
    start = Start(told["name"], told["licence"], tuple(told["trained_on"])) if told else None
    if about["start_from"] and _last_checkpoint(run) is None:
        tell(_start_from(module, about["start_from"]))
    return _fit(parts, module, division, run, machine, start, tell)


def _check_new(run: Path) -> None:
    """Make the folder, or raise if it holds more than a training leaves that failed before its first step."""
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{run} cannot be a folder for a training: {error.strerror or error}") from error
    if is_first() and {path.name for path in run.iterdir()} - {"cache", "recipe.toml", "split.json"}:
        raise OutputError(f"{run} is not empty; go on with --resume, or choose a new folder")


def _device(machine: Machine) -> tuple[str, list[int] | int]:
    """Return the kind of device and which or how many of it."""
    kind, _, number = choose_device(machine.device).partition(":")
    there = {"cuda": torch.cuda.device_count(), "mps": 1}.get(kind)
    wanted = int(number) + 1 if number else machine.devices
    if there is not None and wanted > there:
        raise DeviceError(f"{wanted} {kind} devices were asked for (--device, --devices); there is {there}")
    return kind, [int(number)] if number else machine.devices


def _cached(data: DataSet, recipe: Recipe, folder: Path, tell: Tell) -> list[CachedCase]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be a folder for a cache: {error.strerror or error}") from error
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


def _prepared(
    recipe: Recipe, cases: Sequence[CachedCase], division: Division, machine: Machine
) -> tuple[Parts, Training]:
    """Return what Lightning takes, having checked that it can be trained."""
    _quiet()
    lightning.seed_everything(recipe.fit.seed, verbose=False)
    parts = Parts(cases, division, recipe, machine.workers)
    if not parts.train_data.samples:
        raise InputError("no slice is left to train on")
    validates = len(parts.val_data) > 0
    if recipe.schedule.kind == "plateau" and not validates:
        raise InputError(
            "schedule.kind = plateau goes by the validation, and split.fractions leave nobody to validate "
            "on: change one of them"
        )
    counts = {
        "train": len(parts.order()),
        "validation": len(parts.val_dataloader()) if validates else machine.world,
    }
    for part, count in counts.items():
        if count < machine.world:
            raise InputError(
                f"{count} batches to {part} on are too few for {machine.world} devices: take fewer"
            )
    steps = len(parts.order(0, machine.world)) * recipe.fit.epochs
    return parts, Training(recipe, parts.validation_known, steps)


def _divided(
    slices_of: dict[str, list[int]], recipe: Recipe, leave_out: Sequence[str], tell: Tell
) -> Division:
    """Divide; a name that is not there is told where the recipe has it, and a mistake where the user has."""
    for name in absent(slices_of, recipe.split):
        if name in leave_out:
            raise InputError(f"{name} is to be left out (--leave-out), but the data do not hold it")
        tell(f"the recipe's split names {name}, which the data do not hold")
    return divide(slices_of, recipe.split)


def _fit(
    parts: Parts,
    module: Training,
    division: Division,
    run: Path,
    machine: Machine,
    start: Start | None,
    tell: Tell,
) -> Model:
    recipe = module.recipe
    if is_first():
        batches = islice(parts.train_dataloader(), 2)
        write_preview(run / "first_batches.png", batches, recipe.output.names, parts.train_data.background)
    validates = len(parts.val_data) > 0
    trainer = _trainer(recipe, run, machine, validates, module.steps // recipe.fit.epochs)
    last = _last_checkpoint(run, tell)
    tell(_told(parts, division, recipe))
    if not validates:
        tell("nobody is left to validate on, so no checkpoint is chosen: the last weights are kept")
    try:
        trainer.fit(module, datamodule=parts, ckpt_path=str(last) if last else None, weights_only=False)
    except (KeyboardInterrupt, SystemExit):  # Lightning makes an exit of Ctrl-C and of SIGTERM
        raise CancelledError(f"training was stopped; go on with --resume -o {run}") from None
    except ProcessRaisedException as error:  # what a process of several raised comes as text
        _, sign, sentence = str(error).rpartition(f"{ModelError.__module__}.ModelError: ")
        if not sign:
            raise
        raise ModelError(sentence.strip()) from None
    best = run / "checkpoints" / BEST
    chosen = best if validates and _steps(best, tell) is not None else _last_checkpoint(run, tell)
    if chosen is None:
        raise InputError(f"{run} has no checkpoint to make a model of")
    return export(recipe, division, chosen, run, start)


def _trainer(recipe: Recipe, run: Path, machine: Machine, validates: bool, steps: int) -> lightning.Trainer:
    kind, devices = _device(machine)
    several = machine.world > 1
    loggers = _loggers(run)
    rates = [LearningRateMonitor(logging_interval="epoch")] if loggers else []
    launched = "LOCAL_RANK" in os.environ or "SLURM_PROCID" in os.environ
    strategy = ("ddp" if launched or machine.nodes > 1 else "ddp_spawn") if several else "auto"
    return lightning.Trainer(
        accelerator={"cuda": "gpu"}.get(kind, kind),
        devices=devices,
        num_nodes=machine.nodes,
        strategy=strategy,
        use_distributed_sampler=False,
        precision=recipe.fit.precision,
        max_epochs=recipe.fit.epochs,
        max_steps=machine.max_steps,
        gradient_clip_val=recipe.optimiser.clip_norm,
        gradient_clip_algorithm="norm",
        callbacks=[*_callbacks(recipe, run, validates, steps), *rates],
        logger=loggers,
        default_root_dir=run,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if validates else 0,
        log_every_n_steps=1,
        enable_model_summary=False,
        enable_progress_bar=machine.progress,
    )


def _callbacks(recipe: Recipe, run: Path, validates: bool, steps: int) -> list[Callback]:
    fit, folder = recipe.fit, run / "checkpoints"
    mode = "min" if fit.monitor == "val_loss" else "max"
    made: list[Callback] = [Throughput(), History(run / "log" / "metrics.csv")]
    if fit.ema is not None:
        made.append(MovingAverage(fit.ema))
    if validates and fit.monitor != "last":
        made.append(ModelCheckpoint(folder, "best", fit.monitor, mode=mode, enable_version_counter=False))
        if fit.patience is not None:
            made.append(EarlyStopping(fit.monitor, min_delta=0.0, patience=fit.patience, mode=mode))
    made.append(EpochCheckpoint(folder, "last", steps))
    made.append(StepCheckpoint(folder, "step", steps, fit.checkpoint_steps))
    return made


def _loggers(run: Path) -> list[TensorBoardLogger]:
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        return []
    return [TensorBoardLogger(run, name="", version="tensorboard")]


def _last_checkpoint(run: Path, tell: Tell = lambda sentence: None) -> Path | None:
    """Return the checkpoint to go on from: the one with most steps of those that can be read."""
    steps = {path: _steps(path, tell) for path in (run / "checkpoints" / name for name in (LAST, STEP))}
    return max(
        (p for p, count in steps.items() if count is not None), key=lambda p: steps[p] or 0, default=None
    )


def _steps(path: Path, tell: Tell) -> int | None:
    """Return how many steps a checkpoint has behind it, None if it is not there or damaged."""
    if not path.is_file():
        return None
    try:
        steps: int = torch.load(path, map_location="cpu", mmap=True, weights_only=False)["global_step"]
    except (RuntimeError, OSError, EOFError, ValueError, LookupError, UnpicklingError):
        tell(f"{path} is damaged and left aside")
        return None
    return steps


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


def is_first() -> bool:
    """Tell whether this is the first of several processes that were launched from outside."""
    return os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"


def _quiet() -> None:
    """Leave what concerns developers of trainers out of users' sight."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", module="monai")
