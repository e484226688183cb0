"""Shape-based interpolation between painted slices.

Each painted slice becomes a map of signed distances to its outline, the maps are blended linearly, and
values of zero or more are inside (Raya and Udupa, IEEE Trans. Med. Imaging 9, 1990). If two outlines do not
overlap, they are first moved so that their centres lie on the line between them: blending alone would end
both halfway.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np
from scipy import ndimage

from napari_tumorseg.edit.boxes import checked_label, is_in
from napari_tumorseg.edit.change import Change, change_to
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import CONNECTED_26, Array, bounding_box

Plane = tuple[float, float]


def fill_between(
    labels: Array,
    label: int,
    axis: int = 0,
    *,
    between: tuple[int, int] | None = None,
    into: Collection[int] = (0,),
    spacing: Sequence[float] | None = None,
) -> Change | None:
    """Return the change that fills the gaps between neighbouring painted slices of a label.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Any order of axes.
    label : int
        Painted label.
    axis : int
        Axis of the slices.
    between : (first, last), optional
        Fill only between these two slices. Components of the label that have voxels in between are other
        lesions: they stay as they are and give no outline. By default, every gap is filled.
    into : collection of int
        Labels that may be overwritten; 0 is background.
    spacing : (Z, Y, X), optional
        Voxel size, for distances within a slice; by default voxels are cubes.

    Raises
    ------
    InputError
        If there is nothing to fill between.
    """
    label = checked_label(label)
    box = bounding_box(labels == label)
    if box is None:
        raise InputError(f"label {label} is painted on no slice; paint it on two slices first")
    mask = labels[box] == label
    start = box[axis].start
    gaps = _gaps(mask, axis) if between is None else [_stated(between, start, mask.shape[axis], label)]
    if not gaps:
        raise InputError(f"label {label} leaves no gap between the slices it is painted on")
    shapes = mask if between is None else _without_passing(mask, axis, gaps[0])
    filled = _fill(shapes, axis, gaps, _in_plane(spacing, axis))
    block = labels[box].copy()
    block[filled & is_in(block, into)] = label
    return change_to(labels, box, block)


def gap_at(labels: Array, label: int, index: int, axis: int = 0) -> tuple[int, int] | None:
    """Return the two painted slices that enclose a slice, for the `between` of `fill_between`.

    Components of the label that pass through the slice are ignored, so that a lesion painted on every fifth
    slice is found beside a complete one. None if the slice is painted itself, which is the case if one of
    these components lies completely between the two slices, or if no slice is painted on one side.
    """
    box = bounding_box(labels == label)
    if box is None or not box[axis].start < index < box[axis].stop - 1:
        return None
    local = index - box[axis].start
    mask = labels[box] == label
    others = _without_passing(mask, axis, (local - 1, local + 1))
    painted = np.flatnonzero(_per_slice(others, axis))
    below, above = painted[painted < local], painted[painted > local]
    if not (below.size and above.size):
        return None
    first, last = int(below[-1]), int(above[0])
    if _lies_between(mask & ~others, axis, (first, last)):
        return None
    return first + box[axis].start, last + box[axis].start


def _gaps(mask: Array, axis: int) -> list[tuple[int, int]]:
    painted = np.flatnonzero(_per_slice(mask, axis))
    return [(int(a), int(b)) for a, b in pairwise(painted) if b - a > 1]


def _stated(between: tuple[int, int], start: int, count: int, label: int) -> tuple[int, int]:
    first, last = sorted(int(b) - start for b in between)
    if first < 0 or last >= count:
        raise InputError(f"label {label} is not on both slices {between[0]} and {between[1]}; paint it there")
    if last - first < 2:
        raise InputError(f"there is no slice between {between[0]} and {between[1]}; choose others")
    return first, last


def _without_passing(mask: Array, axis: int, gap: tuple[int, int]) -> Array:
    """Return the mask without the components that have voxels within the gap."""
    numbers, count = ndimage.label(mask, structure=CONNECTED_26)
    inside = np.moveaxis(numbers, axis, 0)[gap[0] + 1 : gap[1]]
    kept = np.ones(count + 1, dtype=bool)
    kept[np.unique(inside)] = False
    kept[0] = False
    return np.asarray(kept[numbers])


def _lies_between(mask: Array, axis: int, gap: tuple[int, int]) -> bool:
    """Return whether a component of the mask lies completely between two slices."""
    numbers, _ = ndimage.label(mask, structure=CONNECTED_26)
    found = (sides[axis] for sides in ndimage.find_objects(numbers))
    return any(gap[0] < side.start and side.stop <= gap[1] for side in found)


def _per_slice(mask: Array, axis: int) -> Array:
    return np.asarray(mask.any(axis=tuple(a for a in range(3) if a != axis % 3)))


def _in_plane(spacing: Sequence[float] | None, axis: int) -> Plane:
    if spacing is None:
        return 1.0, 1.0
    rows, columns = (float(s) for a, s in enumerate(spacing) if a != axis % 3)
    return rows, columns


def _fill(mask: Array, axis: int, gaps: Sequence[tuple[int, int]], spacing: Plane) -> Array:
    """Return the mask of all gaps, interpolated from the outlines at their ends."""
    filled = np.zeros_like(mask)
    slices, out = np.moveaxis(mask, axis, 0), np.moveaxis(filled, axis, 0)
    for first, last in gaps:
        one, other = slices[first], slices[last]
        if not (one.any() and other.any()):
            raise InputError("the lesion is not painted on both slices; choose two slices that show it")
        for index in range(first + 1, last):
            out[index] = blend(one, other, (index - first) / (last - first), spacing)
    return filled


def blend(one: Array, other: Array, share: float, spacing: Plane = (1.0, 1.0)) -> Array:
    """Return the mask between two, `share` of the way from one to the other.

    Parameters
    ----------
    one, other : (rows, columns) array of bool
        Neither empty.
    share : float
        0 for `one`, 1 for `other`.
    spacing : (rows, columns)
        Pixel size.
    """
    if (one & other).any():
        return _blended(one, other, share, spacing)
    away = np.argwhere(other).mean(axis=0) - np.argwhere(one).mean(axis=0)
    room = [int(r) for r in np.ceil(np.abs(away))]  # so that nothing is moved beyond the edge
    inner = tuple(slice(r, r + n) for r, n in zip(room, one.shape, strict=True))
    near, far = (
        _moved(np.pad(mask, [(r, r) for r in room]), away * part)
        for mask, part in ((one, share), (other, share - 1))
    )
    return _blended(near, far, share, spacing)[inner]


def _blended(one: Array, other: Array, share: float, spacing: Plane) -> Array:
    near, far = (_signed_distance(mask, spacing) for mask in (one, other))
    return np.asarray((1 - share) * near + share * far >= 0)


def _moved(mask: Array, by: Array) -> Array:
    rows, columns = (int(s) for s in np.rint(by))
    return np.roll(mask, (rows, columns), axis=(0, 1))


def _signed_distance(mask: Array, spacing: Plane) -> Array:
    """Return distances to the nearest pixel on the other side of the outline, positive inside."""
    padded = np.pad(mask, 1)  # a mask that fills the array has an outline, too
    distance = ndimage.distance_transform_edt(padded, sampling=spacing)
    distance -= ndimage.distance_transform_edt(~padded, sampling=spacing)
    return np.asarray(distance[1:-1, 1:-1])
