"""The mid-sagittal plane of a head, fitted from its own left-right symmetry.

A head seldom lies straight in the scanner, so x = 0 is not its middle. This module finds the plane in which
the reference image, mirrored, agrees best with itself: a coarse search over yaw, roll and offset, then a
refinement of the best. Differences count up to a limit only (a truncated L1 norm), so that a tumour, which
has no counterpart on the other side, pulls no more than any other mismatch (the idea of Liu, Collins and
Rothfus 2001, doi:10.1109/42.918469, with a robust norm).

Against the plane of the same scan turned by known angles, plane and offset come back within about 1 degree
and 0.3 mm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from napari_tumorseg.geometry import Affine, Array, Grid, Unit
from napari_tumorseg.intensity import DARKEST, normalise_intensity
from napari_tumorseg.measurement.volumes import Point
from napari_tumorseg.scan import Scan

_COARSE_MM = 4.0
_COARSE_SHARE = 60
"""Samples across a slice where the voxel size is unknown."""

_LIMIT = 0.3
"""Differences beyond this share of the range of intensities count no more."""

_MAX_TILT = 35.0
"""Degrees up to which a head may be turned or inclined."""

_KEPT = 0.8
"""Share of the samples, those that agree best, whose correlation is reported."""

_MIN_CORRELATION = 0.6
"""Lowest correlation of a plane that is trusted; brains with large tumours reach 0.73 to 0.94."""

_MIN_RISE = 0.008
"""Least increase of the mismatch (0 to 0.3) when the plane is turned by `_TURN` degrees."""
_TURN = 12.0

_MIN_HEIGHT_MM = 40.0
"""Smallest height of a head from which its inclination can be estimated."""

_FEW, _MANY = 1500, 12000

Cost = Callable[[Affine], float]


@dataclass(frozen=True)
class Midline:
    """A mid-sagittal plane: all points p with ``normal . p = offset``.

    Attributes
    ----------
    normal : (R, A, S)
        Unit vector that points towards the patient's left.
    offset : float
        In mm, or in voxels where the voxel size is unknown.
    unit : {"mm", "unknown"}
        Unit of the offset.
    correlation : float
        Of the image with its mirror image, over the best 80 % of the samples; 1 is perfect symmetry.
    confident : bool
        Whether the symmetry is good enough to trust the plane.
    notes : tuple of str
        Remarks, one sentence each.
    """

    normal: Point
    offset: float
    unit: Unit
    correlation: float
    confident: bool
    notes: tuple[str, ...] = ()

    @property
    def yaw_degrees(self) -> float:
        """Rotation of the head in the axial plane, against the axes of the scan's world."""
        return float(np.degrees(np.arctan2(-self.normal[1], -self.normal[0])))

    @property
    def roll_degrees(self) -> float:
        """Inclination of the head towards a shoulder."""
        return float(np.degrees(np.arcsin(np.clip(-self.normal[2], -1, 1))))

    def distance(self, points: Array) -> Affine:
        """Return distances of (..., 3) points (R, A, S) to the left of the plane; negative on the right."""
        return np.asarray(np.asarray(points, dtype=float) @ np.array(self.normal) - self.offset)

    def distance_of_voxels(self, indices: Array, grid: Grid) -> Affine:
        """Return the distances of (..., 3) canonical indices to the left; negative on the right."""
        return self.distance(grid.to_world(indices))

    def trace(self, grid: Grid, index: int) -> tuple[Point, Point] | None:
        """Return the line in which the plane crosses an axial slice, as two ends (z, y, x) on its border.

        Returns
        -------
        pair of points or None
            None if it does not cross it.
        """
        steps = np.array(self.normal) @ grid.affine[:3, :3]
        rest = float(np.array(self.normal) @ grid.affine[:3, 3] - self.offset + steps[0] * index)
        ends = []
        for along, across in ((1, 2), (2, 1)):
            if abs(steps[across]) < 1e-12:
                continue
            for side in (-0.5, grid.shape[along] - 0.5):
                place = -(rest + steps[along] * side) / steps[across]
                if -0.5 <= place <= grid.shape[across] - 0.5:
                    y, x = (side, place) if along == 1 else (place, side)
                    ends.append((float(index), float(y), float(x)))
        if len(ends) < 2:
            return None
        far = max(ends, key=lambda end: np.hypot(end[1] - ends[0][1], end[2] - ends[0][2]))
        return ends[0], far

    def to_dict(self) -> dict[str, Any]:
        """Return the plane as plain types, for JSON."""
        angles = {"yaw_degrees": self.yaw_degrees, "roll_degrees": self.roll_degrees}
        return {**asdict(self), **angles, "normal": list(self.normal), "notes": list(self.notes)}


