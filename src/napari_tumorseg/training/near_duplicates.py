"""Groups of slices that show nearly the same picture, so that a split keeps them together.

Public collections of slices hold the same picture several times, mirrored or turned, under other names. A
random split then tests a model on pictures that it was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_tumorseg.geometry import Array

THRESHOLD = 0.94
"""Correlation of thumbnails from which two slices count as one picture.

Measured on 5,655 slices of BRISC 2025: among random pairs of one tumour kind and plane 0.2 % are above it; by
eye, pairs above 0.95 are copies or neighbouring slices of one patient, and below 0.92 most are of two.
"""

SIDE = 24
"""Pixels of a thumbnail's side."""

_TISSUE = 0.12
"""Share of the bright tissue's intensity above which a pixel belongs to the head."""

_ROWS = 512
"""Thumbnails that are compared with all others at a time, which bounds the memory."""


def thumbnail(values: Array) -> Array:
    """Return a slice (rows, columns), cut to its tissue, as a small square of mean 0 and norm 1.

    A slice without content becomes zeros, which correlate with nothing.
    """
    values = values.astype(np.float32)
    tissue = values > _TISSUE * np.percentile(values, 99.5)
    sides = [np.flatnonzero(tissue.sum(axis=1 - axis) > 0.02 * values.shape[1 - axis]) for axis in (0, 1)]
    if any(side.size < SIDE // 2 for side in sides):
        return np.zeros((SIDE, SIDE), np.float32)
    cut = values[sides[0][0] : sides[0][-1] + 1, sides[1][0] : sides[1][-1] + 1]
    for axis in (0, 1):
        cut = _means(cut, axis)
    cut = cut - cut.mean()
    return np.asarray(cut / max(float(np.linalg.norm(cut)), 1e-6), np.float32)


def near_duplicates(thumbnails: Sequence[Array], threshold: float = THRESHOLD) -> list[tuple[int, int]]:
    """Return the pairs of slices that correlate in any of the eight orientations of a square.

    Parameters
    ----------
    thumbnails : sequence of (SIDE, SIDE) array
        From `thumbnail`.
    threshold : float
        Smallest correlation.

    Returns
    -------
    list of (int, int)
        Positions of the two, the smaller one first.
    """
    stack = np.stack([np.asarray(t, np.float32) for t in thumbnails])
    flat = stack.reshape(len(stack), -1)
    pairs: set[tuple[int, int]] = set()
    for turned in _orientations(stack):
        others = np.ascontiguousarray(turned.reshape(len(stack), -1)).T
        for first in range(0, len(flat), _ROWS):
            found = np.argwhere(flat[first : first + _ROWS] @ others > threshold).tolist()
            ends = [sorted((row + first, column)) for row, column in found]
            pairs |= {(one, other) for one, other in ends if one != other}
    return sorted(pairs)


def connected(count: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Return a group number for each of `count` slices: those linked by pairs, also by way of others."""
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    links = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    _, groups = connected_components(links, directed=False)
    return [int(group) for group in groups]


def _orientations(stack: Array) -> list[Array]:
    """Return a (N, rows, columns) stack in the eight orientations of a square."""
    turned = [np.rot90(stack, quarter, (1, 2)) for quarter in range(4)]
    return [*turned, *(t[:, :, ::-1] for t in turned)]


def _means(values: Array, axis: int) -> Array:
    """Return an array whose axis is brought to SIDE pixels, each the mean of what it covers."""
    length = values.shape[axis]
    edges = np.linspace(0, length, SIDE + 1)
    sums = np.insert(np.cumsum(values, axis=axis, dtype=np.float64), 0, 0, axis=axis)
    low = np.floor(edges).astype(int)
    share = np.expand_dims(edges - low, tuple(i for i in range(values.ndim) if i != axis))
    high = np.minimum(low + 1, length)
    cumulative = np.take(sums, low, axis) * (1 - share) + np.take(sums, high, axis) * share
    return np.asarray(np.diff(cumulative, axis=axis) / (length / SIDE))
