"""The network in overlapping windows, whose results are finished slice by slice.

Windows are run from the lowest slice upwards. Sums of logits are kept for as many slices as a window has;
what no later window reaches is finished, brought back to the scan's voxels and dropped.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.volume.placement import starts, weights
from napari_tumorseg.inference.volume.prepare import PreparedVolume, cut, padded

Run = Callable[[Sequence[Array]], Iterator[Array]]
"""Yields the logits (M, O, ...) of each window (C, ...), in order."""

_UNLIKELY = -30.0
"""Logit of a tumour where no window has been yet."""


@dataclass(frozen=True)
class Window:
    """A window of the volume.

    Attributes
    ----------
    starts : three int
        Its first voxel along the network's axes.
    place : three int
        Its first voxel along (Z, Y, X).
    """

    starts: tuple[int, ...]
    place: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Layout:
    """Windows of a volume, and the slices that they are run for.

    Attributes
    ----------
    data : (C, ...) array
        The network's input, padded to at least one window.
    windows : list of Window
        From the lowest to the highest.
    todo : sequence of int
        Slices of the scan to finish.
    patch, size, before : (int, int, int)
        Along (Z, Y, X): sides of a window and of the padded volume, and the padding before the box.
    up : tuple of array or None
        Matrices (box, network) along (Z, Y, X); None where the voxels are the same.
    sources : list of (indices, shares)
        For each slice of `todo`, the network's slices that it is interpolated from.
    """

    data: Array
    windows: list[Window]
    todo: Sequence[int]
    patch: tuple[int, ...]
    size: tuple[int, ...]
    before: tuple[int, ...]
    up: tuple[sparse.csr_array | None, ...]
    sources: list[tuple[Array, Array]]

    @classmethod
    def of(cls, prepared: PreparedVolume, todo: Sequence[int]) -> Layout:
        """Return the windows that the slices of `todo` depend on."""
        given, orientation = prepared.windows, prepared.orientation
        data = padded(prepared.data, given.patch)
        size = data.shape[1:]
        patch = orientation.restore(given.patch)
        up = tuple(_up(prepared, axis) for axis in range(3))
        sources = [_sources(up[0], index - prepared.box[0].start) for index in todo]
        before = orientation.restore(_padding(prepared.resampling.network, size, orientation.flips))
        needed = {int(i) + before[0] for indices, _ in sources for i in indices}
        lines = [starts(length, side, given) for length, side in zip(size, given.patch, strict=True)]
        windows = [
            Window(first, orientation.restore_starts(first, given.patch, size))
            for first in itertools.product(*lines)
        ]
        wanted = [w for w in windows if not needed.isdisjoint(range(w.place[0], w.place[0] + patch[0]))]
        wanted.sort(key=lambda window: window.place)
        return cls(data, wanted, todo, patch, orientation.restore(size), before, up, sources)


def _padding(inner: Sequence[int], outer: Sequence[int], flips: Sequence[bool]) -> list[int]:
    """Return the padding before a volume along each axis of the network, seen in the canonical direction."""
    found = []
    for small, large, flip in zip(inner, outer, flips, strict=True):
        first = (large - small) // 2
        found.append(large - small - first if flip else first)
    return found


def _up(prepared: PreparedVolume, axis: int) -> sparse.csr_array | None:
    """Return the matrix along a canonical axis that takes logits from the network's to the scan's voxels."""
    resampling, orientation = prepared.resampling, prepared.orientation
    place = orientation.order.index(axis)
    if resampling.scan[place] == resampling.network[place]:
        return None
    found = resampling.back(place)
    return sparse.csr_array(found[::-1][:, ::-1]) if orientation.flips[place] else found


def _sources(up: sparse.csr_array | None, index: int) -> tuple[Array, Array]:
    if up is None:
        return np.array([index]), np.ones(1, dtype=np.float32)
    row = slice(up.indptr[index], up.indptr[index + 1])
    return up.indices[row], up.data[row]


@dataclass(frozen=True, eq=False)
class Finished:
    """A slice of the scan and its logits, those of each member (M, O, rows, columns), in the box."""

    index: int
    logits: Array


@dataclass(frozen=True, eq=False)
class Step:
    """State after a window.

    Attributes
    ----------
    done, total : int
        Windows.
    finished : list of Finished
        Slices that are final now.
    preview : Finished or None
        The slice in the middle of the window as it is so far, where no slice is final.
    """

    done: int
    total: int
    finished: list[Finished]
    preview: Finished | None


def steps(prepared: PreparedVolume, todo: Sequence[int], run: Run, batch: int) -> Iterator[Step]:
    """Yield a step after each window; nothing is computed ahead beyond one batch.

    Parameters
    ----------
    prepared : PreparedVolume
        The scan.
    todo : sequence of int
        Its slices to finish, in order.
    run : callable
        The network.
    batch : int
        Windows at a time.
    """
    layout = Layout.of(prepared, todo)
    sums = _Sums(prepared, layout)
    windows, total = layout.windows, len(layout.windows)
    for first in range(0, total, batch):
        chunk = windows[first : first + batch]
        results = run([cut(layout.data, window.starts, prepared.windows.patch) for window in chunk])
        for done, (window, logits) in enumerate(zip(chunk, results, strict=True), start=first + 1):
            sums.add(window, prepared.orientation.to_canonical(logits))
            finished = sums.finish(windows[done].place[0] if done < total else layout.size[0])
            yield Step(done, total, finished, None if finished else sums.preview(window))


class _Sums:
    """Sums of logits over as many slices as a window has, and the slices that are finished."""

    def __init__(self, prepared: PreparedVolume, layout: Layout) -> None:
        self._layout = layout
        self._first = prepared.box[0].start
        self._inner = prepared.orientation.restore(prepared.resampling.network)
        self._kernel = prepared.orientation.to_canonical(weights(prepared.windows))
        self._base = layout.windows[0].place[0] if layout.windows else 0
        self._type = np.dtype(np.float16 if prepared.windows.half else np.float32)
        self._weight: Array = np.zeros((layout.patch[0], *layout.size[1:]), dtype=self._type)
        # (M, O, slices, rows, columns), made by the first window
        self._sums: Array = np.zeros(0, dtype=self._type)
        # finished slices of the network, on the rows and columns of the box
        self._ready: dict[int, Array] = {}
        self._left = list(zip(layout.todo, layout.sources, strict=True))
        output = prepared.card.output
        background = [output.activation == "softmax" and label == 0 for label in output.labels]
        self._nothing = np.where(background, 0, _UNLIKELY).astype(np.float32)[:, None, None]

    def add(self, window: Window, logits: Array) -> None:
        """Add the logits (M, O, ...) of a window."""
        if not self._sums.size:
            self._sums = np.zeros((*logits.shape[:2], *self._weight.shape), dtype=self._type)
        rows, columns = (
            slice(start, start + side)
            for start, side in zip(window.place[1:], self._layout.patch[1:], strict=True)
        )
        self._sums[..., rows, columns] += logits * self._kernel
        self._weight[..., rows, columns] += self._kernel

    def finish(self, low: int) -> list[Finished]:
        """Return the slices that no window reaches whose first slice is `low` or higher."""
        count = min(low - self._base, len(self._weight))
        if count <= 0:
            return []
        needed = {int(i) for _, (indices, _) in self._left for i in indices}
        for offset in range(count):
            index = self._base + offset - self._layout.before[0]
            if index in needed:
                self._ready[index] = self._in_plane(self._mean(offset))
        self._shift(count)
        self._base = low
        return self._emit()

    def preview(self, window: Window) -> Finished | None:
        """Return the slice in the middle of a window as it is so far; None if it is not asked for."""
        offset = len(self._weight) // 2
        index = self._base + offset - self._layout.before[0]
        near = min(
            (item for item in self._left if index in item[1][0]), key=lambda item: item[0], default=None
        )
        if near is None or window.place[0] != self._base:
            return None
        return Finished(near[0], self._in_plane(self._mean(offset)))

    def _emit(self) -> list[Finished]:
        found = []
        while self._left and all(int(i) in self._ready for i in self._left[0][1][0]):
            index, (indices, shares) = self._left.pop(0)
            parts = [self._ready[int(i)] * share for i, share in zip(indices, shares, strict=True)]
            found.append(Finished(index, parts[0] if len(parts) == 1 else np.sum(parts, axis=0)))
        lowest = int(min(self._left[0][1][0])) if self._left else 1 << 30
        self._ready = {index: values for index, values in self._ready.items() if index >= lowest}
        return found

    def _mean(self, offset: int) -> Array:
        """Return the mean logits (M, O, rows, columns) of a slice, without padding."""
        sides = zip(self._layout.before[1:], self._inner[1:], strict=True)
        rows, columns = (slice(first, first + side) for first, side in sides)
        weight = self._weight[offset, rows, columns].astype(np.float32)
        seen = weight > 0
        total = self._sums[:, :, offset, rows, columns].astype(np.float32)
        mean: Array = (total / np.where(seen, weight, 1)).astype(self._type).astype(np.float32)
        return mean if seen.all() else np.where(seen, mean, self._nothing)

    def _in_plane(self, logits: Array) -> Array:
        rows, columns = self._layout.up[1:]
        return _along(columns, _along(rows, logits, 2), 3)

    def _shift(self, count: int) -> None:
        """Move the sums down by some slices."""
        for array, axis in ((self._sums, 2), (self._weight, 0)):
            ordered = np.moveaxis(array, axis, 0)
            ordered[: len(ordered) - count] = ordered[count:].copy()
            ordered[len(ordered) - count :] = 0


def _along(matrix: sparse.csr_array | None, values: Array, axis: int) -> Array:
    """Return values with a matrix applied along one axis."""
    if matrix is None:
        return values
    moved = np.moveaxis(values, axis, 0)
    found = np.asarray(matrix @ moved.reshape(len(moved), -1))
    return np.moveaxis(found.reshape(-1, *moved.shape[1:]), 0, axis)