def find_midline(scan: Scan) -> Midline:
    """Fit the mid-sagittal plane of a scan.

    Parameters
    ----------
    scan : Scan
        Its reference image is used, with or without the skull; only the brain of it, where a mask is known.

    Returns
    -------
    Midline
        With a note, and not `confident`, where the symmetry is poor or the voxel size unknown.
    """
    head = _Head.of(scan)
    notes = []
    if not len(head.places):
        nothing = ("the image shows nothing, so it has no mid-sagittal plane",)
        return Midline((-1.0, 0.0, 0.0), 0.0, scan.grid.unit, 0.0, False, nothing)
    if scan.grid.unit != "mm":
        notes.append("the voxel size is unknown, so the mid-sagittal plane is taken as upright on the slices")
    elif not head.has_roll:
        notes.append("there are too few slices to estimate the inclination of the head")
    best = _search(head)
    correlation = head.correlation(best)
    confident = scan.grid.unit == "mm"
    if correlation < _MIN_CORRELATION or not _is_sharp(head, best):
        confident = False
        notes.append(
            "the image is hardly symmetric to any plane, so the mid-sagittal plane is not to be trusted"
        )
    normal = _normal(best)
    offset = float(best[2] + head.centre @ normal)
    r, a, s = (float(value) for value in normal)
    return Midline((r, a, s), offset, scan.grid.unit, correlation, confident, tuple(notes))


@dataclass(frozen=True, eq=False)
class _Head:
    """An image reduced to samples some mm apart: its intensities from 0.3 to 1, 0 in the background."""

    values: Array
    inverse: Affine
    places: Affine
    own: Array
    centre: Affine
    step: float
    has_roll: bool

    @classmethod
    def of(cls, scan: Scan) -> _Head:
        values, affine = _reduced(scan)
        indices = np.argwhere(values > DARKEST / 2)
        places = indices @ affine[:3, :3].T + affine[:3, 3]
        height = np.ptp(places[:, 2]) if len(places) else 0.0
        return cls(
            values,
            np.asarray(np.linalg.inv(affine), dtype=np.float64),
            places,
            values[tuple(indices.T)],
            np.asarray(places.mean(axis=0) if len(places) else np.zeros(3), dtype=np.float64),
            float(np.linalg.norm(affine[:3, 2])),
            scan.grid.unit == "mm" and bool(height >= _MIN_HEIGHT_MM),
        )

    def mirrored(self, plane: Affine, some: Array) -> Array:
        """Return the intensities opposite to some of the samples, on the other side of a plane."""
        normal = _normal(plane)
        places = self.places[some]
        beyond = places - 2 * ((places - self.centre) @ normal - plane[2])[:, None] * normal
        indices = beyond @ self.inverse[:3, :3].T + self.inverse[:3, 3]
        found = ndimage.map_coordinates(self.values, indices.T, order=1, mode="constant", prefilter=False)
        return np.asarray(found)

    def cost(self, some: Array, most: float = _MAX_TILT) -> Cost:
        """Return the function that computes the mismatch of some samples with their mirror image, 0 to 0.3.

        Planes tilted by more than `most` degrees are worse than any other.
        """

        def cost(plane: Affine) -> float:
            if np.abs(plane[:2]).max() > most:
                return _LIMIT + float(np.abs(plane[:2]).max())
            apart = np.abs(self.own[some] - self.mirrored(plane, some))
            return float(np.minimum(apart, _LIMIT).mean())

        return cost

    def correlation(self, plane: Affine) -> float:
        """Return the correlation with the mirror image, over the samples that agree best."""
        other = self.mirrored(plane, np.arange(len(self.own)))
        kept = np.argsort(np.abs(self.own - other))[: max(2, int(_KEPT * len(self.own)))]
        if min(np.std(self.own[kept]), np.std(other[kept])) < 1e-6:
            return 0.0
        return float(np.corrcoef(self.own[kept], other[kept])[0, 1])

    def some(self, number: int) -> Array:
        """Return the indices of so many samples, random but always the same."""
        return np.random.default_rng(0).permutation(len(self.own))[:number]


