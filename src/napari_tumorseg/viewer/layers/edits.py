"""What was done to a mask since it was opened or saved; it travels with the layer, in its metadata."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from napari.layers import Layer
from psygnal import Signal

from napari_tumorseg.session import Tally

EDITS_KEY = "tumorseg-edits"
"""Where a layer's `Edits` are kept in its metadata."""


@dataclass(eq=False)
class Edits:
    """The editor's actions on one mask.

    Attributes
    ----------
    tally : Tally
        All of them, for the provenance of what is saved.
    unsaved : bool
        Whether there are some that are in no file of the user's.
    journal : Path or None
        Where they are autosaved.
    at_first : dict of int to int
        How many voxels each label had before them.
    """

    saved = Signal()
    """The mask was written to a file of the user's."""

    tally: Tally = field(default_factory=Tally)
    unsaved: bool = False
    journal: Path | None = None
    at_first: dict[int, int] = field(default_factory=dict)

    def note(self, action: str) -> None:
        """Count one more action."""
        self.tally = self.tally.plus(action, time.time())
        self.unsaved = True

    def note_saved(self) -> None:
        """Take note that the mask was saved as it is."""
        self.unsaved = False
        self.saved.emit()


def edits_of(layer: Layer) -> Edits | None:
    """Return what was done to a layer, None where nobody followed it."""
    found = layer.metadata.get(EDITS_KEY)
    return found if isinstance(found, Edits) else None
