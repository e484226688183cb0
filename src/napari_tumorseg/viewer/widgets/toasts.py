"""Errors that do not stand for ever: as napari's notifications, and in lines of the panel."""

from __future__ import annotations

from contextlib import suppress

from magicgui.widgets import Label
from napari.utils import notifications
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QApplication, QDialog

STANDS_MS = 15_000
"""napari lets its own go after 4 s, but only in a window that was the active one all the time."""
_ours: set[str] = set()


class ForAWhile(QObject):
    """Shows sentences in a line of the panel; each goes after a while unless another one came.

    Parameters
    ----------
    line : Label
        Where; others may write there, too.
    """

    def __init__(self, line: Label) -> None:
        super().__init__(line.native)
        self._line, self._text = line, ""
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._end)

    def show(self, text: str, stays: bool = False) -> None:
        """Show a sentence: for a while, or until there is another one."""
        self._line.value = self._text = text
        self._later.stop()
        if not stays:
            self._later.start(STANDS_MS)

    def _end(self) -> None:
        if self._line.value == self._text:
            self._line.value = ""


def show_error(text: str) -> None:
    """Show an error in the place of the one before; it goes after a while, unless it is being read."""
    _close(*_ours)
    _ours.clear()
    _ours.add(text)
    notifications.show_error(text)
    QTimer.singleShot(STANDS_MS, lambda: _close(text, unless_read=True))


def all_toasts() -> list[QDialog]:
    """Return napari's notifications that are on the screen."""
    found = [x for x in QApplication.allWidgets() if type(x).__name__ == "NapariQtNotification"]
    return [toast for toast in found if isinstance(toast, QDialog) and toast.isVisible()]


def text_of(toast: QDialog) -> str:
    """Return what a notification says."""
    return str(toast.message.text())  # type: ignore[attr-defined]


def _close(*texts: str, unless_read: bool = False) -> None:
    for toast in all_toasts():
        is_read = toast.underMouse() or bool(toast.property("expanded"))
        if text_of(toast) in texts and not (unless_read and is_read):
            with suppress(RuntimeError):  # the window goes at this very moment
                toast.close()
