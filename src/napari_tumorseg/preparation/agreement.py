"""Agreement of two images of a head, taken without the tool that registered them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from napari_tumorseg.geometry import Affine, Array, Grid
from napari_tumorseg.io.resample import onto
from napari_tumorseg.preparation.protocols import Head

_BINS = 32
_STEP_MM = 2.0


@dataclass(frozen=True)
class HeadAgreement:
    """Similarity of two images within the brain, and overlap of their brains.

    Attributes
    ----------
    similarity : float
        Normalised mutual information (Studholme et al. 1999), 1 for independent images, 2 for equal ones.
    overlap : float or None
        Dice of the brains where the moving image reaches; None where one of them is not known.
    coverage : float
        Share of the fixed image's brain that the moving image reaches.
    """

    similarity: float
    overlap: float | None
    coverage: float = 1.0

    def to_dict(self) -> dict[str, float | None]:
        """Return the figures, rounded, for JSON."""
        overlap = None if self.overlap is None else round(self.overlap, 4)
        similarity, coverage = round(self.similarity, 4), round(self.coverage, 4)
        return {"similarity": similarity, "brain_overlap": overlap, "coverage": coverage}


def agreement(fixed: Head, moving: Head, motion: Affine) -> HeadAgreement:
    """Compare two images as they lie after a motion.

    Parameters
    ----------
    fixed, moving : Head
        The images on their own grids.
    motion : (4, 4) array
        From RAS mm of the moving image to RAS mm of the fixed one.
    """
    grid = fixed.image.grid
    step = _step(grid)
    target = _thinned(grid, step)
    source = replace(moving.image.grid, affine=motion @ moving.image.grid.affine)
    covered = onto(_ones(moving.image.grid), source, target) > 0.5
    inside = fixed.tissue[step]
    seen = inside & covered
    moved = onto(moving.values, source, target)
    overlap = None
    if fixed.brain is not None and moving.brain is not None:
        overlap = dice(seen, covered & (onto(moving.brain.astype(np.float32), source, target) > 0.5))
    similarity = normalised_mutual_information(fixed.values[step][seen], moved[seen])
    coverage = int(np.count_nonzero(seen)) / max(int(np.count_nonzero(inside)), 1)
    return HeadAgreement(similarity, overlap, coverage)


def similarities(fixed: Head, moving: Head, motions: Sequence[Affine]) -> tuple[list[float], float]:
    """Compare two images after each of several motions, all on the same voxels.

    Parameters
    ----------
    fixed, moving : Head
        The images on their own grids.
    motions : sequence of (4, 4) array
        From RAS mm of the moving image to RAS mm of the fixed one.

    Returns
    -------
    list of float
        Normalised mutual information after each motion, on the part of the fixed image's brain that the
        moving image reaches with every one of them.
    float
        Share of the brain that this part is.
    """
    grid = fixed.image.grid
    step = _step(grid)
    inside = fixed.tissue[step]
    points = _thinned(grid, step).to_world(np.argwhere(inside)).T
    to_index = np.linalg.inv(moving.image.grid.affine)
    places = [mapped(to_index @ np.linalg.inv(motion), points) for motion in motions]
    last = np.asarray(moving.image.grid.shape)[:, None] - 1
    common = np.all([((place >= 0) & (place <= last)).all(axis=0) for place in places], axis=0)
    values = fixed.values[step][inside][common]
    moved = (ndimage.map_coordinates(moving.values, place[:, common], order=1) for place in places)
    return [normalised_mutual_information(values, other) for other in moved], float(common.mean())


def mapped(matrix: Affine, points: Affine) -> Affine:
    """Return points (3, n) after an affine map."""
    return np.asarray(matrix[:3, :3] @ points + matrix[:3, 3:])


def _step(grid: Grid) -> tuple[slice, ...]:
    return tuple(slice(None, None, max(1, round(_STEP_MM / s))) for s in grid.spacing)


def _ones(grid: Grid) -> Array:
    """Return ones on a grid, zero in its first voxel, which shows where the grid ends."""
    found = np.ones(grid.shape, dtype=np.float32)
    found.flat[0] = 0
    return found


def _thinned(grid: Grid, step: tuple[slice, ...]) -> Grid:
    """Return the grid of every so many voxels of another one."""
    affine = grid.affine.copy()
    affine[:3, :3] *= [s.step for s in step]
    shape = tuple(len(range(0, n, s.step)) for n, s in zip(grid.shape, step, strict=True))
    return Grid((shape[0], shape[1], shape[2]), affine)


def normalised_mutual_information(one: Array, other: Array) -> float:
    """Return (H(A) + H(B)) / H(A, B) of two sets of intensities between 0 and 1."""
    joint, *_ = np.histogram2d(one, other, bins=_BINS, range=((0, 1), (0, 1)))
    both = _entropy(joint)
    return (_entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))) / both if both else 1.0


def _entropy(counts: Array) -> float:
    shares = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(shares * np.log(shares)).sum())


def dice(one: Array, other: Array) -> float:
    """Return the overlap of two brains; 0 of two empty ones, which agree on nothing."""
    both = int(np.count_nonzero(one & other))
    total = int(np.count_nonzero(one)) + int(np.count_nonzero(other))
    return 2 * both / total if total else 0.0
