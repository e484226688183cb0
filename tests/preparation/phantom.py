"""A head of ellipsoids as several sequences see it, in any position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from napari_tumorseg.geometry import Affine, Array, Grid
from napari_tumorseg.io.case import Case
from napari_tumorseg.scan import Image, Role

# centre (R, A, S) in mm, half axes in mm, brightness in FLAIR, T1c and T1
_PARTS = (
    ((0, 0, 0), (72, 90, 76), (60, 90, 90)),  # scalp
    ((0, 0, 0), (66, 84, 70), (12, 15, 15)),  # skull
    ((0, 0, 0), (60, 78, 64), (100, 70, 80)),  # brain
    ((-18, 8, 6), (7, 26, 10), (30, 30, 30)),  # ventricles, unequal so that the head has a front and a side
    ((17, 10, 8), (9, 22, 12), (30, 30, 30)),
    ((-30, 30, 22), (12, 14, 11), (190, 120, 50)),  # tumour
    ((12, -55, -35), (24, 14, 14), (85, 95, 95)),
)
_COLUMN = {Role.FLAIR: 0, Role.T1C: 1, Role.T1: 2}
BRAIN = 2
_WAVES = ((0.11, 0.05, 0.0), (-0.03, 0.12, 0.07), (0.08, -0.06, 0.12), (0.02, 0.04, 0.15))


def grid_of(
    spacing: Sequence[float] = (5.0, 4.0, 4.0), turned: Sequence[float] = (0, 0, 0), extent: float = 200.0
) -> Grid:
    """Return a grid about the origin, its axes turned by angles about x, y and z in degrees."""
    size = [round(extent / step) for step in spacing]
    linear = np.array([[0, 0, -1], [0, -1, 0], [1, 0, 0]], dtype=float) * np.asarray(spacing)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turned, degrees=True).as_matrix() @ linear
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(size) - 1) / 2)
    return Grid((size[0], size[1], size[2]), affine)


def motion(degrees: Sequence[float] = (0, 0, 0), shift: Sequence[float] = (0, 0, 0)) -> Affine:
    """Return a rigid motion: rotations about x, y and z, then a shift in mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = shift
    return matrix


def inside(part: int, grid: Grid, moved: Affine | None = None) -> Array:
    """Return where a part of the head lies on a grid."""
    centre, axes, _ = _PARTS[part]
    return np.asarray((((_points(grid, moved) - centre) / axes) ** 2).sum(axis=-1) < 1)


def _points(grid: Grid, moved: Affine | None) -> Array:
    """Return each voxel's place (Z, Y, X, 3) in the head, in RAS mm."""
    points = grid.to_world(np.stack(np.mgrid[tuple(slice(n) for n in grid.shape)], axis=-1))
    if moved is None:
        return points
    back = np.linalg.inv(moved)
    return np.asarray(points @ back[:3, :3].T + back[:3, 3])


def _folds(points: Array) -> Array:
    """Return a pattern between -1 and 1, the same in all sequences, that looks different from each side."""
    waves = [np.sin(points @ np.array(k) + n) for n, k in enumerate(_WAVES)]
    return np.asarray(np.mean(waves, axis=0))


def head(role: Role, grid: Grid, moved: Affine | None = None) -> Image:
    """Return the head in a sequence, with noise in air as a scanner gives it."""
    noise = np.random.default_rng(5)
    data = np.abs(noise.normal(0, 4, grid.shape))
    for number, (_, _, values) in enumerate(_PARTS):
        where = inside(number, grid, moved)
        data[where] = values[_COLUMN[role]] + noise.normal(0, 3, int(where.sum()))
    brain = inside(BRAIN, grid, moved)
    data[brain] += (30 if role is Role.FLAIR else -20) * _folds(_points(grid, moved))[brain]
    return Image(f"head_{role}", role, np.clip(data, 0, None).astype(np.float32), grid)


def case_of(*images: Image) -> Case:
    return Case("head", tuple(images))
