"""Distances between the surfaces of two masks.

Two definitions of a surface are in use, and they give different numbers:

* `surface_distances`, `hd95` and `nsd` take voxels, as MONAI does: those that a 6-connected erosion takes
  away, outside the image counting as background. Each has the same weight.
* `weighted_hd95` takes surface elements, as surface-distance does (Nikolov et al. 2018, arXiv:1809.04430):
  the cubes between eight voxels of which some but not all are in the mask, each with the area of the
  marching cubes (Lorensen and Cline 1987) through it. BraTS 2023 scores by it.

Distances come from a k-d tree over the surface points, several times faster than a distance transform of
the box and right under shear, too.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from napari_tumorseg.geometry import Affine, Array, bounding_box

Directed = tuple[Affine, Affine]
"""Distances from the segmentation's surface to the reference's, and the other way."""

_ROUNDING = 1e-5
"""Share by which a tolerance is widened: headers hold float32, and 1.0000001 mm is meant as 1."""

_CORNERS = tuple(np.ndindex(2, 2, 2))


def union_box(first: Array, second: Array) -> tuple[slice, ...]:
    """Return the slices that enclose all non-zero voxels of both arrays; one voxel if there are none."""
    boxes = [box for box in (bounding_box(first), bounding_box(second)) if box is not None]
    if not boxes:
        return tuple(slice(0, 1) for _ in range(first.ndim))
    sides = zip(*boxes, strict=True)
    return tuple(slice(min(s.start for s in side), max(s.stop for s in side)) for side in sides)


def surface_distances(seg_mask: Array, ref_mask: Array, affine: Affine) -> Directed:
    """Return the distance of each surface voxel of either mask from the nearest one of the other.

    Parameters
    ----------
    seg_mask, ref_mask : (Z, Y, X) array of bool
        Neither of them empty.
    affine : (4, 4) array
        Maps (z, y, x, 1) to mm.
    """
    box = union_box(seg_mask, ref_mask)
    ours, theirs = _surface(seg_mask[box]), _surface(ref_mask[box])
    return _nearest(ours, theirs, affine), _nearest(theirs, ours, affine)


def hd95(distances: Directed) -> float:
    """Return the larger of the two directed 95th percentiles, ``max(P95(d(S, R)), P95(d(R, S)))``.

    Percentiles are interpolated linearly. MONAI's `compute_hausdorff_distance(percentile=95)` is the same;
    MedPy's `hd95` pools both directions and is not.
    """
    return max(float(np.percentile(d, 95)) for d in distances)


def nsd(distances: Directed, tolerance_mm: float) -> float:
    """Return the normalised surface distance: the share of surface voxels within a tolerance of the other.

    ``(#{d(S, R) <= t} + #{d(R, S) <= t}) / (#S + #R)``, not weighted by area: MONAI's
    `compute_surface_dice` (Seidlitz et al. 2021, arXiv:2111.05408).
    """
    limit = tolerance_mm * (1 + _ROUNDING)
    within = sum(int(np.count_nonzero(d <= limit)) for d in distances)
    return within / sum(d.size for d in distances)


def weighted_hd95(seg_mask: Array, ref_mask: Array, affine: Affine) -> float:
    """Return the 95 % Hausdorff distance over surface elements, each weighted by its area.

    The same number as `compute_robust_hausdorff(..., 95)` of surface-distance: the least distance within
    which 95 % of the area of a surface lie, the larger one of both directions.

    Parameters
    ----------
    seg_mask, ref_mask : (Z, Y, X) array of bool
        Neither of them empty.
    affine : (4, 4) array
        Maps (z, y, x, 1) to mm.
    """
    box = union_box(seg_mask, ref_mask)
    ours, theirs = _codes(seg_mask[box]), _codes(ref_mask[box])
    areas = element_areas(affine)
    at = [(codes != 0) & (codes != 255) for codes in (ours, theirs)]
    return max(
        _percentile(_nearest(at[0], at[1], affine), areas[ours[at[0]]]),
        _percentile(_nearest(at[1], at[0], affine), areas[theirs[at[1]]]),
    )


def element_areas(affine: Affine) -> Affine:
    """Return the area in mm2 of the surface in a cube, for each of the 256 ways to fill its corners."""
    matrix = affine[:3, :3]
    # an area vector is mapped by the cofactors of what maps lengths
    cofactors = np.linalg.det(matrix) * np.linalg.inv(matrix).T
    return np.array([np.linalg.norm(t @ cofactors.T, axis=1).sum() for t in _triangles()])


@cache
def _triangles() -> tuple[Affine, ...]:
    """Return the area vectors of the triangles in a unit cube, for each way to fill its corners.

    Bit k of the way stands for the corner k of `_CORNERS`. A way and its opposite share one surface, the
    one of that with fewer corners filled: where two are possible, filled corners are kept apart.
    """
    # slow to import, and only BraTS scores need it
    from skimage.measure import marching_cubes

    found = [np.zeros((0, 3))] * 256
    for code in range(1, 255):
        fewer = code if code.bit_count() <= 4 else 255 - code
        cube = (fewer >> np.arange(8) & 1).reshape(2, 2, 2)
        mesh = marching_cubes(cube.astype(float), 0.5, method="lorensen")
        # vertices are midpoints of edges, but for rounding to float32
        a, b, c = np.moveaxis((np.round(2 * mesh[0].astype(float)) / 2)[mesh[1]], 1, 0)
        found[code] = np.cross(b - a, c - a) / 2
    return tuple(found)


def _surface(mask: Array) -> Array:
    return np.asarray(mask & ~ndimage.binary_erosion(mask))


def _codes(mask: Array) -> Array:
    """Return the filled corners of each cube between eight voxels, with one layer outside the mask."""
    padded = np.pad(mask, 1).astype(np.uint8)
    codes = np.zeros(np.array(padded.shape) - 1, np.uint8)
    for bit, corner in enumerate(_CORNERS):
        view = tuple(slice(c, c + n) for c, n in zip(corner, codes.shape, strict=True))
        codes |= padded[view] << np.uint8(bit)
    return codes


def _nearest(start: Array, goal: Array, affine: Affine) -> Affine:
    """Return the distance in mm from each True in `start` to the nearest one in `goal`, in C order."""
    # most points of masks that agree lie on both surfaces, and need no search
    apart = ~goal[start]
    distances = np.zeros(apart.size)
    if apart.any():
        matrix = affine[:3, :3].T
        tree = KDTree(np.argwhere(goal) @ matrix, leafsize=32)
        distances[apart] = tree.query(np.argwhere(start & ~goal) @ matrix)[0]
    return distances


def _percentile(distances: Affine, weights: Affine) -> float:
    """Return the least distance up to which 95 % of the weight lie."""
    order = np.lexsort((weights, distances))
    sums = np.cumsum(weights[order]) / np.sum(weights[order])
    index = min(int(np.searchsorted(sums, 0.95)), sums.size - 1)
    return float(distances[order][index])
