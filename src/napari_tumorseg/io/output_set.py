"""Files that are written together: all of them take their names, or none does.

Within ``with output_set():`` every file that is written through `atomic.atomic_path` waits under a temporary
name. At the end of the outermost block all take their names at once, under a lock on the folder, so that
two processes never mix their sets; after an error none does. Last comes the description, a JSON that lists
the others by SHA-256. If the process is killed while names change, the description on the disk does not fit
the files, and whoever reads them is warned (see `side_files`).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_tumorseg.errors import OutputError
from napari_tumorseg.io.locks import LOCK, held

PART = ".part-"
"""Beginning of temporary names."""

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_OLD = 24 * 3600.0  # seconds after which a temporary file of another computer is taken for abandoned


@dataclass(frozen=True)
class _Staged:
    temporary: Path
    path: Path
    overwrite: bool


class OutputSet:
    """Files of one set; made by `output_set`."""

    def __init__(self) -> None:
        self._staged: list[_Staged] = []
        self._temporary: list[Path] = []
        self._descriptions: list[tuple[Path, Mapping[str, Any], bool]] = []
        self._checks: list[Callable[[], None]] = []
        self._outdated: list[Path] = []

    def temporary(self, path: Path) -> Path:
        """Return a new, empty file beside `path`; of its name only the end is kept, lest it grow too long."""
        prefix = f"{PART}{_HOST}-{os.getpid()}-"
        try:
            handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.name[-12:], dir=path.parent)
        except OSError as error:
            raise failure(path, error) from error
        os.close(handle)
        self._temporary.append(Path(name))
        return Path(name)

    def add(self, temporary: Path, path: Path, overwrite: bool) -> None:
        """Add a file that is complete under its temporary name."""
        self._staged.append(_Staged(temporary, path, overwrite))

    def describe(self, path: Path, content: Mapping[str, Any], overwrite: bool) -> None:
        """Add a description of the set; it gets the checksums of the other files as ``files``."""
        self._descriptions.append((path, content, overwrite))

    def check(self, check: Callable[[], None]) -> None:
        """Have a function raise if files may not be replaced; it is called when no other process writes."""
        self._checks.append(check)

    def remove(self, path: Path) -> None:
        """Have a file of an earlier set removed once the files of this one have their names."""
        self._outdated.append(path)

    def commit(self) -> None:
        """Give all files their names, the description last.

        Raises
        ------
        OutputError
            If one cannot get its name, a check fails, or another program is writing to the folder; files
            that were there before are as they were.
        """
        files = {one.path.name: sha256(one.temporary) for one in self._staged} if self._descriptions else {}
        for path, content, overwrite in self._descriptions:
            self._stage_description(path, {**content, "files": files}, overwrite)
        with ExitStack() as locks:
            if len(self._staged) > 1:
                for folder in sorted({one.path.parent for one in self._staged}):
                    locks.enter_context(held(folder / LOCK))
            for check in self._checks:
                check()
            self._name_all()
            for path in self._outdated:
                with suppress(OSError):
                    path.unlink()

    def discard(self) -> None:
        """Remove the temporary files that are left, also those of killed processes in the same folders."""
        for path in self._temporary:
            with suppress(OSError):
                path.unlink()
        for folder in {path.parent for path in self._temporary}:
            remove_abandoned(folder)

    def _stage_description(self, path: Path, content: Mapping[str, Any], overwrite: bool) -> None:
        temporary = self.temporary(path)
        try:
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")
            finish(temporary)
        except OSError as error:
            raise failure(path, error) from error
        self.add(temporary, path, overwrite)

    def _backup(self, path: Path) -> Path | None:
        """Return a second name of a file that is to be replaced, None if there is none or it is alone."""
        if len(self._staged) == 1 or not path.exists():
            return None
        backup = self.temporary(path)
        backup.unlink()
        try:
            os.link(path, backup)
        except OSError:  # a file system without hard links
            shutil.copy2(path, backup)
        return backup

    def _name_all(self) -> None:
        before: dict[Path, Path | None] = {}
        try:
            for one in self._staged:
                if not one.overwrite and one.path.exists():
                    raise exists(one.path)
            for one in self._staged:
                if one.overwrite:
                    backup = self._backup(one.path)
                    one.temporary.replace(one.path)
                else:
                    backup = None
                    _link_new(one.temporary, one.path)
                before[one.path] = backup
        except BaseException as error:
            for path, backup in before.items():
                with suppress(OSError):
                    _restore(path, backup)
            if isinstance(error, OSError):
                raise failure(one.path, error) from error
            raise


_ACTIVE: ContextVar[OutputSet | None] = ContextVar("output_set", default=None)


@contextmanager
def output_set() -> Iterator[OutputSet]:
    """Write the files of the block as one set; a block within another one joins its set."""
    outer = _ACTIVE.get()
    if outer is not None:
        yield outer
        return
    files = OutputSet()
    token = _ACTIVE.set(files)
    try:
        yield files
        files.commit()
    finally:
        _ACTIVE.reset(token)
        files.discard()


def finish(temporary: Path) -> None:
    """Put a temporary file on the disk and give it the usual permissions."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.chmod(0o666 & ~_umask())


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def abandoned_files(folder: Path) -> list[Path]:
    """Return the temporary files that processes left in a folder when they were killed."""
    try:
        with os.scandir(folder) as entries:
            found = [Path(e.path) for e in entries if e.name.startswith(PART) and _is_abandoned(e)]
    except OSError:
        return []
    return sorted(found)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder."""
    for path in abandoned_files(folder):
        with suppress(OSError):
            path.unlink()


def _is_abandoned(entry: os.DirEntry[str]) -> bool:
    """Return whether the process that writes a temporary file has ended, or the file is older than a day."""
    host, _, rest = entry.name.removeprefix(PART).partition("-")
    number = rest.partition("-")[0]
    if host == _HOST and number.isdigit() and sys.platform != "win32":
        return not _is_running(int(number))
    with suppress(OSError):
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _OLD
    return False


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def failure(path: Path, error: OSError) -> OutputError:
    """Return the error of a file that could not be written."""
    return OutputError(f"{path} could not be written: {error.strerror or error}")


def exists(path: Path) -> OutputError:
    """Return the error of a file that exists."""
    return OutputError(f"{path} exists already; choose another name or ask for it to be overwritten")


def _link_new(temporary: Path, path: Path) -> None:
    """Give the file its name unless something took that name in the meantime."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise exists(path) from None
    except OSError:  # a file system without hard links
        if path.exists():
            raise exists(path) from None
        temporary.replace(path)


def _restore(path: Path, backup: Path | None) -> None:
    """Give a path the file back that it had before; without one remove the new file."""
    if backup is None:
        path.unlink()
    else:
        backup.replace(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
