"""What a training has left to go on from or to make a model of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

Tell = Callable[[str], None]

FOLDER = "checkpoints"
"""Where they are in the folder of a training."""

BEST, LAST, STEP = "best", "last", "step"
"""The best by the monitor, of the last whole epoch, of the last so-many-th step within one."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint that can be read.

    Attributes
    ----------
    path : Path
        Where it is.
    steps : int
        That it has behind it.
    devices : int or None
        On how many it was trained; None where it does not tell.
    stopped : bool
        Whether training had stopped early with it.
    """

    path: Path
    steps: int
    devices: int | None
    stopped: bool


def load(run: Path, name: str, tell: Tell = lambda sentence: None) -> Saved | None:
    """Return what a checkpoint tells; None if it is not there or damaged."""
    path = run / FOLDER / f"{name}.ckpt"
    if not path.is_file():
        return None
    try:
        content = torch.load(path, map_location="cpu", mmap=True, weights_only=False)  # our own file
        return Saved(path, content["global_step"], content.get("devices"), _stopped(content))
    except (RuntimeError, OSError, EOFError, ValueError, LookupError, UnpicklingError):
        tell(f"{path} is damaged and left aside")
        return None


def latest(run: Path, tell: Tell = lambda sentence: None) -> Saved | None:
    """Return the checkpoint to go on from: the one with most steps of those that can be read."""
    found = [saved for saved in (load(run, name, tell) for name in (LAST, STEP)) if saved is not None]
    return max(found, key=lambda saved: saved.steps, default=None)


def _stopped(content: Mapping[str, Any]) -> bool:
    states = content.get("callbacks", {})
    return any(key.startswith("EarlyStopping") and state["stopping_reason"] for key, state in states.items())
