"""JSON files of models, read within limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.messages import quoted

MAX_BYTES = 16 << 20
"""Plans and metadata are a thousandth of this."""


def read_table(path: Path, root: Path) -> dict[str, Any]:
    """Return the table in a JSON file that lies in a folder.

    Raises
    ------
    ModelError
        If it is no such file, too large, or lies elsewhere by way of a link.
    """
    check_inside(path, root)
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(f"{path} is too large for the description of a model")
    return parse_table(path.read_bytes(), str(path))


def parse_table(content: bytes, name: str) -> dict[str, Any]:
    """Return the table that JSON text holds.

    Raises
    ------
    ModelError
        If the text holds none; the sentence names the file.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name} cannot be read as JSON") from error
    if not isinstance(found, dict):
        raise ModelError(f"{name} holds no table")
    return found


def check_inside(path: Path, root: Path) -> None:
    """Raise `ModelError` if a file is not there, or lies outside of a folder by way of a link."""
    if not path.is_file():
        raise ModelError(f"{root} lacks {path.name}")
    if not path.resolve().is_relative_to(root.resolve()):
        raise ModelError(f"{path} is a link to a file outside of its folder; copy the file there")


def entry(table: dict[str, Any], key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """Return an entry of a table that must be of a kind.

    Raises
    ------
    ModelError
        If it is absent or of another kind.
    """
    found = table.get(key)
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        stated = "absent" if key not in table else quoted(found)
        raise ModelError(f"{where}: {key} is {stated}, not what such a file holds")
    return found
