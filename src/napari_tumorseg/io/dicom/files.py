"""DICOM files in folders and zip archives, found by their endings or their first bytes."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from napari_tumorseg.errors import InputError, TooLargeError
from napari_tumorseg.geometry import SliceFile
from napari_tumorseg.io.folder import Folder
from napari_tumorseg.io.formats import DICOM, format_of
from napari_tumorseg.io.limits import max_bytes

ARCHIVE_ENDING = ".zip"

_LEVELS = 8
_MAGIC_AT = 128
_MAGIC = b"DICM"
_HEAD_BYTES = _MAGIC_AT + len(_MAGIC)
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
"""First bytes of files that begin without the preamble, as old programs wrote them."""

_LOOKED_AT = 20
"""Files without a known ending that are looked at in a folder before the rest is taken to be like them."""

_MOST_MEMBERS = 100_000
_OTHER_ENDINGS = (".txt", ".json", ".csv", ".tsv", ".xml", ".html", ".pdf", ".xlsx", ".py", ".md", ".log")
_INDEX = "dicomdir"
_ENCRYPTED = 0x1
_KEPT: ContextVar[tuple[Path, zipfile.ZipFile] | None] = ContextVar("_KEPT", default=None)
"""Archive that is kept open, of this thread."""


def is_archive(path: Path) -> bool:
    """Return whether a file is by its name a zip archive."""
    return path.name.lower().endswith(ARCHIVE_ENDING)


def is_index(path: Path) -> bool:
    """Return whether a file is by its name a DICOMDIR, the index of the folder that it lies in."""
    return path.name.lower() == _INDEX and path.is_file()


def is_dicom(path: Path) -> bool:
    """Return whether a file is DICOM by its first bytes; with such a name, the preamble may be missing."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return _is_head(head, path.name)


def has_dicom(names: Sequence[str], look: Callable[[str], bool]) -> list[str]:
    """Return those of the names in one folder that are of DICOM files; `look` opens one to see."""
    named = [name for name in names if _is_named(name)]
    unknown = [name for name in names if not _is_named(name) and _may_be(name)]
    if not any(look(name) for name in unknown[:_LOOKED_AT]):
        return named
    return sorted([*named, *(name for name in unknown if look(name))])


def files_in(folder: Path, levels: int = _LEVELS) -> list[SliceFile]:
    """Return the DICOM files in a folder and the folders below it, in the order of their names."""
    inside = Folder.of(folder)
    names = has_dicom(inside.names, lambda name: is_dicom(folder / name))
    found = [SliceFile(folder / name) for name in names]
    for inner in inside.folders if levels > 1 else ():
        found += files_in(inner, levels - 1)
    return found


def members_of(path: Path) -> list[SliceFile]:
    """Return the DICOM files in a zip archive; nothing is unpacked to the disk.

    Raises
    ------
    InputError
        If it is damaged or needs a password.
    TooLargeError
        If it unpacks to more than the limit.
    """
    with _archive(path) as archive:
        entries = [e for e in archive.infolist() if not e.is_dir() and _may_be(e.filename.rpartition("/")[2])]
        if any(e.flag_bits & _ENCRYPTED for e in entries):
            raise InputError(f"{path} needs a password; unpack it and open the folder")
        _refuse_bomb(path, entries)
        names = [e.filename for e in entries if _is_head(_start(archive, e, path), e.filename)]
    return [SliceFile(path, name) for name in sorted(names)]


@contextmanager
def opened(file: SliceFile) -> Iterator[BinaryIO]:
    """Open a file, or a member of an archive in memory.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    if not file.member:
        try:
            stream = file.path.open("rb")
        except OSError as error:
            raise InputError(f"{file.path} cannot be read: {error.strerror or error}") from error
        with stream:
            yield stream
        return
    with _archive(file.path) as archive:
        content = _content(archive, file)
    yield BytesIO(content)


@contextmanager
def kept_open(path: Path) -> Iterator[None]:
    """Keep an archive open in the block, so that its index is not read again for each member.

    Other files, and archives that cannot be opened, are left alone: the reading says why.
    """
    try:
        archive = _opened(path) if is_archive(path) and path.is_file() else None
    except InputError:
        archive = None
    if archive is None:
        yield
        return
    token = _KEPT.set((path, archive))
    try:
        with archive:
            yield
    finally:
        _KEPT.reset(token)


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    kept = _KEPT.get()
    if kept is not None and kept[0] == path:
        yield kept[1]
        return
    with _opened(path) as archive:
        yield archive


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except Exception:  # zipfile raises many kinds for damaged archives
        raise InputError(f"{path} is no zip archive, or damaged; unpack it and open the folder") from None


def _content(archive: zipfile.ZipFile, file: SliceFile) -> bytes:
    try:
        entry = archive.getinfo(file.member)
        _refuse_bomb(file.path, [entry])
        with archive.open(entry) as stream:
            return stream.read(entry.file_size)
    except TooLargeError:
        raise
    except Exception:  # zipfile raises many kinds for damaged archives
        raise _damaged(file.path) from None


def _start(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> bytes:
    try:
        with archive.open(entry) as stream:
            return stream.read(_HEAD_BYTES)
    except Exception:  # zipfile raises many kinds for damaged archives
        raise _damaged(path) from None


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path} is damaged, or packed in a way that is not read here; unpack it and open the folder"
    )


def _refuse_bomb(path: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    size = sum(e.file_size for e in entries)
    if size > max_bytes() or len(entries) > _MOST_MEMBERS:
        raise TooLargeError(
            f"{path} unpacks to {len(entries)} files of {size / 2**30:.1f} GiB together, more than the limit "
            f"of {max_bytes() / 2**30:g} GiB; unpack it and open the folder"
        )


def _is_head(head: bytes, name: str) -> bool:
    return head[_MAGIC_AT:] == _MAGIC or (_is_named(name) and head[:2] in _FIRST_GROUPS)


def _is_named(name: str) -> bool:
    """Return whether a name is one of a DICOM file; an archive or index is none."""
    return DICOM.has_ending(name) and not name.lower().endswith((ARCHIVE_ENDING, _INDEX))


def _may_be(name: str) -> bool:
    """Return whether a file of this name is worth a look: formats of other kinds and texts are not."""
    if name.startswith(".") or name.lower() == _INDEX:
        return False
    form = format_of(Path(name))
    return _is_named(name) or (form is None and not name.lower().endswith(_OTHER_ENDINGS))


def unpacked_size(data: bytes, limit: int) -> int:
    """Return how many bytes deflated data unpack to, at most one more than the limit."""
    inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while total <= limit and not inflater.eof:
        piece = inflater.decompress(data, 2**20)
        if not piece and not inflater.unconsumed_tail:
            break
        total += len(piece)
        data = inflater.unconsumed_tail
    return total


def shown(file: SliceFile) -> str:
    """Return the name of a file for an error."""
    return f"{file.path}{os.sep}{file.member}" if file.member else str(file.path)
