"""Files of a journal: its lock, its temporary file and its attachment."""

from __future__ import annotations

import os
from pathlib import Path

from napari_tumorseg.io.locks import FileLock

ENDING = ".journal"
BINARY: int = getattr(os, "O_BINARY", 0)


def lock_of(path: Path) -> FileLock:
    """Return the lock of a journal, which is held while its session is open."""
    return FileLock(path.with_suffix(".lock"))


def part_of(path: Path) -> Path:
    """Return the temporary file of a journal; a crash may leave it behind."""
    return path.with_suffix(".part")


def attached_to(path: Path) -> Path:
    """Return the file that is kept beside a journal."""
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
    """Write all bytes, in as many calls as necessary."""
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]
