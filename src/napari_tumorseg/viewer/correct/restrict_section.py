"""Panel section to restrict strokes to labels or to an intensity range."""

from __future__ import annotations

from typing import Any

import numpy as np
from magicgui.widgets import ComboBox
from napari.layers import Image as ImageLayer
from psygnal import Signal
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFormLayout, QSizePolicy, QWidget
from superqt import QLabeledDoubleRangeSlider

from napari_tumorseg.geometry import Array
from napari_tumorseg.regions import LabelConvention
from napari_tumorseg.viewer.correct.strokes import StrokeRule
from napari_tumorseg.viewer.layers.inputs import usable
from napari_tumorseg.viewer.state.active_mask import ActiveMask
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.widgets.spin_boxes import accept_either_mark

_ANY_INTENSITY = "any intensity"
_ANYWHERE = "anywhere"
_TUMOUR = "the tumour (any label)"
_BACKGROUND = "the background only"


class RestrictSection(QWidget):
    """Restricts strokes to an intensity range of an image, or to the inside of a label."""

    edited = Signal()
    """The rule changed."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._images: list[ImageLayer] = []
        self._wanted: ImageLayer | None = None
        self._convention: LabelConvention | None = None
        self.inside = ComboBox(choices=self._places, tooltip="Labels that strokes may paint over")
        self.image = ComboBox(choices=self._names, tooltip="Image whose intensities limit strokes")
        self.range = _range_slider()
        self._later = QTimer(self)  # several layers come or go at once
        self._later.setSingleShot(True)
        self._later.setInterval(0)
        self._lay_out()
        self._connect()
        self._offer()

    def _lay_out(self) -> None:
        self._form = form = QFormLayout(self)
        form.setContentsMargins(9, 0, 9, 4)
        form.addRow("Paint only inside", self.inside.native)
        form.addRow("Paint only where", self.image.native)
        form.addRow(self.range)
        for box in (self.inside, self.image):
            box.native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            box.native.setMinimumContentsLength(10)

    def _connect(self) -> None:
        self.inside.changed.connect(lambda: self.edited.emit())
        self.image.changed.connect(self._on_image)
        self.range.valueChanged.connect(lambda _: self.edited.emit())
        self._later.timeout.connect(self._offer)
        layers = self._context.viewer.layers
        layers.events.inserted.connect(self._soon)
        layers.events.removed.connect(self._soon)
        layers.events.renamed.connect(self._soon)
        self._context.active_mask.switched.connect(self._soon)

    def rule(self, protected: frozenset[int]) -> StrokeRule:
        """Return the rule for strokes, with labels that are protected."""
        layer = self.chosen
        low, high = self.range.value() if layer is not None else (None, None)
        return StrokeRule(protected, self._inside(), self._canonical(layer), low, high)

    @property
    def chosen(self) -> ImageLayer | None:
        """Image whose intensities limit strokes, if any."""
        return self._wanted if self._wanted in self._images else None

    def detach(self) -> None:
        """Stop following the viewer."""
        layers = self._context.viewer.layers
        layers.events.inserted.disconnect(self._soon)
        layers.events.removed.disconnect(self._soon)
        layers.events.renamed.disconnect(self._soon)
        self._context.active_mask.switched.disconnect(self._soon)
        self._later.stop()

    def _inside(self) -> frozenset[int] | None:
        value = self.inside.value
        if value == _ANYWHERE:
            return None
        if value == _BACKGROUND:
            return frozenset({0})
        if value == _TUMOUR:
            return frozenset(range(1, 256))
        convention = self._convention
        return frozenset(x.value for x in convention.labels if x.short == value) if convention else None

    def _canonical(self, layer: ImageLayer | None) -> Array | None:
        mask = self._context.active_mask.mask
        return mask.axes.canonical(np.asarray(layer.data)) if layer is not None and mask else None

    def _soon(self, event: Any = None) -> None:
        self._later.start()

    def _offer(self) -> None:
        active_mask: ActiveMask = self._context.active_mask
        self._convention = active_mask.convention
        layer = active_mask.layer
        self._images = [
            image
            for image in self._context.viewer.layers
            if layer is not None
            and usable(image)
            and not image.rgb
            and np.shape(image.data) == np.shape(layer.data)
            and np.allclose(image.translate, layer.translate)
        ]
        if self._wanted not in self._context.viewer.layers:
            self._wanted = None
        self.inside.reset_choices()
        with self.image.changed.blocked():  # the choice is a layer, whatever its name is now
            self.image.reset_choices()
            self.image.value = self.chosen.name if self.chosen is not None else _ANY_INTENSITY
        self._form.setRowVisible(self.range, self.chosen is not None)
        self.edited.emit()

    def _places(self, widget: Any) -> list[str]:
        labels = [label.short for label in self._convention.labels] if self._convention else []
        return [_ANYWHERE, _TUMOUR, _BACKGROUND, *labels]

    def _names(self, widget: Any) -> list[str]:
        return [_ANY_INTENSITY, *(layer.name for layer in self._images)]

    def _on_image(self) -> None:
        layer = self._wanted = next((x for x in self._images if x.name == self.image.value), None)
        self._form.setRowVisible(self.range, layer is not None)
        if layer is not None:
            low, high = (float(v) for v in layer.contrast_limits_range)
            self.range.setDecimals(0 if high - low > 100 else 2)
            self.range.setRange(low, high)  # type: ignore[arg-type]
            self.range.setValue((low, high))
        self.edited.emit()


def _range_slider() -> QLabeledDoubleRangeSlider:
    slider = QLabeledDoubleRangeSlider(Qt.Orientation.Horizontal)
    slider.setEdgeLabelMode(QLabeledDoubleRangeSlider.EdgeLabelMode.NoLabel)
    slider.setDecimals(0)
    slider.setMinimumHeight(44)
    accept_either_mark(slider)
    return slider
