"""Threshold control of the active mask: immediate results, one undo step for each move of the slider."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Labels as LabelsLayer
from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

from napari_tumorseg.edit import Change, find_change
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.stored_probabilities import StoredProbabilities
from napari_tumorseg.viewer.correct.locked_components import locked_mask
from napari_tumorseg.viewer.correct.rethreshold import (
    Rethresholded,
    Thresholds,
    is_same_edit,
    rethreshold,
    status_text,
)
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.layers.edits import Edits, Move
from napari_tumorseg.viewer.state.active_mask import ActiveMask
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask
from napari_tumorseg.viewer.widgets.background import Background

TITLE = "threshold"
_PAUSE_MS = 30
_QUIET_MS = 800


@dataclass
class _MaskThresholds:
    """Stored probabilities of one mask, and its labels at the thresholds used last."""

    stored: StoredProbabilities
    base: tuple[dict[str, float], Array] | None = None

    def current(self, edits: Edits) -> dict[str, float]:
        """Return the thresholds of uncorrected voxels: those of the run, unless they were moved."""
        run = dict.fromkeys(self.stored.output.names, self.stored.threshold)
        return run | {name: t for name, t in edits.thresholds.items() if name in run}

    def note(self, edits: Edits, thresholds: Thresholds) -> None:
        """Store the current thresholds with the edits of the mask."""
        are_moved = any(t != self.stored.threshold for t in thresholds.values())
        edits.set_thresholds(dict(thresholds) if are_moved else {})


@dataclass
class _SliderMove:
    """Move of the slider: the mask and thresholds at its start, and the undo step it has made so far."""

    edits: Edits
    start: Array
    since: dict[str, float]
    step: Change | None = None
    reached: dict[str, float] = field(default_factory=dict)

    def commit(self) -> None:
        """Record the step with the edits of the mask."""
        if self.step is not None:
            self.edits.note_move(Move(self.step, self.since, self.reached))
            self.step = None


class ThresholdControl(QObject):
    """Moves the thresholds of the active mask.

    While the slider moves, each new result replaces the one before (`Labels.undo`, then one new step), so
    that the table and the autosave follow and the history grows by one step. Any other edit ends the move.

    Parameters
    ----------
    active_mask : ActiveMask
        Mask whose thresholds are moved.
    is_painting : callable
        Returns whether the user is painting a stroke, which must not be disturbed.
    """

    reported = Signal(str)
    """Status message."""
    moved = Signal()
    """The thresholds of the active mask changed, or are not those asked for last."""

    def __init__(self, active_mask: ActiveMask, is_painting: Callable[[], bool]) -> None:
        super().__init__()
        self._active_mask = active_mask
        self._is_painting = is_painting
        self._masks: WeakKeyDictionary[LabelsLayer, _MaskThresholds] = WeakKeyDictionary()
        self._move: _SliderMove | None = None
        self._is_writing = False
        self._background = Background(self)
        self._wanted: tuple[dict[str, float], tuple[Index, ...]] | None = None
        self._soon = _timer(self, _PAUSE_MS, self._start)
        self._quiet = _timer(self, _QUIET_MS, self.commit)
        active_mask.edited.connect(self._on_edited)
        active_mask.switched.connect(self._on_switched)

    @property
    def is_busy(self) -> bool:
        """Whether a result is being computed."""
        return self._background.is_busy or self._soon.isActive()

    @property
    def thresholds(self) -> Thresholds:
        """Thresholds of the active mask by output; empty without stored probabilities."""
        known, mask = self._known(), self._active_mask.mask
        return known.current(mask.edits) if known and mask else {}

    def add(self, layer: LabelsLayer, stored: StoredProbabilities) -> None:
        """Register the stored probabilities of a mask."""
        known = self._masks.get(layer)
        if known is None or known.stored is not stored:
            self._masks[layer] = _MaskThresholds(stored)

    def set(self, thresholds: Thresholds, seeds: tuple[Index, ...] = ()) -> None:
        """Apply other thresholds soon; requests in quick succession become one.

        Parameters
        ----------
        thresholds : mapping of str to float
            New thresholds by output; other outputs keep theirs.
        seeds : tuple of voxels
            One voxel of each locked component.
        """
        if self._known() is None:
            return
        asked = self._wanted[0] if self._wanted else dict(self.thresholds)
        self._wanted = (asked | dict(thresholds), seeds)
        self._quiet.stop()
        if not self._background.is_busy:
            self._soon.start()

    def commit(self) -> None:
        """End the move of the slider, so that the next one is an undo step of its own."""
        self._quiet.stop()
        if self.is_busy:
            self._quiet.start()
            return
        self._commit_move()

    def detach(self) -> None:
        """Stop following the active mask and cancel what is being computed."""
        self._quiet.stop()
        self._cancel_wanted()
        self._commit_move()
        self._active_mask.edited.disconnect(self._on_edited)
        self._active_mask.switched.disconnect(self._on_switched)

    def _known(self) -> _MaskThresholds | None:
        layer = self._active_mask.layer
        return self._masks.get(layer) if layer is not None else None

    def _start(self) -> None:
        """Compute the labels at the wanted thresholds in the background."""
        known, mask, wanted = self._known(), self._active_mask.mask, self._wanted
        self._wanted = None
        if known is None or mask is None or wanted is None:
            return
        if self._move is None:
            labels = np.array(self._active_mask.labels())
            self._move = _SliderMove(mask.edits, labels, known.current(mask.edits))
        move, (goal, seeds) = self._move, wanted

        def work() -> tuple[Rethresholded, tuple[dict[str, float], Array]]:
            base = known.base
            if base is None or base[0] != move.since:
                base = (move.since, known.stored.labels_at(move.since))
            new = known.stored.labels_at(goal)
            return rethreshold(move.start, base[1], new, locked_mask(move.start, seeds)), base

        def done(found: tuple[Rethresholded, tuple[dict[str, float], Array]]) -> None:
            if self._move is move:
                known.base = found[1]
                self._write(known, move, found[0], goal)
            (self._soon if self._wanted is not None else self._quiet).start()

        self._background.start(work, done, self.reported.emit)

    def _write(
        self, known: _MaskThresholds, move: _SliderMove, result: Rethresholded, goal: dict[str, float]
    ) -> None:
        """Replace the step of a move by its new result, unless something else was edited since."""
        layer = self._active_mask.layer
        assert layer is not None
        if self._is_painting() or not self._is_newest(move):
            self._end_move()
            self.moved.emit()
            return
        self._is_writing = True
        try:
            with self._active_mask.replacing(move.step is not None):
                if move.step is not None:
                    layer.undo()
                    move.commit()
                    move.edits.undo_move()  # can be redone if no new step replaces it
                if self._active_mask.apply(result.change, TITLE):
                    move.step = result.change
        finally:
            self._is_writing = False
        move.reached = goal
        known.note(move.edits, goal)
        self.reported.emit(status_text(goal, move.step, result.unchanged))

    def _on_edited(self, mask: TrackedMask, change: Change, action: str) -> None:
        """Follow undo and redo of a threshold; any other edit ends the move."""
        if self._is_writing or mask.layer is not self._active_mask.layer:
            return
        self._end_move()
        known = self._known()
        if known is None:
            return
        edits = mask.edits
        if edits.moves and is_same_edit(change, edits.moves[-1].change.inverse):
            known.note(edits, edits.undo_move().before)
        elif edits.undone_moves and is_same_edit(change, edits.undone_moves[-1].change):
            known.note(edits, edits.redo_move().after)
        self.moved.emit()

    def _on_switched(self, layer: Any) -> None:
        self._cancel_wanted()
        self._quiet.stop()
        self._commit_move()

    def _commit_move(self) -> None:
        move, self._move = self._move, None
        if move is not None:
            move.commit()

    def _end_move(self) -> None:
        """End the move of the slider with the labels as they are."""
        self._cancel_wanted()
        self.commit()

    def _cancel_wanted(self) -> None:
        self._background.cancel()
        self._soon.stop()
        self._wanted = None

    def _is_newest(self, move: _SliderMove) -> bool:
        """Return whether the step of a move is the latest edit of the labels."""
        done = find_change(move.start, self._active_mask.labels())
        if done is None or move.step is None:
            return done is move.step
        return is_same_edit(done, move.step)


def _timer(parent: QObject, milliseconds: int, slot: Any) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(slot)
    return timer
