"""Autosave: every edit of a mask goes to a journal, from which the mask can be had again after a crash.

A journal is one file that only grows (see `records`): the labels at the start, then each edit as the labels
in its box afterwards, the marks of components that are kept, and thresholds that were moved. An edit is with
the operating system once `append` returns: a process that is killed loses at most the one being written;
`sync` puts all on the disk, for fear of the power going. Each session has a file of its own and holds a lock
beside it while it lives, so that two viewers never write to one file and nobody is offered what is still in
work elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_tumorseg.edit.change import Change
from napari_tumorseg.errors import OutputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.session import records
from napari_tumorseg.session.edit_counts import EditCounts
from napari_tumorseg.session.files import (
    BINARY,
    ENDING,
    attached_to,
    lock_of,
    part_of,
    write_all,
    written,
)

_COMPACT_AT = 4 << 20
"""Bytes of edits after which the labels so far become the new start."""


class Journal:
    """The journal of the edits of one mask in one session; made by `start`.

    Attributes
    ----------
    path : Path
        The file; it is there from the first edit on.
    """

    def __init__(self, path: Path, head: records.Head, labels: Array, compact_at: int) -> None:
        self.path = path
        self._head = head
        self._labels = np.array(labels, dtype=np.uint8)
        self._compact_at = compact_at
        self._tally = head.edit_counts
        self._lock = lock_of(path)
        self._turn = threading.RLock()
        self._handle: int | None = None
        self._end = self._start = 0
        self._closed = self._behind = self._is_attached = False
        self._kept: tuple[records.Index, ...] = ()
        self._thresholds: dict[str, float] = {}
        self._attachment: Callable[[], bytes] | None = None

    @classmethod
    def start(
        cls,
        folder: Path,
        key: str,
        labels: Array,
        about: Mapping[str, Any] | None = None,
        *,
        edit_counts: EditCounts | None = None,
        at_once: bool = False,
        compact_at: int = _COMPACT_AT,
    ) -> Journal:
        """Begin a journal.

        Parameters
        ----------
        folder : Path
            Where journals are kept, such as `journal_folder()`; made where it is not there.
        key : str
            What is edited, such as the path of the mask or scan.
        labels : (Z, Y, X) array of uint8
            As they are now; a copy is kept.
        about : mapping, optional
            What is needed to offer the session again (what JSON can hold). It stays in that folder.
        edit_counts : EditCounts, optional
            What was done to the labels before, such as that of a session that was recovered.
        at_once : bool
            Write now, not only at the first edit: for labels that nothing else holds, such as recovered ones.
        compact_at : int
            Bytes of edits after which the labels so far become the new start.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        short = hashlib.sha256(key.encode()).hexdigest()[:16]
        path = Path(folder) / f"{short}-{secrets.token_hex(4)}{ENDING}"
        z, y, x = (int(n) for n in labels.shape)
        base = records.fingerprint(labels)
        head = records.Head(key, (z, y, x), time.time(), dict(about or {}), base, edit_counts or EditCounts())
        journal = cls(path, head, labels, compact_at)
        if at_once:
            with journal._writing():
                journal._open()
        return journal

    @property
    def edit_counts(self) -> EditCounts:
        """What was done so far: for the provenance of what is saved."""
        return self._tally

    def append(self, change: Change | None, action: str) -> None:
        """Write an edit; None, an edit that changed nothing, is left out.

        Parameters
        ----------
        change : Change or None
            What it changed. Edits come in the order in which they were done; undo and redo are edits, too.
        action : str
            Its kind, such as ``"paint"``; empty where it goes on with the one before, which is counted.

        Raises
        ------
        OutputError
            If it cannot be written. What was written before is whole, and the next edit that can be written
            brings this one along.
        ValueError
            If the journal is closed, or the change lies beyond the labels.
        """
        if change is None:
            return
        if self._labels[change.box].shape != change.after.shape:
            raise ValueError(f"a change at {change.box} does not lie in labels of shape {self._labels.shape}")
        now = time.time()
        record = records.framed(records.pack_edit(change.box, change.after, action, now))
        with self._writing():
            try:
                self._record(record)
            finally:
                change.apply(self._labels)
                self._tally = self._tally.plus(action, now)
            if self._end - self._start > self._compact_at:
                self._compact()
            self._attach()

    def keep(self, voxels: Sequence[records.Index]) -> None:
        """Take note of which components are marked as kept, in place of those before.

        Marks are no edit: where there is none yet, they are written with the first.

        Parameters
        ----------
        voxels : sequence of (Z, Y, X)
            A voxel of each.

        Raises
        ------
        OutputError
            If it cannot be written.
        ValueError
            If the journal is closed.
        """
        with self._writing():
            self._kept = tuple(voxels)
            self._note(records.pack_kept(self._kept))

    def set_thresholds(self, thresholds: Mapping[str, float]) -> None:
        """Take note of the thresholds by output, in place of those before; as with `keep`, they are no edit.

        Raises
        ------
        OutputError
            If it cannot be written.
        ValueError
            If the journal is closed.
        """
        with self._writing():
            self._thresholds = dict(thresholds)
            self._note(records.pack_thresholds(self._thresholds))

    def attach(self, content: Callable[[], bytes]) -> None:
        """Have a file beside the journal, there as long as that is, for what is large and does not change.

        Parameters
        ----------
        content : callable
            Returns its bytes; asked once there are edits that it can go with.
        """
        with self._turn:
            self._attachment = content
            self._attach()

    def sync(self) -> None:
        """Have all edits on the disk, against the power going; may take some ms."""
        with self._turn:
            if self._handle is not None:
                os.fsync(self._handle)

    def restart(self) -> None:
        """Start from the labels as they are now: they have been saved, and the session goes on."""
        with self._turn:
            self._remove()
            self._head = replace(
                self._head, base_sha256=records.fingerprint(self._labels), edit_counts=self._tally
            )

    def close(self, saved: bool = True) -> None:
        """End the session.

        Parameters
        ----------
        saved : bool
            Whether the edits have been saved or given up: the journal is removed. Otherwise it stays, to be
            offered again.
        """
        with self._turn:
            if saved:
                self._remove()
            self._shut()
            self._lock.release()
            self._closed = True

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._turn:
            if self._closed:
                raise ValueError("this journal is closed; start another one")
            try:
                yield
            except OSError as error:
                told = error.strerror or error
                raise OutputError(
                    f"edits cannot be autosaved in {self.path.parent}: {told}; save the mask now"
                ) from error

    def _open(self) -> None:
        """Make the file, with the labels at the start."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock.acquire()
        self._rewrite(durable=False)

    def _note(self, payload: bytes) -> None:
        """Write what is no edit, unless there is none yet: the first brings it along."""
        if self._handle is not None:
            self._record(records.framed(payload))

    def _record(self, record: bytes) -> None:
        """Write a record behind all that was to be written before."""
        try:
            self._catch_up()
            self._write(record)
        except OSError:
            self._behind = True
            raise

    def _attach(self) -> None:
        """Write the file beside, once; the edits are whole without it, so that it may fail."""
        if self._attachment is None or self._handle is None or self._is_attached:
            return
        self._is_attached = True
        with suppress(OSError):
            written(part_of(self.path), self._attachment(), durable=True).replace(attached_to(self.path))

    def _catch_up(self) -> None:
        """Have a file that holds everything up to now."""
        if self._handle is None:
            self._open()
        elif self._behind:
            self._rewrite(durable=True)
        self._behind = False

    def _rewrite(self, durable: bool) -> None:
        """Write the journal anew from the labels as they are now, all or nothing."""
        self._head = replace(self._head, edit_counts=self._tally)
        payloads = [records.pack_head(self._head), records.pack_base(self._labels)]
        if self._kept:
            payloads.append(records.pack_kept(self._kept))
        if self._thresholds:
            payloads.append(records.pack_thresholds(self._thresholds))
        content = records.MAGIC + b"".join(records.framed(p) for p in payloads)
        temporary = written(part_of(self.path), content, durable)
        self._shut()  # some systems do not replace an open file
        temporary.replace(self.path)
        self._reopen(len(content))
        self._start = self._end

    def _write(self, record: bytes) -> None:
        assert self._handle is not None
        try:
            write_all(self._handle, record)
        except OSError:
            # half a record would hide all that follow
            os.ftruncate(self._handle, self._end)
            os.lseek(self._handle, self._end, os.SEEK_SET)
            raise
        self._end += len(record)

    def _compact(self) -> None:
        """Start anew from the labels as they are; without room for that, the file goes on growing."""
        try:
            self._rewrite(durable=True)
        except OSError:
            self._compact_at *= 2
            if self._handle is None:
                self._reopen(self._end)

    def _reopen(self, end: int) -> None:
        self._handle = os.open(self.path, os.O_WRONLY | BINARY)
        os.lseek(self._handle, end, os.SEEK_SET)
        self._end = end

    def _shut(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _remove(self) -> None:
        self._shut()
        self._is_attached = False
        for path in (attached_to(self.path), part_of(self.path), self.path):
            with suppress(OSError):
                path.unlink()
