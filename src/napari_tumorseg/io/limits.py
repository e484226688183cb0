"""Limits on the sizes that headers declare, checked before memory is allocated."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_tumorseg.errors import InputError, TooLargeError

LIMIT_VARIABLE = "TUMORSEG_MAX_GIB"
"""Environment variable that raises (or lowers) the limit, in GiB."""

_DEFAULT_GIB = 4.0
_MOST_GIB = 2.0**30  # what is not between 0 and this (NaN, too) is a slip of the pen


def max_bytes() -> int:
    """Return how many bytes one array of a file may take once it is read."""
    try:
        gib = float(os.environ.get(LIMIT_VARIABLE, _DEFAULT_GIB))
    except ValueError:
        gib = _DEFAULT_GIB
    return int(gib * 2**30) if 0 < gib < _MOST_GIB else int(_DEFAULT_GIB * 2**30)


def check_array(shape: Sequence[int], dtype: npt.DTypeLike, path: Path) -> int:
    """Return the size in bytes of an array that a header declares, if it is a sensible one.

    Parameters
    ----------
    shape : sequence of int
        As declared.
    dtype : dtype
        As declared.
    path : Path
        The file, for the message.

    Raises
    ------
    InputError
        If a dimension is zero or negative.
    TooLargeError
        If the array would take more than the limit.
    """
    sizes = [int(n) for n in shape]
    if not sizes or min(sizes) <= 0:
        raise InputError(
            f"{path}: the header declares an empty array of shape {tuple(sizes)}; nothing to read"
        )
    wanted = math.prod(sizes) * np.dtype(dtype).itemsize
    if wanted > max_bytes():
        raise TooLargeError(
            f"{path}: the header declares {' x '.join(map(str, sizes))} voxels, {wanted / 2**30:.1f} GiB, "
            f"more than the limit of {max_bytes() / 2**30:g} GiB; if it is right, raise {LIMIT_VARIABLE}"
        )
    return wanted
