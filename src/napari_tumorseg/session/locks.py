"""A lock on a file that ends with the process that holds it, however that ends."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


_HELD = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}


class FileLock:
    """An exclusive lock on a small file of its own; it never waits.

    Parameters
    ----------
    path : Path
        The file; it is made where it is not there, and stays until `release`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Take the lock, or return False because someone else, in this process or another, holds it."""
        if self._handle is not None:
            return True
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _take(handle)
        except OSError as error:
            if error.errno in _HELD:
                os.close(handle)
                return False
            # a file system without locks: better no lock than no journal
        self._handle = handle
        return True

    def release(self, remove: bool = True) -> None:
        """Give the lock back and remove its file; nothing happens where it is not held."""
        if self._handle is None:
            return
        os.close(self._handle)
        self._handle = None
        if remove:
            with suppress(OSError):
                self.path.unlink()

    def is_held(self) -> bool:
        """Tell whether someone, in this process or another, holds the lock right now."""
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
