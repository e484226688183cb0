"""Incremental count of 26-connected components.

The volume is divided into blocks that overlap by one plane of voxels. Any two touching voxels, also those
that touch at a corner, lie together in at least one block, so that the components of the volume are those
of the blocks, joined where two blocks share a voxel. After an edit, only the blocks that it touches are
labelled again; for the others, the number of components and the labels on their faces are cached. The count
is exact, whatever an edit joins or splits.
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


class ComponentCounter:
    """Number of 26-connected components of some labels, updated block by block.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Labels, kept by reference; every change of them is reported to `mark_changed`.
    members : collection of int
        Labels that count as one.
    size : int
        Edge length of a block in voxels.
    box : (slice, slice, slice), optional
        Box that contains all that is not background, if known.
    """

    def __init__(
        self,
        labels: Array,
        members: Collection[int],
        size: int = _SIZE,
        box: Sequence[slice] | None = None,
    ) -> None:
        self._labels, self._members, self._size = labels, frozenset(members), size
        self._blocks = tuple(max(1, -(-(n - 1) // size)) for n in labels.shape)
        self._counts: dict[Index, int] = {}
        self._faces: dict[tuple[Index, int, int], Array] = {}
        self._pairs: dict[tuple[Index, int], Array] = {}
        self._dirty: set[Index] = set()
        self._total: int | None = None
        filled = bounding_box(labels) if box is None else box
        if filled is not None:
            self.mark_changed(filled)

    def mark_changed(self, box: Sequence[slice]) -> None:
        """Mark the blocks that overlap a box for the next count."""
        sides = []
        for side, count in zip(box, self._blocks, strict=True):
            first = max(-(-side.start // self._size) - 1, 0)
            sides.append(range(first, min((side.stop - 1) // self._size, count - 1) + 1))
        self._dirty.update(_indices(*sides))
        self._total = None

    @property
    def count(self) -> int:
        """Number of components; only blocks that changed since the last count are labelled again."""
        if self._total is None:
            dirty = list(self._dirty)
            for index in dirty:
                self._label_block(index)
            for seam in {seam for index in dirty for seam in self._seams(index)}:
                self._match_faces(*seam)
            self._dirty.clear()
            self._total = self._count_joined()
        return self._total

    def _label_block(self, index: Index) -> None:
        """Label a block and cache its number of components and its six faces."""
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

    def _match_faces(self, index: Index, axis: int) -> None:
        """Cache the pairs of components that a block shares with the next one along an axis."""
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

    def _count_joined(self) -> int:
        """Return the number of connected components of the graph of all blocks' components."""
        starts, nodes = {}, 0
        for index, count in self._counts.items():
            starts[index] = nodes - 1  # components of a block are numbered from 1
            nodes += count
        edges = [
            pairs + np.array([[starts[index]], [starts[_next(index, axis)]]])
            for (index, axis), pairs in self._pairs.items()
        ]
        if not edges:
            return nodes
        ends = np.concatenate(edges, axis=1).astype(np.int32)  # of 64-bit indices scipy 1.11 counts none
        graph = coo_array((np.ones(ends.shape[1], dtype=bool), (ends[0], ends[1])), shape=(nodes, nodes))
        return int(connected_components(graph, directed=False, return_labels=False))

    def _seams(self, index: Index) -> Iterator[tuple[Index, int]]:
        for axis in range(3):
            if index[axis] + 1 < self._blocks[axis]:
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
