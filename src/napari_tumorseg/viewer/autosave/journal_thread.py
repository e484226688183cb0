"""Journals of the masks of one panel, written in a thread so that no stroke waits for the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer
from qtpy.QtCore import Signal as QtSignal  # type: ignore[attr-defined,unused-ignore]

from napari_tumorseg.edit import Change
from napari_tumorseg.errors import TumorSegError
from napari_tumorseg.geometry import Array
from napari_tumorseg.session import EditCounts, Journal, discard
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.widgets.messages import worded

SECONDS_BETWEEN_SYNCS = 5.0
"""Edits are written at once, and synchronised to the disk this often, in case of a power failure."""


class Journals(QObject):
    """Starts, writes and ends journals, each in the order asked for; nothing here waits.

    Parameters
    ----------
    folder : Path
        Where they are kept.
    """

    failed = QtSignal(str)
    """Edits cannot be autosaved: the reason, as a sentence. Emitted once until they can again."""
    works_again = QtSignal()
    """Edits are autosaved again."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="autosave")
        self._dirty: set[Writer] = set()
        self._is_failing = False
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.sync)
        self.set_interval(SECONDS_BETWEEN_SYNCS)

    def set_interval(self, seconds: float) -> None:
        """Set how often edits are synchronised to the disk."""
        self._timer.start(max(100, round(1000 * seconds)))

    def start(
        self, key: str, labels: Array, about: dict[str, Any], edit_counts: EditCounts, at_once: bool = False
    ) -> Writer:
        """Begin a journal; `labels` are the caller's no more."""
        writer = Writer(self)
        writer.begin(key, labels, about, edit_counts, at_once)
        return writer

    def remove(self, path: Path, once_in: Writer) -> None:
        """Remove a journal whose edits another one holds now; one that is in work stays."""

        def work() -> None:
            if once_in.is_there:
                with suppress(TumorSegError):
                    discard(path)

        self.submit(work)

    def sync(self) -> None:
        """Synchronise all edits to the disk."""
        dirty, self._dirty = self._dirty, set()
        for writer in dirty:
            writer.sync()

    def close(self) -> None:
        """Wait until everything is written; nothing can be written afterwards."""
        with suppress(RuntimeError):  # at the program's end Qt may have been faster
            self._timer.stop()
        self._thread.shutdown(wait=True)

    def flush(self, seconds: float = 10.0) -> None:
        """Wait until all is written."""
        self.submit(lambda: None).result(seconds)

    def touch(self, writer: Writer) -> None:
        """Note that a journal has edits that may not be on the disk yet."""
        self._dirty.add(writer)

    def submit(self, work: Callable[[], None], writes: bool = False) -> Future[None]:
        """Do something in the thread, after everything that was asked before.

        Parameters
        ----------
        work : callable
            Runs in the thread.
        writes : bool
            Whether its success shows that edits can be written.
        """

        def safely() -> None:
            try:
                work()
            except TumorSegError as error:
                self._note_failure(worded(error))
            except OSError as error:
                self._note_failure(f"edits cannot be autosaved: {error.strerror or error}; save the mask now")
            else:
                if writes:
                    self._note_success()

        try:
            return self._thread.submit(safely)
        except RuntimeError:  # the program ends, and with it the thread, which has done its work
            safely()
            done: Future[None] = Future()
            done.set_result(None)
            return done

    def _note_failure(self, message: str) -> None:
        if not self._is_failing:
            self._is_failing = True
            with suppress(RuntimeError):  # at the program's end Qt may have been faster
                self.failed.emit(message)

    def _note_success(self) -> None:
        if self._is_failing:
            self._is_failing = False
            with suppress(RuntimeError):
                self.works_again.emit()


class Writer:
    """Journal of one mask, as the window's thread uses it."""

    def __init__(self, journals: Journals) -> None:
        self._journals = journals
        self._journal: Journal | None = None

    @property
    def is_there(self) -> bool:
        """Whether its file exists (called in the writing thread)."""
        return self._journal is not None and self._journal.path.exists()

    @property
    def path(self) -> Path | None:
        """The journal's file, once it is known."""
        return self._journal.path if self._journal else None

    def begin(
        self, key: str, labels: Array, about: dict[str, Any], edit_counts: EditCounts, at_once: bool
    ) -> None:
        """Start it."""

        def work() -> None:
            folder = self._journals.folder
            try:
                self._journal = Journal.start(
                    folder, key, labels, about, edit_counts=edit_counts, at_once=at_once
                )
            except TumorSegError:  # the first edit tries again
                self._journal = Journal.start(folder, key, labels, about, edit_counts=edit_counts)
                raise

        self._journals.submit(work, writes=at_once)

    def append(self, change: Change, action: str) -> None:
        """Write an edit."""
        self._do(lambda journal: journal.append(change, action), writes=True)
        self._journals.touch(self)

    def keep(self, voxels: Sequence[Index]) -> None:
        """Write which components are marked as kept."""
        self._do(lambda journal: journal.set_locked(voxels))
        self._journals.touch(self)

    def set_thresholds(self, thresholds: Mapping[str, float]) -> None:
        """Write the thresholds by output."""
        self._do(lambda journal: journal.set_thresholds(thresholds))
        self._journals.touch(self)

    def attach(self, content: Callable[[], bytes]) -> None:
        """Have something large beside it, made in the thread."""
        self._do(lambda journal: journal.attach(content))

    def restart(self) -> None:
        """Start again from the present labels, which were saved or given up."""
        self._do(lambda journal: journal.restart())

    def sync(self) -> None:
        """Synchronise it to the disk."""
        self._do(lambda journal: journal.sync())

    def close(self, saved: bool | Writer) -> Future[None]:
        """End it; unless its edits were saved, or are in another journal, it stays to be offered again."""
        return self._do(lambda journal: journal.close(saved.is_there if isinstance(saved, Writer) else saved))

    def _do(self, what: Callable[[Journal], None], writes: bool = False) -> Future[None]:
        def work() -> None:
            if self._journal is not None:
                what(self._journal)

        return self._journals.submit(work, writes)
