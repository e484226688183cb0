"""Numbers that follow every edit: voxels and components per label and region, counted where it was."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_tumorseg.edit.boxes import is_in
from napari_tumorseg.edit.change import Change, find_change
from napari_tumorseg.edit.incremental_components import BrickCount
from napari_tumorseg.geometry import CONNECTED_26, Array, bounding_box


@dataclass(frozen=True)
class Count:
    """What was counted of a label or region.

    Attributes
    ----------
    voxels : int
        Its size.
    components : int
        26-connected pieces.
    """

    voxels: int
    components: int


class LiveCounts:
    """Counts of labels and regions that are kept up to date change by change.

    It keeps a copy of the labels it has counted. An edit that tells what it changed goes to `apply`; for
    one that does not (undo, redo, replaced data), `update` finds out by comparing with the copy, and what
    it returns can go on to a journal.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Where to start; not kept.
    groups : mapping of str to collection of int
        The labels of each row: one label, or those of a region.
    """

    def __init__(self, labels: Array, groups: Mapping[str, Collection[int]]) -> None:
        self._labels = np.array(labels, dtype=np.uint8, order="K")
        self._groups = {name: frozenset(members) for name, members in groups.items()}
        box = bounding_box(self._labels)  # looked for once: most of a mask is background
        self._histogram = _histogram(self._labels, box)
        # a label and a region that is that label alone are counted once
        self._bricks = {
            members: BrickCount(self._labels, members, box=box or (slice(0, 0),) * 3)
            for members in self._groups.values()
        }

    @property
    def labels(self) -> Array:
        """The labels that were counted, read-only."""
        view = self._labels.view()
        view.flags.writeable = False
        return view

    @property
    def by_label(self) -> dict[int, int]:
        """How many voxels each label has that has any, background left out."""
        return {int(v): int(self._histogram[v]) for v in np.flatnonzero(self._histogram) if v}

    def apply(self, change: Change) -> None:
        """Take in a change: the labels counted so far must be as before it.

        Raises
        ------
        ValueError
            If they are not; `update` finds out what is new.
        """
        if not np.array_equal(self._labels[change.box], change.before):
            raise ValueError("this change is not from the labels that were counted; compare with update()")
        self._take(change)

    def update(self, labels: Array, box: Sequence[slice] | None = None) -> Change | None:
        """Take in all that differs from what was counted, and return it; None if nothing does.

        Parameters
        ----------
        labels : (Z, Y, X) array of uint8
            As they are now.
        box : (slice, slice, slice), optional
            Where they may differ, if that is known.
        """
        change = find_change(self._labels, labels, box)
        if change is not None:
            self._take(change)
        return change

    def voxels(self, name: str) -> int:
        """Return the size of a row."""
        return int(self._histogram[list(self._groups[name])].sum())

    def components(self, name: str) -> int:
        """Return the number of 26-connected components of a row; only bricks that changed are looked at."""
        return self._bricks[self._groups[name]].count

    def counts(self) -> dict[str, Count]:
        """Return all rows."""
        return {name: Count(self.voxels(name), self.components(name)) for name in self._groups}

    def recount(self) -> dict[str, Count]:
        """Return all rows counted anew from the labels, to compare with."""
        return count_all(self._labels, self._groups)

    def _take(self, change: Change) -> None:
        moves = change.transitions()
        change.apply(self._labels)
        for (before, after), voxels in moves.items():
            self._histogram[before] -= voxels
            self._histogram[after] += voxels
        for members, bricks in self._bricks.items():
            if any((before in members) != (after in members) for before, after in moves):
                bricks.changed(change.box)


def count_all(labels: Array, groups: Mapping[str, Collection[int]]) -> dict[str, Count]:
    """Return voxels and 26-connected components of each group of labels, from scratch."""
    histogram = _histogram(labels, bounding_box(labels))
    found = {}
    for name, members in groups.items():
        mask = is_in(labels, members)
        box = bounding_box(mask)
        components = 0 if box is None else ndimage.label(mask[box], structure=CONNECTED_26)[1]
        found[name] = Count(int(histogram[list(members)].sum()), int(components))
    return found


def _histogram(labels: Array, box: tuple[slice, ...] | None) -> Array:
    """Return how many voxels have each label 0 to 255, all but background being in a box."""
    counts = np.zeros(256, dtype=np.int64)
    if box is not None:
        counts += np.bincount(labels[box].ravel(), minlength=256)
    counts[0] += labels.size - counts.sum()
    return counts
