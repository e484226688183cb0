"""Checkpoints of a training, from which it is resumed or a model is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

Report = Callable[[str], None]

FOLDER = "checkpoints"
"""Folder of the checkpoints in that of the training."""

BEST, LAST, STEP = "best", "last", "step"
"""Best by the monitored metric, last complete epoch, last step within an epoch."""


@dataclass(frozen=True)
class Saved:
    """Readable checkpoint.

    Attributes
    ----------
    path : Path
        File of the checkpoint.
    steps : int
        Number of training steps.
    devices : int or None
        Number of devices it was trained on; None if not recorded.
    stopped : bool
        Whether training was stopped early.
    """

    path: Path
    steps: int
    devices: int | None
    stopped: bool


def load(run: Path, name: str, report: Report = lambda sentence: None) -> Saved | None:
    """Return a checkpoint; None if it does not exist or is damaged, which is reported."""
    path = run / FOLDER / f"{name}.ckpt"
    if not path.is_file():
        return None
    try:
        content = torch.load(path, map_location="cpu", mmap=True, weights_only=False)  # our own file
        return Saved(path, content["global_step"], content.get("devices"), _stopped(content))
    except (RuntimeError, OSError, EOFError, ValueError, LookupError, UnpicklingError):
        report(f"{path} is damaged and not used")
        return None


def latest(run: Path, report: Report = lambda sentence: None) -> Saved | None:
    """Return the checkpoint to resume from: the readable one with most steps."""
    found = [saved for saved in (load(run, name, report) for name in (LAST, STEP)) if saved is not None]
    return max(found, key=lambda saved: saved.steps, default=None)


def _stopped(content: Mapping[str, Any]) -> bool:
    states = content.get("callbacks", {})
    return any(key.startswith("EarlyStopping") and state["stopping_reason"] for key, state in states.items())
