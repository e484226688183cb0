"""Panel section on the uncertainty of the model: confidence, maps, uncertain slices, threshold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from psygnal import Signal
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.confidence import find, in_words
from napari_tumorseg.inference.uncertainty import uncertain_slices
from napari_tumorseg.viewer.correct.locked_components import LockedComponents
from napari_tumorseg.viewer.correct.map_buttons import NO_MAPS, MapButtons, ProbabilityMaps
from napari_tumorseg.viewer.correct.threshold_row import ThresholdRow
from napari_tumorseg.viewer.correct.tools import NEXT_UNCERTAIN
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.state.navigation import sliced_axis, turn_to
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.commands import command_button
from napari_tumorseg.viewer.widgets.section import wrapping_label

_PAUSE_MS = 300


class UncertaintySection(QWidget):
    """Shows the confidence of the model, its maps and its uncertain slices, and moves the threshold.

    Parameters
    ----------
    context : PanelContext
        Viewer and active mask.
    locked : LockedComponents
        Components that the threshold does not change.
    is_painting : callable
        Returns whether the user is painting a stroke.
    """

    reported = Signal(str)
    """Status message."""

    def __init__(
        self, context: PanelContext, locked: LockedComponents, is_painting: Callable[[], bool]
    ) -> None:
        super().__init__()
        self._context = context
        self._background = Background(self)
        self._visited: dict[int, set[int]] = defaultdict(set)
        self.maps = ProbabilityMaps(context)
        self.confidence = wrapping_label()
        self.map_buttons = MapButtons(context, self.maps)
        self.next = command_button(NEXT_UNCERTAIN)
        self.threshold = ThresholdRow(context, self.maps, locked, is_painting)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 0, 9, 4)
        column.setSpacing(4)
        for widget in (self.confidence.native, self.map_buttons, self.next, self.threshold):
            column.addWidget(widget)
        self._connect()
        self._on_switched(context.active_mask.layer)

    @property
    def is_busy(self) -> bool:
        """Whether anything is computed in the background."""
        return self._background.is_busy or self.maps.is_busy or self.threshold.control.is_busy

    def show_next(self) -> None:
        """Show the most uncertain slice not visited yet; the first one again after the last.

        Raises
        ------
        InputError
            In 3-D, or if there are no stored probabilities.
        """
        mask = self._context.active_mask.mask
        self.maps.require()
        axis = sliced_axis(self._context.viewer.dims, mask) if mask is not None else None
        if axis is None:
            raise InputError("In 3-D there is no slice to go to: turn to slices first.")
        self.maps.with_uncertainty(lambda found: self._turn_to_next(found, axis))

    def detach(self) -> None:
        """Stop following the viewer and cancel background work."""
        active_mask = self._context.active_mask
        active_mask.switched.disconnect(self._on_switched)
        active_mask.changed.disconnect(self._on_changed)
        self.map_buttons.detach()
        self.threshold.control.detach()
        self.maps.cancel()
        self._background.cancel()
        self._pause.stop()

    def _connect(self) -> None:
        self._pause.timeout.connect(self._update_confidence)
        self.next.clicked.connect(self._context.safely(self.show_next))
        self.threshold.control.reported.connect(self.reported.emit)
        self._context.active_mask.switched.connect(self._on_switched)
        self._context.active_mask.changed.connect(self._on_changed)

    def _on_switched(self, layer: LabelsLayer | None) -> None:
        stored = self.maps.stored
        self._visited.clear()
        self.map_buttons.reset()
        self.threshold.reset()
        self.next.setVisible(stored is not None)
        if stored is None:
            self.confidence.value = NO_MAPS
        else:
            self._update_confidence()

    def _on_changed(self, layer: LabelsLayer, change: Any) -> None:
        if self.maps.stored is not None:
            self._pause.start()

    def _update_confidence(self) -> None:
        """Compute the confidence in the background, since it reads the whole maps."""
        stored = self.maps.stored
        if stored is None:
            return
        labels = np.array(self._context.active_mask.labels())

        def work() -> str:
            return in_words(find(labels, stored.probabilities, stored.box, stored.output))

        def done(text: str) -> None:
            self.confidence.value = f"{text[:1].upper()}{text[1:]}."

        self._background.start(work, done, self.reported.emit)

    def _turn_to_next(self, uncertainty: Array, axis: int) -> None:
        stored = self.maps.stored
        if stored is None:
            return
        start = stored.box[axis].start
        ranked = [index + start for index in uncertain_slices(uncertainty, axis)]
        if not ranked:
            self.reported.emit("The model is certain of every voxel: no slice is uncertain.")
            return
        index = self._next_of(ranked, axis)
        place = [side.start for side in stored.box]
        place[axis] = index
        turn_to(self._context.viewer.dims, self._context.active_mask, place)
        self.reported.emit(
            f"Slice {index}: number {ranked.index(index) + 1} of {len(ranked)} uncertain ones."
        )

    def _next_of(self, ranked: list[int], axis: int) -> int:
        """Return the first slice not visited yet, and mark it as visited."""
        visited = self._visited[axis]
        if visited.issuperset(ranked):
            visited.clear()
        index = next(index for index in ranked if index not in visited)
        visited.add(index)
        return index
