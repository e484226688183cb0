"""Edits of a mask since it was opened or saved, kept in the layer's metadata."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari.layers import Layer
from psygnal import Signal

from napari_tumorseg.edit import Change
from napari_tumorseg.edit.clicks import Click
from napari_tumorseg.session import EditCounts

EDITS_KEY = "tumorseg-edits"
"""Metadata key of a layer's `Edits`."""


@dataclass(frozen=True, eq=False)
class Move:
    """A step of the thresholds: its change of the mask, and the thresholds before and after it."""

    change: Change
    before: Mapping[str, float]
    after: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class ClickStep:
    """A click and its change of the mask; None where it changed nothing."""

    click: Click
    change: Change | None


@dataclass(eq=False)
class Edits:
    """The editor's actions on one mask.

    Attributes
    ----------
    edit_counts : EditCounts
        All of them, for the provenance of what is saved.
    unsaved : bool
        Whether the mask as it is now is in no file of the user's: it was edited, or is a model's result.
    journal : Path or None
        Where they are autosaved.
    at_first : dict of int to int
        How many voxels each label had before them.
    locked : tuple of (Z, Y, X)
        One canonical voxel of each locked component.
    thresholds : dict of str to float
        Of the model's outputs, where they were moved from those of the run; else empty.
    clicks, undone_clicks : tuple of ClickStep
        Clicks on the mask, and those that were undone and can come back; the latest last.
    moves, undone_moves : tuple of Move
        Steps that led to them, and those that were undone and can come back; the latest last.
    """

    saved = Signal()
    """The mask was written to a file of the user's."""
    locks_changed = Signal()
    """The locked components changed."""
    rethresholded = Signal()
    """The thresholds are others."""

    edit_counts: EditCounts = field(default_factory=EditCounts)
    unsaved: bool = False
    journal: Path | None = None
    at_first: dict[int, int] = field(default_factory=dict)
    locked: tuple[tuple[int, int, int], ...] = ()
    thresholds: dict[str, float] = field(default_factory=dict)
    clicks: tuple[ClickStep, ...] = ()
    undone_clicks: tuple[ClickStep, ...] = ()
    moves: tuple[Move, ...] = ()
    undone_moves: tuple[Move, ...] = ()

    def note(self, action: str) -> None:
        """Count one more action; an empty name continues the previous one."""
        self.edit_counts = self.edit_counts.plus(action, time.time())
        self.unsaved = True

    def lock(self, voxels: tuple[tuple[int, int, int], ...]) -> None:
        """Lock the components of these voxels and unlock all others."""
        self.locked = voxels
        self.locks_changed.emit()

    def set_thresholds(self, thresholds: dict[str, float]) -> None:
        """Take note of the thresholds that the uncorrected voxels have."""
        if thresholds != self.thresholds:
            self.thresholds = thresholds
            self.rethresholded.emit()

    def note_move(self, move: Move) -> None:
        """Take note of a step of the thresholds; what was undone before it cannot come back."""
        self.moves, self.undone_moves = (*self.moves, move), ()

    def undo_move(self) -> Move:
        """Take note that the latest step of the thresholds was undone, and return it."""
        *before, move = self.moves
        self.moves, self.undone_moves = tuple(before), (*self.undone_moves, move)
        return move

    def redo_move(self) -> Move:
        """Take note that the step that was undone last came back, and return it."""
        *before, move = self.undone_moves
        self.moves, self.undone_moves = (*self.moves, move), tuple(before)
        return move

    def note_click(self, step: ClickStep) -> None:
        """Take note of a click; what was undone before it cannot come back."""
        self.clicks, self.undone_clicks = (*self.clicks, step), ()

    def undo_click(self) -> None:
        """Take note that the latest click that changed something was undone, and forget those after it."""
        while self.clicks[-1].change is None:
            self.clicks = self.clicks[:-1]
        *before, step = self.clicks
        self.clicks, self.undone_clicks = tuple(before), (*self.undone_clicks, step)

    def redo_click(self) -> None:
        """Take note that the click that was undone last came back."""
        *before, step = self.undone_clicks
        self.clicks, self.undone_clicks = (*self.clicks, step), tuple(before)

    def note_saved(self) -> None:
        """Take note that the mask was saved as it is."""
        self.unsaved = False
        self.saved.emit()


def edits_of(layer: Layer) -> Edits | None:
    """Return the edits of a layer, None if it was never tracked."""
    found = layer.metadata.get(EDITS_KEY)
    return found if isinstance(found, Edits) else None
