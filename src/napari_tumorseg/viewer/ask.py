"""Asking the user one question, where there is a window to ask in."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtWidgets import QApplication, QInputDialog, QWidget


def window() -> QWidget | None:
    """Return a window on the screen that a dialog can belong to, or None where nobody looks."""
    if QApplication.instance() is None:
        return None
    active = QApplication.activeWindow()
    if active is not None:
        return active
    return next((w for w in QApplication.topLevelWidgets() if w.isVisible() and w.isWindow()), None)


def choose(title: str, question: str, options: Sequence[str]) -> str | None:
    """Return the option that the user picks, or None if nobody can be asked or the dialog is dismissed."""
    parent = window()
    if parent is None:
        return None
    answer, accepted = QInputDialog.getItem(parent, title, question, list(options), 0, False)
    return str(answer) if accepted else None
