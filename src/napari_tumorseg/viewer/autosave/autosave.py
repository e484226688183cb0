"""Autosave: edits of tracked masks are kept in journals until they are saved."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import LayerList
from psygnal import Signal
from qtpy.QtCore import QObject

from napari_tumorseg.edit import Change
from napari_tumorseg.inference.stored_probabilities import StoredProbabilities
from napari_tumorseg.session import journal_folder
from napari_tumorseg.session.maps import pack_maps
from napari_tumorseg.viewer.autosave.case_files import about
from napari_tumorseg.viewer.autosave.journal_thread import Journals, Writer
from napari_tumorseg.viewer.layers.origin import PROBABILITIES_KEY
from napari_tumorseg.viewer.state.active_mask import ActiveMask
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask


class Autosave(QObject):
    """Writes edits to journals in the background, and lists the unsaved masks.

    Parameters
    ----------
    active_mask : ActiveMask
        Whose masks are followed.
    layers : LayerList
        Of the viewer.
    folder : Path, optional
        Where journals are kept.
    """

    orphaned = Signal(object)
    """A layer was removed that has unsaved edits: its `TrackedMask`."""

    def __init__(self, active_mask: ActiveMask, layers: LayerList, folder: Path | None = None) -> None:
        super().__init__()
        self.journals = Journals(folder or journal_folder())
        self._active_mask = active_mask
        self._layers = layers
        self._writers: dict[TrackedMask, Writer] = {}
        self._orphans: dict[TrackedMask, Writer] = {}
        self._is_over = False
        active_mask.tracked.connect(self._on_held)
        active_mask.edited.connect(self._on_edited)
        active_mask.untracked.connect(self._on_dropped)

    @property
    def unsaved(self) -> list[TrackedMask]:
        """The masks in the viewer that are, as they are now, in no file of the user's."""
        for mask in self._active_mask.tracked_masks:
            self._active_mask.sync(mask.layer)
        return [mask for mask in self._active_mask.tracked_masks if mask.edits.unsaved]

    def give_up(self, mask: TrackedMask) -> None:
        """Discard the edits of a mask."""
        writer = self._orphans.pop(mask, None)
        if writer is not None:
            writer.close(saved=True)
        else:
            mask.edits.note_saved()

    def put_off(self, mask: TrackedMask) -> None:
        """Leave the edits of a mask that is about to go to their journal, to be offered another time."""
        writer = self._writers.pop(mask, None)
        if writer is not None:
            writer.close(saved=False)

    def close(self) -> None:
        """Close all journals; those with unsaved edits stay, to be offered again."""
        if self._is_over:
            return
        unsaved = self.unsaved
        self._is_over = True
        for mask, writer in (*self._writers.items(), *self._orphans.items()):
            mask.edits.journal = writer.path
            writer.close(saved=mask not in unsaved and mask not in self._orphans)
        self.journals.close()

    def _on_held(self, mask: TrackedMask) -> None:
        mask.edits.saved.connect(lambda: self._on_saved(mask))
        mask.edits.locks_changed.connect(lambda: self._on_marked(mask))
        mask.edits.rethresholded.connect(lambda: self._on_rethresholded(mask))
        before = mask.edits.journal
        if mask.edits.unsaved:  # a model's result, a layer that is back, or recovered
            self._start(mask, np.array(mask.counts.labels), at_once=True)
            self._end_earlier(mask, before)

    def _on_edited(self, mask: TrackedMask, change: Change, action: str) -> None:
        if self._is_over:
            return
        if mask not in self._writers:
            labels = np.array(mask.counts.labels)
            change.inverse.apply(labels)
            self._start(mask, labels)
        self._writers[mask].append(change, action)

    def _on_saved(self, mask: TrackedMask) -> None:
        if not self._is_over and mask in self._writers:
            self._writers[mask].restart()

    def _on_marked(self, mask: TrackedMask) -> None:
        if not self._is_over and mask in self._writers:
            self._writers[mask].keep(mask.edits.locked)

    def _on_rethresholded(self, mask: TrackedMask) -> None:
        if not self._is_over and mask in self._writers:
            self._writers[mask].set_thresholds(mask.edits.thresholds)

    def _on_dropped(self, mask: TrackedMask) -> None:
        writer = self._writers.pop(mask, None)
        if writer is None or self._is_over:
            return
        if not mask.edits.unsaved or not mask.edits.edit_counts.total:  # a result can be had again
            writer.close(saved=True)
            return
        self._orphans[mask] = writer
        mask.edits.journal = writer.path
        self.orphaned.emit(mask)

    def _start(self, mask: TrackedMask, labels: Any, at_once: bool = False) -> None:
        about_mask = about(mask, self._layers)
        key = about_mask["files"][0]
        writer = self._writers[mask] = self.journals.start(
            key, labels, about_mask, mask.edits.edit_counts, at_once
        )
        if mask.edits.locked:
            writer.keep(mask.edits.locked)
        if mask.edits.thresholds:
            writer.set_thresholds(mask.edits.thresholds)
        stored = mask.layer.metadata.get(PROBABILITIES_KEY)
        if isinstance(stored, StoredProbabilities):
            writer.attach(partial(pack_maps, stored))

    def _end_earlier(self, mask: TrackedMask, path: Path | None) -> None:
        """End the journal that held these edits before."""
        for orphan, writer in list(self._orphans.items()):
            if orphan.layer is mask.layer:
                del self._orphans[orphan]
                writer.close(saved=self._writers[mask])
        if path is not None:
            self.journals.remove(path, once_in=self._writers[mask])
