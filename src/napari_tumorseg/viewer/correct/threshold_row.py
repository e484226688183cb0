"""Slider for the threshold of the stored probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from magicgui.widgets import ComboBox
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider

from napari_tumorseg.viewer.correct.locked_components import LockedComponents
from napari_tumorseg.viewer.correct.map_buttons import ProbabilityMaps
from napari_tumorseg.viewer.correct.threshold import ThresholdControl
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.widgets.spin_boxes import accept_either_mark

ALL = "all regions"


class ThresholdRow(QWidget):
    """Slider, choice of the regions and a reset button.

    Parameters
    ----------
    context : PanelContext
        Viewer and active mask.
    maps : ProbabilityMaps
        Probabilities of the active mask.
    locked : LockedComponents
        Components that do not change.
    is_painting : callable
        Returns whether the user is painting a stroke.
    """

    def __init__(
        self,
        context: PanelContext,
        maps: ProbabilityMaps,
        locked: LockedComponents,
        is_painting: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._maps, self._locked, self._active_mask = maps, locked, context.active_mask
        self.control = ThresholdControl(context.active_mask, is_painting)
        self.region = ComboBox(choices=self._regions, tooltip="Regions whose threshold the slider moves")
        self.slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.button = QPushButton("Reset")
        self._lay_out()
        self.slider.valueChanged.connect(self._on_slider)
        self.slider.sliderReleased.connect(self.control.commit)
        self.button.clicked.connect(context.safely(self.restore_run))
        self.region.changed.connect(lambda _: self._show_thresholds())
        self.control.moved.connect(self._show_thresholds)

    def reset(self) -> None:
        """Show the thresholds of the active mask, if they can be moved."""
        layer, stored = self._active_mask.layer, self._maps.stored
        if layer is not None and stored is not None:
            self.control.add(layer, stored)
        self.region.reset_choices()
        self.setVisible(stored is not None and stored.adjustable)
        self._show_thresholds()

    def restore_run(self) -> None:
        """Set all thresholds to those of the run."""
        stored = self._maps.stored
        if stored is not None:
            self.control.set(dict.fromkeys(stored.output.names, stored.threshold), self._locked.seeds)
            self._show(stored.threshold)

    def _on_slider(self, value: float) -> None:
        stored = self._maps.stored
        if stored is None:
            return
        names = stored.output.names if self.region.value == ALL else (self.region.value,)
        self.control.set(dict.fromkeys(names, round(value, 2)), self._locked.seeds)

    def _regions(self, widget: Any) -> list[str]:
        stored = self._maps.stored
        names = list(stored.output.names) if stored else []
        return [ALL, *names] if len(names) != 1 else names

    def _show_thresholds(self) -> None:
        thresholds = self.control.thresholds
        if thresholds:
            own = thresholds.get(self.region.value)
            self._show(own if own is not None else next(iter(thresholds.values())))

    def _show(self, value: float) -> None:
        self.slider.blockSignals(True)
        self.slider.setValue(value)
        self.slider.blockSignals(False)

    def _lay_out(self) -> None:
        self.slider.setRange(0.01, 0.99)
        self.slider.setSingleStep(0.01)  # type: ignore[arg-type]
        self.slider.setDecimals(2)
        self.slider.setToolTip("Smallest probability of a tumour voxel. Corrected voxels do not change.")
        accept_either_mark(self.slider)
        self.button.setToolTip("Restore the threshold of the run")
        self.region.native.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        row = QHBoxLayout()
        for widget in (QLabel("Threshold"), self.region.native, self.button):
            row.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.slider)
