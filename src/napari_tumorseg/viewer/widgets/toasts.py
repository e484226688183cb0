"""Errors that disappear after a while, as napari notifications and in status lines."""

from __future__ import annotations

from contextlib import suppress

from magicgui.widgets import Label
from napari.utils import notifications
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QApplication, QDialog

STANDS_MS = 15_000
"""napari closes its own after 4 s, but only in a window that stayed active."""
_ours: set[str] = set()


class TimedStatus(QObject):
    """Messages in a status line, each cleared after a while unless another one replaced it.

    Parameters
    ----------
    line : Label
        Status line; other code may write there, too.
    """

    def __init__(self, line: Label) -> None:
        super().__init__(line.native)
        self._line, self._text = line, ""
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._clear)

    def show(self, text: str, stays: bool = False) -> None:
        """Show a message for a while, or until the next one if it `stays`."""
        self._line.value = self._text = text
        self._later.stop()
        if not stays:
            self._later.start(STANDS_MS)

    def _clear(self) -> None:
        if self._line.value == self._text:
            self._line.value = ""


def show_error(text: str) -> None:
    """Show an error in place of the previous one; it closes after a while unless the user is reading it."""
    _close(*_ours)
    _ours.clear()
    _ours.add(text)
    notifications.show_error(text)
    QTimer.singleShot(STANDS_MS, lambda: _close(text, unless_read=True))


def all_toasts() -> list[QDialog]:
    """Return the visible napari notifications."""
    found = [x for x in QApplication.allWidgets() if type(x).__name__ == "NapariQtNotification"]
    return [toast for toast in found if isinstance(toast, QDialog) and toast.isVisible()]


def text_of(toast: QDialog) -> str:
    """Return the text of a notification."""
    return str(toast.message.text())  # type: ignore[attr-defined]


def _close(*texts: str, unless_read: bool = False) -> None:
    for toast in all_toasts():
        is_read = toast.underMouse() or bool(toast.property("expanded"))
        if text_of(toast) in texts and not (unless_read and is_read):
            with suppress(RuntimeError):  # the window is being closed
                toast.close()
