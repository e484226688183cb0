"""Boxes of voxels, and which voxels are one of some labels: what the operations here share."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.regions import region_mask

Box = tuple[slice, slice, slice]
Spacing = Sequence[float] | None

ANY = frozenset(range(1, 256))
"""Every label: a lesion whatever its parts are."""

_FEW = 4


def whole(shape: Sequence[int]) -> Box:
    """Return the box that holds all voxels of an array."""
    z, y, x = (slice(0, int(n)) for n in shape)
    return z, y, x


def within(box: Sequence[slice], shape: Sequence[int]) -> Box:
    """Return a box with both ends of each side stated and inside the array; sides may be empty."""
    z, y, x = (slice(*_ends(s, n)) for s, n in zip(box, shape, strict=True))
    return z, y, x


def wider(box: Sequence[slice], margins: Sequence[int], shape: Sequence[int]) -> Box:
    """Return a box that is wider by a margin (Z, Y, X) on each side, as far as the array reaches."""
    z, y, x = (
        slice(max(s.start - m, 0), min(s.stop + m, n)) for s, m, n in zip(box, margins, shape, strict=True)
    )
    return z, y, x


def inside_of(outer: Sequence[slice], inner: Sequence[slice]) -> Box:
    """Return where a box lies in the array that `inner`, a box in that box's coordinates, tells."""
    z, y, x = (slice(o.start + i.start, o.start + i.stop) for o, i in zip(outer, inner, strict=True))
    return z, y, x


def is_in(labels: Array, members: Collection[int]) -> Array:
    """Return where labels (uint8) are one of `members`; comparing is faster than a table for few."""
    if members is ANY:
        return np.asarray(labels != 0)
    if len(members) > _FEW:
        return region_mask(labels, members)
    found = np.zeros(labels.shape, dtype=bool)
    for value in members:
        found |= labels == value
    return found


def checked_spacing(spacing: Spacing, what: str) -> tuple[float, float, float]:
    """Return a spacing, or raise where it is unknown.

    Raises
    ------
    InputError
        If it is None or no spacing; the sentence names the step (`what`).
    """
    if spacing is None:
        raise InputError(f"the voxel size is unknown, so one cannot {what} by mm; state a spacing first")
    steps = tuple(float(s) for s in spacing)
    if len(steps) != 3 or not all(math.isfinite(s) and s > 0 for s in steps):
        raise InputError(f"a spacing is three positive numbers in mm (Z, Y, X), not {list(spacing)}")
    return steps[0], steps[1], steps[2]


def checked_mm(mm: float, what: str, most: float = 100.0) -> float:
    """Return a length in mm that is a positive number up to `most`: beyond that is a slip of the pen.

    Raises
    ------
    InputError
        If it is not.
    """
    if not 0 < mm <= most:  # so written that NaN fails, too
        raise InputError(f"to {what}, give a number of mm above 0 and up to {most:g}, not {mm:g}")
    return float(mm)


def checked_label(label: int, background: bool = False) -> int:
    """Return a label that a mask can hold; 0 only where background is meant, too.

    Raises
    ------
    InputError
        If it is none.
    """
    if label == 0 and not background:
        raise InputError("label 0 is the background; choose another label")
    if not 0 <= label <= 255:
        raise InputError(f"a label is a number from 0 to 255, not {label}")
    return int(label)


def _ends(side: slice, length: int) -> tuple[int, int]:
    if side.step not in (None, 1):
        raise ValueError("a box has no steps")
    start, stop, _ = side.indices(int(length))
    return start, max(start, stop)
