"""Displayed slice of a grid."""

from __future__ import annotations

from typing import Any

from napari_tumorseg.geometry import Grid
from napari_tumorseg.viewer.layers.to_layers import placement


def shown_slice(dims: Any, grid: Grid, axis: int) -> int | None:
    """Return the index along a canonical axis at which the viewer cuts the grid.

    Parameters
    ----------
    dims : napari Dims
        Of the viewer.
    grid : Grid
        Of a layer in it.
    axis : int
        Canonical axis (0, 1, 2).

    Returns
    -------
    int or None
        None if the axis lies in the screen, so that all its slices are seen. May be outside the grid.
    """
    there = dims.ndim - 3 + axis
    if there < 0:  # a picture is its own only slice
        return 0
    if there in dims.displayed:
        return None
    place = placement(grid)
    return round(float((dims.point[there] - place["translate"][axis]) / place["scale"][axis]))


def turn_to(dims: Any, grid: Grid, index: int, axis: int = 0) -> None:
    """Turn the viewer to a slice of a grid along a canonical axis."""
    place = placement(grid)
    there = dims.ndim - 3 + axis
    dims.set_point(there, place["translate"][axis] + index * place["scale"][axis])
