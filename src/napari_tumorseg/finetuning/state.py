"""Progress of a fine-tuning in a file of its folder, and requests to it, for whoever looks on.

The process that trains writes ``status.json`` and holds a lock; a window may close and another one may open
without it taking notice. Requests are empty files that the process looks for after each step.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.finetuning.settings import FILE
from napari_tumorseg.io.atomic import make_folder, write_text
from napari_tumorseg.io.locks import FileLock
from napari_tumorseg.session import state_folder

_START_SECONDS = 300
_ATTEMPTS, _WAIT = 10, 0.02
_STATUS, _LOCK, _PAUSE, _CANCEL = "status.json", ".lock", ".pause", ".cancel"


class Phase(StrEnum):
    """Phase of a fine-tuning."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    """The process ended without a result: it can be continued."""


ENDED = frozenset({Phase.ACCEPTED, Phase.REFUSED, Phase.FAILED, Phase.CANCELLED, Phase.STOPPED})
"""Phases in which nothing runs."""


@dataclass(frozen=True)
class Status:
    """Progress of a fine-tuning.

    Attributes
    ----------
    phase : Phase
        Its phase.
    words : str
        The present step or the result, in a sentence.
    done, total : int
        Parts that are finished, and all of them; 0 of 0 before they are known.
    seconds_left : float or None
        Estimate; None where it is not known.
    name, parent : str
        Of the new model and the one it starts from.
    """

    phase: Phase
    words: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    name: str = ""
    parent: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing runs any more."""
        return self.phase in ENDED


def runs_folder() -> Path:
    """Return the folder of the fine-tunings that are begun without naming a folder (it may not exist)."""
    return state_folder() / "finetuning"


def new_run(name: str) -> Path:
    """Return the path of a new folder for a fine-tuning in `runs_folder`."""
    folder, number = runs_folder(), 1
    while (folder / f"{name}-{number}").exists():
        number += 1
    return folder / f"{name}-{number}"


def latest_run(folder: Path | None = None) -> Path | None:
    """Return the fine-tuning of a folder whose status is the most recent; None if there is none."""
    folder = folder or runs_folder()
    try:
        found = [path for path in folder.iterdir() if (path / FILE).is_file()]
    except OSError:
        return None
    return max(found, key=_changed, default=None)


def _changed(run: Path) -> float:
    with suppress(OSError):
        return (run / _STATUS).stat().st_mtime
    return 0.0


def status_of(run: Path) -> Status:
    """Return the status of a fine-tuning; one whose process is gone is `Phase.STOPPED`."""
    try:
        content = json.loads((run / _STATUS).read_text(encoding="utf-8"))
        status = Status(**{**content, "phase": Phase(content["phase"])})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        status = Status(Phase.WAITING, "starting")
    if not status.is_over and not is_held(run) and not _starts(run, status):
        return Status(Phase.STOPPED, "it was interrupted", status.done, status.total, None, status.name)
    return status


def _starts(run: Path, status: Status) -> bool:
    """Return whether a process may still be starting."""
    return status.phase is Phase.WAITING and time.time() - _changed(run) < _START_SECONDS


def write_status(run: Path, status: Status) -> None:
    """Write the status of a fine-tuning."""
    write_text(run / _STATUS, json.dumps(asdict(status), indent=2), overwrite=True)


def is_held(run: Path) -> bool:
    """Return whether a process works on a fine-tuning."""
    return FileLock(run / _LOCK).is_held()


@contextmanager
def working_on(run: Path) -> Iterator[None]:
    """Hold a fine-tuning during the block, so that no other process works on it.

    Raises
    ------
    OutputError
        If the folder cannot be written to, or another process works on it.
    """
    make_folder(run)
    lock = FileLock(run / _LOCK)
    try:
        if not any(_taken(lock) for _ in range(_ATTEMPTS)):
            raise InputError(f"another process works on {run}")
    except OSError as error:
        raise OutputError(f"{run} cannot be written to: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def _taken(lock: FileLock) -> bool:
    """Take a lock, or wait a moment: whoever looks on holds it, too, while it is looked at."""
    if lock.acquire():
        return True
    time.sleep(_WAIT)
    return False


def ask_to_pause(run: Path, pause: bool = True) -> None:
    """Ask a fine-tuning to pause after its present step, or to go on."""
    _request(run / _PAUSE, pause)


def ask_to_cancel(run: Path) -> None:
    """Ask a fine-tuning to end without a result."""
    _request(run / _CANCEL, True)
    _request(run / _PAUSE, False)


def clear_requests(run: Path) -> None:
    """Forget earlier requests."""
    for name in (_PAUSE, _CANCEL):
        _request(run / name, False)


def wants_pause(run: Path) -> bool:
    """Return whether the fine-tuning is asked to pause."""
    return (run / _PAUSE).exists()


def wants_cancel(run: Path) -> bool:
    """Return whether the fine-tuning is asked to end."""
    return (run / _CANCEL).exists()


def _request(path: Path, wanted: bool) -> None:
    try:
        if wanted:
            path.touch()
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path.parent} cannot be written to: {error.strerror or error}") from error
