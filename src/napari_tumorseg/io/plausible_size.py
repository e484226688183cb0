"""Plausibility of voxel sizes: sizes that no scan of a head has, and what they were likely meant to be.

Headers give metres as millimetres, or the other way round, and sizes that are damaged. Volumes from them
would look like any other number, so the unit of such a grid becomes unknown until the user states the
voxel size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_tumorseg.errors import Notice, Remedy
from napari_tumorseg.geometry import Grid

_VOXEL_MM = (0.05, 100.0)
_SMALLEST_FIELD_MM, _LARGEST_FIELD_MM = 20.0, 1000.0
_WHOLE_IMAGE = 32
"""Voxels along an axis from which on it spans a whole image, and not a patch or a few thick slices."""

_MOST_ANISOTROPIC = 25.0

_LIKELY_VOXEL_MM = (0.2, 12.0)
_LIKELY_FIELD_MM = (60.0, 500.0)
_FACTORS = (1000.0, 0.001, 10.0, 0.1, 1e6, 1e-6)
"""Metres, micrometres, centimetres written as mm, and mm written as those."""


def plausible(grid: Grid, name: str) -> tuple[Grid, list[str]]:
    """Return the grid, its unit unknown if it cannot be that of a head, and warnings.

    Parameters
    ----------
    grid : Grid
        As the file describes it.
    name : str
        File or dataset, for the warning.

    Returns
    -------
    grid : Grid
        With the spacing that was likely meant, where there is one, but in no unit.
    warnings : list of str
        A sentence with the size and the likely one, if it is implausible.
    """
    if grid.unit != "mm" or _is_possible(grid.shape, grid.spacing):
        return grid, []
    field = in_words([n * step for n, step in zip(grid.shape, grid.spacing, strict=True)])
    text = (
        f"{name}: voxels of {in_words(grid.spacing)} and a field of view of {field} cannot be "
        "those of a head, so volumes in mL are not known"
    )
    factor = _likely_factor(grid)
    if factor is not None:
        likely = [step * factor for step in grid.spacing]
        text += f"; likely the voxels are {in_words(likely)} (Z, Y, X)"
    return _without_unit(grid, factor or 1.0), [Notice(text, Remedy.STATE_SPACING)]


def in_words(spacing: Sequence[float]) -> str:
    """Return voxel sizes as ``4 x 2 x 2 mm``."""
    return f"{' x '.join(map(_number, spacing))} mm"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"


def _is_possible(shape: Sequence[int], spacing: Sequence[float]) -> bool:
    if not all(_VOXEL_MM[0] <= step <= _VOXEL_MM[1] for step in spacing):
        return False
    steps = [step for n, step in zip(shape, spacing, strict=True) if n > 1]
    if steps and max(steps) > _MOST_ANISOTROPIC * min(steps):
        return False
    return all(
        n * step <= _LARGEST_FIELD_MM and (n < _WHOLE_IMAGE or n * step >= _SMALLEST_FIELD_MM)
        for n, step in zip(shape, spacing, strict=True)
    )


def _likely_factor(grid: Grid) -> float | None:
    for factor in _FACTORS:
        steps = [step * factor for step in grid.spacing]
        field = max(n * step for n, step in zip(grid.shape, steps, strict=True))
        fits = all(_LIKELY_VOXEL_MM[0] <= step <= _LIKELY_VOXEL_MM[1] for step in steps)
        fits = fits and _is_possible(grid.shape, steps)
        if fits and (max(grid.shape) < _WHOLE_IMAGE or _LIKELY_FIELD_MM[0] <= field <= _LIKELY_FIELD_MM[1]):
            return factor
    return None


def _without_unit(grid: Grid, factor: float) -> Grid:
    scale = np.diag([factor, factor, factor, 1.0])
    layout = grid.file_layout
    if layout is not None:
        layout = replace(layout, affine=scale @ layout.affine)
    return replace(grid, affine=scale @ grid.affine, unit="unknown", file_layout=layout)
