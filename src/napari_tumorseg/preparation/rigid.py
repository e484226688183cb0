"""Rigid registration of two images of one head by SimpleITK (Mattes mutual information)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import ndimage

from napari_tumorseg.errors import PreparationError
from napari_tumorseg.geometry import Affine, Array, Grid
from napari_tumorseg.io.resample import onto
from napari_tumorseg.io.simpleitk import matrix_of, simpleitk, to_simpleitk, transform_of
from napari_tumorseg.preparation.first_guess import first_guess
from napari_tumorseg.preparation.protocols import Head
from napari_tumorseg.scan import Image

_STEP_MM = 2.0
"""Voxels of the fixed image as it is compared."""

_AROUND_MM = 8.0
"""Margin around the brain that is compared, too: the outline of the brain says where it lies."""

_LEVELS = ((3, 4.0), (2, 2.0), (1, 1.0))
"""Shrinking of the fixed image and smoothing in mm, from coarse to fine."""


@dataclass(frozen=True)
class SimpleITKRegistration:
    """Mutual information, several resolutions, on one thread with a fixed seed: the same result each time.

    Attributes
    ----------
    seed : int
        For the voxels that the metric is taken from.
    sampled : float
        Share of the fixed image's voxels that the metric is taken from.
    bins : int
        Of the joint histogram, along each axis.
    """

    seed: int = 1
    sampled: float = 0.1
    bins: int = 32

    @cached_property
    def name(self) -> str:
        """Name and version of the library."""
        return f"SimpleITK {self._library.Version_VersionString()}"

    def motion(self, fixed: Head, moving: Head) -> Affine:
        """Return the motion of the moving image, as the protocol says.

        It starts from `first_guess`.
        """
        target, region = _compact(fixed)
        images = [to_simpleitk(target.data, target.grid, target.name)]
        images.append(to_simpleitk(_smooth(moving), moving.image.grid, moving.image.name))
        mask = self._library.Cast(
            to_simpleitk(region.astype(np.uint8), target.grid, ""), self._library.sitkUInt8
        )
        start = transform_of(self._library, first_guess(fixed, moving), target.grid.centre)
        try:
            with _one_thread(self._library):
                method = self._method(mask)
                method.SetInitialTransform(start, inPlace=False)
                return matrix_of(method.Execute(*images))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise PreparationError(f"{moving.image.name} could not be registered: {reason}") from error

    @property
    def _library(self) -> Any:
        return simpleitk("registration of the sequences", "native")

    def _method(self, mask: Any) -> Any:
        method = self._library.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=self.bins)
        method.SetMetricFixedMask(mask)
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(self.sampled, self.seed)
        method.SetInterpolator(self._library.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=2.0, minStep=0.005, numberOfIterations=120, relaxationFactor=0.6
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetShrinkFactorsPerLevel([factor for factor, _ in _LEVELS])
        method.SetSmoothingSigmasPerLevel([sigma for _, sigma in _LEVELS])
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
        return method


@contextmanager
def _one_thread(library: Any) -> Iterator[None]:
    """Let filters that are made meanwhile sum up in one thread, so that each run gives the same.

    The method's own `SetNumberOfThreads` does not reach its metric.
    """
    process = library.ProcessObject
    before = process.GetGlobalDefaultNumberOfThreads()
    process.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        process.SetGlobalDefaultNumberOfThreads(before)


def _compact(head: Head) -> tuple[Image, Array]:
    """Return an image on a grid of `_STEP_MM` around its brain, and where on it images are compared."""
    image = head.image
    box = _box(image.grid, head.tissue)
    near = onto(head.tissue.astype(np.float32), image.grid, box) > 0.5
    region = ndimage.binary_dilation(near, iterations=round(_AROUND_MM / _STEP_MM))
    return replace(image, data=onto(head.values, image.grid, box), grid=box), np.asarray(region)


def _box(grid: Grid, brain: Array) -> Grid:
    """Return a grid along the axes of another one, of equal steps, around a brain and its surroundings."""
    where = np.argwhere(brain)
    low, high = where.min(axis=0), where.max(axis=0)
    margin = (_AROUND_MM + _STEP_MM) / np.asarray(grid.spacing)
    first, size = low - margin, (high - low + 2 * margin) * np.asarray(grid.spacing)
    affine = grid.affine.copy()
    affine[:3, :3] *= _STEP_MM / np.asarray(grid.spacing)
    affine[:3, 3] = grid.to_world(first)
    shape = np.ceil(size / _STEP_MM).astype(int) + 1
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _smooth(head: Head) -> Array:
    """Return intensities without detail finer than the steps of the comparison."""
    sigma = [max(0.0, (_STEP_MM / step) ** 2 - 1) ** 0.5 / 2.355 for step in head.image.grid.spacing]
    return np.asarray(ndimage.gaussian_filter(head.values, sigma))
