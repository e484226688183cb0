"""Boxes of voxels, membership of labels and checks of arguments, shared by the operations."""

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
    """Return the box of a whole array."""
    z, y, x = (slice(0, int(n)) for n in shape)
    return z, y, x


def within(box: Sequence[slice], shape: Sequence[int]) -> Box:
    """Return a box clipped to an array, with explicit ends; sides may be empty."""
    z, y, x = (slice(*_ends(s, n)) for s, n in zip(box, shape, strict=True))
    return z, y, x


def wider(box: Sequence[slice], margins: Sequence[int], shape: Sequence[int]) -> Box:
    """Return a box widened by a margin (Z, Y, X) on each side and clipped to the array."""
    z, y, x = (
        slice(max(s.start - m, 0), min(s.stop + m, n)) for s, m, n in zip(box, margins, shape, strict=True)
    )
    return z, y, x


def inside_of(outer: Sequence[slice], inner: Sequence[slice]) -> Box:
    """Return a box given relative to another box, in coordinates of the array."""
    z, y, x = (slice(o.start + i.start, o.start + i.stop) for o, i in zip(outer, inner, strict=True))
    return z, y, x


def is_in(labels: Array, members: Collection[int]) -> Array:
    """Return a mask of the voxels whose label (uint8) is one of `members`."""
    if members is ANY:
        return np.asarray(labels != 0)
    if len(members) > _FEW:  # for few labels, comparing is faster than a table
        return region_mask(labels, members)
    found = np.zeros(labels.shape, dtype=bool)
    for value in members:
        found |= labels == value
    return found


def checked_spacing(spacing: Spacing, what: str) -> tuple[float, float, float]:
    """Return a spacing after a check.

    Raises
    ------
    InputError
        If it is None or not three positive numbers; the message names the operation (`what`).
    """
    if spacing is None:
        raise InputError(f"the voxel size is unknown, so one cannot {what} by mm; state a spacing first")
    steps = tuple(float(s) for s in spacing)
    if len(steps) != 3 or not all(math.isfinite(s) and s > 0 for s in steps):
        raise InputError(f"a spacing is three positive numbers in mm (Z, Y, X), not {list(spacing)}")
    return steps[0], steps[1], steps[2]


def checked_mm(mm: float, what: str, most: float = 100.0) -> float:
    """Return a length in mm after a check; a length above `most` is taken for a typing error.

    Raises
    ------
    InputError
        If it is not between 0 and `most`.
    """
    if not 0 < mm <= most:  # written so that NaN fails, too
        raise InputError(f"to {what}, give a number of mm above 0 and up to {most:g}, not {mm:g}")
    return float(mm)


def checked_label(label: int, background: bool = False) -> int:
    """Return a label after a check; 0 is accepted only if `background` is true.

    Raises
    ------
    InputError
        If it is not a label.
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
