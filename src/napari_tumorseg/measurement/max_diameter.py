"""Longest diameter of a tumour in three dimensions.

The surface is taken at the centres of the outer voxel faces: the vertices that marching cubes gives for a
binary volume. A row of ten voxels of 1 mm is thus 10 mm long, not
9 (centre to centre) and not 10.1 (corner to corner).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError, distance

from napari_tumorseg.geometry import CONNECTED_26, Affine, Array

_BLOCK = 512


@dataclass(frozen=True, eq=False)
class LabelledComponents:
    """The 26-connected components of a mask: numbers from 1 on, and how many there are."""

    numbers: Array
    count: int


def components(mask: Array) -> LabelledComponents:
    """Return the 26-connected components of a mask."""
    numbers, count = ndimage.label(mask, structure=CONNECTED_26)
    return LabelledComponents(numbers, int(count))


def longest_diameter(mask: Array, affine: Affine, parts: LabelledComponents | None = None) -> float | None:
    """Return the longest 3-D diameter of any one component of a mask, in the unit of the affine.

    Parameters
    ----------
    mask : (Z, Y, X) array of bool
        The body.
    affine : (4, 4) array
        Maps (z, y, x, 1) to space; may be oblique or sheared.
    parts : LabelledComponents, optional
        Its components, if they are known already.

    Returns
    -------
    float or None
        None for an empty mask.
    """
    parts = components(mask) if parts is None else parts
    boxes = ndimage.find_objects(parts.numbers, parts.count)
    bounds = [longest_diagonal([s.stop - s.start for s in box], affine) for box in boxes]
    longest = 0.0
    # widest boxes first: most components need not be searched
    for index in np.argsort(bounds)[::-1]:
        if bounds[index] <= longest:
            break
        part = parts.numbers[boxes[index]] == index + 1
        longest = max(longest, _longest(face_centres(part), affine[:3, :3]))
    return longest or None


def face_centres(mask: Array) -> Affine:
    """Return the centres (z, y, x) of outer faces, of those on one line only the first and the last.

    None in between can be an end of the longest diameter, since a convex hull has no vertex there.
    """
    found = []
    for axis in range(3):
        lines = np.moveaxis(mask, axis, -1)
        hit = np.nonzero(lines.any(axis=-1))
        filled = lines[hit]
        first = filled.argmax(axis=-1) - 0.5
        last = mask.shape[axis] - 0.5 - filled[:, ::-1].argmax(axis=-1)
        for ends in (first, last):
            found.append(np.insert(np.stack(hit, axis=-1).astype(float), axis, ends, axis=1))
    return np.concatenate(found)


def longest_diagonal(size: Sequence[int], affine: Affine) -> float:
    """Return the longest diagonal of a box of so many voxels, over its outer edges."""
    signs = np.array([(1, 1, 1), (1, 1, -1), (1, -1, 1), (1, -1, -1)])
    return float(np.linalg.norm((signs * np.array(size)) @ affine[:3, :3].T, axis=1).max())


def _longest(points: Affine, matrix: Affine) -> float:
    """Return the largest distance between two points in space; both are vertices of the convex hull."""
    # in voxels the points are never flat, however thin the body; a hull stays one under any affine
    with suppress(QhullError):
        points = points[ConvexHull(points).vertices]
    points = points @ matrix.T
    blocks = (points[start : start + _BLOCK] for start in range(0, len(points), _BLOCK))
    return max(float(distance.cdist(block, points).max()) for block in blocks)
