"""Resampling between the pixels of a slice and those of the network, by one sparse matrix for each axis.

Resampling, padding, cropping to a window and reducing by a mean are all linear and separable, so they are
composed once per scan into a matrix per axis; a slice then costs two sparse products, and sampling does
not depend on where the window lies. (Dense products would wake the threads of a second library beside
torch's, which costs more than the sums.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import sparse

from napari_tumorseg.geometry import Array
from napari_tumorseg.models.card import Size

_MUCH_LARGER = 1.5
"""A slice of unknown spacing is shrunk onto the canvas if it is larger than that by this factor."""


_WORTH_CROPPING = 0.8
"""Share of a canvas' side from which on cropping saves too little for what it changes."""


@dataclass(frozen=True, eq=False)
class AxisMap:
    """One axis of a slice, `length` pixels, and the network's window on it.

    Attributes
    ----------
    down : (window, length) sparse array of float32
        Takes the slice's pixels to the network's; what lies outside the slice counts as 0.
    up : (covered, window) sparse array of float32
        Takes values at the network's pixels back to the slice's, linearly.
    covered : slice
        The slice's pixels that the window covers; there is no output for others.
    """

    down: sparse.csr_array
    up: sparse.csr_array
    covered: slice

    @property
    def window(self) -> int:
        """Pixels of the network along this axis."""
        return int(self.down.shape[0])


def apply_maps(rows: sparse.csr_array, columns: sparse.csr_array, image: Array) -> Array:
    """Return a 2-D image taken through one matrix along its rows and one along its columns."""
    return np.asarray((columns @ (rows @ image).T).T)


@dataclass(frozen=True)
class _Scale:
    """Pixel edges: slice = (canvas - offset) * step."""

    step: float
    offset: float

    def to_slice(self, canvas: Array) -> Array:
        return (canvas - self.offset) * self.step

    def to_canvas(self, edge: Array | float) -> Array:
        return np.asarray(edge) / self.step + self.offset


def axis_map(
    length: int,
    spacing: float | None,
    size: Size,
    axis: int,
    span: tuple[int, int],
    stride: int,
    margin: int,
    shrink: float = 1.0,
) -> AxisMap:
    """Return the map of one axis.

    Parameters
    ----------
    length : int
        Pixels of the slice along the axis.
    spacing : float or None
        Their distance in mm; None if unknown.
    size : Size
        What the card asks for.
    axis : int
        0 for rows, 1 for columns.
    span : (int, int)
        First and one past the last pixel with tissue.
    stride : int
        Of the network; the window's edges are multiples of it.
    margin : int
        Pixels of the network that are kept around the tissue.
    shrink : float
        Slice pixels per canvas pixel where no spacing is known.
    """
    scale = _scale(length, spacing, size, axis, shrink)
    return _map_of(length, scale, size.reduce, *_window(length, size, axis, scale, span, stride, margin))


@lru_cache(maxsize=128)
def _map_of(length: int, scale: _Scale, reduce: int, low: int, high: int) -> AxisMap:
    """Return the map of a window; neighbouring slices mostly share theirs."""
    up, covered = _up(length, scale, reduce, low, high)
    return AxisMap(sparse.csr_array(_down(length, scale, reduce, low, high)), sparse.csr_array(up), covered)


def shrink_factor(lengths: tuple[int, int], spacing: float | None, size: Size) -> float:
    """Return slice pixels per canvas pixel of unknown spacing.

    It is 1 unless the slice is far too large, or is to be contained in the canvas.
    """
    known = spacing is not None and size.spacing is not None
    if known or size.canvas is None or size.fit == "stretch":
        return 1.0
    factor = max(n / c for n, c in zip(lengths, size.canvas, strict=True))
    return factor if factor > _MUCH_LARGER or size.fit == "contain" else 1.0


def _scale(length: int, spacing: float | None, size: Size, axis: int, shrink: float) -> _Scale:
    canvas = size.canvas[axis] if size.canvas else None
    if size.fit == "stretch" and canvas:
        return _Scale(length / canvas, 0.0)
    step = size.spacing / spacing if spacing and size.spacing else shrink
    if math.isclose(step, 1.0, rel_tol=1e-3):  # no interpolation: whole pixels, shifted by whole pixels
        return _Scale(1.0, float((canvas - length) // 2) if canvas else 0.0)
    pixels = length / step
    return _Scale(step, (canvas - pixels) / 2 if canvas else 0.0)


def _window(
    length: int,
    size: Size,
    axis: int,
    scale: _Scale,
    span: tuple[int, int],
    stride: int,
    margin: int,
) -> tuple[int, int]:
    """Return the window in network pixels: the tissue and a margin, on the network's stride.

    It does not leave the canvas (or the slice, where there is none) unless the tissue does. Next to all of
    a canvas is taken as the whole one: the network has learnt its border. Without cropping, all of either is.
    """
    whole = size.canvas[axis] if size.canvas else float(scale.to_canvas(length))
    limits = (0, math.ceil(whole / size.reduce / stride))
    tissue = [float(scale.to_canvas(edge)) / size.reduce for edge in span]
    needed = (math.floor(tissue[0] / stride), math.ceil(tissue[1] / stride))
    wanted = (math.floor((tissue[0] - margin) / stride), math.ceil((tissue[1] + margin) / stride))
    if size.canvas and min(wanted[1], limits[1]) - max(wanted[0], limits[0]) >= _WORTH_CROPPING * limits[1]:
        wanted = limits
    if not size.crop:
        wanted = limits
    low = min(max(wanted[0], limits[0]), needed[0])
    high = max(min(wanted[1], limits[1]), needed[1], low + 1)
    return low * stride, high * stride


def _down(length: int, scale: _Scale, reduce: int, low: int, high: int) -> Array:
    """Sample canvas pixels by a triangle (it antialiases where they are larger), average `reduce` of them.

    A canvas pixel whose centre lies outside the slice is 0; the others take all their weight from inside.
    """
    canvas = np.arange(low * reduce, high * reduce) + 0.5
    centres = scale.to_slice(canvas) - 0.5
    width = max(1.0, scale.step)
    weights = np.clip(1 - np.abs(np.arange(length) - centres[:, None]) / width, 0, None)
    weights[(centres < -0.5) | (centres > length - 0.5)] = 0
    sums = weights.sum(axis=1, keepdims=True)
    np.divide(weights, sums, out=weights, where=sums > 0)
    return np.asarray(weights.reshape(high - low, reduce, length).mean(axis=1), dtype=np.float32)


def _up(length: int, scale: _Scale, reduce: int, low: int, high: int) -> tuple[Array, slice]:
    """Interpolate linearly between centres of network pixels; the last one goes on to its edge."""
    window = high - low
    position = scale.to_canvas(np.arange(length) + 0.5) / reduce - 0.5 - low
    hit = np.flatnonzero((position >= -0.5) & (position <= window - 0.5))
    covered = slice(int(hit[0]), int(hit[-1]) + 1) if hit.size else slice(0, 0)
    position = np.clip(position[covered], 0, window - 1)
    first = np.floor(position).astype(int)
    share = position - first
    up = np.zeros((len(position), window), dtype=np.float32)
    rows = np.arange(len(position))
    up[rows, first] = 1 - share
    up[rows, np.minimum(first + 1, window - 1)] += share
    return up, covered
