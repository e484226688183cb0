"""Panel section to correct a mask by clicks."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox
from psygnal import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_tumorseg.viewer.correct.click_gestures import ClickGestures
from napari_tumorseg.viewer.correct.clicker import SELECTED_LABEL, WHOLE_LESION, Clicker
from napari_tumorseg.viewer.correct.label_section import LabelPicker
from napari_tumorseg.viewer.correct.tools import CLICKS
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.widgets.commands import command_button

_HOW = "Click adds, Alt + click removes; drag to scribble, Shift + drag for a box. Esc ends it."


class ClicksSection(QWidget):
    """A button that switches clicks on and off, and the region that they are for.

    Parameters
    ----------
    context : PanelContext
        Viewer and active mask.
    picker : LabelPicker
        Source of the protected labels.
    """

    reported = Signal(str)
    """Status message."""

    def __init__(self, context: PanelContext, picker: LabelPicker) -> None:
        super().__init__()
        self._context = context
        self.gestures = ClickGestures(context)
        self.clicker = Clicker(context, picker)
        self.button = command_button(CLICKS, _HOW)
        self.button.setCheckable(True)
        self.scope = ComboBox(
            choices=[SELECTED_LABEL],
            tooltip="What clicks add to and remove from: the selected label, a lesion of any labels, or a "
            "region of the tumour. What is added gets the selected label if that is a part of the region.",
        )
        hint = QLabel(_HOW)
        hint.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(self.button)
        row.addWidget(self.scope.native)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 0, 9, 4)
        column.setSpacing(3)
        column.addLayout(row)
        column.addWidget(hint)
        self._connect()
        self._offer_regions()

    def toggle(self) -> None:
        """Switch clicks on or off.

        Raises
        ------
        InputError
            In 3-D, or without a mask or a scan on its grid.
        """
        if self.gestures.is_on:
            self.gestures.switch_off()
            return
        try:
            self.clicker.prepare()
            self.gestures.switch_on()
        finally:
            self.button.setChecked(self.gestures.is_on)

    def detach(self) -> None:
        """Stop following the viewer and cancel background work."""
        self.gestures.switch_off()
        self.clicker.detach()
        self._context.active_mask.switched.disconnect(self._offer_regions)
        self._context.active_mask.named.disconnect(self._offer_regions)

    def _connect(self) -> None:
        self.button.clicked.connect(self._context.safely(self.toggle))
        self.scope.changed.connect(self._on_scope)
        self.gestures.made.connect(self._on_made)
        self.gestures.switched.connect(self._on_switched)
        self.clicker.reported.connect(self.reported.emit)
        self._context.active_mask.switched.connect(self._offer_regions)
        self._context.active_mask.named.connect(self._offer_regions)

    def _on_made(self, voxels: Any, adds: bool, is_box: bool) -> None:
        self._context.safely(lambda: self.clicker.click(voxels, adds, is_box))()

    def _on_switched(self, is_on: bool) -> None:
        self.button.setChecked(is_on)
        self.reported.emit(_HOW if is_on else "")

    def _on_scope(self, scope: str) -> None:
        self.clicker.scope = scope

    def _offer_regions(self, layer: object = None) -> None:
        """Offer the regions of the mask's convention that are more than one label."""
        convention = self._context.active_mask.convention
        regions = convention.regions if convention else {}
        several = [name for name, members in regions.items() if len(members) > 1]
        more = [WHOLE_LESION] if convention is None or len(convention.labels) > 1 else []
        self.scope.choices = [SELECTED_LABEL, *more, *several]
