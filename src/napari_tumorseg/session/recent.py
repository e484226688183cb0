"""Worklist that was opened last, to be offered again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from napari_tumorseg.io.atomic import make_folder, write_text
from napari_tumorseg.session.user_folder import state_folder

_FILE = "worklist.json"
_FORMAT = 1


@dataclass(frozen=True)
class LastWorklist:
    """Folders of a worklist.

    Attributes
    ----------
    cases : Path
        Folder of the cases.
    output : Path
        Folder of their masks and states.
    """

    cases: Path
    output: Path


def last_worklist() -> LastWorklist | None:
    """Return the worklist that was opened last, which may no longer exist; None if none is recorded."""
    try:
        content = json.loads((state_folder() / _FILE).read_text(encoding="utf-8"))
        cases, output = content["cases"], content["output"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None
    if not (isinstance(cases, str) and isinstance(output, str) and cases and output):
        return None
    return LastWorklist(Path(cases), Path(output))


def note_worklist(cases: Path, output: Path) -> None:
    """Record a worklist, in place of the one before.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    content = {"format": _FORMAT, "cases": str(cases.absolute()), "output": str(output.absolute())}
    folder = state_folder()
    make_folder(folder, 0o700)
    write_text(folder / _FILE, json.dumps(content, indent=2, ensure_ascii=False) + "\n", overwrite=True)
