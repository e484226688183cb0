"""Callbacks of the trainer: history, checkpoints, weight averaging and throughput.

Lightning's own callbacks are extended where exact resumption needs more. Its `EMAWeightAveraging` has a
constant decay, without warm-up. Its `ThroughputMonitor` logs to loggers only, does not measure the time spent
waiting for data, and forgets the elapsed time when a training is resumed.
"""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging
from torch import Tensor

from napari_tumorseg.io.atomic import write_text

COLUMNS = (
    "epoch",
    "step",
    "train_loss",
    "val_loss",
    "val_dice",
    "val_dice_case",
    "lr",
    "slices_per_s",
    "waiting",
    "seconds",
)


class History(Callback):
    """Table of all epochs, written as CSV and stored in checkpoints: a resumed training extends it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the rows so far."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rows of a checkpoint."""
        self.rows = state_dict["rows"]

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add a row; the training metrics of the epoch are known later."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        row = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        self.rows = [r for r in self.rows if r["epoch"] < row["epoch"]]
        self.rows.append({**row, **self._figures(trainer)})

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Complete the row and write the table."""
        if not trainer.is_global_zero:
            return
        epoch = trainer.current_epoch
        if not self.rows or self.rows[-1]["step"] != trainer.global_step:
            self.rows = [r for r in self.rows if r["epoch"] < epoch]
            self.rows.append({"epoch": epoch, "step": trainer.global_step})
        figures = self._figures(trainer)
        # the plateau schedule has already changed the rate
        self.rows[-1].update(figures | {"lr": self.rows[-1].get("lr", figures["lr"])})
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, text.getvalue(), overwrite=True)

    def _figures(self, trainer: lightning.Trainer) -> dict[str, float]:
        found = {k: float(v) for k, v in trainer.callback_metrics.items() if k in COLUMNS}
        return {k: round(v, 6) for k, v in found.items()} | {
            "lr": trainer.optimizers[0].param_groups[0]["lr"]
        }


class EpochCheckpoint(ModelCheckpoint):
    """Checkpoint of the last complete epoch, including its validation."""

    def __init__(self, folder: Path, name: str, steps: int) -> None:
        self.steps = steps
        super().__init__(folder, name, save_on_train_epoch_end=True, enable_version_counter=False)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save if all `steps` of the epoch were done."""
        if trainer.global_step % self.steps == 0:
            super().on_train_epoch_end(trainer, pl_module)


class StepCheckpoint(ModelCheckpoint):
    """Checkpoint after every `every` steps and after the last step to train, except at the end of an epoch.

    There the validation follows, and a training that is resumed from there would skip it. With ``every=0``
    only the last step is kept.
    """

    def __init__(self, folder: Path, name: str, steps: int, every: int) -> None:
        self.steps, self.every = steps, every
        super().__init__(folder, name, every_n_train_steps=1, enable_version_counter=False)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save a checkpoint if one is due."""
        step = trainer.global_step
        due = step == trainer.max_steps or (self.every > 0 and step % self.every == 0)
        if due and step % self.steps:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)


class MovingAverage(WeightAveraging):
    """Exponential moving average of the weights, by Lightning's `WeightAveraging`.

    The decay grows to `decay` in the first steps, so that the initial weights are forgotten quickly.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        super().__init__(avg_fn=self._average)

    def _average(self, average: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        decay = min(self.decay, (1 + int(count)) / (10 + int(count)))
        return decay * average + (1 - decay) * current


class Throughput(Callback):
    """Log of slices a second, share of time spent waiting for data, and total training time in seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._slices = 0
        self._start = self._free = time.perf_counter()
        self._waited = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the training time so far."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the training time of a checkpoint."""
        self.seconds = state_dict["seconds"]

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock."""
        self._slices, self._waited = 0, 0.0
        self._start = self._free = time.perf_counter()

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Add the time spent waiting for the batch."""
        self._waited += time.perf_counter() - self._free

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log the throughput and start to wait for the next batch."""
        self._slices += len(batch["image"]) * trainer.world_size
        now = time.perf_counter()
        self.seconds += now - self._free
        self._free = now
        spent = now - self._start
        pl_module.log_dict(
            {"slices_per_s": self._slices / spent, "waiting": self._waited / spent, "seconds": self.seconds},
            on_step=False,
            on_epoch=True,
            reduce_fx="max",
            batch_size=1,
        )
