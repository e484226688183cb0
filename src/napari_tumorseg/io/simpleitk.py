"""Canonical arrays and grids as images of SimpleITK, and its transforms as matrices of this package."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_tumorseg.errors import InputError, TumorSegError
from napari_tumorseg.extras import to_install
from napari_tumorseg.geometry import LPS_TO_RAS, Affine, Array, Grid

_LPS = LPS_TO_RAS[:3, :3]


def simpleitk(purpose: str, extra: str) -> Any:
    """Return the module.

    Raises
    ------
    TumorSegError
        If it is not installed; the message names what needs it and the extra.
    """
    try:
        import SimpleITK
    except ImportError as error:
        raise TumorSegError(
            f"{purpose} needs SimpleITK, which is not installed: {to_install(extra)}"
        ) from error
    return SimpleITK


def to_simpleitk(data: Array, grid: Grid, name: str) -> Any:
    """Return an array (Z, Y, X) as an image whose world is LPS mm.

    Raises
    ------
    InputError
        If the axes of the grid are not at right angles to each other.
    """
    linear = grid.affine[:3, :3] / grid.spacing
    if not np.allclose(linear.T @ linear, np.eye(3), atol=1e-3):
        raise InputError(f"{name} cannot be registered: its axes are not at right angles to each other")
    # (z, y, x) arrays become images with x first
    found = simpleitk("registration", "registration").GetImageFromArray(data)
    found.SetSpacing(grid.spacing[::-1])
    found.SetDirection(np.ascontiguousarray((_LPS @ linear)[:, ::-1]).ravel())
    found.SetOrigin(_LPS @ grid.affine[:3, 3])
    return found


def matrix_of(motion: Any) -> Affine:
    """Return the matrix from moving to fixed RAS mm of a transform from fixed to moving LPS points."""
    origin = np.array(motion.TransformPoint((0.0, 0.0, 0.0)))
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([motion.TransformPoint(tuple(axis)) for axis in np.eye(3)], axis=1)
    matrix[:3, :3] -= origin[:, None]
    matrix[:3, 3] = origin
    return np.asarray(np.linalg.inv(LPS_TO_RAS @ matrix @ LPS_TO_RAS), dtype=np.float64)


def transform_of(module: Any, matrix: Affine, centre: Affine) -> Any:
    """Return the rigid transform from fixed to moving LPS points of a matrix from moving to fixed RAS mm.

    Parameters
    ----------
    module : module
        SimpleITK.
    matrix : (4, 4) array
        Rigid.
    centre : (3,) array
        RAS mm of the fixed image about which it turns.
    """
    inverse = LPS_TO_RAS @ np.linalg.inv(matrix) @ LPS_TO_RAS
    middle = _LPS @ np.asarray(centre, dtype=float)
    found = module.Euler3DTransform()
    found.SetCenter(middle)
    found.SetMatrix(inverse[:3, :3].ravel(), 1e-5)
    found.SetTranslation(inverse[:3, :3] @ middle + inverse[:3, 3] - middle)
    return found
