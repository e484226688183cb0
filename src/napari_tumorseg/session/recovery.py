"""Recovery of edits from the journals of sessions that ended without saving."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.session import records
from napari_tumorseg.session.edit_counts import EditCounts
from napari_tumorseg.session.files import ENDING, attached_to, lock_of, part_of


@dataclass(frozen=True, eq=False)
class Recovered:
    """Content of a journal.

    Attributes
    ----------
    labels : (Z, Y, X) array of uint8
        Labels after the last complete edit.
    key : str
        Identifier of the edited mask.
    about : mapping
        Description given at the start of the session.
    edit_counts : EditCounts
        Actions by kind, time of the first and the last.
    actions : tuple of (str, float)
        Actions and times in order, since the journal was last rewritten.
    lost_bytes : int
        Bytes of an incomplete edit that a crash left behind.
    base_sha256 : str
        `fingerprint` of the labels at the start of the session, to compare with a mask.
    locked : tuple of (Z, Y, X)
        One voxel of each locked component.
    thresholds : mapping of str to float
        Changed thresholds by output.
    """

    labels: Array
    key: str
    about: Mapping[str, Any]
    edit_counts: EditCounts
    actions: tuple[tuple[str, float], ...]
    lost_bytes: int
    base_sha256: str
    locked: tuple[records.Index, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Unfinished:
    """Session that ended without its labels being saved or discarded.

    Attributes
    ----------
    path : Path
        Journal, for `recover` and `discard`.
    key : str
        Identifier of the edited mask.
    about : mapping
        Description given at the start of the session.
    started : float or None
        Start, in seconds since 1970.
    edit_counts : EditCounts
        Actions by kind.
    problem : str
        Reason why it cannot be recovered, in a sentence; else empty.
    """

    path: Path
    key: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    started: float | None = None
    edit_counts: EditCounts = field(default_factory=EditCounts)
    problem: str = ""


def recover(path: Path) -> Recovered:
    """Return the content of a journal up to its last complete edit; the file is not changed.

    Raises
    ------
    InputError
        If it cannot be read, is not a journal, or its beginning is damaged.
    """
    content = _content(path)
    found = records.payloads(content)
    head, _ = _head(path, found)
    try:
        payload, end = next(found, (b"", 0))
        labels = records.unpack_base(payload, head.shape)
    except records.DamagedError as error:
        raise _damaged(path) from error
    edit_counts = head.edit_counts
    locked: tuple[records.Index, ...] = ()
    thresholds: dict[str, float] = {}
    actions: list[tuple[str, float]] = []
    for payload, place in found:
        try:
            if payload[:1] == records.LOCKED:
                locked = records.unpack_locked(payload, head.shape)
            elif payload[:1] == records.THRESHOLDS:
                with suppress(records.DamagedError):  # no other record depends on them
                    thresholds = records.unpack_thresholds(payload)
            else:
                edit = records.unpack_edit(payload, head.shape)
                labels[edit.box] = edit.after
                edit_counts = edit_counts.plus(edit.action, edit.time)
                if edit.action:
                    actions.append((edit.action, edit.time))
        except records.DamagedError:  # all later edits depend on it
            break
        end = place
    lost = len(content) - end
    return Recovered(
        labels, head.key, head.about, edit_counts, tuple(actions), lost, head.base_sha256, locked, thresholds
    )


def attached(path: Path) -> bytes | None:
    """Return the file kept beside a journal (`Journal.attach`); None if there is none.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    beside = attached_to(path)
    try:
        return beside.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{beside} cannot be read: {error.strerror or error}") from error


def unfinished(folder: Path, key: str | None = None) -> list[Unfinished]:
    """Return the sessions whose labels were neither saved nor discarded, the latest first.

    Sessions that are still open, in this viewer or another, are left out.

    Parameters
    ----------
    folder : Path
        Folder of the journals; it need not exist.
    key : str, optional
        Return only sessions of this key.
    """
    left = [p for p in sorted(Path(folder).glob(f"*{ENDING}")) if not lock_of(p).is_held()]
    found = [_describe(path) for path in left]
    wanted = [one for one in found if key is None or one.key == key]
    return sorted(wanted, key=lambda one: -(one.edit_counts.last or one.started or 0.0))


def discard(path: Path) -> None:
    """Remove a journal.

    Raises
    ------
    OutputError
        If its session is still open, or it cannot be removed.
    """
    lock = lock_of(path)
    try:
        if not lock.acquire():
            raise OutputError("these corrections belong to another window that is open; close that first")
        attached_to(path).unlink(missing_ok=True)
        part_of(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)  # last, since the others are found by it
    except OSError as error:
        raise OutputError(f"{path} cannot be removed: {error.strerror or error}") from error
    finally:
        lock.release()


def _content(path: Path) -> bytes:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if not content.startswith(records.MAGIC):
        raise InputError(f"{path} is not a journal of edits, or its beginning is lost; discard it")
    return content


def _head(path: Path, found: Iterator[tuple[bytes, int]]) -> tuple[records.Head, int]:
    try:
        payload, end = next(found, (b"", 0))
        return records.unpack_head(payload), end
    except records.DamagedError as error:
        raise _damaged(path) from error
    except records.NewerError as error:
        raise InputError(
            f"{path} was written by a later version of napari-tumorseg; recover its edits with that one"
        ) from error


def _damaged(path: Path) -> InputError:
    return InputError(f"the beginning of {path} is damaged, so its edits cannot be recovered; discard it")


def _describe(path: Path) -> Unfinished:
    """Return the description of a journal, without decoding its voxels."""
    try:
        found = records.payloads(_content(path))
        head, _ = _head(path, found)
    except InputError as error:
        return Unfinished(path, problem=str(error))
    edit_counts = head.edit_counts
    for payload, _ in found:
        if payload[:1] == records.EDIT:
            with suppress(records.DamagedError):
                edit_counts = edit_counts.plus(*records.unpack_action(payload))
    return Unfinished(path, head.key, head.about, head.started, edit_counts)
