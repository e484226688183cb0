"""A fine-tuning as a process of its own, which outlives the program that began it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO

from napari_tumorseg.errors import OutputError
from napari_tumorseg.finetuning import state
from napari_tumorseg.finetuning.settings import Settings, read_settings
from napari_tumorseg.finetuning.state import Phase, Status

LOG = "log.txt"
"""Output of the process."""

_STARTED: list[subprocess.Popen[bytes]] = []
"""Processes begun here: Python warns of one that is forgotten while it runs."""


def begin(settings: Settings, run: Path | None = None) -> Path:
    """Write settings into a new folder and start the process; return the folder.

    Raises
    ------
    OutputError
        If the folder exists or cannot be made.
    """
    run = run or state.new_run(settings.name)
    if run.exists() and any(run.iterdir()):
        raise OutputError(f"{run} is not empty")
    settings.write(run)
    start(run)
    return run


def start(run: Path) -> None:
    """Start or continue the process of a fine-tuning.

    Raises
    ------
    OutputError
        If it cannot be started.
    """
    if state.is_held(run):
        return
    before, settings = state.status_of(run), read_settings(run)
    state.clear_requests(run)
    waiting = Status(Phase.WAITING, "starting", before.done, before.total)
    state.write_status(run, replace(waiting, name=settings.name, parent=settings.parent))
    command = [sys.executable, "-m", "napari_tumorseg.finetuning", str(run)]
    try:
        with (run / LOG).open("ab") as log:
            _detached(command, log)
    except OSError as error:
        raise OutputError(f"the fine-tuning cannot be started: {error}") from error


def _detached(command: list[str], log: IO[bytes]) -> None:
    """Start a process that outlives this one and its terminal."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.BELOW_NORMAL_PRIORITY_CLASS
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment,
        start_new_session=sys.platform != "win32",
        creationflags=flags,
    )
    _STARTED[:] = [process, *(earlier for earlier in _STARTED if earlier.poll() is None)]
