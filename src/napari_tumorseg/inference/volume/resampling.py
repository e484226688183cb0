"""Resampling between a scan's voxels and those of a network, in a box of the volume.

Images are interpolated as a card says; logits go back linearly, along one axis after the other, so that
slices can be finished one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse
from skimage.transform import resize

from napari_tumorseg.geometry import Array
from napari_tumorseg.models.windows import Windows

_ORDERS = {"linear": 1, "cubic": 3}


@dataclass(frozen=True)
class Resampling:
    """Sizes of a box in the scan's voxels and in the network's, along the network's axes.

    Attributes
    ----------
    scan, network : (int, int, int)
        Sides of the box in voxels.
    order : int
        Of the interpolating spline.
    separate : int or None
        Axis in which the nearest slice counts.
    """

    scan: tuple[int, ...]
    network: tuple[int, ...]
    order: int
    separate: int | None

    @classmethod
    def of(cls, sides: Sequence[int], spacing: Sequence[float] | None, windows: Windows) -> Resampling:
        """Return the resampling of a box.

        Parameters
        ----------
        sides : three int
            Of the box, in the scan's voxels along the network's axes.
        spacing : three float or None
            Distances of the scan's voxels in mm along these axes; None if unknown.
        windows : Windows
            The card's.
        """
        order = _ORDERS[windows.interpolation]
        if windows.spacing is None or spacing is None:
            return cls(tuple(sides), tuple(sides), order, None)
        wanted = [new or old for new, old in zip(windows.spacing, spacing, strict=True)]
        parts = zip(spacing, wanted, sides, strict=True)
        network = tuple(max(1, round(old / new * side)) for old, new, side in parts)
        return cls(tuple(sides), network, order, _separate_axis(spacing, wanted, windows.separate_above))

    @property
    def changes(self) -> bool:
        """True if the network's voxels are others than the scan's."""
        return self.scan != self.network

    def to_network(self, image: Array) -> Array:
        """Return an image in the box, float32, on the network's voxels."""
        if not self.changes:
            return image.astype(np.float32, copy=False)
        values = image.astype(np.float64)
        if self.separate is None:
            return self._resized(values, self.network)
        return self._resized_slices(values, self.separate)

    def _resized_slices(self, image: Array, axis: int) -> Array:
        """Resize each slice, then take the nearest one."""
        across = np.moveaxis(image, axis, 0)
        sides = tuple(np.delete(self.network, axis))
        slices = np.stack([self._resized(one, sides) for one in across])
        count = self.network[axis]
        if count != len(slices):
            # what scipy's map_coordinates takes at order 0, which rounds halves down
            places = len(slices) / count * (np.arange(count) + 0.5) - 0.5
            nearest = ndimage.map_coordinates(np.arange(len(slices)), [places], order=0, mode="nearest")
            slices = slices[nearest]
        return np.moveaxis(slices, 0, axis)

    def _resized(self, image: Array, sides: Sequence[int]) -> Array:
        if image.shape == tuple(sides):
            return image.astype(np.float32)
        found = resize(image, sides, self.order, mode="edge", anti_aliasing=False)
        return np.asarray(found, dtype=np.float32)

    def back(self, axis: int) -> sparse.csr_array:
        """Return the (scan, network) matrix that takes logits to the scan's voxels along an axis."""
        length, count = self.scan[axis], self.network[axis]
        places = count / length * (np.arange(length) + 0.5) - 0.5
        if axis == self.separate:
            nearest = ndimage.map_coordinates(np.arange(count), [places], order=0, mode="nearest")
            return sparse.csr_array(
                (np.ones(length, np.float32), (np.arange(length), nearest)), (length, count)
            )
        places = np.clip(places, 0, count - 1)
        first = np.minimum(np.floor(places).astype(int), max(count - 2, 0))
        share = (places - first).astype(np.float32)
        rows = np.arange(length)
        lower = sparse.csr_array((1 - share, (rows, first)), (length, count))
        upper = sparse.csr_array((share, (rows, np.minimum(first + 1, count - 1))), (length, count))
        found = sparse.csr_array(lower + upper)
        found.eliminate_zeros()
        return found


def _separate_axis(old: Sequence[float], new: Sequence[float], above: float | None) -> int | None:
    """Return the axis of the longest side of anisotropic voxels, the scan's before the network's."""
    if above is None:
        return None
    for sides in (old, new):
        if max(sides) / min(sides) > above:
            longest = [axis for axis, side in enumerate(sides) if side == max(sides)]
            return longest[0] if len(longest) == 1 else None
    return None
