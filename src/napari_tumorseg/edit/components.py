"""26-connected components: the one at a voxel, its removal or relabelling, and a sorted list."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from napari_tumorseg.edit.boxes import Box, checked_label, inside_of, is_in, whole, wider
from napari_tumorseg.edit.change import Change, change_to
from napari_tumorseg.geometry import CONNECTED_26, Array, bounding_box

_REACH = 24
"""Voxels around a point that are searched first, since most lesions are small."""

Point = Sequence[int]


@dataclass(frozen=True, eq=False)
class Component:
    """A 26-connected component.

    Attributes
    ----------
    box : (slice, slice, slice)
        Bounding box.
    mask : array of bool
        The component in that box.
    """

    box: Box
    mask: Array

    @cached_property
    def voxels(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.mask))

    @property
    def first(self) -> tuple[int, int, int]:
        """First voxel (z, y, x) in array order."""
        return self._at(np.array(np.unravel_index(self.mask.argmax(), self.mask.shape)))

    @cached_property
    def centre(self) -> tuple[int, int, int]:
        """Voxel (z, y, x) of the component that is nearest to its centre of gravity, in voxels."""
        return self._at(_central(np.argwhere(self.mask)))

    def largest_slice(self, axis: int = 0) -> int:
        """Return the index along `axis` of the largest slice; of several equal ones, the middle one."""
        return int(self.box[axis].start) + _largest(self.mask, axis)

    def centre_of_slice(self, axis: int = 0) -> tuple[int, int, int]:
        """Return the voxel of the largest slice that is nearest to that slice's centre of gravity."""
        index = _largest(self.mask, axis)
        flat = np.argwhere(self.mask.take(index, axis=axis))
        return self._at(_central(np.insert(flat, axis, index, axis=1)))

    def _at(self, point: Array) -> tuple[int, int, int]:
        z, y, x = (int(p) + side.start for p, side in zip(point, self.box, strict=True))
        return z, y, x


def component_at(labels: Array, point: Point, *, region: Collection[int] | None = None) -> Component | None:
    """Return the 26-connected component that contains a voxel.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Any order of axes.
    point : (z, y, x)
        A voxel.
    region : collection of int, optional
        Labels that count as one: those of a region, or `ANY` for the whole lesion. By default, the label
        of the voxel.

    Returns
    -------
    Component or None
        None if the voxel is outside the array, background, or of another label.
    """
    place = tuple(int(p) for p in point)
    if not all(0 <= p < n for p, n in zip(place, labels.shape, strict=True)):
        return None
    value = int(labels[place])
    members = {value} if region is None else region
    if value == 0 or value not in members:
        return None
    box = wider([slice(p, p + 1) for p in place], (_REACH,) * 3, labels.shape)
    found = _connected(labels, place, members, box)
    if _cut_off(found.box, box, labels.shape):
        (apart,) = _apart(is_in(labels, members), whole(labels.shape), place)
        found = _connected(labels, place, members, apart)
    return found


def _connected(labels: Array, place: tuple[int, ...], members: Collection[int], box: Box) -> Component:
    """Return the part of a voxel's component that lies in a box."""
    numbers, _ = ndimage.label(is_in(labels[box], members), structure=CONNECTED_26)
    own = numbers == numbers[tuple(p - s.start for p, s in zip(place, box, strict=True))]
    inner = bounding_box(own)
    assert inner is not None
    return Component(inside_of(box, inner), own[inner])


def reject_component(
    labels: Array, point: Point, *, region: Collection[int] | None = None, leaving: int = 0
) -> Change | None:
    """Return the change that removes the component at a voxel (see `component_at`).

    Its voxels become `leaving`.
    """
    return relabel_component(labels, point, leaving, region=region)


def relabel_component(
    labels: Array, point: Point, new_label: int, *, region: Collection[int] | None = None
) -> Change | None:
    """Return the change that relabels the component at a voxel; None if there is none.

    Raises
    ------
    InputError
        If the new label is not 0 to 255.
    """
    new_label = checked_label(new_label, background=True)
    found = component_at(labels, point, region=region)
    if found is None:
        return None
    block = labels[found.box].copy()
    block[found.mask] = new_label
    return change_to(labels, found.box, block)


def keep_only_component(
    labels: Array, point: Point, *, region: Collection[int] | None = None
) -> Change | None:
    """Return the change that removes all other components of the same label or region.

    Other labels stay. None if there is no component at the voxel.
    """
    found = component_at(labels, point, region=region)
    if found is None:
        return None
    members = {int(labels[tuple(int(p) for p in point)])} if region is None else region
    others = is_in(labels, members)
    others[found.box] &= ~found.mask
    box = bounding_box(others)
    if box is None:
        return None
    return change_to(labels, box, np.where(others[box], np.uint8(0), labels[box]))


def list_components(labels: Array, values: Collection[int]) -> list[Component]:
    """Return the 26-connected components of the union of some labels, the largest first.

    Components of equal size are in array order (Z, then Y, then X).

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Any order of axes.
    values : collection of int
        A label, or those of a region.
    """
    return sorted(_components(labels, values), key=lambda component: (-component.voxels, component.first))


def largest_slice(labels: Array, values: Collection[int], axis: int = 0) -> tuple[int, int, int] | None:
    """Return the central voxel of the slice with most voxels of some labels.

    Returns
    -------
    (z, y, x) or None
        A voxel that has one of the labels; its index along `axis` is the slice. None if there is none.
    """
    mask = is_in(labels, values)
    box = bounding_box(mask)
    if box is None:
        return None
    return Component(inside_of(whole(labels.shape), box), mask[box]).centre_of_slice(axis)


def _components(labels: Array, values: Collection[int]) -> Iterator[Component]:
    mask = is_in(labels, values)
    for outer in _apart(mask, whole(mask.shape)):
        numbers, count = ndimage.label(mask[outer], structure=CONNECTED_26)
        for number, inner in enumerate(ndimage.find_objects(numbers, count), start=1):
            yield Component(inside_of(outer, inner), numbers[inner] == number)


def _apart(mask: Array, box: Box, place: Point | None = None) -> Iterator[Box]:
    """Yield boxes that are separated by empty planes, so that no component lies in two of them.

    With `place`, only the box that contains it. Labelling is the slowest step, and most of a scan is empty.
    """
    for axis, side in enumerate(box):
        hit = mask[box].any(axis=tuple(a for a in range(3) if a != axis))
        runs = ndimage.find_objects(ndimage.label(hit)[0])
        if runs == [(slice(0, hit.size),)]:
            continue
        for (run,) in runs:
            start, stop = side.start + run.start, side.start + run.stop
            if place is None or start <= place[axis] < stop:
                sides = [*box]
                sides[axis] = slice(start, stop)
                yield from _apart(mask, (sides[0], sides[1], sides[2]), place)
        return
    yield box


def _cut_off(found: Box, box: Box, shape: Sequence[int]) -> bool:
    """Return whether a component touches the border of the box that was searched."""
    return any(
        (f.start == b.start and b.start > 0) or (f.stop == b.stop and b.stop < n)
        for f, b, n in zip(found, box, shape, strict=True)
    )


def _largest(mask: Array, axis: int) -> int:
    others = tuple(a for a in range(3) if a != axis % 3)
    sizes = np.count_nonzero(mask, axis=others)
    equal = np.flatnonzero(sizes == sizes.max())
    return int(equal[equal.size // 2])


def _central(points: Array) -> Array:
    return np.asarray(points[np.argmin(((points - points.mean(axis=0)) ** 2).sum(axis=1))])
