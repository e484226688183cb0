"""First guess of the motion between two images of a head: the best of many, on a coarse grid.

Optimisation alone finds back from some 15 degrees. Patients turn their heads between sequences, and files can
state a wrong orientation.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from napari_tumorseg.geometry import Affine, Array
from napari_tumorseg.preparation.agreement import mapped, normalised_mutual_information
from napari_tumorseg.preparation.protocols import Head

_DEGREES = (-24, -12, 0, 12, 24)
"""Rotations about each axis of the body."""

_STEP_MM = 6.0
_SMOOTH_MM = 3.0


def first_guess(fixed: Head, moving: Head) -> Affine:
    """Return the best of some motions (4, 4), from RAS mm of the moving image to those of the fixed one.

    Tried are the position in the files, and rotations about the centre of the brain with the centres of
    both brains on each other.

    Parameters
    ----------
    fixed, moving : Head
        Images on their own grids, with their brains where known.
    """
    points, values = _sampled(fixed)
    content = _smooth(moving)
    to_index = np.linalg.inv(moving.image.grid.affine)

    def similarity(motion: Affine) -> float:
        where = mapped(to_index @ np.linalg.inv(motion), points)
        return normalised_mutual_information(values, ndimage.map_coordinates(content, where, order=1))

    return max(_candidates(_centre(fixed), _centre(moving)), key=similarity)


def _candidates(target: Affine, centre: Affine) -> Iterator[Affine]:
    yield np.eye(4)
    for angles in product(_DEGREES, repeat=3):
        motion = np.eye(4)
        motion[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
        motion[:3, 3] = target - motion[:3, :3] @ centre
        yield motion


def _sampled(head: Head) -> tuple[Array, Array]:
    """Return points (3, n) in RAS mm about `_STEP_MM` apart in a box around the brain, and their values."""
    grid = head.image.grid
    steps = np.maximum(1, np.round(_STEP_MM / np.asarray(grid.spacing))).astype(int)
    where = np.argwhere(head.tissue)
    spans = zip(where.min(axis=0), where.max(axis=0) + 1, steps, strict=True)
    place = tuple(slice(int(low), int(high), int(step)) for low, high, step in spans)
    indices = np.reshape(np.mgrid[place], (3, -1))
    return mapped(grid.affine, indices), _smooth(head)[place].ravel()


def _smooth(head: Head) -> Array:
    sigma = [_SMOOTH_MM / step for step in head.image.grid.spacing]
    return np.asarray(ndimage.gaussian_filter(head.values, sigma))


def _centre(head: Head) -> Affine:
    """Return the centre of gravity of the brain in RAS mm."""
    return head.image.grid.to_world(np.argwhere(head.tissue).mean(axis=0))
