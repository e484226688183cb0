"""Files that hold one JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_tumorseg.io.atomic import write_text


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a file; None if the file is missing or damaged, or holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def write_json(path: Path, content: Mapping[str, Any], overwrite: bool = False) -> None:
    """Write an object into a file atomically.

    Raises
    ------
    OutputError
        If the file exists and `overwrite` is false, or cannot be written.
    """
    write_text(path, json.dumps(content, indent=2) + "\n", overwrite)
