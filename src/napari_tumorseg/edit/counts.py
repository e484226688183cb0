"""Voxels and components per label and region, updated after every edit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_tumorseg.edit.boxes import is_in
from napari_tumorseg.edit.change import Change, find_change
from napari_tumorseg.edit.incremental_components import ComponentCounter
from napari_tumorseg.geometry import CONNECTED_26, Array, bounding_box


@dataclass(frozen=True)
class Count:
    """Voxels and components of a label or region.

    Attributes
    ----------
    voxels : int
        Number of voxels.
    components : int
        Number of 26-connected components.
    """

    voxels: int
    components: int


class LiveCounts:
    """Counts of labels and regions that are updated change by change.

    A copy of the counted labels is kept. An edit with a known change goes to `apply`; for an unknown one
    (undo, redo, replaced data), `update` compares with the copy and returns the change, for example for a
    journal.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Initial labels; copied.
    groups : mapping of str to collection of int
        The labels of each row: one label, or those of a region.
    """

    def __init__(self, labels: Array, groups: Mapping[str, Collection[int]]) -> None:
        self._labels = np.array(labels, dtype=np.uint8, order="K")
        self._groups = {name: frozenset(members) for name, members in groups.items()}
        box = bounding_box(self._labels)  # searched once: most of a mask is background
        self._histogram = _histogram(self._labels, box)
        # a label and a region of that label alone share a counter
        self._counters = {
            members: ComponentCounter(self._labels, members, box=box or (slice(0, 0),) * 3)
            for members in self._groups.values()
        }

    @property
    def labels(self) -> Array:
        """Counted labels, read-only."""
        view = self._labels.view()
        view.flags.writeable = False
        return view

    @property
    def by_label(self) -> dict[int, int]:
        """Number of voxels of each label that occurs, without background."""
        return {int(v): int(self._histogram[v]) for v in np.flatnonzero(self._histogram) if v}

    def apply(self, change: Change) -> None:
        """Update the counts by a change of the counted labels.

        Raises
        ------
        ValueError
            If the change does not start from the counted labels; use `update` instead.
        """
        if not np.array_equal(self._labels[change.box], change.before):
            raise ValueError("this change is not from the labels that were counted; compare with update()")
        self._count(change)

    def update(self, labels: Array, box: Sequence[slice] | None = None) -> Change | None:
        """Update the counts to new labels and return the difference; None if there is none.

        Parameters
        ----------
        labels : (Z, Y, X) array of uint8
            Current labels.
        box : (slice, slice, slice), optional
            Box outside of which nothing differs, if known.
        """
        change = find_change(self._labels, labels, box)
        if change is not None:
            self._count(change)
        return change

    def voxels(self, name: str) -> int:
        """Return the number of voxels of a row."""
        return int(self._histogram[list(self._groups[name])].sum())

    def components(self, name: str) -> int:
        """Return the number of 26-connected components of a row."""
        return self._counters[self._groups[name]].count

    def counts(self) -> dict[str, Count]:
        """Return all rows."""
        return {name: Count(self.voxels(name), self.components(name)) for name in self._groups}

    def recount(self) -> dict[str, Count]:
        """Return all rows, counted from scratch."""
        return count_all(self._labels, self._groups)

    def _count(self, change: Change) -> None:
        moves = change.transitions()
        change.apply(self._labels)
        for (before, after), voxels in moves.items():
            self._histogram[before] -= voxels
            self._histogram[after] += voxels
        for members, counter in self._counters.items():
            if any((before in members) != (after in members) for before, after in moves):
                counter.mark_changed(change.box)


def count_all(labels: Array, groups: Mapping[str, Collection[int]]) -> dict[str, Count]:
    """Return voxels and 26-connected components of each group of labels."""
    histogram = _histogram(labels, bounding_box(labels))
    found = {}
    for name, members in groups.items():
        mask = is_in(labels, members)
        box = bounding_box(mask)
        components = 0 if box is None else ndimage.label(mask[box], structure=CONNECTED_26)[1]
        found[name] = Count(int(histogram[list(members)].sum()), int(components))
    return found


def _histogram(labels: Array, box: tuple[slice, ...] | None) -> Array:
    """Return the number of voxels of each label 0 to 255; outside the box all is background."""
    counts = np.zeros(256, dtype=np.int64)
    if box is not None:
        counts += np.bincount(labels[box].ravel(), minlength=256)
    counts[0] += labels.size - counts.sum()
    return counts
