"""Panel section: which label is painted with, and which ones are spared."""

from __future__ import annotations

from typing import Any

from napari.layers import Labels as LabelsLayer
from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QButtonGroup, QCheckBox, QGridLayout, QLabel, QRadioButton, QSizePolicy, QWidget

from napari_tumorseg.regions import Scheme
from napari_tumorseg.viewer.layers.colours import shown_colour
from napari_tumorseg.viewer.state.active_mask import ActiveMask

_NO_MASK = "No mask yet: segment the scan, or select a Labels layer."
_NO_SCHEME = "It is not known what the labels of this mask mean, so they have no names."


class LabelPicker(QWidget):
    """The labels of the mask's scheme by colour and name; the chosen one is napari's selected label.

    A label that is ticked as spared is left as it is by strokes and tools for another one.
    """

    spared_changed = Signal()
    """Another set of labels is spared."""

    def __init__(self, active_mask: ActiveMask) -> None:
        super().__init__()
        self._active_mask = active_mask
        self._layer: LabelsLayer | None = None
        self.choices: dict[int, QRadioButton] = {}
        self.ticks: dict[int, QCheckBox] = {}
        self._group = QButtonGroup(self)
        self._group.idClicked.connect(self._on_clicked)
        self._note = QLabel(_NO_MASK)
        self._note.setWordWrap(True)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(9, 0, 9, 0)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(0, 1)
        self._grid.addWidget(self._note, 0, 0, 1, 2)
        active_mask.switched.connect(self._on_switched)
        active_mask.changed.connect(self._on_changed)
        self._scheme: Scheme | None = None
        self._on_switched(active_mask.layer)

    @property
    def spared(self) -> frozenset[int]:
        """The labels that strokes and tools leave as they are."""
        return frozenset(value for value, tick in self.ticks.items() if tick.isChecked())

    def name_of(self, value: int) -> str:
        """Return a label's short name."""
        return name_in(self._scheme, value)

    def let_go(self) -> None:
        """Follow no layer any more."""
        self._active_mask.switched.disconnect(self._on_switched)
        self._active_mask.changed.disconnect(self._on_changed)
        self._follow(None)

    def _on_switched(self, layer: LabelsLayer | None) -> None:
        self._follow(layer)
        self._show_scheme(self._active_mask.scheme, layer is not None)

    def _on_changed(self, layer: LabelsLayer, change: Any) -> None:
        if self._active_mask.scheme is not self._scheme:  # what was painted can tell which scheme it is
            self._show_scheme(self._active_mask.scheme, True)

    def _follow(self, layer: LabelsLayer | None) -> None:
        if self._layer is not None:
            self._layer.events.selected_label.disconnect(self._on_selected)
        self._layer = layer
        if layer is not None:
            layer.events.selected_label.connect(self._on_selected)

    def _show_scheme(self, scheme: Scheme | None, is_mask: bool) -> None:
        if scheme is not self._scheme:
            self._scheme = scheme
            self._make_rows(scheme)
            self.spared_changed.emit()
        self._show_colours()
        self._note.setText(_NO_SCHEME if is_mask else _NO_MASK)
        self._note.setVisible(scheme is None)
        self._on_selected()

    def _make_rows(self, scheme: Scheme | None) -> None:
        for widget in (*self.choices.values(), *self.ticks.values()):
            self._grid.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        self.choices, self.ticks = {}, {}
        for row, label in enumerate(scheme.labels if scheme else (), start=1):
            choice = QRadioButton(f"{label.short}   {label.name}")
            choice.setToolTip(f"Paint with label {label.value}: {label.name}")
            choice.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)  # long names are cut
            tick = QCheckBox("spare")
            tick.setToolTip(
                f"Strokes and tools for other labels leave {label.short} as it is; "
                "tools that work on a component under the cursor do not ask"
            )
            tick.toggled.connect(lambda _: self.spared_changed.emit())
            self._group.addButton(choice, label.value)
            self._grid.addWidget(choice, row, 0)
            self._grid.addWidget(tick, row, 1, Qt.AlignmentFlag.AlignRight)
            self.choices[label.value], self.ticks[label.value] = choice, tick

    def _show_colours(self) -> None:
        for label in self._scheme.labels if self._scheme and self._layer is not None else ():
            self.choices[label.value].setIcon(_swatch(shown_colour(self._layer, label)))

    def _on_clicked(self, value: int) -> None:
        if self._layer is not None:
            self._layer.selected_label = value

    def _on_selected(self, event: Any = None) -> None:
        """Show what is selected; a label that the scheme does not have is none of the choices."""
        choice = self.choices.get(self._layer.selected_label) if self._layer is not None else None
        self._group.setExclusive(False)
        for other in self.choices.values():
            other.setChecked(other is choice)
        self._group.setExclusive(True)


def name_in(scheme: Scheme | None, value: int) -> str:
    """Return a label's short name in a scheme, as far as that has one."""
    if value == 0:
        return "background"
    return scheme.label(value).short if scheme and value in scheme.values else f"label {value}"


def _swatch(colour: str, size: int = 14) -> QIcon:
    picture = QPixmap(size, size)
    picture.fill(QColor(colour))
    return QIcon(picture)
