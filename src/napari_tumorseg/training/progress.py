"""How far a training is, for the one who waits: a bar for the epoch, and a line that remains of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars


class ProgressReport(Callback):
    """Shows the epoch, its steps and the loss; where nothing draws bars, the lines alone.

    Parameters
    ----------
    steps : int
        Of an epoch.
    monitor : str
        Of the recipe: which Dice of the validation is shown.
    """

    def __init__(self, steps: int, monitor: str) -> None:
        self.steps, self.monitor = steps, monitor
        self._bars: Bars | None = None
        self._bar = TaskID(0)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Draw the bar."""
        if not trainer.is_global_zero:
            return
        screen = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        off = not screen.is_terminal
        self._bars = Bars(*columns, console=screen, refresh_per_second=4, transient=True, disable=off)
        self._bar = self._bars.add_task("", total=self.steps)
        self._bars.start()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Begin the bar anew."""
        self._show(trainer, completed=0)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar on."""
        loss = f", loss {float(outputs['loss']):.4f}" if self._bars is not None else ""
        self._show(trainer, loss, completed=batch_idx + 1)

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say what is waited for."""
        self._show(trainer, ", validation")

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Leave a line of the epoch, if all of it was done."""
        if self._bars is not None and trainer.global_step % self.steps == 0:
            figures = in_words(trainer.callback_metrics, self.monitor)
            self._bars.console.print(f"{_epoch(trainer)}: {figures}", markup=False)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Take the bar away."""
        self._stop()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Take the bar away, too, lest it stand in what is told."""
        self._stop()

    def _show(self, trainer: Any, what: str = "", **fields: Any) -> None:
        if self._bars is not None:
            self._bars.update(self._bar, description=f"{_epoch(trainer)}{what}", **fields)

    def _stop(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None


def in_words(figures: Mapping[str, Any], monitor: str) -> str:
    """Return the loss of an epoch and what its validation gave, if there was one."""
    dice = "val_dice_case" if monitor == "val_dice_case" else "val_dice"
    told = (("loss", "train_loss", 4), ("validation loss", "val_loss", 4), ("validation Dice", dice, 3))
    return ", ".join(f"{name} {float(figures[k]):.{n}f}" for name, k, n in told if k in figures)


def _epoch(trainer: lightning.Trainer) -> str:
    return f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
