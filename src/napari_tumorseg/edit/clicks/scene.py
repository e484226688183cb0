"""Neighbourhood of a click: images, mask and clicks in a box, and the classifier that is fitted there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from napari_tumorseg.edit.boxes import Box, wider
from napari_tumorseg.edit.clicks.click import Click
from napari_tumorseg.edit.clicks.evidence import Evidence
from napari_tumorseg.edit.clicks.geodesic import geodesic_distance
from napari_tumorseg.edit.clicks.logistic import fit_logistic
from napari_tumorseg.geometry import Array

REACH_MM = (25.0, 40.0, 40.0)
"""Distance from a click up to which it has an effect, through the slices and within them."""

_FINE, _COARSE, _WIDE = 3.0, 9.0, 5.0
"""Widths of averages in mm: of images, and of log-odds."""

_SURE_MM = 3.0
"""Voxels at least this far from the mask's border count as its inside and outside."""

_AWAY_MM = 12.0
"""Voxels at least this far from the click are taken as the mask has them."""

_EXAMPLES = 1500
_MASK_WEIGHT, _CLICK_WEIGHT = 150.0, 100.0
_BALL_MM = 3.0
_CLIP = 8.0
_FAR = 60.0


@dataclass(frozen=True, eq=False)
class Scene:
    """A click and all that is known around it.

    Attributes
    ----------
    evidence : Evidence
        Images and probabilities.
    box : (slice, slice, slice)
        The neighbourhood.
    inside : (Z, Y, X) array of bool
        The region in the box, before the click.
    seeds : (N, 3) array of int
        Voxels of the click, relative to the box.
    sign : int
        1 to add, -1 to remove.
    others : tuple of ((N, 3) array of int, int)
        Voxels of earlier clicks in the box, and their signs.
    """

    evidence: Evidence
    box: Box
    inside: Array
    seeds: Array
    sign: int
    others: tuple[tuple[Array, int], ...] = ()

    @classmethod
    def around(
        cls,
        evidence: Evidence,
        inside: Array,
        box: Box,
        click: Click,
        earlier: Sequence[Click],
    ) -> Scene:
        """Return the scene of a click; `inside` is the region in the box."""
        corner = np.array([side.start for side in box])
        sign = 1 if click.adds else -1
        told = [(other.points(), 1 if other.adds else -1) for other in earlier]
        if click.is_box:
            told.append((click.outline(), -sign))
        others = []
        for points, other_sign in told:
            local = points - corner
            local = local[((local >= 0) & (local < inside.shape)).all(axis=1)]
            if len(local):
                others.append((local, other_sign))
        return cls(evidence, box, inside, click.points() - corner, sign, tuple(others))

    @property
    def steps(self) -> tuple[float, float, float]:
        """Voxel size."""
        return self.evidence.steps

    @property
    def at_seeds(self) -> tuple[Array, ...]:
        """Index of the clicked voxels."""
        return tuple(self.seeds.T)

    @cached_property
    def raw(self) -> list[Array]:
        """Images on comparable scales."""
        return self.evidence.images(self.box)

    @cached_property
    def fine(self) -> list[Array]:
        """Images, averaged over some voxels."""
        return [average(image, self.steps, _FINE) for image in self.raw]

    @cached_property
    def log_odds(self) -> Array | None:
        """The model's log-odds."""
        return self.evidence.log_odds(self.box)

    @cached_property
    def wide_log_odds(self) -> Array | None:
        """The model's log-odds, averaged."""
        return None if self.log_odds is None else average(self.log_odds, self.steps, _WIDE)

    @cached_property
    def coarse_log_odds(self) -> Array | None:
        """The model's log-odds, averaged over a wider neighbourhood."""
        return None if self.log_odds is None else average(self.log_odds, self.steps, _COARSE)

    @cached_property
    def to_inside(self) -> Array:
        """Distance to the region, in mm, along the axes."""
        return geodesic_distance(self.inside, self.steps, most=40, rounds=1)

    @cached_property
    def to_outside(self) -> Array:
        """Distance to what is not the region."""
        return geodesic_distance(~self.inside, self.steps, most=40, rounds=1)

    @cached_property
    def depth(self) -> Array:
        """Distance to the border of the region, positive where it would have to change."""
        return self.sign * (self.to_inside - self.to_outside)

    @cached_property
    def clearance(self) -> float:
        """Distance within the slice from the click to what need not change, in mm; of a scribble the mean."""
        found = []
        for z, y, x in self.seeds:
            rows, columns = np.nonzero(self.inside[z] == (self.sign > 0))
            apart = np.hypot((rows - y) * self.steps[1], (columns - x) * self.steps[2])
            found.append(min(float(apart.min(initial=_FAR)), 40.0))
        return float(np.mean(found))

    @cached_property
    def within(self) -> Array:
        """Distance to the click within the slices, in mm."""
        return self.distance_to(self.seeds, (1, 2))

    @cached_property
    def through(self) -> Array:
        """Distance to the click across the slices, in mm."""
        return self.distance_to(self.seeds, (0,))

    def distance_to(self, points: Array, axes: Sequence[int] = (0, 1, 2)) -> Array:
        """Return the distance of each voxel to the nearest of some points along some axes, in mm."""
        found = np.full(self.inside.shape, _FAR**2, dtype=np.float32)
        for point in points:
            squares = np.zeros((1, 1, 1), dtype=np.float32)
            for axis in axes:
                line = ((np.arange(found.shape[axis]) - point[axis]) * self.steps[axis]) ** 2
                shape = [-1 if other == axis else 1 for other in range(3)]
                squares = squares + line.astype(np.float32).reshape(shape)
            np.minimum(found, squares, out=found)
        return np.sqrt(found)

    @cached_property
    def classified(self) -> Array:
        """Log-odds of the region by the classifier of this patient, -8 to 8.

        A logistic regression of images, their averages and the model's log-odds, fitted on what the mask and
        the clicks say: far from the click and from its own border the mask counts, and so does a ball around
        each click.
        """
        stack = [*self.raw, *self.fine, *(average(image, self.steps, _COARSE) for image in self.raw)]
        if self.log_odds is not None and self.wide_log_odds is not None:
            stack += [self.log_odds / 2, self.wide_log_odds / 2]
        places, targets, weights = self._examples()
        columns = [layer.reshape(-1)[places] for layer in stack]
        *slopes, start = fit_logistic(np.column_stack([*columns, np.ones(len(places))]), targets, weights)
        found = np.full(self.inside.shape, start)
        part = np.empty_like(found)
        for slope, layer in zip(slopes, stack, strict=True):  # layer by layer: no copy of them all
            found += np.multiply(layer, slope, out=part)
        return np.clip(found, -_CLIP, _CLIP, out=found)

    @cached_property
    def smooth_classified(self) -> Array:
        """Log-odds by the classifier, averaged over some voxels."""
        return average(self.classified, self.steps, _FINE)

    @cached_property
    def wide_classified(self) -> Array:
        """Log-odds by the classifier, averaged over a wider neighbourhood."""
        return average(self.classified, self.steps, _COARSE)

    @cached_property
    def wide_difference(self) -> Array:
        """Difference from the images at the click, averaged."""
        return average(self.difference, self.steps, _COARSE)

    @cached_property
    def difference(self) -> Array:
        """Difference of the averaged images from those at the click, root mean square."""
        return self._difference(self.fine)

    @cached_property
    def raw_difference(self) -> Array:
        """Difference of the images from their averages at the click, root mean square."""
        return self._difference(self.raw)

    def _difference(self, images: Sequence[Array]) -> Array:
        squares = np.zeros(self.inside.shape, dtype=np.float32)
        for image, fine in zip(images, self.fine, strict=True):
            squares += (image - np.float32(fine[self.at_seeds].mean())) ** 2
        return np.sqrt(squares / len(images))

    @cached_property
    def geodesic(self) -> Array:
        """Cost of the way from the click; what looks different and what speaks against it makes it longer."""
        start = np.zeros(self.inside.shape, dtype=bool)
        start[self.at_seeds] = True
        against = np.maximum(-self.sign * self.smooth_classified, 0)
        cost = np.float32(0.2) + np.minimum(self.difference, 4) + against / 8
        return geodesic_distance(start, self.steps, cost, most=200)

    def _examples(self) -> tuple[Array, Array, Array]:
        """Return flat places of examples, whether they are of the region, and their weights."""
        away = (self.within + self.through) > _AWAY_MM
        known = (
            away & (self.to_outside > _SURE_MM),
            away & (self.to_inside > _SURE_MM) & (self.to_inside < 30),
        )
        parts = [(_some(mask), target, _MASK_WEIGHT) for mask, target in zip(known, (1.0, 0.0), strict=True)]
        for points, sign in (*self.others, (self.seeds, self.sign)):
            ball = np.flatnonzero(self.distance_to(points) <= _BALL_MM)
            parts.append((ball, float(sign > 0), _CLICK_WEIGHT))
        places = np.concatenate([found for found, _, _ in parts])
        targets = np.concatenate([np.full(len(found), target) for found, target, _ in parts])
        weights = np.concatenate(
            [np.full(len(found), weight / max(len(found), 1)) for found, _, weight in parts]
        )
        return places, targets, weights


def neighbourhood(click: Click, evidence: Evidence) -> Box:
    """Return the box around a click in which it has an effect."""
    voxels = np.asarray(click.voxels)
    low, high = voxels.min(axis=0), voxels.max(axis=0) + 1
    margins = [int(np.ceil(reach / step)) for reach, step in zip(REACH_MM, evidence.steps, strict=True)]
    sides = [slice(int(a), int(b)) for a, b in zip(low, high, strict=True)]
    return wider(sides, margins, evidence.shape)


def average(values: Array, steps: Sequence[float], width: float) -> Array:
    """Return the running mean over a cube of some width in mm, at least one voxel."""
    sizes = [max(2 * round(width / step / 2 - 0.001) + 1, 1) for step in steps]
    return np.asarray(ndimage.uniform_filter(values, sizes, mode="nearest"))


def _some(mask: Array) -> Array:
    """Return flat places of up to `_EXAMPLES` voxels of a mask, evenly spread."""
    found = np.flatnonzero(mask)
    return found[:: -(-len(found) // _EXAMPLES)] if len(found) > _EXAMPLES else found
