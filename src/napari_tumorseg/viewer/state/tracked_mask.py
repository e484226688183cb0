"""A tracked mask: its layer, its last known labels, and their counts."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_tumorseg.edit import Change, LiveCounts
from napari_tumorseg.errors import TumorSegError
from napari_tumorseg.geometry import Array
from napari_tumorseg.measurement.volumes import listed
from napari_tumorseg.regions import LabelConvention, decide_convention
from napari_tumorseg.viewer.layers.axes import Index, LayerAxes
from napari_tumorseg.viewer.layers.edits import EDITS_KEY, Edits, edits_of
from napari_tumorseg.viewer.layers.from_layers import as_labels
from napari_tumorseg.viewer.layers.origin import is_result, origin_of
from napari_tumorseg.viewer.widgets.messages import worded

_REMEMBERED = 200
"""Edits back to which an undo is known as such; napari itself undoes 100."""

Mark = tuple[object, int, int]


class TrackedMask:
    """A Labels layer with its last known labels and their counts.

    Parameters
    ----------
    layer : Labels
        Of two or three axes.
    beside : iterable of Layer
        Layers of the same viewer.

    Attributes
    ----------
    convention : LabelConvention or None
        Meaning of the labels; None where it is not known.
    why : str
        Reason why there are no counts, as a sentence; empty where there are.
    edits : Edits
        Edits of the mask. A layer that was tracked before, in a panel that is gone, brings them along.

    Raises
    ------
    InputError
        If it cannot be a mask.
    """

    def __init__(self, layer: LabelsLayer, beside: Iterable[Layer] = ()) -> None:
        self.layer = layer
        self.axes = LayerAxes.of(layer, beside)
        self.shape = tuple(np.shape(layer.data))
        self.convention: LabelConvention | None = None
        self.why = ""
        self._done: deque[Mark] = deque(maxlen=_REMEMBERED)
        self._undone: deque[Mark] = deque(maxlen=_REMEMBERED)
        origin = origin_of(layer)
        known = origin.convention if origin else None
        labels = as_labels(self.canonical(), layer.name)
        self.counts = LiveCounts(labels, groups_of(known) if known else {})
        self.convention = known  # else the counts would be built twice
        is_new = is_result(layer) and origin is not None and origin.source is None
        before = edits_of(layer) or Edits(at_first=self.counts.by_label, unsaved=is_new)
        self.edits = replace(before)
        layer.metadata[EDITS_KEY] = self.edits
        self._decide()

    @property
    def known_counts(self) -> LiveCounts | None:
        """The counts of the convention's labels and regions; None where there is no convention."""
        return None if self.why else self.counts

    def canonical(self) -> Array:
        """Return the layer's labels as they are now, canonical (a view where that can be)."""
        return self.axes.canonical(np.asarray(self.layer.data))

    def index_of(self, position: Sequence[float]) -> Index | None:
        """Return the canonical voxel at a world position, such as the cursor's; None outside of the mask."""
        place = self.layer.world_to_data(tuple(position)[-self.layer.ndim :])
        return self.axes.from_layer(tuple(float(p) for p in place))

    def position_of(self, index: Sequence[float]) -> tuple[float, ...]:
        """Return the world position of a canonical voxel, along the layer's own axes."""
        there = self.axes.to_layer(tuple(np.asarray([round(float(i))]) for i in index))
        return tuple(float(v) for v in self.layer.data_to_world([int(t[0]) for t in there]))

    def sync(self) -> Change | None:
        """Return what changed since the last call, and count it; None if nothing did.

        Raises
        ------
        InputError
            If there are labels above 255 now.
        """
        change = self.counts.update(self.canonical())
        if change is not None:
            self._decide()
        return change

    def name_of(self, change: Change) -> str:
        """Return ``"undo"``, ``"redo"`` or ``"edit"`` for a change without a name, and remember it."""
        forth, back = _mark(change), _mark(change.inverse)
        if self._done and self._done[-1] == back:
            self._undone.append(self._done.pop())
            return "undo"
        if self._undone and self._undone[-1] == forth:
            self._done.append(self._undone.pop())
            return "redo"
        self.remember(change)
        return "edit"

    def remember(self, change: Change) -> None:
        """Remember a change, so that its undo is recognised."""
        self._done.append(_mark(change))
        self._undone.clear()

    def _decide(self) -> None:
        """Find the convention anew, which labels that are painted can rule out, and count by it."""
        before, present = self.convention, set(self.counts.by_label)
        try:
            self.convention = self._decided(present)
            self.why = ""
        except TumorSegError as error:
            self.convention, self.why = None, worded(error)
        strange = sorted(present - self.convention.values) if self.convention else []
        if strange and self.convention:
            self.why = (
                f"the layer {self.layer.name} holds the labels {strange}, "
                f"which {self.convention.name} does not have"
            )
        if self.convention is not None and self.convention is not before:
            self.counts = LiveCounts(self.counts.labels, groups_of(self.convention))

    def _decided(self, present: set[int]) -> LabelConvention:
        origin = origin_of(self.layer)
        if origin is not None and origin.convention is not None:
            return origin.convention
        return decide_convention(present, f"the layer {self.layer.name}")


def groups_of(convention: LabelConvention) -> dict[str, tuple[int, ...]]:
    """Return the label numbers of each row that a convention has in tables."""
    return {name: members for name, _, _, members in listed(convention)}


def _mark(change: Change) -> Mark:
    return (
        tuple((s.start, s.stop) for s in change.box),
        zlib.crc32(np.ascontiguousarray(change.before).data),
        zlib.crc32(np.ascontiguousarray(change.after).data),
    )
