"""Panel section to select the label to paint with, and to protect labels."""

from __future__ import annotations

from typing import Any

from napari.layers import Labels as LabelsLayer
from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QButtonGroup, QCheckBox, QGridLayout, QLabel, QRadioButton, QSizePolicy, QWidget

from napari_tumorseg.regions import Label, LabelConvention
from napari_tumorseg.viewer.layers.colours import shown_colour
from napari_tumorseg.viewer.state.active_mask import NO_MASK, ActiveMask

_NO_CONVENTION = "The label convention of this mask is unknown, so its labels have no names."


class LabelPicker(QWidget):
    """Labels of the mask by colour and name; the chosen one is napari's selected label.

    Strokes and tools for other labels do not change a protected label.
    """

    protected_changed = Signal()
    """The set of protected labels changed."""

    def __init__(self, active_mask: ActiveMask) -> None:
        super().__init__()
        self._active_mask = active_mask
        self._layer: LabelsLayer | None = None
        self._convention: LabelConvention | None = None
        self.choices: dict[int, QRadioButton] = {}
        self.ticks: dict[int, QCheckBox] = {}
        self._group = QButtonGroup(self)
        self._group.idClicked.connect(self._on_clicked)
        self._note = QLabel(NO_MASK)
        self._note.setWordWrap(True)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(9, 0, 9, 0)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(0, 1)
        self._grid.addWidget(self._note, 0, 0, 1, 2)
        active_mask.switched.connect(self._on_switched)
        active_mask.named.connect(self._on_switched)
        active_mask.changed.connect(self._on_changed)
        self._on_switched(active_mask.layer)

    @property
    def protected(self) -> frozenset[int]:
        """Labels that strokes and tools for other labels do not change."""
        return frozenset(value for value, tick in self.ticks.items() if tick.isChecked())

    def detach(self) -> None:
        """Stop following layers."""
        self._active_mask.switched.disconnect(self._on_switched)
        self._active_mask.named.disconnect(self._on_switched)
        self._active_mask.changed.disconnect(self._on_changed)
        self._follow(None)

    def _on_switched(self, layer: LabelsLayer | None) -> None:
        self._follow(layer)
        self._show_convention(self._active_mask.convention, layer is not None)

    def _on_changed(self, layer: LabelsLayer, change: Any) -> None:
        if self._active_mask.convention is not self._convention:  # painted labels can decide it
            self._show_convention(self._active_mask.convention, True)

    def _follow(self, layer: LabelsLayer | None) -> None:
        if self._layer is not None:
            self._layer.events.selected_label.disconnect(self._on_selected)
        self._layer = layer
        if layer is not None:
            layer.events.selected_label.connect(self._on_selected)

    def _show_convention(self, convention: LabelConvention | None, is_mask: bool) -> None:
        if convention is not self._convention:
            self._convention = convention
            self._make_rows(convention)
            self.protected_changed.emit()
        self._show_colours()
        self._note.setText(_NO_CONVENTION if is_mask else NO_MASK)
        self._note.setVisible(convention is None)
        self._on_selected()

    def _make_rows(self, convention: LabelConvention | None) -> None:
        for widget in (*self.choices.values(), *self.ticks.values()):
            self._grid.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        self.choices, self.ticks = {}, {}
        for row, label in enumerate(convention.labels if convention else (), start=1):
            choice, tick = _choice(label), _tick(label)
            tick.toggled.connect(lambda _: self.protected_changed.emit())
            self._group.addButton(choice, label.value)
            self._grid.addWidget(choice, row, 0)
            self._grid.addWidget(tick, row, 1, Qt.AlignmentFlag.AlignRight)
            self.choices[label.value], self.ticks[label.value] = choice, tick

    def _show_colours(self) -> None:
        for label in self._convention.labels if self._convention and self._layer is not None else ():
            self.choices[label.value].setIcon(_swatch(shown_colour(self._layer, label)))

    def _on_clicked(self, value: int) -> None:
        if self._layer is not None:
            self._layer.selected_label = value

    def _on_selected(self, event: Any = None) -> None:
        """Check the selected label; a label that the convention lacks leaves all unchecked."""
        choice = self.choices.get(self._layer.selected_label) if self._layer is not None else None
        self._group.setExclusive(False)
        for other in self.choices.values():
            other.setChecked(other is choice)
        self._group.setExclusive(True)


def _choice(label: Label) -> QRadioButton:
    button = QRadioButton(f"{label.short}   {label.name}")
    button.setToolTip(f"Paint with label {label.value}: {label.name}")
    button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)  # long names are cut
    return button


def _tick(label: Label) -> QCheckBox:
    tick = QCheckBox("protect")
    tick.setToolTip(
        f"Strokes and tools for other labels do not change {label.short}. "
        "Tools for the component under the cursor do."
    )
    return tick


def _swatch(colour: str, size: int = 14) -> QIcon:
    picture = QPixmap(size, size)
    picture.fill(QColor(colour))
    return QIcon(picture)
