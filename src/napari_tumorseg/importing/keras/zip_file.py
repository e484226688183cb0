"""Members of a zip archive, read by name; nothing is extracted."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from napari_tumorseg.errors import ModelError
from napari_tumorseg.io.limits import max_bytes
from napari_tumorseg.models.messages import quoted

MAX_MEMBERS = 10_000
_MOST_EXPANSION = 200
"""Factor by which a member may be larger than its compressed form; text shrinks by 10 to 50."""

_OUTSIDE = re.compile(r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|\0")


class Archive:
    """A zip archive whose names are checked; made by `opened`."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.names = _checked_names(archive)

    def read(self, name: str, limit: int | None = None) -> bytes:
        """Return a member of at most `limit` bytes, by default as large as an array may be.

        Raises
        ------
        ModelError
            If there is none of that name, it is too large or damaged.
        """
        if name not in self.names:
            raise ModelError(f"the archive holds no {name}")
        member = self._archive.getinfo(name)
        most = max_bytes() if limit is None else limit
        if member.flag_bits & 1:
            raise ModelError(f"its {name} is encrypted")
        if member.file_size > most:
            raise ModelError(f"its {name} declares {member.file_size} bytes, more than {most}")
        if member.file_size > _MOST_EXPANSION * max(member.compress_size, 1):
            raise ModelError(f"its {name} expands {member.compress_size} bytes to {member.file_size}")
        with self._archive.open(member) as file:
            content = file.read(member.file_size + 1)
        if len(content) != member.file_size:
            raise ModelError(f"its {name} has another size than declared")
        return content


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Open a zip archive for reading.

    Raises
    ------
    ModelError
        If it is none, is damaged, or has two members of one name or a name that leads out of it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield Archive(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise ModelError("the archive is damaged or no zip; copy or download it again") from error


def _checked_names(archive: zipfile.ZipFile) -> Sequence[str]:
    names = archive.namelist()
    if len(names) > MAX_MEMBERS:
        raise ModelError(f"the archive holds {len(names)} members, more than {MAX_MEMBERS}")
    seen: set[str] = set()
    for name in names:
        if _OUTSIDE.search(name):
            raise ModelError(f"the archive has a member that leads out of it, {quoted(name)}")
        if name in seen:
            raise ModelError(f"the archive has two members named {quoted(name)}")
        seen.add(name)
    return names
