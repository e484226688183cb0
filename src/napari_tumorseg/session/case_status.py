"""States of the cases of a worklist, from the JSON beside the masks and from the masks themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any

from napari_tumorseg.errors import OutputError
from napari_tumorseg.io.atomic import make_folder, write_text
from napari_tumorseg.io.formats import WRITTEN_ENDINGS
from napari_tumorseg.models.messages import some
from napari_tumorseg.session.mask_facts import facts_of

_FORMAT = 1


class State(StrEnum):
    """State of the work on a case, from the first to the last."""

    NEW = "new"
    SEGMENTED = "segmented"
    CORRECTED = "corrected"
    DONE = "done"


def state_of(noted: Mapping[str, Any]) -> State:
    """Return the recorded state of a case; `State.NEW` if there is none."""
    try:
        return State(str(noted.get("state")))
    except ValueError:
        return State.NEW


def state_of_mask(mask: Path | None) -> State:
    """Return the state of a case according to its mask and side file."""
    if mask is None:
        return State.NEW
    return State.CORRECTED if facts_of(mask).is_corrected else State.SEGMENTED


def masks_in(folder: Path) -> dict[str, Path]:
    """Return the masks of a folder by their names without the ending."""
    found: dict[str, Path] = {}
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        return found
    for ending in WRITTEN_ENDINGS:
        for name in names:
            if name.lower().endswith(ending):
                found.setdefault(name[: -len(ending)], folder / name)
    return found


def read_states(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the recorded state of each case, listed or not, and the problems of the file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}, []
    except (OSError, UnicodeError) as error:
        return {}, [f"{path} cannot be read ({error}), so states are taken from the masks"]
    cases = _cases_in(text)
    if cases is None:
        return {}, [f"{path} is damaged, so states are taken from the masks"]
    wrong = [name for name, noted in cases.items() if not _is_noted(noted)]
    states = {name: noted for name, noted in cases.items() if name not in wrong}
    if not wrong:
        return states, []
    names = some(sorted(wrong), quote=False)
    return states, [f"{path} has no known state of {names}, so it is taken from the masks"]


def _cases_in(text: str) -> dict[str, Any] | None:
    """Return the table of cases in a file of states; None if there is none."""
    try:
        cases = json.loads(text)["cases"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return cases if isinstance(cases, dict) else None


def _is_noted(noted: Any) -> bool:
    return isinstance(noted, dict) and noted.get("state") in tuple(State)


def write_states(path: Path, states: Mapping[str, Any]) -> None:
    """Write the state of each case atomically; the folder is made if necessary.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    text = json.dumps(
        {"format": _FORMAT, "cases": dict(sorted(states.items()))}, indent=2, ensure_ascii=False
    )
    make_folder(path.parent)
    write_text(path, text + "\n", overwrite=True)


def backup(path: Path) -> str:
    """Copy a damaged file to another name, once, and return a sentence that names the copy.

    Raises
    ------
    OutputError
        If it cannot be copied.
    """
    try:
        content = path.read_bytes()
        for number in count(1):
            kept = path.with_name(f"{path.stem}.damaged-{number}.json")
            if not kept.exists():
                kept.write_bytes(content)
            if kept.read_bytes() == content:
                break
    except OSError as error:
        raise OutputError(f"the content of {path} cannot be kept: {error.strerror or error}") from error
    return f"the content of {path.name} is kept as {kept.name}"
