"""Input files of a case: their SHA-256, and a signature by which unchanged ones are known without reading."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from napari_tumorseg.io.dataset import CaseRef
from napari_tumorseg.io.output_set import sha256

_MOST_FILES = 20_000
"""Files of a case's folder that are looked at."""


def root_of(ref: CaseRef) -> Path:
    """Return the folder that paths of input files are relative to."""
    return ref.path if ref.path.is_dir() else ref.path.parent


def hashes(ref: CaseRef, files: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of input files by their path below the data."""
    root = root_of(ref)
    return {_below(path, root): sha256(path) for path in sorted(set(files))}


def hash_of_series(files: Iterable[Path]) -> str:
    """Return one SHA-256 for the files of a DICOM series, in the order of its slices."""
    return hashlib.sha256("".join(sha256(path) for path in dict.fromkeys(files)).encode()).hexdigest()


def signature(ref: CaseRef, files: Iterable[str] = ()) -> str:
    """Return a digest of names, sizes and times of a case's files.

    Parameters
    ----------
    ref : CaseRef
        The case.
    files : iterable of str
        Its input files, as `hashes` names them. The names of all files beside them count, too: another
        sequence may have come. Without any, all files of the case's folder count.
    """
    root = root_of(ref)
    named = [root / name for name in files]
    known = [path for path in named if path.exists()] or list(_files_of(ref))  # a series is no file
    found = hashlib.sha256()
    for path in sorted(known):
        found.update(_encoded(f"{_below(path, root)} {_state(path)}\n"))
    for folder in sorted({path.parent for path in known}):
        found.update(_encoded("\n".join(_names(folder))))
    return found.hexdigest()


def _encoded(names: str) -> bytes:
    return names.encode(errors="backslashreplace")  # archives of old systems hold names that are no UTF-8


def _files_of(ref: CaseRef) -> Iterator[Path]:
    if ref.found is not None and ref.found.files:
        yield from ref.found.files
        return
    place = ref.path / ref.case if ref.path.is_dir() else ref.path
    if place.is_file():
        yield place
        return
    count = 0
    for folder, _, names in os.walk(place if place.is_dir() else ref.path):
        for name in sorted(name for name in names if not name.startswith(".")):  # such as .DS_Store
            yield Path(folder, name)
            count += 1
            if count == _MOST_FILES:
                return


def _below(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _state(path: Path) -> str:
    with suppress(OSError):
        found = path.stat()
        return f"{found.st_size} {found.st_mtime_ns}"
    return "gone"


def _names(folder: Path) -> list[str]:
    with suppress(OSError):
        return sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    return []
