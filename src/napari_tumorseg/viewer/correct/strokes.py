"""Strokes that keep to where they may: what went too far is taken out of the stroke itself.

A rule cannot be given to napari's brush, so a stroke is looked at when it is whole. If it broke the rule, it
is undone and what was allowed of it is written in its place: so the history holds one step for it, undo
takes the whole stroke back, and redo brings back no more than was allowed.
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

_ALL_TAKEN_BACK = "The stroke was taken back: all of it lay where strokes may not go, or on spared labels."


@dataclass(frozen=True, eq=False)
class StrokeRule:
    """Where one may paint.

    Attributes
    ----------
    spare : frozenset of int
        Labels that a stroke leaves as they are.
    inside : frozenset of int or None
        Paint only over these labels, 0 for background.
    image : (Z, Y, X) array or None
        Whose intensities count, on the grid of the mask.
    low, high : float or None
        Their range, both ends included.
    """

    spare: frozenset[int] = frozenset()
    inside: frozenset[int] | None = None
    image: Array | None = None
    low: float | None = None
    high: float | None = None

    @property
    def idle(self) -> bool:
        """Whether all strokes are allowed."""
        return not self.spare and self.inside is None and self.image is None

    def repaired(self, stroke: Change) -> Array:
        """Return the labels in the box of a stroke as it may leave them."""
        image = None if self.image is None else self.image[stroke.box]
        low, high = (None, None) if image is None else (self.low, self.high)
        may = allowed(stroke.before, image, low, high, inside=self.inside, protected=self.spare)
        block = stroke.after.copy()
        repair = repair_stroke(stroke.before, stroke.after, may)
        if repair is not None:
            repair.apply(block)
        return block


class StrokeGuard(QObject):
    """Holds the strokes on the active mask to a rule.

    The rule is `rule`; strokes are those of the brush, the eraser, the bucket and the polygon, not the tools
    of the panel.
    """

    reported = Signal(str)
    """A sentence on a stroke of which nothing is left."""

    def __init__(self, active_mask: ActiveMask) -> None:
        super().__init__()
        self.rule = StrokeRule()
        self._active_mask = active_mask
        self._layer: LabelsLayer | None = None
        self._steps = 0  # of the history that were not looked at
        self._before: Array | None = None
        self._is_pressed = self._is_busy = False
        self._timer = QTimer(self)  # after the event: the history is not whole while it is told of
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self.mend)
        active_mask.edited.connect(self._on_edited)
        active_mask.switched.connect(self._follow)
        self._follow(active_mask.layer)

    @property
    def is_waiting(self) -> bool:
        """Whether a stroke is still to be looked at."""
        return self._timer.isActive()

    @property
    def is_painting(self) -> bool:
        """Whether a stroke is under way."""
        return self._is_pressed and self._layer is not None and str(self._layer.mode) in ACTION_OF_MODE

    @property
    def is_at_work(self) -> bool:
        """Whether the edits of this moment are its own."""
        return self._is_busy

    def detach(self) -> None:
        """Guard nothing any more."""
        self._active_mask.edited.disconnect(self._on_edited)
        self._active_mask.switched.disconnect(self._follow)
        self._follow(None)

    def mend(self) -> None:
        """Look at the strokes since the last time and replace those that broke the rule."""
        layer = self._layer
        if self._is_pressed or layer is None:  # the end of the stroke under way comes back here
            return
        steps, self._steps = self._steps, 0
        before, self._before = self._before, None
        if not steps or self.rule.idle or (before is not None and self._is_kept(before)):
            return
        self._is_busy = True
        try:
            with self._active_mask.replacing():
                self._replace(layer, steps)
        finally:
            self._is_busy = False

    def _is_kept(self, before: Array) -> bool:
        """Tell whether all that changed since then keeps to the rule."""
        change = find_change(before, self._active_mask.labels())
        return change is None or np.array_equal(self.rule.repaired(change), change.after)

    def _replace(self, layer: LabelsLayer, steps: int) -> None:
        """Undo the last steps and write what was allowed of each."""
        strokes = []
        for _ in range(steps):
            after = np.array(self._active_mask.labels())
            layer.undo()
            strokes.append(find_change(self._active_mask.labels(), after))
        whole = [stroke for stroke in reversed(strokes) if stroke is not None]
        blocks = [self.rule.repaired(stroke) for stroke in whole]
        if all(np.array_equal(b, stroke.after) for b, stroke in zip(blocks, whole, strict=True)):
            for _ in range(steps):
                layer.redo()
            return
        if all(np.array_equal(b, stroke.before) for b, stroke in zip(blocks, whole, strict=True)):
            self.reported.emit(_ALL_TAKEN_BACK)
        for stroke, block in zip(whole, blocks, strict=True):
            labels = self._active_mask.labels()
            painted = block != stroke.before  # of strokes over each other, each counts where it painted
            new = np.where(painted, block, labels[stroke.box])
            self._active_mask.apply(change_to(labels, stroke.box, new), "paint")

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
        """Count a step that a stroke made; napari tells of it when it is in the history."""
        if self._is_busy or self._layer is None or self.rule.idle:
            return
        if str(self._layer.mode) in ACTION_OF_MODE:
            self._steps += 1
            self._timer.start()

    def _on_edited(self, mask: TrackedMask, change: Change, action: str) -> None:
        """Let go of steps that a tool made, or that were undone."""
        is_stroke = action in ACTION_OF_MODE.values() or action == "edit"
        if not self._is_busy and mask.layer is self._layer and not is_stroke:
            self._steps, self._before = 0, None
