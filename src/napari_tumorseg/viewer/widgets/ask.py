"""Questions to the user and error notifications, if there is a window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from napari.utils import notifications
from qtpy.QtWidgets import QApplication, QFileDialog, QInputDialog, QWidget

from napari_tumorseg.errors import CancelledError, TumorSegError
from napari_tumorseg.viewer.widgets.messages import short


def window() -> QWidget | None:
    """Return a visible window that a dialog can belong to, or None."""
    if QApplication.instance() is None:
        return None
    active = QApplication.activeWindow()
    if active is not None:
        return active
    return next((w for w in QApplication.topLevelWidgets() if w.isVisible() and w.isWindow()), None)


def report_error(error: TumorSegError, paths: Iterable[Path | str]) -> None:
    """Show an error about some files as a notification; napari would show its whole traceback.

    Raises
    ------
    TumorSegError
        The error itself, without a window.
    """
    if window() is None:
        raise error
    if not isinstance(error, CancelledError):
        notifications.show_error(short(error, paths))


def open_file(title: str, formats: str) -> Path:
    """Return the file that the user picks.

    Raises
    ------
    CancelledError
        If the user closes the dialog.
    """
    name, _ = QFileDialog.getOpenFileName(window(), title, "", formats)
    if not name:
        raise CancelledError(f"{title}: nothing was chosen")
    return Path(name)


def choose(title: str, question: str, options: Sequence[str]) -> str | None:
    """Return the option that the user picks, or None without a window.

    Raises
    ------
    CancelledError
        If the user closes the dialog, which needs no further message.
    """
    parent = window()
    if parent is None:
        return None
    answer, accepted = QInputDialog.getItem(parent, title, question, list(options), 0, False)
    if not accepted:
        raise CancelledError(f"{title}: nothing was chosen")
    return str(answer)
