"""Writing so that nothing is half-written and nothing is lost."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_tumorseg.errors import OutputError


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
        raise _exists(path)
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} does not exist; make it or choose another one")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"the folder {folder} cannot be written to; choose another one")


@contextmanager
def atomic_path(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path` that takes its place once the block ends without an error.

    The temporary name keeps the ending of `path`, since libraries choose a format by it. Whatever goes
    wrong (disk full, killed, cancelled), a file that was there before stays as it was.

    Raises
    ------
    OutputError
        If the target cannot be written.
    """
    check_target(path, overwrite)
    temporary = _temporary(path)
    try:
        yield temporary
        flush(temporary)
        temporary.chmod(0o666 & ~_umask())
        if overwrite:
            temporary.replace(path)
        else:
            _link_new(temporary, path)
    except OSError as error:
        raise _failure(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str, overwrite: bool = False) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path, overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _temporary(path: Path) -> Path:
    """Return a new, empty file beside `path`; of its name only the end is kept, lest it grow too long."""
    try:
        handle, name = tempfile.mkstemp(prefix=".part-", suffix=path.name[-12:], dir=path.parent)
    except OSError as error:
        raise _failure(path, error) from error
    os.close(handle)
    return Path(name)


def _failure(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path} could not be written: {error.strerror or error}")


def _link_new(temporary: Path, path: Path) -> None:
    """Give the file its name unless something took that name in the meantime."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # a file system without hard links
        if path.exists():
            raise _exists(path) from None
        temporary.replace(path)


def _exists(path: Path) -> OutputError:
    return OutputError(f"{path} exists already; choose another name or ask for it to be overwritten")


def flush(path: Path) -> None:
    """Have the file on the disk, or learn that there is no room for it."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
