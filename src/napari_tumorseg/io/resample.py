"""Resampling of an image onto another grid."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_tumorseg.geometry import Array, Grid


def onto(data: Array, source: Grid, target: Grid, nearest: bool = False) -> Array:
    """Sample an image at the voxels of another grid.

    Linear interpolation (nearest neighbour for masks); what lies outside the source is its background,
    the value of its first voxel.

    Parameters
    ----------
    data : (Z, Y, X) array
        The image on `source`.
    source, target : Grid
        Where it lies and where it is wanted.
    nearest : bool
        Take the nearest voxel instead of a weighted mean.

    Returns
    -------
    array
        On `target`; float32, or the input's type with `nearest`.
    """
    matrix = np.linalg.inv(source.affine) @ target.affine
    kind = data.dtype if nearest else np.dtype(np.float32)
    outside = data.flat[0] if np.isfinite(data.flat[0]) else 0
    if kind.kind == "f" and not np.isfinite(data.sum(dtype=np.float64)):
        data = np.where(np.isfinite(data), data, outside)  # a NaN would spread to all voxels around it
    return np.asarray(
        ndimage.affine_transform(
            np.asarray(data, dtype=kind),
            matrix[:3, :3],
            offset=matrix[:3, 3],
            output_shape=target.shape,
            order=0 if nearest else 1,
            mode="grid-constant",  # "constant" drops the outermost slice for a rounding error
            cval=float(outside),
            output=kind,
        )
    )
