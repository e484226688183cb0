"""Small-lesion augmentation: soft ellipses drawn into tissue without a tumour."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.transforms import RandomizableTransform
from scipy import ndimage

from napari_tumorseg.geometry import Array
from napari_tumorseg.scan import Role
from napari_tumorseg.training.augment_config import Range, SmallLesion

_SOFT = 0.7  # pixels over which its border fades, as the resolution of scans makes it
_CORE = 0.7  # of the radius: half the area
_STRETCH = 0.2  # standard deviation of the logarithm of the ratio of its axes
_MARGIN = 2  # pixels to the edge of the tissue and to the tumour


class DrawSmallLesion(RandomizableTransform):
    """Draw a lesion into each channel of a slice, the same into neighbouring slices.

    Parameters
    ----------
    wanted : SmallLesion
        Its size and brightness.
    roles : sequence of Role
        Of the channels.
    """

    def __init__(self, wanted: SmallLesion, roles: tuple[Role, ...]) -> None:
        RandomizableTransform.__init__(self, wanted.probability)
        self.wanted = wanted
        self.roles = roles

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return image and target (the outputs, then the mask of tissue) with the lesion."""
        self.randomize(None)
        if not self._do_transform:
            return dict(data)
        image, target = data["image"].clone(), data["target"].clone()
        self._draw(image.numpy(), target[:-1].numpy())
        return {**data, "image": image, "target": target}

    def _draw(self, image: Array, target: Array) -> None:
        """Draw in place, if there is a place."""
        radius = float(self.R.uniform(*self.wanted.radius))
        tissue, tumour = (np.asarray(a.any(axis=0)) for a in (image != 0, target))
        centre = self._place(tissue, tumour, radius)
        if centre is None:
            return
        away = self._distance(image.shape[1:], centre) / radius
        is_enhancing = self.R.uniform() < self.wanted.enhancing
        owners = self._owners(image)
        self._brighten(image, owners, away, radius, self.wanted.whole)
        target[0][away <= 1] = 1
        if is_enhancing:
            self._brighten(image, owners, away / _CORE, radius * _CORE, self.wanted.core)
            target[1:, away <= _CORE] = 1

    def _place(self, tissue: Array, tumour: Array, radius: float) -> tuple[int, int] | None:
        """Return a random pixel around which the lesion fits, or None."""
        room = ndimage.distance_transform_edt(np.pad(tissue & ~tumour, 1))[1:-1, 1:-1]
        places = np.argwhere(room > radius + _MARGIN)
        if not len(places):
            return None
        row, column = places[self.R.randint(len(places))]
        return int(row), int(column)

    def _distance(self, shape: tuple[int, ...], centre: tuple[int, int]) -> Array:
        """Return the distance in pixels from the centre, along axes that are stretched and turned."""
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        angle, stretch = self.R.uniform(0, np.pi), np.exp(self.R.normal(0, _STRETCH) / 2)
        along, across = rows - centre[0], columns - centre[1]
        first = np.cos(angle) * along + np.sin(angle) * across
        second = np.cos(angle) * across - np.sin(angle) * along
        return np.asarray(np.hypot(first * stretch, second / stretch))

    def _brighten(
        self, image: Array, owners: list[Role], away: Array, radius: float, by: Mapping[Role, Range]
    ) -> None:
        """Raise the channels within a relative distance of 1, with a soft border; background stays."""
        weight = np.clip(0.5 + (1 - away) * radius / (2 * _SOFT), 0, 1)
        drawn = {role: float(self.R.uniform(*by[role])) for role in self.roles if role in by}
        for channel, values in enumerate(image):
            role = owners[channel % len(self.roles)]
            values += weight * drawn.get(role, 0.0) * (values != 0)

    def _owners(self, image: Array) -> list[Role]:
        """Return the role of each channel; a copy that stands in for a missing one stays a copy."""
        first = image[: len(self.roles)]
        same = [
            next(i for i in range(c + 1) if np.array_equal(first[i], first[c])) for c in range(len(first))
        ]
        return [self.roles[i] for i in same]
