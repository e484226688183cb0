"""Tools that know the answer, in place of deepbet and SimpleITK."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from napari_tumorseg.geometry import Affine, Array
from napari_tumorseg.preparation import Head, Tools
from napari_tumorseg.scan import Image, Role
from tests.preparation import phantom


@dataclass
class KnownBrain:
    """Finds the phantom's brain, given how each sequence was moved."""

    moved: Mapping[Role, Affine] = field(default_factory=dict)
    asked: list[Role] = field(default_factory=list)
    name: str = "known brain 1"

    def extract(self, image: Image) -> Array:
        self.asked.append(image.role)
        return phantom.inside(phantom.BRAIN, image.grid, self.moved.get(image.role)).astype(np.float32)


@dataclass
class KnownMotion:
    """Returns the motions it was made with."""

    motions: Mapping[Role, Affine] = field(default_factory=dict)
    name: str = "known motion 1"

    def motion(self, fixed: Head, moving: Head) -> Affine:
        return self.motions.get(moving.image.role, np.eye(4))


def knowing(
    moved: Mapping[Role, Affine] | None = None, motions: Mapping[Role, Affine] | None = None
) -> Tools:
    """Return tools that know how the sequences were moved; `motions` replaces what is found."""
    moved = moved or {}
    found = {role: np.linalg.inv(matrix) for role, matrix in moved.items()}
    return Tools(KnownBrain(moved), KnownMotion(found if motions is None else motions))
