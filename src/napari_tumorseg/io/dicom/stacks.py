"""Volumes from the slices of a series: which slices belong together, in which order, and where they lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_tumorseg.geometry import LPS_TO_RAS, Affine
from napari_tumorseg.io.dicom.facts import Frame, Header

_SAME_PLACE_MM = 0.005
_SAME_DIRECTION = 1e-3
_SAME_SPACING_MM = 1e-3
_SAME_ECHO_MS = 0.1
"""Echo times may be rounded differently from slice to slice; those of two echoes lie further apart."""

_MOST_SLICES = 4096
_EVEN = 0.1
"""Share of the slice distance by which a slice may lie off its place in an even stack."""

_LEAST_SLACK_MM = 0.05
_UNIT_SLACK = 0.01
_VOXEL_MM = (1e-3, 1e3)


@dataclass(frozen=True)
class Plane:
    """An image plane: a frame and the file that it lies in."""

    header: Header
    frame: Frame

    @property
    def origin(self) -> Affine:
        """(3,) centre of its first pixel, LPS mm."""
        return np.asarray(self.frame.position, dtype=float)

    @property
    def axes(self) -> Affine:
        """(3, 2) steps of a column and of a row, LPS mm."""
        rows, columns = self.frame.spacing or (1.0, 1.0)
        directions = np.asarray(self.frame.orientation, dtype=float).reshape(2, 3)
        return (directions * [[columns], [rows]]).T

    @property
    def normal(self) -> Affine:
        """(3,) unit vector across it, LPS."""
        first, second = np.asarray(self.frame.orientation, dtype=float).reshape(2, 3)
        across = np.cross(first, second)
        return np.asarray(across / np.linalg.norm(across))


@dataclass(frozen=True, eq=False)
class Stack:
    """Planes that make one volume.

    Attributes
    ----------
    planes : tuple of Plane
        In the order of the volume's slices.
    slots : tuple of int
        Index of each plane in the volume; one that no plane has is empty.
    affine : (4, 4) array
        Maps (column, row from the last one, slice) to RAS mm: the order in which dcm2niix writes.
    notes : tuple of str
        Remarks for the user, each without its subject.
    """

    planes: tuple[Plane, ...]
    slots: tuple[int, ...]
    affine: Affine
    notes: tuple[str, ...] = ()

    @property
    def header(self) -> Header:
        """Facts of its first plane's file."""
        return self.planes[0].header

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows and slices."""
        rows, columns = self.header.shape
        return columns, rows, self.slots[-1] + 1

    @property
    def has_depth(self) -> bool:
        """Whether the distance of the slices is known; that of a single one has to be stated."""
        return len(self.planes) > 1 or bool(self.planes[0].frame.depth)


@dataclass(frozen=True)
class Sorted:
    """Volumes of a series, and why slices are left out, each without its subject."""

    stacks: tuple[Stack, ...]
    problems: tuple[str, ...] = ()


SamePixels = Callable[[Plane, Plane], bool]


class NoVolumeError(Exception):
    """Some planes make no volume; the message says why, without its subject."""


def sort_planes(planes: Sequence[Plane], has_same_pixels: SamePixels) -> Sorted:
    """Return the volumes that the planes of one series make.

    Slices are different images by their direction, size, echo, diffusion weighting or kind of image. Copies
    of a slice count once. Several volumes at one place (a time series) are none.

    Parameters
    ----------
    planes : sequence of Plane
        All planes of the series, in any order.
    has_same_pixels : callable
        Called with two planes of one place and number; copies of a slice have the same pixels, points in
        time have not.
    """
    problems = []
    usable = [plane for plane in planes if has_place(plane)]
    if not usable:
        return Sorted((), ("has no positions of slices",))
    if len(usable) < len(planes):
        problems.append(f"has {len(planes) - len(usable)} slice(s) without a position, which are left out")
    stacks = []
    for group in _of_one_direction(usable):
        try:
            stacks.append(_stack(group, has_same_pixels))
        except NoVolumeError as error:
            problems.append(str(error))
    return Sorted(tuple(stacks), tuple(dict.fromkeys(problems)))


def sparse_stack(planes: Sequence[Plane]) -> tuple[Stack, list[int]]:
    """Return the grid of planes of which several may lie at one place and any may be missing, as in a mask.

    Returns
    -------
    stack : Stack
        One plane of each place.
    slots : list of int
        Index of every plane in the volume.

    Raises
    ------
    NoVolumeError
        If the planes are of several directions, or at no even distances.
    """
    if not all(map(has_place, planes)):
        raise NoVolumeError("has frames without a position")
    are_parallel = all(_are_parallel(planes[0], plane) for plane in planes)
    if len({kind[:2] for kind in _kinds(planes)}) > 1 or not are_parallel:
        raise NoVolumeError("has frames in several directions or sizes")
    places = _places(planes)
    firsts = [place[0] for place in places]
    stack = _even(firsts, sparse=True)
    slots = {id(plane): slot for place, slot in zip(places, stack.slots, strict=True) for plane in place}
    return stack, [slots[id(plane)] for plane in planes]


def has_place(plane: Plane) -> bool:
    """Return whether a plane's place is stated, its directions are unit vectors, and it has a size."""
    frame = plane.frame
    if frame.position is None or frame.orientation is None or frame.spacing is None:
        return False
    if not all(_VOXEL_MM[0] < step < _VOXEL_MM[1] for step in frame.spacing):
        return False
    first, second = np.asarray(frame.orientation).reshape(2, 3)
    are_units = all(abs(np.linalg.norm(v) - 1) < _UNIT_SLACK for v in (first, second))
    return are_units and abs(float(first @ second)) < _UNIT_SLACK and min(plane.header.shape) > 0


