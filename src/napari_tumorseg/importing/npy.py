"""Arrays in NumPy's own format, checked before they are read."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray

from napari_tumorseg.errors import ModelError


def read_npy(content: bytes, name: str) -> NDArray[np.float32]:
    """Return the numbers of an ``.npy`` file as float32.

    Parameters
    ----------
    content : bytes
        The whole file.
    name : str
        Its name, for the message.

    Raises
    ------
    ModelError
        If it holds Python objects, other values than real numbers, or not as many as its header says.
    """
    file = io.BytesIO(content)
    try:
        form = np.lib.format
        first = form.read_magic(file) == (1, 0)
        shape, _, dtype = (form.read_array_header_1_0 if first else form.read_array_header_2_0)(file)
    except Exception as error:  # NumPy's parser fails in many ways
        raise ModelError(f"{name} is no array of NumPy, or a damaged one") from error
    if dtype.hasobject or dtype.kind not in "fiub":
        raise ModelError(f"{name} holds {dtype}, not numbers, so it was not opened")
    if math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ModelError(f"{name} declares {' x '.join(map(str, shape))} numbers, which it does not hold")
    file.seek(0)
    return np.asarray(np.load(file, allow_pickle=False), dtype=np.float32)
