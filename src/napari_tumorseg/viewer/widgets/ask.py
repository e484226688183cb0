"""Asking the user one question, where there is a window to ask in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from napari.utils import notifications
from qtpy.QtWidgets import QApplication, QInputDialog, QWidget

from napari_tumorseg.errors import CancelledError, TumorSegError
from napari_tumorseg.viewer.widgets.messages import short


def window() -> QWidget | None:
    """Return a window on the screen that a dialog can belong to, or None where nobody looks."""
    if QApplication.instance() is None:
        return None
    active = QApplication.activeWindow()
    if active is not None:
        return active
    return next((w for w in QApplication.topLevelWidgets() if w.isVisible() and w.isWindow()), None)


def tell(error: TumorSegError, paths: Iterable[Path | str]) -> None:
    """Show an error about some files as a notification, for which napari would show its whole traceback.

    Raises
    ------
    TumorSegError
        This one, where nobody looks.
    """
    if window() is None:
        raise error
    if not isinstance(error, CancelledError):  # which is an answer
        notifications.show_error(short(error, paths))


def choose(title: str, question: str, options: Sequence[str]) -> str | None:
    """Return the option that the user picks, or None if nobody can be asked.

    Raises
    ------
    CancelledError
        If the dialog is dismissed, which is an answer: nothing more needs to be said.
    """
    parent = window()
    if parent is None:
        return None
    answer, accepted = QInputDialog.getItem(parent, title, question, list(options), 0, False)
    if not accepted:
        raise CancelledError(f"{title}: nothing was chosen")
    return str(answer)
