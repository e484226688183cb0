"""Panel section: where the model is unsure, how sure it is of what it found, and another threshold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from magicgui.widgets import ComboBox
from napari.layers import Labels as LabelsLayer
from psygnal import Signal
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.confidence import find, in_words
from napari_tumorseg.inference.stored_probabilities import StoredProbabilities
from napari_tumorseg.inference.uncertainty import uncertain_slices
from napari_tumorseg.viewer.correct.locked_components import KeptMarks
from napari_tumorseg.viewer.correct.threshold import Rethreshold
from napari_tumorseg.viewer.correct.tools_section import tool_button
from napari_tumorseg.viewer.layers.origin import PROBABILITIES_KEY
from napari_tumorseg.viewer.layers.probability_maps import UNCERTAINTY, is_shown, show_map
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.state.navigation import sliced_axis, turn_to
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.section import wrapping_label

ALL = "all regions"
_NO_MAPS = (
    "This mask has no probability maps. They are kept by a run if Keep probability maps is ticked under "
    "Segment, Options."
)
_PAUSE_MS = 300


class LookWhereSection(QWidget):
    """Shows maps on demand, steps through uncertain slices, and moves the threshold."""

    reported = Signal(str)
    """A sentence on what was done."""

    def __init__(self, context: PanelContext, kept: KeptMarks, is_painting: Callable[[], bool]) -> None:
        super().__init__()
        self._context, self._kept = context, kept
        self._maps: dict[tuple[int, str], Any] = {}
        self._background, self._finder = Background(self), Background(self)
        self._uncertainty: tuple[StoredProbabilities, Array] | None = None
        self._visited: dict[int, set[int]] = defaultdict(set)
        self.rethreshold = Rethreshold(context.active_mask, is_painting)
        self.words = wrapping_label()
        self.buttons: dict[str, QPushButton] = {}
        self._maps_row = QHBoxLayout()
        self.next = tool_button("next_uncertain", "Next most uncertain slice")
        self.which = ComboBox(choices=self._outputs, tooltip="Which regions' threshold is moved")
        self.slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.reset = QPushButton("Reset")
        self._lay_out()
        self._connect()
        self._on_switched(context.active_mask.layer)

    @property
    def stored(self) -> StoredProbabilities | None:
        """What the run that made the active mask kept."""
        layer = self._context.active_mask.layer
        found = layer.metadata.get(PROBABILITIES_KEY) if layer is not None else None
        return found if isinstance(found, StoredProbabilities) else None

    @property
    def is_busy(self) -> bool:
        """Whether something is under way in the background."""
        return self._background.is_busy or self._finder.is_busy or self.rethreshold.is_busy

    # ---- what the user does

    def show_one(self, name: str) -> None:
        """Show a map, or take it away if it is there."""
        stored, layer = self.stored, self._context.active_mask.layer
        if stored is None or layer is None:
            raise InputError(_NO_MAPS)
        key = (id(stored), name)
        viewer = self._context.viewer
        if is_shown(viewer, self._maps.get(key)):
            viewer.layers.remove(self._maps.pop(key))
        elif name == UNCERTAINTY:
            self._with_uncertainty(lambda found: self._show(stored, name, found))
        else:
            self._show(stored, name, stored.probabilities[name])
        self._show_pressed()

    def go_on(self) -> None:
        """Go to the most uncertain slice that was not visited yet; after the last to the first again."""
        mask = self._context.active_mask.mask
        if mask is None or self.stored is None:
            raise InputError(_NO_MAPS)
        axis = sliced_axis(self._context.viewer.dims, mask)
        if axis is None:
            raise InputError("In 3-D there is no slice to go to: turn to slices first.")
        self._with_uncertainty(lambda found: self._go(found, axis))

    def move_threshold(self, value: float) -> None:
        """Set the threshold of the regions that are chosen."""
        stored = self.stored
        if stored is None:
            return
        names = stored.output.names if self.which.value == ALL else (self.which.value,)
        self.rethreshold.set(dict.fromkeys(names, round(value, 2)), self._kept.seeds)

    def back_to_model(self) -> None:
        """Set all thresholds to those of the run."""
        stored = self.stored
        if stored is not None:
            self.rethreshold.set(dict.fromkeys(stored.output.names, stored.threshold), self._kept.seeds)
            self._show_threshold(stored.threshold)

    def detach(self) -> None:
        """Follow nothing any more."""
        active_mask = self._context.active_mask
        active_mask.switched.disconnect(self._on_switched)
        active_mask.changed.disconnect(self._on_changed)
        self._context.viewer.layers.events.removed.disconnect(self._show_pressed)
        self.rethreshold.detach()
        for one in (self._background, self._finder):
            one.cancel()
        self._pause.stop()

    # ---- what happens

    def _on_switched(self, layer: LabelsLayer | None) -> None:
        stored = self.stored
        self._visited.clear()
        if layer is not None and stored is not None:
            self.rethreshold.attach(layer, stored)
        self._make_buttons(stored)
        self.which.reset_choices()
        for widget in (self.next, self._threshold_row):
            widget.setVisible(stored is not None)
        self._threshold_row.setVisible(stored is not None and stored.adjustable)
        self._show_thresholds()
        self._show_pressed()
        if stored is None:
            self.words.value = _NO_MAPS
        else:
            self._count()

    def _on_changed(self, layer: LabelsLayer, change: Any) -> None:
        if self.stored is not None:
            self._pause.start()

    def _count(self) -> None:
        """Tell anew what was found; in the background, since it reads the whole of the maps."""
        stored = self.stored
        if stored is None:
            return
        labels = np.array(self._context.active_mask.labels())

        def work() -> str:
            return in_words(find(labels, stored.probabilities, stored.box, stored.output))

        def done(text: str) -> None:
            self.words.value = f"{text[:1].upper()}{text[1:]}."

        self._finder.start(work, done, self.reported.emit)

    def _with_uncertainty(self, use: Any) -> None:
        """Give the uncertainty map to `use`, made in the background when it is first needed."""
        stored = self.stored
        assert stored is not None
        if self._uncertainty is not None and self._uncertainty[0] is stored:
            use(self._uncertainty[1])
            return

        def done(found: Array) -> None:
            self._uncertainty = (stored, found)
            use(found)

        self._background.start(stored.uncertainty, done, self._context.report_error)

    def _show(self, stored: StoredProbabilities, name: str, values: Array) -> None:
        mask = self._context.active_mask.mask
        if mask is None or self.stored is not stored:
            return
        viewer = self._context.viewer
        grid = self._context.active_mask.grid() or stored.grid  # the voxel size may be stated since the run
        layer = show_map(viewer, name, values, stored.box, grid, mask.layer.name)
        self._maps[id(stored), name] = layer
        self._show_pressed()

    def _go(self, uncertainty: Array, axis: int) -> None:
        stored = self.stored
        if stored is None:
            return
        start = stored.box[axis].start
        ranked = [index + start for index in uncertain_slices(uncertainty, axis)]
        if not ranked:
            self.reported.emit("The model is certain of every voxel: no slice is uncertain.")
            return
        visited = self._visited[axis]
        left = [index for index in ranked if index not in visited]
        if not left:
            visited.clear()
            left = ranked
        visited.add(left[0])
        place = [side.start for side in stored.box]
        place[axis] = left[0]
        turn_to(self._context.viewer.dims, self._context.active_mask, place)
        self.reported.emit(
            f"Slice {left[0]}: number {ranked.index(left[0]) + 1} of {len(ranked)} uncertain ones."
        )

    # ---- how it looks

    def _outputs(self, widget: Any) -> list[str]:
        stored = self.stored
        names = list(stored.output.names) if stored else []
        return [ALL, *names] if len(names) != 1 else names

    def _make_buttons(self, stored: StoredProbabilities | None) -> None:
        for button in self.buttons.values():
            self._maps_row.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.buttons = {}
        for name in (*stored.shown, UNCERTAINTY) if stored else ():
            button = QPushButton(name)
            button.setCheckable(True)
            button.setMinimumWidth(40)
            what = "how unsure the model is" if name == UNCERTAINTY else f"the probability of {name}"
            button.setToolTip(f"Show {what}, 0 to 255, over the scan; press again to take it away")
            button.clicked.connect(self._context.safely(lambda name=name: self.show_one(name)))  # type: ignore[misc]
            self._maps_row.addWidget(button, stretch=2 if name == UNCERTAINTY else 1)
            self.buttons[name] = button

    def _show_pressed(self, event: Any = None) -> None:
        stored, viewer = self.stored, self._context.viewer
        self._maps = {key: layer for key, layer in self._maps.items() if is_shown(viewer, layer)}
        for name, button in self.buttons.items():
            button.setChecked(stored is not None and (id(stored), name) in self._maps)

    def _show_thresholds(self) -> None:
        thresholds = self.rethreshold.thresholds
        if thresholds:
            own = thresholds.get(self.which.value)
            self._show_threshold(own if own is not None else next(iter(thresholds.values())))

    def _show_threshold(self, value: float) -> None:
        self.slider.blockSignals(True)
        self.slider.setValue(value)
        self.slider.blockSignals(False)

    def _connect(self) -> None:
        context = self._context
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self._count)
        self.next.clicked.connect(context.safely(self.go_on))
        self.slider.valueChanged.connect(self.move_threshold)
        self.slider.sliderReleased.connect(self.rethreshold.finish)
        self.reset.clicked.connect(context.safely(self.back_to_model))
        self.which.changed.connect(lambda _: self._show_thresholds())
        self.rethreshold.told.connect(self.reported.emit)
        self.rethreshold.moved.connect(self._show_thresholds)
        context.active_mask.switched.connect(self._on_switched)
        context.active_mask.changed.connect(self._on_changed)
        context.viewer.layers.events.removed.connect(self._show_pressed)

    def _lay_out(self) -> None:
        self.slider.setRange(0.01, 0.99)
        self.slider.setSingleStep(0.01)  # type: ignore[arg-type]
        self.slider.setDecimals(2)
        self.slider.setToolTip("Probability from which a voxel counts; voxels that you corrected stay")
        self.reset.setToolTip("Back to the threshold of the run")
        self.which.native.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._threshold_row = QWidget()
        column = QVBoxLayout(self._threshold_row)
        column.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        for widget in (QLabel("Threshold"), self.which.native, self.reset):
            row.addWidget(widget)
        column.addLayout(row)
        column.addWidget(self.slider)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(9, 0, 9, 4)
        whole.setSpacing(4)
        whole.addWidget(self.words.native)
        whole.addLayout(self._maps_row)
        whole.addWidget(self.next)
        whole.addWidget(self._threshold_row)
