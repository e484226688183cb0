"""Panel section: the tools, each with its key on the button."""

from __future__ import annotations

from collections.abc import Callable

from magicgui.widgets import ComboBox, FloatSpinBox
from psygnal import Signal
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_tumorseg.viewer.keys import KEYS, titled

LESION = "whole lesion"
ONE_LABEL = "one label"

_POINTED = {"accept": "Keep", "reject": "Reject", "keep_only": "Keep only", "relabel": "Relabel"}
_SELECTED = {"grow": "Grow", "shrink": "Shrink", "smooth": "Smooth", "fill_between": "Fill between"}
_HOW = "Point at it and press the key, or press this button and then click it."


class ToolsSection(QWidget):
    """Buttons for what is done to the component under the cursor and to the selected label."""

    pointed = Signal(str)
    """A tool for the component that is clicked next: its action."""
    pressed = Signal(str)
    """A tool for the selected label: its action."""

    def __init__(self) -> None:
        super().__init__()
        self.buttons: dict[str, QPushButton] = {}
        self.scope = ComboBox(
            choices=[LESION, ONE_LABEL],
            tooltip="What keep, reject and keep only take for a component: a lesion whatever its labels, or "
            "the label that is pointed at; relabel always takes one label",
        )
        self.mm = FloatSpinBox(
            value=1.0, min=0.1, max=50, step=0.5, tooltip="How far to grow, shrink or smooth, in mm"
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 0, 9, 4)
        column.setSpacing(3)
        column.addLayout(_row("Component pointed at", self.scope.native))
        column.addLayout(self._grid(_POINTED, self.pointed.emit, _HOW))
        column.addLayout(_row("Selected label, by mm", self.mm.native))
        column.addLayout(self._grid(_SELECTED, self.pressed.emit, ""))
        column.addWidget(
            self._button("erase_outside", "Erase everything outside the brain", self.pressed.emit, "")
        )

    def _grid(self, names: dict[str, str], slot: Callable[[str], None], how: str) -> QGridLayout:
        grid = QGridLayout()
        grid.setSpacing(4)
        for place, (action, text) in enumerate(names.items()):
            grid.addWidget(self._button(action, text, slot, how), place // 2, place % 2)
        return grid

    def _button(self, action: str, text: str, slot: Callable[[str], None], how: str) -> QPushButton:
        button = tool_button(action, text, how)
        button.clicked.connect(lambda: slot(action))
        self.buttons[action] = button
        return button


def tool_button(action: str, text: str, how: str = "") -> QPushButton:
    """Return a button with its key on it, and what it does as its tip."""
    button = QPushButton(titled(text, action))
    does = KEYS[action].does
    button.setToolTip(f"{does[0].upper()}{does[1:]}. {how}".strip())
    return button


def _row(text: str, widget: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addWidget(QLabel(text))
    row.addWidget(widget)
    row.addStretch(1)
    return row
