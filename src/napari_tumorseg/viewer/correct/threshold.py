"""Another threshold on the stored probabilities: at once, one undo step, corrections stay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from napari_tumorseg.viewer.correct.locked_components import kept_mask
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.layers.edits import Edits, Move
from napari_tumorseg.viewer.state.active_mask import ActiveMask
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask
from napari_tumorseg.viewer.widgets.background import Background

Thresholds = Mapping[str, float]

ACTION = "threshold"
_PAUSE_MS = 30
_QUIET_MS = 800


@dataclass
class _State:
    """Of one mask: what its run kept, and the labels at the thresholds that were asked for last."""

    stored: StoredProbabilities
    base: tuple[dict[str, float], Array] | None = None

    def now(self, edits: Edits) -> dict[str, float]:
        """Return the thresholds that uncorrected voxels have: the run's, or those they were moved to."""
        run = dict.fromkeys(self.stored.output.names, self.stored.threshold)
        return run | {name: t for name, t in edits.thresholds.items() if name in run}

    def settle(self, edits: Edits, thresholds: Thresholds) -> None:
        """Take note of the thresholds that they have now."""
        are_moved = any(t != self.stored.threshold for t in thresholds.values())
        edits.set_thresholds(dict(thresholds) if are_moved else {})


@dataclass
class _Drag:
    """A slider that is being moved: of which mask, from where, and the step that stands for it so far."""

    edits: Edits
    start: Array
    since: dict[str, float]
    step: Change | None = None
    reached: dict[str, float] = field(default_factory=dict)

    def end(self) -> None:
        """Make it a step that can be undone."""
        if self.step is not None:
            self.edits.note_move(Move(self.step, self.since, self.reached))
            self.step = None


@dataclass(frozen=True)
class Outcome:
    """A new threshold's labels.

    Attributes
    ----------
    change : Change or None
        From the labels before the slider was touched.
    kept : int
        Voxels that would have changed and stay: corrections, and components marked as kept.
    """

    change: Change | None
    kept: int