def _of_one_direction(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Return planes that are of one kind and point in one direction, which may be rounded differently."""
    groups: list[list[Plane]] = []
    for alike in _parted(planes, _kinds(planes)):
        found: list[list[Plane]] = []
        for plane in alike:
            group = next((g for g in found if _are_parallel(g[0], plane)), None)
            if group is None:
                found.append([plane])
            else:
                group.append(plane)
        groups += found
    return groups


def _are_parallel(one: Plane, other: Plane) -> bool:
    directions = np.asarray([one.frame.orientation, other.frame.orientation], dtype=float)
    return bool(np.abs(directions[0] - directions[1]).max() < _SAME_DIRECTION)


def _kinds(planes: Sequence[Plane]) -> list[tuple[Hashable, ...]]:
    """Return size, pixel size, echo, diffusion weighting and kind of image of each plane."""
    steps = _levels((step for plane in planes for step in plane.frame.spacing or ()), _SAME_SPACING_MM)
    echoes = _levels((p.frame.echo for p in planes if p.frame.echo is not None), _SAME_ECHO_MS)
    return [
        (
            plane.header.shape,
            tuple(steps[step] for step in plane.frame.spacing or ()),
            None if plane.frame.echo is None else echoes[plane.frame.echo],
            plane.frame.b_value,
            tuple(word for word in plane.frame.image_type if not word.isdigit()),
        )
        for plane in planes
    ]


def _levels(values: Iterable[float], tolerance: float) -> dict[float, float]:
    """Return the level of each value: the smallest one that is at most the tolerance below it."""
    levels: dict[float, float] = {}
    level = -np.inf
    for value in sorted(set(values)):
        level = value if value - level > tolerance else level
        levels[value] = level
    return levels


def _parted(planes: Iterable[Plane], kinds: Iterable[Hashable]) -> list[list[Plane]]:
    parted: dict[Hashable, list[Plane]] = defaultdict(list)
    for plane, kind in zip(planes, kinds, strict=True):
        parted[kind].append(plane)
    return list(parted.values())


def _stack(planes: Sequence[Plane], has_same_pixels: SamePixels) -> Stack:
    places = _places(planes)
    most = max(len(place) for place in places)
    notes: tuple[str, ...] = ()
    if most > 1:
        if not _are_copies(places, has_same_pixels):
            raise NoVolumeError(f"holds {most} volumes at one place, as a time series does")
        notes = (f"has {len(planes) - len(places)} slice(s) twice; one copy of each is used",)
    stack = _even([place[0] for place in places])
    return replace(stack, notes=(*notes, *stack.notes))


def _places(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Return planes in the order of their distance along the normal, those at one place together."""
    normal = planes[0].normal
    ordered = sorted(
        planes, key=lambda p: (float(p.origin @ normal), p.header.instance_number or 0, p.frame.index)
    )
    places = [[ordered[0]]]
    for plane in ordered[1:]:
        apart = float((plane.origin - places[-1][0].origin) @ normal)
        if apart < _SAME_PLACE_MM:
            places[-1].append(plane)
        else:
            places.append([plane])
    return places


def _are_copies(places: Sequence[Sequence[Plane]], has_same_pixels: SamePixels) -> bool:
    """Return whether the planes at each place are one image: of one number, time and content.

    Pixels are compared at three places: volumes of one number differ all over.
    """
    if any(len({_identity(plane) for plane in place}) > 1 for place in places):
        return False
    repeated = [place for place in places if len(place) > 1]
    looked_at = {len(repeated) * quarter // 4 for quarter in (1, 2, 3)}
    return all(has_same_pixels(repeated[n][0], other) for n in sorted(looked_at) for other in repeated[n][1:])


def _identity(plane: Plane) -> Hashable:
    header, frame = plane.header, plane.frame
    if header.instance_number is None:
        return header.instance, frame.index
    return header.instance_number, header.acquisition, frame.time, frame.index


def _even(planes: Sequence[Plane], sparse: bool = False) -> Stack:
    """Return planes in order as a stack with even steps, some perhaps missing, of a mask any number."""
    if len(planes) == 1:
        depth = planes[0].frame.depth or 1.0
        notes = ("has one slice only",)
        return Stack(tuple(planes), (0,), _affine(planes[0], planes[0].normal * depth), notes)
    origins = np.array([plane.origin for plane in planes])
    distances = (origins - origins[0]) @ planes[0].normal
    slots = _slots(distances, sparse)
    step = (origins[-1] - origins[0]) / slots[-1]
    _refuse_crooked(origins, slots, step)
    missing = slots[-1] + 1 - len(planes)
    gaps = [f"lacks {missing} slice(s), which are left empty"] if missing else []
    return Stack(tuple(planes), slots, _affine(planes[0], step), (*gaps, *_tilt(planes[0], step)))


def _slots(distances: Affine, sparse: bool) -> tuple[int, ...]:
    """Return the index of each slice in a stack of even steps.

    Raises
    ------
    NoVolumeError
        If there is no such step.
    """
    gaps = np.diff(distances)
    usual = float(gaps.min() if sparse else np.median(gaps))
    if distances[-1] / usual > _MOST_SLICES:
        raise NoVolumeError(_uneven(gaps))
    counts = np.maximum(np.rint(gaps / usual), 1)
    slots = np.concatenate([[0], np.cumsum(counts)]).astype(int)
    step = distances[-1] / slots[-1]
    off = np.abs(distances - slots * step).max()
    if off > max(_EVEN * step, _LEAST_SLACK_MM):
        raise NoVolumeError(_uneven(gaps))
    if slots[-1] + 1 > 2 * len(distances) and not sparse:
        raise NoVolumeError("lacks more than half of its slices")
    return tuple(int(n) for n in slots)


def _uneven(gaps: Affine) -> str:
    return f"has slices at uneven distances, {gaps.min():.3g} to {gaps.max():.3g} mm"


def _refuse_crooked(origins: Affine, slots: Sequence[int], step: Affine) -> None:
    """Raise if slices do not lie behind each other along one line."""
    expected = origins[0] + np.asarray(slots)[:, np.newaxis] * step
    off = float(np.abs(origins - expected).max())
    if off > max(_EVEN * float(np.linalg.norm(step)), _LEAST_SLACK_MM):
        raise NoVolumeError(f"has slices that are shifted against each other by up to {off:.3g} mm")


def _tilt(plane: Plane, step: Affine) -> tuple[str, ...]:
    """Return a note if the slices are not perpendicular to the line that they lie on."""
    cosine = abs(float(step @ plane.normal)) / float(np.linalg.norm(step))
    degrees = float(np.degrees(np.arccos(min(cosine, 1.0))))
    if degrees < 0.5:
        return ()
    return (
        f"was taken with a tilt of {degrees:.1f} degrees between its slices and the table, which is kept",
    )


def _affine(plane: Plane, step: Affine) -> Affine:
    """Return the affine of the array whose rows are turned upside down, as in the files of dcm2niix."""
    affine = np.eye(4)
    affine[:3, :2] = plane.axes
    affine[:3, 2] = step
    affine[:3, 3] = plane.origin + plane.axes[:, 1] * (plane.header.shape[0] - 1)
    affine[:3, 1] *= -1
    return np.asarray(LPS_TO_RAS @ affine)
