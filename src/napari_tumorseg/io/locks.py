"""Locks between processes, on files of their own; a lock ends with the process that holds it."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_tumorseg.errors import OutputError

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


_HELD = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}

LOCK = ".tumorseg-lock"
"""Name of the file that is locked while files of a folder get their names."""

_PAUSE = 0.003  # seconds between two attempts


class FileLock:
    """Exclusive lock on a small file; `acquire` never waits.

    Parameters
    ----------
    path : Path
        The file; it is made if necessary and removed by `release`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Take the lock; return False if someone else, in this process or another, holds it."""
        if self._handle is not None:
            return True
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(handle)
        except OSError as error:
            if error.errno in _HELD:
                os.close(handle)
                return False
            # a file system without locks: better no lock than no file
        if not self._is_current(handle):
            os.close(handle)
            return False
        self._handle = handle
        return True

    def release(self, remove: bool = True) -> None:
        """Release the lock and remove its file; without effect if it is not held."""
        if self._handle is None:
            return
        if remove:  # before others can take the lock, else the file of the next holder would be removed
            with suppress(OSError):
                self.path.unlink()
        os.close(self._handle)
        self._handle = None
        if remove and sys.platform == "win32":  # open files cannot be removed there
            with suppress(OSError):
                self.path.unlink()

    def is_held(self) -> bool:
        """Return whether someone, in this process or another, holds the lock."""
        if self._handle is not None:
            return True
        if not self.path.exists():
            return False
        try:
            free = self.acquire()
        except OSError:  # not ours to open
            return True
        self.release(remove=False)
        return not free

    def _is_current(self, handle: int) -> bool:
        """Return whether the locked file still has its name: the holder before may have removed it."""
        with suppress(OSError):
            return os.path.samestat(os.fstat(handle), self.path.stat())
        return False


@contextmanager
def held(path: Path, seconds: float = 10.0) -> Iterator[None]:
    """Hold the lock on a file during the block; in a folder that cannot be written to, do without it.

    Raises
    ------
    OutputError
        If others hold it longer than `seconds`.
    """
    lock, until = FileLock(path), time.monotonic() + seconds
    try:
        while not lock.acquire():
            if time.monotonic() > until:
                raise OutputError(f"another program is writing to {path.parent}; try again when it is done")
            time.sleep(_PAUSE)
    except OSError:  # the error about the files themselves says more
        pass
    try:
        yield
    finally:
        lock.release()