def _normal(plane: Affine) -> Affine:
    """Return the unit vector towards the left of a plane (yaw, roll in degrees, offset)."""
    yaw, roll = np.radians(plane[:2])
    return -np.array([np.cos(yaw) * np.cos(roll), np.sin(yaw) * np.cos(roll), np.sin(roll)])


def _search(head: _Head) -> Affine:
    """Return the plane (yaw, roll, offset from the centre) in which the head is most symmetric."""
    quick, thorough = head.cost(head.some(_FEW)), head.cost(head.some(_MANY))
    angles = np.arange(-30.0, 31.0, 10.0)
    rolls = angles if head.has_roll else np.zeros(1)
    offsets = head.step * np.array([-3, -1.5, 0, 1.5, 3])
    planes = [np.array([yaw, roll, offset]) for yaw in angles for roll in rolls for offset in offsets]
    starts = sorted(planes, key=quick)[:4]
    near = (_refined(quick, start, (5.0, 5.0, head.step), head) for start in starts)
    best = min(near, key=quick)
    return _refined(thorough, best, (1.0, 1.0, head.step / 4), head)


def _refined(cost: Cost, start: Affine, reach: tuple[float, float, float], head: _Head) -> Affine:
    """Return the plane of least cost near another one (Nelder and Mead 1965)."""
    from scipy import optimize  # slow to import

    free = [0, 1, 2] if head.has_roll else [0, 2]

    def of_free(values: Affine) -> float:
        plane = start.copy()
        plane[free] = values
        return cost(plane)

    corners = np.vstack([start[free], start[free] + np.diag(np.array(reach)[free])])
    options = {"initial_simplex": corners, "xatol": 0.02, "fatol": 1e-6, "maxiter": 150}
    best = start.copy()
    best[free] = optimize.minimize(of_free, start[free], method="Nelder-Mead", options=options).x
    return best


def _is_sharp(head: _Head, best: Affine) -> bool:
    """Return whether the symmetry is lost when the plane is turned; it is not for a ball."""
    cost = head.cost(head.some(_MANY), most=np.inf)
    turns = [(_TURN, 0.0), (-_TURN, 0.0)] + ([(0.0, _TURN), (0.0, -_TURN)] if head.has_roll else [])
    return min(cost(best + np.array([*turn, 0.0])) for turn in turns) - cost(best) >= _MIN_RISE


def _reduced(scan: Scan) -> tuple[Array, Affine]:
    """Return the reference image by means over blocks of voxels, and its voxel-to-RAS affine."""
    grid = scan.grid
    if grid.unit == "mm":
        steps = [max(1, round(_COARSE_MM / size)) for size in grid.spacing]
    else:
        across = max(1, round(max(grid.shape[1:]) / _COARSE_SHARE))
        steps = [1, across, across]
    # an axis shorter than a block is one block
    steps = [min(step, n) for step, n in zip(steps, grid.shape, strict=True)]
    blocks = [n // step for n, step in zip(grid.shape, steps, strict=True)]
    box = tuple(slice(0, n * step) for n, step in zip(blocks, steps, strict=True))
    tissue = normalise_intensity(scan.reference.data[box])
    if scan.brain_mask is not None:  # scalp and neck are less symmetric than the brain
        tissue *= scan.brain_mask[box]
    shape = [size for pair in zip(blocks, steps, strict=True) for size in pair]
    affine = grid.affine @ np.diag([*steps, 1.0])
    affine[:3, 3] = grid.to_world((np.array(steps) - 1) / 2)
    return tissue.reshape(shape).mean(axis=(1, 3, 5)), affine
