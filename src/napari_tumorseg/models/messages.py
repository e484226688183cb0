"""Names and messages from files, cut and escaped so that they fit into a sentence."""

from __future__ import annotations

from collections.abc import Iterable


def quoted(name: object) -> str:
    """Show a name from a file: control characters escaped, no longer than a line."""
    text = ascii(name)
    return text if len(text) <= 80 else f"{text[:76]}..."


def some(names: Iterable[str], limit: int = 3, quote: bool = True) -> str:
    """List the first few, and how many more there are."""
    listed = list(names)
    shown = ", ".join(quoted(name) if quote else name for name in listed[:limit])
    return shown if len(listed) <= limit else f"{shown} and {len(listed) - limit} more"


def one_line(error: BaseException) -> str:
    """Return the first line of a library's message, which may run to a page."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= 160 else f"{text[:156]}..."
