"""Panel section with a button for each tool."""

from __future__ import annotations

from collections.abc import Sequence

from magicgui.widgets import ComboBox
from psygnal import Signal
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_tumorseg.viewer.correct.tools import LOCK, TOOLS
from napari_tumorseg.viewer.widgets.commands import Command, command_button
from napari_tumorseg.viewer.widgets.spin_boxes import DecimalSpinBox

LESION = "whole lesion"
ONE_LABEL = "one label"

_HOW_TO_POINT = "Point at it and press the key, or press this button and then click it."


class ToolsSection(QWidget):
    """Buttons of the tools, in the order of the table."""

    pressed = Signal(object)
    """A tool's button was pressed: its `Command`."""

    def __init__(self) -> None:
        super().__init__()
        self.buttons: dict[str, QPushButton] = {}
        self.scope = ComboBox(
            choices=[LESION, ONE_LABEL],
            tooltip="Component that Lock, Reject and Keep only work on: a lesion of any labels, or only the "
            "label pointed at. Relabel always works on one label.",
        )
        self.mm = DecimalSpinBox(
            value=1.0, min=0.1, max=50, step=0.5, tooltip="Distance to grow, shrink or smooth, in mm"
        )
        on_components = [LOCK, *(tool for tool in TOOLS if tool.needs_component)]
        on_labels = [tool for tool in TOOLS if tool.needs_label]
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 0, 9, 4)
        column.setSpacing(3)
        column.addLayout(_row("Component pointed at", self.scope.native))
        column.addLayout(self._grid(on_components, _HOW_TO_POINT))
        column.addLayout(_row("Selected label, by mm", self.mm.native))
        column.addLayout(self._grid(on_labels))
        for tool in TOOLS:
            if tool not in (*on_components, *on_labels):
                column.addWidget(self._button(tool))

    def _grid(self, commands: Sequence[Command], hint: str = "") -> QGridLayout:
        grid = QGridLayout()
        grid.setSpacing(4)
        for place, command in enumerate(commands):
            grid.addWidget(self._button(command, hint), place // 2, place % 2)
        return grid

    def _button(self, command: Command, hint: str = "") -> QPushButton:
        button = command_button(command, hint)
        button.clicked.connect(lambda: self.pressed.emit(command))
        self.buttons[command.name] = button
        return button


def _row(text: str, widget: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.addWidget(QLabel(text))
    row.addWidget(widget)
    row.addStretch(1)
    return row
