"""Order and direction of a network's axes, against the canonical ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from napari_tumorseg.geometry import CANONICAL, Array
from napari_tumorseg.models.windows import Windows, canonical_axis

T = TypeVar("T")


@dataclass(frozen=True)
class Orientation:
    """Network axes of a canonical array; all methods leave axes before the last three alone.

    Attributes
    ----------
    order : (int, int, int)
        Canonical axis that is each axis of the network.
    flips : (bool, bool, bool)
        Whether the network's axis runs against the canonical one.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @classmethod
    def of(cls, windows: Windows) -> Orientation:
        """Return the orientation that a card states."""
        a, b, c = (canonical_axis(one) for one in windows.axes)
        first, second, third = (one not in CANONICAL for one in windows.axes)
        return cls((a, b, c), (first, second, third))

    def to_network(self, array: Array) -> Array:
        """Return a view of a canonical array (..., Z, Y, X) with the network's axes."""
        flipped = tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flips)
        return _transposed(array, self.order)[(..., *flipped)]

    def to_canonical(self, array: Array) -> Array:
        """Return the canonical view of an array with the network's axes."""
        flipped = tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flips)
        return _transposed(array[(..., *flipped)], tuple(int(a) for a in np.argsort(self.order)))

    def reorder(self, values: Sequence[T]) -> tuple[T, ...]:
        """Return three values given for (Z, Y, X) in the order of the network's axes."""
        return tuple(values[axis] for axis in self.order)

    def restore(self, values: Sequence[T]) -> tuple[T, ...]:
        """Return three values given for the network's axes in the order (Z, Y, X)."""
        return tuple(values[self.order.index(axis)] for axis in range(3))

    def restore_starts(
        self, starts: Sequence[int], sides: Sequence[int], lengths: Sequence[int]
    ) -> tuple[int, ...]:
        """Return the first voxel of a window along (Z, Y, X).

        Parameters
        ----------
        starts, sides, lengths : three int each
            First voxel and side of the window and side of the volume, along the network's axes.
        """
        parts = zip(starts, sides, lengths, self.flips, strict=True)
        return self.restore([length - s - side if flip else s for s, side, length, flip in parts])


def _transposed(array: Array, order: Sequence[int]) -> Array:
    before = array.ndim - 3
    return array.transpose(*range(before), *(before + axis for axis in order))
