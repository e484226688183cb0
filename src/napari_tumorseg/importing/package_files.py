"""Files of a package, a folder or a zip archive, read in place by the names that its description holds."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.messages import one_line, quoted

MOST_MEMBERS = 10_000
"""A package has some dozens."""

MOST_RATIO = 200
"""Compressed texts reach 20; files of zeros, which bombs are made of, 1000."""

_ENCRYPTED = 1
_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
"""Beginning of a URL, or of a path with a drive."""


class PackageFiles:
    """Files of a folder or of a zip archive; nothing outside of it is ever opened, and nothing is unpacked.

    Parameters
    ----------
    path : Path
        The folder or archive.

    Raises
    ------
    ModelError
        If it is a damaged archive, or one with two members of one name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sizes = None if path.is_dir() else _members(path)

    def has(self, name: str) -> bool:
        """Return whether there is such a file."""
        if self._sizes is not None:
            return name in self._sizes
        return self._inside(name).is_file()

    def names(self) -> Sequence[str]:
        """Return the names of the files that do not lie deeper."""
        if self._sizes is None:
            return sorted(file.name for file in self.path.iterdir() if file.is_file())
        return sorted(name for name in self._sizes if "/" not in name)

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of a file.

        Parameters
        ----------
        name : str
            Its path inside the package, with slashes.
        limit : int
            Most bytes that it may have.

        Raises
        ------
        ModelError
            If the name leads out of the package, or there is no such file, or it is too large or damaged.
        """
        name = checked_name(name)
        try:
            content = self._member(name, limit) if self._sizes is not None else self._file(name, limit)
        except OSError as error:
            raise ModelError(f"{self.path.name}: {quoted(name)} cannot be read ({error.strerror})") from error
        if len(content) > limit:
            raise self._too_large(name, limit)
        return content

    def _file(self, name: str, limit: int) -> bytes:
        path = self._inside(name)
        if not path.is_file():
            raise ModelError(f"{self.path.name}: there is no file {quoted(name)} in it")
        size = path.stat().st_size
        if size > limit:
            raise self._too_large(name, limit)
        with path.open("rb") as file:  # Python makes room for as many bytes as it is asked for
            return file.read(size + 1)

    def _inside(self, name: str) -> Path:
        folder = self.path.resolve()
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            raise ModelError(f"{self.path.name}: {quoted(name)} is a link that leads out of the package")
        return path

    def _member(self, name: str, limit: int) -> bytes:
        assert self._sizes is not None
        if name not in self._sizes:
            raise ModelError(f"{self.path.name}: there is no file {quoted(name)} in it")
        if self._sizes[name] > limit:
            raise self._too_large(name, limit)
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(name) as file:
                return file.read(self._sizes[name] + 1)
        except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
            raise ModelError(f"{self.path.name}: {quoted(name)} is damaged ({one_line(error)})") from error
        except Exception as error:  # zlib and lzma have exceptions of their own
            raise ModelError(f"{self.path.name}: {quoted(name)} is damaged ({one_line(error)})") from error

    def _too_large(self, name: str, limit: int) -> ModelError:
        return ModelError(f"{self.path.name}: {quoted(name)} has more than {limit} bytes; it is no such file")


def checked_name(name: object) -> str:
    """Return a name from a description if it is that of a file inside the package.

    Raises
    ------
    ModelError
        If it is a URL, an absolute path, or leads out of the package.
    """
    if not isinstance(name, str) or not name or "\x00" in name:
        raise ModelError(f"{quoted(_shown(name))} is no name of a file")
    path = PurePosixPath(name)
    if _ELSEWHERE.match(name):
        raise ModelError(f"{quoted(name)} lies elsewhere, and nothing is downloaded; get the whole package")
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise ModelError(f"{quoted(name)} leads out of the package, so it was not opened")
    return str(path)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else type(value).__name__


def _members(path: Path) -> dict[str, int]:
    """Return the sizes of an archive's members by name."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelError(f"{path.name}: not a zip archive, or a damaged one; get it again") from error
    if len(members) > MOST_MEMBERS:
        raise ModelError(f"{path.name}: an archive of {len(members)} files, which no model has")
    sizes: dict[str, int] = {}
    for member in members:
        if member.is_dir():
            continue
        name = _member_name(path, member)
        if name in sizes:
            raise ModelError(f"{path.name}: holds two files of the name {quoted(name)}")
        sizes[name] = member.file_size
    return sizes


def _member_name(path: Path, member: zipfile.ZipInfo) -> str:
    """Return the name of a member that is a file inside the archive and no bomb."""
    try:
        name = checked_name(member.filename)
    except ModelError as error:
        raise ModelError(f"{path.name}: {error}") from error
    if member.flag_bits & _ENCRYPTED:
        raise ModelError(f"{path.name}: {quoted(name)} is encrypted")
    if (member.external_attr >> 28) == 0o12:  # a symbolic link
        raise ModelError(f"{path.name}: {quoted(name)} is a link, not a file")
    if member.file_size > MOST_RATIO * max(member.compress_size, 1) + (1 << 20):
        raise ModelError(f"{path.name}: {quoted(name)} expands more than files of a model do")
    return name
