"""Atomic writing: a file appears under its name complete or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_tumorseg.errors import OutputError
from napari_tumorseg.io.output_set import exists, failure, finish, output_set


def check_target(path: Path, overwrite: bool = False) -> None:
    """Raise before any work is done if `path` cannot or must not be written.

    Raises
    ------
    OutputError
        If the folder does not exist or is read-only, or the file exists and `overwrite` is false.
    """
    try:
        there = path.exists()
    except OSError as error:  # such as a name that is too long
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    if there and not overwrite:
        raise exists(path)
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} does not exist; make it or choose another one")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"the folder {folder} cannot be written to; choose another one")


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder unless it exists.

    Raises
    ------
    OutputError
        If it cannot be made.
    """
    try:
        folder.mkdir(mode, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be made: {error.strerror or error}") from error


@contextmanager
def atomic_path(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; the file gets its name if the block ends without an error.

    Within an `output_set` it gets its name at the end of that. The temporary name keeps the ending of
    `path`, since libraries choose a format by it. Whatever goes wrong (disk full, killed, cancelled), a file
    that existed before stays as it was.

    Raises
    ------
    OutputError
        If the target cannot be written.
    """
    check_target(path, overwrite)
    with output_set() as files:
        temporary = files.temporary(path)
        try:
            yield temporary
            finish(temporary)
        except OSError as error:
            raise failure(path, error) from error
        files.add(temporary, path, overwrite)


def write_text(path: Path, text: str, overwrite: bool = False) -> None:
    """Write UTF-8 text atomically; what UTF-8 cannot hold, bytes of undecodable file names, as escapes."""
    with atomic_path(path, overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
