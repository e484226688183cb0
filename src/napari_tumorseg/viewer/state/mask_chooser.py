"""A drop-down list of the Labels layers that are there."""

from __future__ import annotations

from typing import Any

from napari.components.layerlist import LayerList
from napari.layers import Labels as LabelsLayer
from psygnal import Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy

from napari_tumorseg.viewer.layers.origin import is_view

_WIDTH = 14


class MaskChooser(QComboBox):
    """Lists the masks of a viewer and follows them as they come, go and change their names.

    Parameters
    ----------
    layers : LayerList
        Of the viewer.
    nothing : str
        What stands for no mask.
    """

    chosen = Signal()
    """Another mask is chosen."""

    def __init__(self, layers: LayerList, nothing: str = "choose a mask") -> None:
        super().__init__()
        self._layers = layers
        self._nothing = nothing
        self._offered: list[LabelsLayer | None] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumContentsLength(_WIDTH)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        layers.events.inserted.connect(self._on_layers)
        layers.events.removed.connect(self._on_layers)
        layers.events.reordered.connect(self._on_layers)
        self.currentIndexChanged.connect(self._on_index)
        self._on_layers()

    @property
    def layer(self) -> LabelsLayer | None:
        """The mask that is chosen."""
        index = self.currentIndex()
        return self._offered[index] if 0 <= index < len(self._offered) else None

    def choose(self, layer: LabelsLayer | None) -> None:
        """Choose a mask, or none."""
        if layer in self._offered:
            self.setCurrentIndex(self._offered.index(layer))

    def detach(self) -> None:
        """Follow the viewer no more."""
        self._layers.events.inserted.disconnect(self._on_layers)
        self._layers.events.removed.disconnect(self._on_layers)
        self._layers.events.reordered.disconnect(self._on_layers)
        for layer in self._offered:
            if layer is not None:
                layer.events.name.disconnect(self._on_layers)
        self._offered = []

    def _on_layers(self, event: Any = None) -> None:
        before = self.layer
        for layer in self._offered:
            if layer is not None:
                layer.events.name.disconnect(self._on_layers)
        masks = [x for x in self._layers if isinstance(x, LabelsLayer) and not is_view(x)]
        self._offered = [None, *masks[::-1]]
        for layer in masks:
            layer.events.name.connect(self._on_layers)
        self.blockSignals(True)
        self.clear()
        self.addItems([self._nothing if layer is None else layer.name for layer in self._offered])
        self.setCurrentIndex(self._offered.index(before) if before in self._offered else 0)
        self.blockSignals(False)
        self.setToolTip(self.currentText())
        if self.layer is not before:
            self.chosen.emit()

    def _on_index(self, index: int) -> None:
        self.setToolTip(self.currentText())
        self.chosen.emit()
