"""Counting 26-connected components again after an edit, looking only at where it was.

The volume is cut into bricks that overlap by one plane of voxels. Two voxels that touch, be it at a corner,
lie together in at least one brick, so components are those of the bricks, joined where two bricks share a
voxel. An edit changes a few bricks; of the others it is known how many components they have and what they
show on their faces. The count is exact, whatever the edit joins or splits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import product

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_tumorseg.edit.boxes import Box, is_in
from napari_tumorseg.geometry import CONNECTED_26, Array, bounding_box

_SIZE = 32

Index = tuple[int, int, int]


class BrickCount:
    """The number of 26-connected components of some labels, kept up to date brick by brick.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Kept by reference: whoever changes it says where.
    members : collection of int
        The labels that count as one.
    size : int
        Voxels along the edge of a brick.
    box : (slice, slice, slice), optional
        One that holds all that is not background, where that is known.
    """

    def __init__(
        self,
        labels: Array,
        members: Collection[int],
        size: int = _SIZE,
        box: Sequence[slice] | None = None,
    ) -> None:
        self._labels, self._members, self._size = labels, frozenset(members), size
        self._bricks = tuple(max(1, -(-(n - 1) // size)) for n in labels.shape)
        self._counts: dict[Index, int] = {}
        self._faces: dict[tuple[Index, int, int], Array] = {}
        self._pairs: dict[tuple[Index, int], Array] = {}
        self._dirty: set[Index] = set()
        self._total: int | None = None
        filled = bounding_box(labels) if box is None else box
        if filled is not None:
            self.changed(filled)

    def changed(self, box: Sequence[slice]) -> None:
        """Note that labels in a box have changed."""
        sides = []
        for side, count in zip(box, self._bricks, strict=True):
            first = max(-(-side.start // self._size) - 1, 0)
            sides.append(range(first, min((side.stop - 1) // self._size, count - 1) + 1))
        self._dirty.update(_indices(*sides))
        self._total = None

    @property
    def count(self) -> int:
        """How many components there are; only bricks that changed since it was last asked are looked at."""
        if self._total is None:
            dirty = list(self._dirty)
            for index in dirty:
                self._look(index)
            for seam in {seam for index in dirty for seam in self._seams(index)}:
                self._join(*seam)
            self._dirty.clear()
            self._total = self._joined()
        return self._total

    def _look(self, index: Index) -> None:
        """Find the components of a brick and keep what it shows on its six faces."""
        mask = is_in(self._labels[self._box(index)], self._members)
        self._counts.pop(index, None)
        for axis, end in product(range(3), (0, -1)):
            self._faces.pop((index, axis, end), None)
        if not mask.any():
            return
        numbers, count = (mask, 1) if mask.all() else ndimage.label(mask, structure=CONNECTED_26)
        self._counts[index] = int(count)
        for axis, end in product(range(3), (0, -1)):
            face = numbers.take(end, axis=axis)
            if face.any():
                self._faces[index, axis, end] = face

    def _join(self, index: Index, axis: int) -> None:
        """Find which components of a brick go on in the next one along an axis."""
        self._pairs.pop((index, axis), None)
        one = self._faces.get((index, axis, -1))
        other = self._faces.get((_next(index, axis), axis, 0))
        if one is None or other is None:
            return
        shared = one > 0  # both faces are the same voxels
        if shared.any():
            width = self._counts[_next(index, axis)] + 1
            codes = np.unique(one[shared].astype(np.int64) * width + other[shared])
            self._pairs[index, axis] = np.stack([codes // width, codes % width])

    def _joined(self) -> int:
        starts, nodes = {}, 0
        for index, count in self._counts.items():
            starts[index] = nodes - 1  # components of a brick are numbered from 1
            nodes += count
        edges = [
            pairs + np.array([[starts[index]], [starts[_next(index, axis)]]])
            for (index, axis), pairs in self._pairs.items()
        ]
        if not edges:
            return nodes
        ends = np.concatenate(edges, axis=1)
        graph = coo_array((np.ones(ends.shape[1], dtype=bool), (ends[0], ends[1])), shape=(nodes, nodes))
        return int(connected_components(graph, directed=False, return_labels=False))

    def _seams(self, index: Index) -> Iterator[tuple[Index, int]]:
        for axis in range(3):
            if index[axis] + 1 < self._bricks[axis]:
                yield index, axis
            if index[axis] > 0:
                yield _next(index, axis, -1), axis

    def _box(self, index: Index) -> Box:
        z, y, x = (slice(i * self._size, (i + 1) * self._size + 1) for i in index)
        return z, y, x


def _indices(z: range, y: range, x: range) -> Iterator[Index]:
    return product(z, y, x)


def _next(index: Index, axis: int, step: int = 1) -> Index:
    moved = list(index)
    moved[axis] += step
    return moved[0], moved[1], moved[2]
