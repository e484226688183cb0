"""Change of labels in a box: the common result of every operation, and the difference of two arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_tumorseg.edit.boxes import Box, inside_of, whole, within
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, bounding_box

_WORD = 8
_BLOCK = 1 << 16
"""Words compared at a time: the result stays in the cache, and equal parts are passed quickly."""


@dataclass(frozen=True, eq=False)
class Change:
    """Labels before and after an edit, in the smallest box that holds all that it changed.

    Attributes
    ----------
    box : (slice, slice, slice)
        Where, in the array of labels.
    before, after : array of uint8
        The labels there.
    """

    box: Box
    before: Array
    after: Array

    @property
    def voxels(self) -> int:
        """Number of voxels that differ."""
        return int(np.count_nonzero(self.before != self.after))

    @property
    def inverse(self) -> Change:
        """The change that undoes this one."""
        return Change(self.box, self.after, self.before)

    def apply(self, labels: Array) -> None:
        """Apply the change to the labels, in place."""
        labels[self.box] = self.after

    def transitions(self) -> dict[tuple[int, int], int]:
        """Return the number of voxels by (label before, label after)."""
        moved = self.before != self.after
        codes = self.before[moved].astype(np.uint16) << 8 | self.after[moved]
        counts = np.bincount(codes)
        return {(int(c) >> 8, int(c) & 255): int(counts[c]) for c in np.flatnonzero(counts)}

    def as_setitem(self) -> tuple[tuple[npt.NDArray[np.intp], ...], Array]:
        """Return indices and new values of the voxels that differ.

        They are what `napari.layers.Labels.data_setitem` takes: written so, the edit is one undo step.
        """
        found = np.nonzero(self.before != self.after)
        indices = tuple(axis + side.start for axis, side in zip(found, self.box, strict=True))
        return indices, self.after[found]


def change_to(labels: Array, box: Sequence[slice], block: Array) -> Change | None:
    """Return the change that writes `block` to a box of labels; None if nothing differs.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Current labels; not modified.
    box : (slice, slice, slice)
        Box to write to.
    block : array
        New labels, of the box's shape.
    """
    outer = within(box, labels.shape)
    return _trimmed(labels[outer], np.asarray(block), outer)


def find_change(before: Array, after: Array, box: Sequence[slice] | None = None) -> Change | None:
    """Return the difference of two arrays of labels; None if they are equal.

    Parameters
    ----------
    before, after : (Z, Y, X) array
        Labels of equal shape.
    box : (slice, slice, slice), optional
        Box to compare; voxels outside are ignored.

    Raises
    ------
    ValueError
        If the shapes differ.
    InputError
        If a label that differs is not 0 to 255.
    """
    if before.shape != after.shape:
        raise ValueError(f"labels of shape {before.shape} and {after.shape} cannot be compared")
    outer = _span(before, after) if box is None else within(box, before.shape)
    return None if outer is None else _trimmed(before[outer], after[outer], outer)


def _trimmed(before: Array, after: Array, outer: Box) -> Change | None:
    if before.shape != after.shape:
        raise ValueError(f"a block of shape {after.shape} does not fit a box of shape {before.shape}")
    inner = bounding_box(before != after)
    if inner is None:
        return None
    # copies: the caller goes on changing the arrays
    return Change(inside_of(outer, inner), _as_labels(before[inner]), _as_labels(after[inner]))


def _as_labels(block: Array) -> Array:
    if block.dtype != np.uint8 and (block.min() < 0 or block.max() > 255):
        raise InputError(f"the labels hold {block.max()}, but a mask holds 0 to 255; choose a smaller label")
    return block.astype(np.uint8)


def _span(before: Array, after: Array) -> Box | None:
    """Return a box that holds all differences, exact only along the axis that varies slowest in memory."""
    order = sorted(range(3), key=lambda axis: -abs(after.strides[axis]))
    one, other = before.transpose(order), after.transpose(order)
    if not (_is_plain(one) and _is_plain(other) and one.size):
        return whole(before.shape) if before.size else None
    ends = _differing(one.reshape(-1), other.reshape(-1))
    if ends is None:
        return None
    plane = one[0].size
    sides = list(whole(before.shape))
    sides[order[0]] = slice(ends[0] // plane, ends[1] // plane + 1)
    return sides[0], sides[1], sides[2]


def _is_plain(array: Array) -> bool:
    return array.dtype == np.uint8 and array.flags.c_contiguous


def _differing(one: Array, other: Array) -> tuple[int, int] | None:
    """Return the first and last index at which two flat arrays differ, give or take a word."""
    words = one.size // _WORD
    a, b = (array[: words * _WORD].view(np.uint64) for array in (one, other))
    starts = range(0, words, _BLOCK)
    first = next((s for s in starts if not np.array_equal(a[s : s + _BLOCK], b[s : s + _BLOCK])), None)
    tail = np.flatnonzero(one[words * _WORD :] != other[words * _WORD :])
    if first is None:
        return (words * _WORD, one.size - 1) if tail.size else None
    last = next(s for s in reversed(starts) if not np.array_equal(a[s : s + _BLOCK], b[s : s + _BLOCK]))
    start = first + int(np.argmax(a[first : first + _BLOCK] != b[first : first + _BLOCK]))
    stop = last + int(np.flatnonzero(a[last : last + _BLOCK] != b[last : last + _BLOCK])[-1])
    return start * _WORD, one.size - 1 if tail.size else stop * _WORD + _WORD - 1
