"""Terminal output: tables to standard output, everything else to standard error."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from napari_tumorseg.cli.wording import worded

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def console(stderr: bool = False) -> Console:
    """Return a rich console."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def escape_unencodable() -> None:
    """Print characters that a terminal or pipe has no code for as escapes.

    Redirected output on Windows has the code page of the country, and names of files can be in any script.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def progress(disable: bool, transient: bool = True) -> Progress:
    """Return progress bars on standard error, with the number of steps and the time left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console(stderr=True), disable=disable, transient=transient)


def show_json(content: Any) -> None:
    """Print JSON, and nothing else, to standard output; in ASCII where that is not UTF-8."""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(content, indent=2, ensure_ascii=not is_utf8, allow_nan=False))


def show_warnings(sentences: Iterable[str]) -> None:
    """Print warnings, one line each, to standard error."""
    screen = console(stderr=True)
    for sentence in sentences:
        screen.print(f"warning: {worded(sentence)}", style="yellow", markup=False)
