"""Places and weights of overlapping windows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from napari_tumorseg.geometry import Array
from napari_tumorseg.models.windows import Windows

_SIGMA = 1 / 8
"""Standard deviation of a Gaussian weight, as a share of the window's side."""

_HALF_PEAK = 10
"""Largest weight in half precision, as in nnU-Net: fewer of the small ones become 0."""

_LEAST_WEIGHT = 1e-3
"""Smallest weight about the centre of a window, as in MONAI."""


def starts(length: int, side: int, windows: Windows) -> list[int]:
    """Return the first voxels of the windows along an axis of at least `side` voxels.

    Parameters
    ----------
    length : int
        Voxels along the axis.
    side : int
        Of a window.
    windows : Windows
        Overlap and placement: ``regular`` as MONAI's sliding window inference, ``even`` as nnU-Net's.
    """
    last = length - side
    step = side * (1 - windows.overlap)
    if windows.placement == "regular":
        whole = max(1, int(step))
        return [min(n * whole, last) for n in range(math.ceil(last / whole) + 1)]
    count = math.ceil(last / step) + 1
    return [int(np.round(last / (count - 1) * n)) for n in range(count)] if count > 1 else [0]


def weights(windows: Windows) -> Array:
    """Return the weights of a window's voxels, float32 with the window's shape, all above 0.

    ``gaussian`` is MONAI's importance map, ``gaussian-voxel`` that of nnU-Net, with `half` to the bit.
    """
    if windows.weights == "constant":
        return np.ones(windows.patch, dtype=np.float32)
    if windows.weights == "gaussian":
        return np.maximum(
            _product([_about_centre(side) for side in windows.patch]), np.float32(_LEAST_WEIGHT)
        )
    found = _product([_about_voxel(side) for side in windows.patch])
    found /= found.max()
    if windows.half:
        found = (_HALF_PEAK * found).astype(np.float16).astype(np.float32)
    positive = found > 0
    found[~positive] = found[positive].min()
    return found


def _product(lines: Sequence[Array]) -> Array:
    first, second, third = lines
    return np.asarray(first[:, None, None] * second[:, None] * third, dtype=np.float32)


def _about_centre(side: int) -> Array:
    places = np.arange(side) - (side - 1) / 2
    return np.asarray(np.exp(-(places**2) / (2 * (_SIGMA * side) ** 2)))


def _about_voxel(side: int) -> Array:
    line = np.zeros(side)
    line[side // 2] = 1
    return np.asarray(ndimage.gaussian_filter1d(line, _SIGMA * side, mode="constant"))
