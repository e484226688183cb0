"""Axes of a layer's array relative to canonical (Z, Y, X) order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from napari.layers import Layer

from napari_tumorseg.geometry import Array, AxisOrder
from napari_tumorseg.viewer.layers.from_layers import grid_of, same_voxels
from napari_tumorseg.viewer.layers.origin import origin_of

Indices = tuple[npt.NDArray[np.intp], ...]
Index = tuple[int, int, int]


@dataclass(frozen=True)
class LayerAxes:
    """The way between the indices of a layer's array and canonical ones.

    Attributes
    ----------
    axis_order : AxisOrder
        From the layer's array to the canonical one; that of a layer of ours changes nothing.
    shape : (Z, Y, X)
        Of the canonical array.
    is_flat : bool
        Whether the layer is a picture, which has no third axis.
    """

    axis_order: AxisOrder
    shape: tuple[int, int, int]
    is_flat: bool = False

    @classmethod
    def of(cls, layer: Layer, beside: Iterable[Layer] = ()) -> LayerAxes:
        """Return those of a layer; one that lies on a scan among `beside` has the axes of that.

        Raises
        ------
        InputError
            If the layer has not two or three axes.
        """
        if origin_of(layer) or same_voxels(layer, beside):
            z, y, x = (int(n) for n in np.shape(layer.data))
            return cls(AxisOrder(), (z, y, x))
        grid = grid_of(layer)
        assert grid.file_layout is not None
        return cls(grid.file_layout.axis_order, grid.shape, layer.ndim == 2)

    def canonical(self, data: Array) -> Array:
        """Return a layer's array as canonical (a view of it)."""
        return self.axis_order.apply(data[np.newaxis] if self.is_flat else data)

    def to_layer(self, indices: Indices) -> Indices:
        """Return where canonical indices lie in the layer's array."""
        found: list[npt.NDArray[np.intp]] = [np.empty(0, np.intp)] * 3
        for index, axis, flip, length in zip(
            indices, self.axis_order.axes, self.axis_order.flips, self.shape, strict=True
        ):
            found[axis] = length - 1 - index if flip else index
        return tuple(found[self.is_flat :])

    def from_layer(self, point: Sequence[float]) -> Index | None:
        """Return the canonical index of a place in the layer's array, None outside of it."""
        there = [0.0] * self.is_flat + [float(p) for p in point]
        if not np.isfinite(there).all():
            return None
        found = []
        for axis, flip, length in zip(self.axis_order.axes, self.axis_order.flips, self.shape, strict=True):
            index = round(there[axis])
            found.append(length - 1 - index if flip else index)
        if not all(0 <= i < n for i, n in zip(found, self.shape, strict=True)):
            return None
        return found[0], found[1], found[2]
