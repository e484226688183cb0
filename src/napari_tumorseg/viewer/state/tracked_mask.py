"""A tracked mask: its layer, its last known labels, and their counts."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_tumorseg.edit import Change, LiveCounts
from napari_tumorseg.errors import ChoiceNeededError, InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.measurement.volumes import listed
from napari_tumorseg.regions import LabelConvention, decide_convention
from napari_tumorseg.viewer.layers.arrays import array_of
from napari_tumorseg.viewer.layers.axes import Index, LayerAxes
from napari_tumorseg.viewer.layers.edits import EDITS_KEY, Edits, edits_of
from napari_tumorseg.viewer.layers.from_layers import as_labels, is_any_label_tumour, labels_in
from napari_tumorseg.viewer.layers.origin import convention_of, is_result, origin_of

_REMEMBERED = 200
"""Edits back to which an undo is known as such; napari itself undoes 100."""

Mark = tuple[object, int, int]
_ALL_LABELS = tuple(range(1, 256))


@dataclass(frozen=True)
class Row:
    """A label or region that is counted.

    Attributes
    ----------
    name, title : str
        Abbreviation (or name of the region) and full name.
    labels : tuple of int
        Label numbers that are counted.
    shown : tuple of int
        Label numbers by whose colours it is shown.
    is_strange : bool
        Whether it is a label without a meaning in the mask's convention.
    """

    name: str
    title: str
    labels: tuple[int, ...]
    shown: tuple[int, ...]
    is_strange: bool = False


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
    rows : tuple of Row
        Labels and regions that are counted: those of the convention, and labels that it does not have.
    remark : str
        Open question about the labels, as a sentence; empty where there is none.
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
        self.rows: tuple[Row, ...] = ()
        self.remark = ""
        self._done: deque[Mark] = deque(maxlen=_REMEMBERED)
        self._undone: deque[Mark] = deque(maxlen=_REMEMBERED)
        origin = origin_of(layer)
        labels = as_labels(self.canonical(), layer.name)
        self._decide(labels_in(labels))
        self.counts = LiveCounts(labels, self._groups())
        is_new = is_result(layer) and origin is not None and origin.source is None
        before = edits_of(layer) or Edits(at_first=self.counts.by_label, unsaved=is_new)
        self.edits = replace(before)
        layer.metadata[EDITS_KEY] = self.edits

    def canonical(self) -> Array:
        """Return the layer's labels as they are now, canonical (a view where that can be)."""
        return self.axes.canonical(array_of(self.layer))

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
        before = set(self.counts.by_label)
        change = self.counts.update(self.canonical())
        if change is not None and before != set(self.counts.by_label):
            self.update_convention()
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

    def update_convention(self) -> None:
        """Determine the convention by the labels that are present, and count them by it."""
        before = self._groups()
        self._decide(sorted(self.counts.by_label))
        if self._groups() != before:  # a mask is counted anew, which takes time
            self.counts = LiveCounts(self.counts.labels, self._groups())

    def _groups(self) -> dict[str, tuple[int, ...]]:
        return {row.name: row.labels for row in self.rows}

    def _decide(self, present: Sequence[int]) -> None:
        """Set convention, rows and remark for the labels that are present."""
        self.convention, self.remark = None, ""
        try:
            self.convention = convention_of(self.layer) or decide_convention(present, "this mask")
        except ChoiceNeededError as error:
            self.remark = (
                f"The labels {_listed(present)} fit several conventions ({', '.join(error.options)})."
            )
        except InputError:
            self.remark = f"The labels {_listed(present)} fit no convention."
        self.rows = _rows_of(self.convention, present, is_any_label_tumour(self.layer))
        strange = [row.labels[0] for row in self.rows if row.is_strange]
        if strange and self.convention:
            self.remark = f"{_counted(strange)} not in {self.convention.name}."


def _rows_of(convention: LabelConvention | None, present: Sequence[int], any_label: bool) -> tuple[Row, ...]:
    """Return the rows of a convention, then the present labels that it does not have."""
    if convention is not None and any_label:
        return tuple(Row(name, title, _ALL_LABELS, members) for name, _, title, members in listed(convention))
    rows = (
        [Row(name, title, members, members) for name, _, title, members in listed(convention)]
        if convention
        else []
    )
    strange = [value for value in present if convention is None or value not in convention.values]
    return (*rows, *(Row(f"label {v}", f"label {v}", (v,), (v,), is_strange=True) for v in strange))


def _listed(values: Sequence[int]) -> str:
    *most, last = map(str, values)
    return f"{', '.join(most)} and {last}" if most else last


def _counted(values: Sequence[int]) -> str:
    return f"Label {values[0]} is" if len(values) == 1 else f"Labels {_listed(values)} are"


def _mark(change: Change) -> Mark:
    return (
        tuple((s.start, s.stop) for s in change.box),
        zlib.crc32(np.ascontiguousarray(change.before).data),
        zlib.crc32(np.ascontiguousarray(change.after).data),
    )