class Rethreshold(QObject):
    """Moves the thresholds of the active mask; each move of a slider is one undo step in the end.

    While a slider is moved, each new result takes the place of the one before (`Labels.undo`, then one new
    step), so that the table and the autosave follow and the history grows by one. Whatever else edits the
    mask ends the move.

    Parameters
    ----------
    active_mask : ActiveMask
        Whose thresholds are moved.
    is_painting : callable
        Tells whether a stroke is under way, which is not to be disturbed.
    """

    told = Signal(str)
    """A sentence on what is so now."""
    moved = Signal()
    """The thresholds of the active mask are others than were asked for last."""

    def __init__(self, active_mask: ActiveMask, is_painting: Callable[[], bool]) -> None:
        super().__init__()
        self._active_mask = active_mask
        self._is_painting = is_painting
        self._states: WeakKeyDictionary[LabelsLayer, _State] = WeakKeyDictionary()
        self._drag: _Drag | None = None
        self._is_writing = False
        self._background = Background(self)
        self._wanted: tuple[dict[str, float], tuple[Index, ...]] | None = None
        self._soon = _timer(self, _PAUSE_MS, self._start)
        self._quiet = _timer(self, _QUIET_MS, self.finish)
        active_mask.edited.connect(self._on_edited)
        active_mask.switched.connect(self._on_switched)

    @property
    def is_busy(self) -> bool:
        """Whether a result is still to come."""
        return self._background.is_busy or self._soon.isActive()

    @property
    def thresholds(self) -> Thresholds:
        """Those of the active mask, by output; empty where it has no probabilities."""
        state, mask = self._state(), self._active_mask.mask
        return state.now(mask.edits) if state and mask else {}

    def attach(self, layer: LabelsLayer, stored: StoredProbabilities) -> None:
        """Take note of what the run that made a mask kept."""
        known = self._states.get(layer)
        if known is None or known.stored is not stored:
            self._states[layer] = _State(stored)

    def set(self, thresholds: Thresholds, seeds: tuple[Index, ...] = ()) -> None:
        """Ask for other thresholds; several in short order are one.

        Parameters
        ----------
        thresholds : mapping of str to float
            By output; others stay.
        seeds : tuple of voxels
            Of components that are marked as kept.
        """
        if self._state() is None:
            return
        asked = self._wanted[0] if self._wanted else dict(self.thresholds)
        self._wanted = (asked | dict(thresholds), seeds)
        self._quiet.stop()
        if not self._background.is_busy:
            self._soon.start()

    def finish(self) -> None:
        """End the move of the slider: the next one is a step of its own."""
        self._quiet.stop()
        if self.is_busy:
            self._quiet.start()
            return
        self._let_slider_go()

    def detach(self) -> None:
        """Follow nothing any more."""
        self._soon.stop()
        self._quiet.stop()
        self._background.cancel()
        self._let_slider_go()
        self._active_mask.edited.disconnect(self._on_edited)
        self._active_mask.switched.disconnect(self._on_switched)

    def _state(self) -> _State | None:
        layer = self._active_mask.layer
        return self._states.get(layer) if layer is not None else None

    def _start(self) -> None:
        state, mask, wanted = self._state(), self._active_mask.mask, self._wanted
        self._wanted = None
        if state is None or mask is None or wanted is None:
            return
        if self._drag is None:
            self._drag = _Drag(mask.edits, np.array(self._active_mask.labels()), state.now(mask.edits))
        drag, (goal, seeds) = self._drag, wanted

        def work() -> tuple[Outcome, tuple[dict[str, float], Array]]:
            base = state.base
            if base is None or base[0] != drag.since:
                base = (drag.since, state.stored.labels_at(drag.since))
            new = state.stored.labels_at(goal)
            return rethresholded(drag.start, base[1], new, kept_mask(drag.start, seeds)), base

        def done(found: tuple[Outcome, tuple[dict[str, float], Array]]) -> None:
            if self._drag is drag:
                state.base = found[1]
                self._write(state, drag, found[0], goal)
            if self._wanted is not None:
                self._soon.start()
            else:
                self._quiet.start()

        self._background.start(work, done, self.told.emit)

    def _write(self, state: _State, drag: _Drag, outcome: Outcome, goal: dict[str, float]) -> None:
        layer = self._active_mask.layer
        assert layer is not None
        if self._is_painting() or not self._is_newest(drag):
            self._end()
            self.moved.emit()
            return
        self._is_writing = True
        try:
            with self._active_mask.replacing(drag.step is not None):
                if drag.step is not None:
                    layer.undo()
                    drag.end()
                    drag.edits.undo_move()  # where nothing takes its place, it can be redone
                if self._active_mask.apply(outcome.change, ACTION):
                    drag.step = outcome.change
        finally:
            self._is_writing = False
        drag.reached = goal
        state.settle(drag.edits, goal)
        self.told.emit(in_words(goal, drag.step, outcome.kept))

    def _on_edited(self, mask: TrackedMask, change: Change, action: str) -> None:
        """Follow undo and redo of a threshold; anything else that is edited ends the move."""
        if self._is_writing or mask.layer is not self._active_mask.layer:
            return
        self._end()
        state = self._state()
        if state is None:
            return
        edits = mask.edits
        if edits.moves and same(change, edits.moves[-1].change.inverse):
            state.settle(edits, edits.undo_move().before)
        elif edits.undone_moves and same(change, edits.undone_moves[-1].change):
            state.settle(edits, edits.redo_move().after)
        self.moved.emit()

    def _on_switched(self, layer: Any) -> None:
        self._forget_wanted()
        self._quiet.stop()
        self._let_slider_go()

    def _let_slider_go(self) -> None:
        drag, self._drag = self._drag, None
        if drag is not None:
            drag.end()

    def _end(self) -> None:
        """End the move of the slider where the labels are now."""
        self._forget_wanted()
        self.finish()

    def _forget_wanted(self) -> None:
        """Drop what was asked for and is not there yet."""
        self._background.cancel()
        self._soon.stop()
        self._wanted = None

    def _is_newest(self, drag: _Drag) -> bool:
        """Tell whether the step of a move is the last thing that was done to the labels."""
        done = find_change(drag.start, self._active_mask.labels())
        if done is None or drag.step is None:
            return done is drag.step
        return same(done, drag.step)


def rethresholded(labels: Array, base: Array, new: Array, kept: Array | None = None) -> Outcome:
    """Return how labels follow from one threshold's result to another's, but where they were corrected.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        As they are, corrections included.
    base : array of uint8
        What the model gave at the threshold they have: where they differ from it, they were corrected.
    new : array of uint8
        What it gives at another one.
    kept : array of bool, optional
        Voxels that stay, beside the corrected ones.
    """
    step = find_change(base, new)
    if step is None:
        return Outcome(None, 0)
    now = labels[step.box]
    stays = now != step.before
    if kept is not None:
        stays |= kept[step.box]
    after = np.where(stays, now, step.after)
    spared = int(np.count_nonzero(stays & (step.before != step.after) & (now != step.after)))
    whole = Change(step.box, now.copy(), after)
    return Outcome(whole if whole.voxels else None, spared)


def in_words(thresholds: Thresholds, step: Change | None, kept: int) -> str:
    """Return what was done, and that corrections were kept."""
    levels = sorted(set(thresholds.values()))
    at = f"{levels[0]:.2f}" if len(levels) == 1 else ", ".join(f"{n} {t:.2f}" for n, t in thresholds.items())
    text = f"Threshold {at}: {step.voxels if step else 0} voxels changed"
    return f"{text}; {kept} that you corrected or marked as kept stay as they are." if kept else f"{text}."


def same(one: Change, other: Change) -> bool:
    """Tell whether two changes do the same, if one's box is larger than it need be."""
    return _moves(one) == _moves(other)


def _moves(change: Change) -> tuple[bytes, ...]:
    indices, values = change.as_setitem()
    return (*(axis.tobytes() for axis in indices), values.tobytes())


def _timer(parent: QObject, milliseconds: int, slot: Any) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(slot)
    return timer
