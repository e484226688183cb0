"""Voxels of layers as NumPy arrays; lazy ones are computed once."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Layer

from napari_tumorseg.geometry import Array

_computed: WeakKeyDictionary[Layer, tuple[Any, Array]] = WeakKeyDictionary()
"""The dask array of a layer and its voxels: computed for the first caller, kept as long as the layer."""


def array_of(layer: Layer) -> Array:
    """Return the voxels of a layer.

    A dask array cannot change, so it is computed once; arrays that can be written to, such as those of zarr,
    are read again.
    """
    data = layer.data
    if isinstance(data, np.ndarray) or not hasattr(data, "__dask_graph__"):
        return np.asarray(data)
    known, array = _computed.get(layer, (None, None))
    if array is None or known is not data:
        array = np.asarray(data)
        _computed[layer] = (data, array)
    return array
