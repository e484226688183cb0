"""Protocols of the tools of a preparation, so that another extractor or registration can take their place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from napari_tumorseg.geometry import Affine, Array
from napari_tumorseg.intensity import normalise_intensity
from napari_tumorseg.scan import Image


class BrainExtractor(Protocol):
    """Finds the brain in a head scan of any modality."""

    @property
    def name(self) -> str:
        """Name and version, for provenance."""
        ...

    def extract(self, image: Image) -> Array:
        """Return the probability of brain (Z, Y, X) as float32, 0 to 1.

        Raises
        ------
        PreparationError
            If nothing that could be a brain is found.
        """
        ...


@dataclass(frozen=True, eq=False)
class Head:
    """An image of a head on its own grid, and its brain where that is known.

    Attributes
    ----------
    image : Image
        Voxels and grid.
    brain : (Z, Y, X) array of bool or None
        On the same grid.
    """

    image: Image
    brain: Array | None = None

    @cached_property
    def values(self) -> Array:
        """Intensities from 0 (background) to 1."""
        return normalise_intensity(self.image.data)

    @cached_property
    def tissue(self) -> Array:
        """The brain, else all that is not background."""
        return self.brain if self.brain is not None else np.asarray(self.values > 0)


class Registration(Protocol):
    """Finds the rigid motion that brings one image of a head onto another."""

    @property
    def name(self) -> str:
        """Name and version, for provenance."""
        ...

    def motion(self, fixed: Head, moving: Head) -> Affine:
        """Return the matrix (4, 4) from RAS mm of the moving image to RAS mm of the fixed one.

        It need not be trusted: the caller checks it by other means.

        Raises
        ------
        PreparationError
            If the tool gives up.
        """
        ...
