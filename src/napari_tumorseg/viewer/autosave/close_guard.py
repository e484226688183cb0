"""Asking before a window with unsaved results or corrections closes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from weakref import ReferenceType, ref

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMainWindow, QMessageBox, QWidget

from napari_tumorseg.viewer.widgets import ask


class Answer(StrEnum):
    """Answers to the question about unsaved masks."""

    SAVE = "save"
    DISCARD = "discard"
    CANCEL = "cancel"
    LATER = "later"
    """They stay autosaved, to be offered when the scan is opened again."""


class CloseGuard(QObject):
    """Filters the close events of the window around a panel.

    Parameters
    ----------
    may_close : callable
        Asked before the window closes.
    """

    def __init__(self, may_close: Callable[[], bool]) -> None:
        super().__init__()
        self._may_close = may_close
        self._window: ReferenceType[QMainWindow] | None = None  # weak: it holds the panel, not the reverse

    @property
    def window(self) -> QMainWindow | None:
        """The window that is guarded, as long as it is there."""
        return self._window() if self._window is not None else None

    def watch(self, inside: QWidget) -> None:
        """Guard the outermost window around a widget."""
        found = outermost(inside)
        if found is None or found is self.window:
            return
        self.detach()
        self._window = ref(found)
        found.installEventFilter(self)

    def detach(self) -> None:
        """Stop guarding the window."""
        window, self._window = self.window, None
        if window is not None:
            window.removeEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Stop the close event of the window if it may not close."""
        if event.type() == QEvent.Type.Close and watched is self.window and not self._may_close():
            event.ignore()
            return True
        return False


def outermost(widget: QWidget) -> QMainWindow | None:
    """Return the outermost main window around a widget."""
    found, parent = None, widget.parentWidget()
    while parent is not None:
        found = parent if isinstance(parent, QMainWindow) else found
        parent = parent.parentWidget()
    return found


def listed(names: Sequence[str]) -> str:
    """Return names in words."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def ask_about(names: list[str]) -> Answer:
    """Ask whether to save unsaved masks; without a window, they stay autosaved."""
    parent = ask.window()
    if parent is None:
        return Answer.LATER
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("Unsaved masks")
    box.setText(f"Save {listed(names)}?")
    box.setInformativeText("Keep for later: they are offered when this scan is opened again.")
    roles = QMessageBox.ButtonRole
    buttons = {
        Answer.SAVE: box.addButton("Save…", roles.AcceptRole),
        Answer.LATER: box.addButton("Keep for later", roles.ActionRole),
        Answer.DISCARD: box.addButton("Discard", roles.DestructiveRole),
        Answer.CANCEL: box.addButton("Cancel", roles.RejectRole),
    }
    box.exec()
    chosen = box.clickedButton()
    return next((answer for answer, button in buttons.items() if button is chosen), Answer.CANCEL)
