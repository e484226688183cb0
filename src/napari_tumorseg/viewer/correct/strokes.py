"""Paint constraints applied to napari's strokes.

napari's brush takes no rule, so each stroke is checked when it is complete. A stroke that broke the rule is
undone, and the allowed part of it is written instead: the history holds one step for it, undo takes back the
whole stroke, and redo brings back only the allowed part.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

from napari_tumorseg.edit import Change, allowed, change_to, find_change, repair_stroke
from napari_tumorseg.geometry import Array
from napari_tumorseg.viewer.state.active_mask import ActiveMask
from napari_tumorseg.viewer.state.mask_tracker import ACTION_OF_MODE
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask

_ALL_UNDONE = "The stroke was undone: all of it was outside the area for strokes, or on protected labels."


@dataclass(frozen=True, eq=False)
class StrokeRule:
    """Area in which strokes may paint.

    Attributes
    ----------
    protected : frozenset of int
        Labels that a stroke does not change.
    inside : frozenset of int or None
        Paint only over these labels, 0 for background.
    image : (Z, Y, X) array or None
        Image whose intensities count, on the grid of the mask.
    low, high : float or None
        Intensity range, both ends included.
    """

    protected: frozenset[int] = frozenset()
    inside: frozenset[int] | None = None
    image: Array | None = None
    low: float | None = None
    high: float | None = None

    @property
    def idle(self) -> bool:
        """Whether all strokes are allowed."""
        return not self.protected and self.inside is None and self.image is None

    def repaired(self, stroke: Change) -> Array:
        """Return the allowed labels in the box of a stroke."""
        image = None if self.image is None else self.image[stroke.box]
        low, high = (None, None) if image is None else (self.low, self.high)
        may = allowed(stroke.before, image, low, high, inside=self.inside, protected=self.protected)
        block = stroke.after.copy()
        repair = repair_stroke(stroke.before, stroke.after, may)
        if repair is not None:
            repair.apply(block)
        return block


class StrokeGuard(QObject):
    """Applies a rule to the strokes on the active mask.

    Strokes are those of the brush, the eraser, the bucket and the polygon, not the tools of the panel.

    Parameters
    ----------
    active_mask : ActiveMask
        Mask whose strokes are checked.

    Attributes
    ----------
    rule : StrokeRule
        Rule for the next strokes.
    """

    reported = Signal(str)
    """Status message about a stroke of which nothing is left."""

    def __init__(self, active_mask: ActiveMask) -> None:
        super().__init__()
        self.rule = StrokeRule()
        self._active_mask = active_mask
        self._layer: LabelsLayer | None = None
        self._steps = 0  # of the history, not checked yet
        self._before: Array | None = None
        self._is_pressed = self._is_busy = False
        self._timer = QTimer(self)  # napari completes the history only after its event
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self.check)
        active_mask.edited.connect(self._on_edited)
        active_mask.switched.connect(self._follow)
        self._follow(active_mask.layer)

    @property
    def is_waiting(self) -> bool:
        """Whether a stroke is still to be checked."""
        return self._timer.isActive()

    @property
    def is_painting(self) -> bool:
        """Whether the user is painting a stroke."""
        return self._is_pressed and self._layer is not None and str(self._layer.mode) in ACTION_OF_MODE

    @property
    def is_at_work(self) -> bool:
        """Whether the current edits are made by the guard itself."""
        return self._is_busy

    def detach(self) -> None:
        """Stop following the active mask."""
        self._active_mask.edited.disconnect(self._on_edited)
        self._active_mask.switched.disconnect(self._follow)
        self._follow(None)

    def check(self) -> None:
        """Check the strokes since the last time and replace those that broke the rule."""
        layer = self._layer
        if self._is_pressed or layer is None:  # the end of the current stroke starts another check
            return
        steps, self._steps = self._steps, 0
        before, self._before = self._before, None
        if not steps or self.rule.idle or (before is not None and self._is_allowed(before)):
            return
        self._is_busy = True
        try:
            with self._active_mask.replacing():
                self._replace(layer, steps)
        finally:
            self._is_busy = False

    def _is_allowed(self, before: Array) -> bool:
        """Return whether all changes since `before` follow the rule."""
        change = find_change(before, self._active_mask.labels())
        return change is None or np.array_equal(self.rule.repaired(change), change.after)

    def _replace(self, layer: LabelsLayer, steps: int) -> None:
        """Undo the last steps and write the allowed part of each."""
        strokes = self._undo(layer, steps)
        blocks = [self.rule.repaired(stroke) for stroke in strokes]
        pairs = list(zip(blocks, strokes, strict=True))
        if all(np.array_equal(block, stroke.after) for block, stroke in pairs):
            for _ in range(steps):
                layer.redo()
            return
        if all(np.array_equal(block, stroke.before) for block, stroke in pairs):
            self.reported.emit(_ALL_UNDONE)
        for block, stroke in pairs:
            labels = self._active_mask.labels()
            painted = block != stroke.before  # where strokes overlap, each counts only where it painted
            new = np.where(painted, block, labels[stroke.box])
            self._active_mask.apply(change_to(labels, stroke.box, new), "paint")

    def _undo(self, layer: LabelsLayer, steps: int) -> list[Change]:
        """Undo steps of the history and return the strokes that they were, the earliest first."""
        strokes = []
        for _ in range(steps):
            after = np.array(self._active_mask.labels())
            layer.undo()
            strokes.append(find_change(self._active_mask.labels(), after))
        return [stroke for stroke in reversed(strokes) if stroke is not None]

    def _follow(self, layer: LabelsLayer | None) -> None:
        if self._layer is not None:
            self._layer.events.paint.disconnect(self._on_paint)
            if self._on_drag in self._layer.mouse_drag_callbacks:
                self._layer.mouse_drag_callbacks.remove(self._on_drag)
        self._timer.stop()
        self._steps, self._before, self._is_pressed = 0, None, False
        self._layer = layer
        if layer is not None:
            layer.events.paint.connect(self._on_paint)
            layer.mouse_drag_callbacks.append(self._on_drag)

    def _on_drag(self, layer: LabelsLayer, event: Any) -> Generator[None, None, None]:
        self._is_pressed = True
        if not self.rule.idle and str(layer.mode) in ACTION_OF_MODE and self._before is None:
            self._before = np.array(self._active_mask.labels())
        yield
        while event.type == "mouse_move":
            yield
        self._is_pressed = False
        self._timer.start()

    def _on_paint(self, event: Any) -> None:
        """Count a stroke's step; napari emits this once the step is in the history."""
        if self._is_busy or self._layer is None or self.rule.idle:
            return
        if str(self._layer.mode) in ACTION_OF_MODE:
            self._steps += 1
            self._timer.start()

    def _on_edited(self, mask: TrackedMask, change: Change, action: str) -> None:
        """Forget steps that a tool made, or that were undone."""
        is_stroke = action in ACTION_OF_MODE.values() or action == "edit"
        if not self._is_busy and mask.layer is self._layer and not is_stroke:
            self._steps, self._before = 0, None
