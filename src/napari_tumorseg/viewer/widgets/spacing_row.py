"""Row of the panel to state a voxel size that the file does not store."""

from __future__ import annotations

from magicgui.widgets import LineEdit, PushButton
from psygnal import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_tumorseg import parsing
from napari_tumorseg.errors import InputError
from napari_tumorseg.viewer.widgets.messages import worded
from napari_tumorseg.viewer.widgets.section import wrapping_label

_UNKNOWN = "The voxel size is unknown: volumes stay in voxels, and steps in mm are off."
_STATED = "The voxel size was typed here; the file does not store it."


class SpacingRow(QWidget):
    """Field for the voxel size, with a note that it is unknown or was typed."""

    stated = Signal(tuple)
    """(Z, Y, X) in mm."""
    refused = Signal(str)
    """The text is not a voxel size: the message."""

    def __init__(self) -> None:
        super().__init__()
        note = wrapping_label()
        self.text = LineEdit(tooltip="Z Y X in mm, as in: 5 0.94 0.94")
        self.text.native.setPlaceholderText("Z Y X")
        self.button = PushButton(text="Set")
        row = QHBoxLayout()
        row.addWidget(QLabel("Voxel size (mm)"))
        row.addWidget(self.text.native)
        row.addWidget(self.button.native)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(note.native)
        layout.addLayout(row)
        self._note = note
        self.show_stated(False)
        self.button.changed.connect(self.take)
        self.text.native.returnPressed.connect(self.take)

    def show_stated(self, stated: bool) -> None:
        """Show whether the voxel size is unknown or was typed here."""
        self._note.value = _STATED if stated else _UNKNOWN

    def take(self) -> None:
        """Use the text as the voxel size."""
        try:
            spacing = parse_spacing(self.text.value)
        except InputError as error:
            self.refused.emit(worded(error))
        else:
            self.stated.emit(spacing)


def parse_spacing(text: str) -> tuple[float, float, float]:
    """Return the three numbers (Z, Y, X) of a text, with either decimal mark.

    Raises
    ------
    InputError
        If there are not three positive ones.
    """
    try:
        return parsing.parse_spacing(text)
    except ValueError:
        raise InputError(
            f"a voxel size is three positive numbers in mm (Z Y X), such as 5 0.94 0.94, not {text!r}"
        ) from None
