"""Titled, collapsible section of the panel, and texts that wrap."""

from __future__ import annotations

from magicgui.widgets import Label, Widget
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSizePolicy, QToolButton, QVBoxLayout, QWidget


class Section(QWidget):
    """Title with a widget below it.

    Parameters
    ----------
    title : str
        Shown in bold.
    body : magicgui Widget or QWidget
        Widget to show or hide.
    is_open : bool
        Whether the body is shown at first.
    """

    def __init__(self, title: str, body: Widget | QWidget, is_open: bool = True) -> None:
        super().__init__()
        self.body: QWidget = body.native if isinstance(body, Widget) else body
        self.button = QToolButton()
        self.button.setText(title)
        self.button.setStyleSheet("QToolButton { border: none; font-weight: bold; background: transparent; }")
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setCheckable(True)
        self.button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.button.toggled.connect(self._show_body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.button)
        layout.addWidget(self.body)
        self.button.setChecked(is_open)
        self._show_body(is_open)

    def _show_body(self, shown: bool) -> None:
        self.button.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)
        self.body.setVisible(shown)


def wrapping_label() -> Label:
    """Return an empty text that wraps to the available width."""
    label = Label(value="")
    label.native.setWordWrap(True)
    policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    policy.setHeightForWidth(True)
    label.native.setSizePolicy(policy)
    return label


class Note:
    """Text below the controls of a section; hidden while empty."""

    def __init__(self) -> None:
        self._label = wrapping_label()
        self._label.native.setTextFormat(Qt.TextFormat.PlainText)  # it shows names of files and layers
        self.value = ""

    @property
    def native(self) -> QWidget:
        """The widget."""
        found: QWidget = self._label.native
        return found

    @property
    def value(self) -> str:
        """The text."""
        return str(self._label.value)

    @value.setter
    def value(self, text: str) -> None:
        self._label.value = text
        self.native.setVisible(bool(text))
