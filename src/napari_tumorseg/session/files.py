"""The files of a journal: its lock, the part that takes its place once it is whole, and what goes with it."""

from __future__ import annotations

import os
from pathlib import Path

from napari_tumorseg.io.locks import FileLock

ENDING = ".journal"
BINARY: int = getattr(os, "O_BINARY", 0)


def lock_of(path: Path) -> FileLock:
    """Return the lock that says whether a journal is in work."""
    return FileLock(path.with_suffix(".lock"))


def part_of(path: Path) -> Path:
    """Return where a journal is written before it takes its place; a crash may leave it behind."""
    return path.with_suffix(".part")


def attached_to(path: Path) -> Path:
    """Return where what goes with a journal is kept."""
    return path.with_suffix(".maps")


def written(path: Path, content: bytes, durable: bool) -> Path:
    """Write a file that only its owner can read, and return its path."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | BINARY, 0o600)
    try:
        write_all(handle, content)
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)
    return path


def write_all(handle: int, content: bytes) -> None:
    """Write all of it, in as many turns as the system takes."""
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]
