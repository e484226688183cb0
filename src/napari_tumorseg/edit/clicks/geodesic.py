"""Geodesic distances on a small volume by sweeps along its axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_tumorseg.geometry import Array

_FAR = 1e4


def geodesic_distance(
    start: Array, steps: Sequence[float], cost: Array | None = None, *, most: float = _FAR, rounds: int = 2
) -> Array:
    """Return the cost of the cheapest path from each voxel to a set of voxels, along the axes.

    Each sweep passes the costs on from plane to plane, forwards and backwards along each axis. Paths that
    turn back more often than there are rounds are missed, so the distances are upper bounds.

    Parameters
    ----------
    start : (Z, Y, X) array of bool
        Voxels at distance 0.
    steps : (Z, Y, X)
        Voxel size.
    cost : (Z, Y, X) array of float, optional
        Cost of a unit of length at each voxel, not negative; 1 by default, which gives city-block distances.
    most : float
        Upper limit of the distances.
    rounds : int
        Number of sweeps along each axis, both ways.

    Returns
    -------
    (Z, Y, X) array of float32
    """
    found = np.where(start, np.float32(0), np.float32(most))
    for _ in range(rounds):
        for axis in range(3):
            if found.shape[axis] > 1:
                found = _swept(found, axis, _edges(cost, axis, steps[axis]), steps[axis])
    return found


def _edges(cost: Array | None, axis: int, step: float) -> Array | None:
    """Return the costs of the edges along an axis, that axis first; None where all are as long as a step."""
    if cost is None:
        return None
    along = np.moveaxis(cost, axis, 0)
    return np.ascontiguousarray((along[1:] + along[:-1]) * np.float32(step / 2))


def _swept(found: Array, axis: int, edges: Array | None, step: float) -> Array:
    planes = np.ascontiguousarray(np.moveaxis(found, axis, 0))
    each = np.full(len(planes) - 1, step, dtype=np.float32) if edges is None else edges
    for here in range(1, len(planes)):
        np.minimum(planes[here], planes[here - 1] + each[here - 1], out=planes[here])
    for here in range(len(planes) - 2, -1, -1):
        np.minimum(planes[here], planes[here + 1] + each[here], out=planes[here])
    return np.moveaxis(planes, 0, axis)
