"""Progress of a training in the terminal: a bar for the current epoch, a line for each finished one.

Lightning's `RichProgressBar` prints no line for a finished epoch, counts epochs from 0 and writes its bars
also to files and pipes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars


class ProgressReport(Callback):
    """Display of epoch, steps and loss; outside a terminal, only of finished epochs.

    Parameters
    ----------
    steps : int
        Steps of an epoch.
    monitor : str
        Monitored metric of the recipe, which chooses the Dice that is shown.
    """

    def __init__(self, steps: int, monitor: str) -> None:
        self.steps, self.monitor = steps, monitor
        self._bars: Bars | None = None
        self._bar = TaskID(0)

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Show the bar."""
        if not trainer.is_global_zero:
            return
        screen = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        off = not screen.is_terminal
        self._bars = Bars(*columns, console=screen, refresh_per_second=4, transient=True, disable=off)
        self._bar = self._bars.add_task("", total=self.steps)
        self._bars.start()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Reset the bar."""
        self._show(trainer, completed=0)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance the bar."""
        loss = f", loss {float(outputs['loss']):.4f}" if self._bars is not None else ""
        self._show(trainer, loss, completed=batch_idx + 1)

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Show that the validation is running."""
        self._show(trainer, ", validation")

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Print a line for the epoch if it is complete."""
        if self._bars is not None and trainer.global_step % self.steps == 0:
            figures = in_words(trainer.callback_metrics, self.monitor)
            self._bars.console.print(f"{_epoch(trainer)}: {figures}", markup=False)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Remove the bar."""
        self._stop()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Remove the bar before the error is printed."""
        self._stop()

    def _show(self, trainer: Any, detail: str = "", **fields: Any) -> None:
        if self._bars is not None:
            self._bars.update(self._bar, description=f"{_epoch(trainer)}{detail}", **fields)

    def _stop(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None


def in_words(figures: Mapping[str, Any], monitor: str) -> str:
    """Return the loss of an epoch and the results of its validation, if there was one."""
    dice = "val_dice_case" if monitor == "val_dice_case" else "val_dice"
    shown = (("loss", "train_loss", 4), ("validation loss", "val_loss", 4), ("validation Dice", dice, 3))
    return ", ".join(f"{name} {float(figures[k]):.{n}f}" for name, k, n in shown if k in figures)


def _epoch(trainer: lightning.Trainer) -> str:
    return f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
