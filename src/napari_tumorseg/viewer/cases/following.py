"""Changes in the folder of masks, whoever makes them: a background run, another window or a command."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qtpy.QtCore import QObject

from napari_tumorseg.cohorts.remarks import Remark, remarks
from napari_tumorseg.session import Worklist
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.folder_watch import FolderWatch


class Follower(QObject):
    """Keeps a worklist up to date, in a thread.

    Parameters
    ----------
    parent : QObject
        The follower ends with it.
    changed : callable
        Called after the worklist was read again.
    """

    def __init__(self, parent: QObject, changed: Callable[[], None]) -> None:
        super().__init__(parent)
        self._changed = changed
        self._work = Background(self)
        self._worklist: Worklist | None = None
        self._watch: FolderWatch | None = None
        self._again = False
        self.remarks: Mapping[str, Remark] = {}

    def follow(self, worklist: Worklist) -> None:
        """Follow another worklist."""
        self.stop()
        self._worklist = worklist
        self._watch = FolderWatch(lambda: worklist.output, self.refresh, self)
        self.refresh()

    def stop(self) -> None:
        """Follow nothing."""
        self._work.cancel()
        if self._watch is not None:
            self._watch.deleteLater()
        self._worklist, self._watch, self.remarks, self._again = None, None, {}, False

    def refresh(self) -> None:
        """Read the folder again; while it is being read, once more after that."""
        worklist = self._worklist
        if worklist is None:
            return
        if self._work.is_busy:
            self._again = True
            return
        self._work.start(lambda: _read(worklist), self._on_read, lambda _: None)

    def _on_read(self, found: Mapping[str, Remark]) -> None:
        self.remarks = found
        self._changed()
        if self._again:
            self._again = False
            self.refresh()


def _read(worklist: Worklist) -> Mapping[str, Remark]:
    worklist.refresh()
    return remarks(worklist.output)
