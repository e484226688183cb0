"""Notice of changes in a folder that may not exist yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QFileSystemWatcher, QObject, QTimer

_SETTLED_MS = 300
"""Files of one set arrive one after the other; the folder is looked at when none has come for so long."""


class FolderWatch(QObject):
    """Calls a function after files in a folder, or in folders in it, have changed.

    Parameters
    ----------
    folder : function
        Returns the folder; if it does not exist, the nearest one above it is watched for it.
    changed : function
        Called once things have settled.
    parent : QObject
        The watch ends with it.
    """

    def __init__(self, folder: Callable[[], Path], changed: Callable[[], None], parent: QObject) -> None:
        super().__init__(parent)
        self._folder, self._changed = folder, changed
        self._watcher = QFileSystemWatcher(self)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SETTLED_MS)
        self._timer.timeout.connect(self._on_settled)
        self._watcher.directoryChanged.connect(self._on_changed)
        self._follow()

    def _on_changed(self, path: str) -> None:
        self._timer.start()

    def _on_settled(self) -> None:
        self._follow()
        self._changed()

    def _follow(self) -> None:
        """Watch the folders that there are now."""
        wanted = {str(path) for path in _folders(self._folder())}
        watched = set(self._watcher.directories())
        if watched - wanted:
            self._watcher.removePaths(list(watched - wanted))
        if wanted - watched:
            self._watcher.addPaths(list(wanted - watched))


def _folders(folder: Path) -> list[Path]:
    """Return a folder and those in it, or the nearest one above it that exists."""
    try:
        if folder.is_dir():
            return [folder, *(path for path in folder.iterdir() if path.is_dir())]
        return [next(path for path in folder.absolute().parents if path.is_dir())]
    except (OSError, StopIteration):
        return []
