"""Terminal output: tables to standard output, everything else to standard error."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from napari_tumorseg.cli.wording import worded

if TYPE_CHECKING:
    from rich.console import Console


def console(stderr: bool = False) -> Console:
    """Return a rich console."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def show_json(content: Any) -> None:
    """Print JSON, and nothing else, to standard output."""
    print(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))


def show_warnings(sentences: Iterable[str]) -> None:
    """Print warnings, one line each, to standard error."""
    screen = console(stderr=True)
    for sentence in sentences:
        screen.print(f"warning: {worded(sentence)}", style="yellow", markup=False)
