"""Lightning trainer of a recipe: callbacks, loggers, devices."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from napari_tumorseg.training.callbacks import (
    EpochCheckpoint,
    History,
    MovingAverage,
    StepCheckpoint,
    Throughput,
)
from napari_tumorseg.training.checkpoints import BEST, FOLDER, LAST, STEP
from napari_tumorseg.training.compute import ComputeSettings
from napari_tumorseg.training.progress import ProgressReport
from napari_tumorseg.training.recipe import Recipe


def make_trainer(
    recipe: Recipe,
    run: Path,
    machine: ComputeSettings,
    validates: bool,
    steps: int,
    more: Sequence[Callback] = (),
) -> lightning.Trainer:
    """Return the trainer of a recipe.

    Parameters
    ----------
    recipe : Recipe
        Recipe of the training.
    run : Path
        Folder of the training.
    machine : ComputeSettings
        Computing resources.
    validates : bool
        Whether there are validation cases.
    steps : int
        Steps of an epoch.
    more : sequence of Callback
        Further callbacks.
    """
    kind, devices = machine.choose()
    loggers = _loggers(run)
    rates = [LearningRateMonitor(logging_interval="epoch")] if loggers else []
    shown = [ProgressReport(steps, recipe.fit.monitor)] if machine.progress else []
    return lightning.Trainer(
        accelerator={"cuda": "gpu"}.get(kind, kind),
        devices=devices,
        num_nodes=machine.nodes,
        strategy=_strategy(machine),
        use_distributed_sampler=False,
        precision=recipe.fit.precision,
        max_epochs=recipe.fit.epochs,
        max_steps=machine.max_steps,
        gradient_clip_val=recipe.optimiser.clip_norm,
        gradient_clip_algorithm="norm",
        callbacks=[*_callbacks(recipe, run, validates, steps), *rates, *shown, *more],
        logger=loggers,
        default_root_dir=run,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if validates else 0,
        log_every_n_steps=1,
        enable_model_summary=False,
        enable_progress_bar=False,
    )


def be_quiet() -> None:
    """Silence messages of Lightning and MONAI that do not concern users."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", module="monai")


def _strategy(machine: ComputeSettings) -> str:
    if machine.world == 1:
        return "auto"
    launched = "LOCAL_RANK" in os.environ or "SLURM_PROCID" in os.environ
    return "ddp" if launched or machine.nodes > 1 else "ddp_spawn"


def _callbacks(recipe: Recipe, run: Path, validates: bool, steps: int) -> list[Callback]:
    fit, folder = recipe.fit, run / FOLDER
    mode = "min" if fit.monitor == "val_loss" else "max"
    made: list[Callback] = [Throughput(), History(run / "log" / "metrics.csv")]
    if fit.ema is not None:
        made.append(MovingAverage(fit.ema))
    if validates and fit.monitor != "last":
        made.append(ModelCheckpoint(folder, BEST, fit.monitor, mode=mode, enable_version_counter=False))
        if fit.patience is not None:
            made.append(EarlyStopping(fit.monitor, min_delta=0.0, patience=fit.patience, mode=mode))
    made.append(EpochCheckpoint(folder, LAST, steps))
    made.append(StepCheckpoint(folder, STEP, steps, fit.checkpoint_steps))
    return made


def _loggers(run: Path) -> list[TensorBoardLogger]:
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        return []
    return [TensorBoardLogger(run, name="", version="tensorboard")]
