"""Bringing the intensities of heads to one scale, so that shape and texture can be compared."""

from __future__ import annotations

import numpy as np

from napari_tumorseg.geometry import Array

DARKEST = 0.3
"""What the darkest tissue becomes, so that it stands out from the background."""

_LARGE = 500_000
"""Of a larger volume, only some voxels are looked at for the range of intensities."""


def normalise_intensity(data: Array) -> Array:
    """Return an image as float32 with tissue from 0.3 to 1 and background 0, whatever its scale and offset.

    Parameters
    ----------
    data : (Z, Y, X) array
        Intensities; what is not a number counts as 0. The lower median of the corners is background.
    """
    data = np.nan_to_num(np.asarray(data, dtype=np.float32), posinf=0.0, neginf=0.0)
    corners = np.sort(data[np.ix_(*[(0, n - 1) for n in data.shape])], axis=None)
    background = corners[(corners.size - 1) // 2]
    step = 3 if data.size > _LARGE else 1
    low, high = np.percentile(data[:, ::step, ::step], (0.1, 99.9))
    if not high > low:
        return np.zeros_like(data)
    # after z-scoring inside the brain, tissue lies on both sides of the background
    both = background - low > 0.2 * (high - background)
    tissue = data != background if both else data > background + 0.1 * (high - background)
    if not tissue.any():
        return np.zeros_like(data)
    some = tissue[:, ::step, ::step]
    if not some.any():
        some, step = tissue, 1
    dark, bright = np.percentile(data[:, ::step, ::step][some], (2, 98))
    shares = np.clip((data - dark) / max(bright - dark, np.finfo(np.float32).tiny), 0, 1)
    return np.where(tissue, DARKEST + (1 - DARKEST) * shares, 0).astype(np.float32)
