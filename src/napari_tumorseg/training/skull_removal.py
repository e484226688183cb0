"""Augmentation by a simulated brain extraction: scalp and skull of a slice become background."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_tumorseg.geometry import Array
from napari_tumorseg.training.augment_config import SkullRemoval

_TISSUE = 0.15
"""Share of the bright tissue's intensity above which a pixel belongs to the head."""

_BRIGHT = 99
"""Percentile that stands for bright tissue."""

_KEPT = 0.9
"""A tumour of which less would be left is not cut: the slice stays as it is."""

_ENOUGH = 100
"""Pixels of a brain from which mean and deviation can be taken."""


def remove_skull(
    image: Array, fill: Array, target: Array, wanted: SkullRemoval, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return a slice and its background after a simulated brain extraction, normalised again.

    The head is eroded by a random share of its size and cut by a random ellipse, since erosion alone leaves
    face and neck. The tumour stays whole; a slice whose tumour lies outside is not changed.

    Parameters
    ----------
    image, fill : (C, H, W), (C, 1, 1) arrays
        Channels minus their background, and that background, as normalised by mean and deviation of tissue.
    target : (O, H, W) array
        Target outputs.
    wanted : SkullRemoval
        Depth of the erosion and extent of the ellipse.
    rng : Generator
        Random generator.
    """
    tumour = target.any(axis=0)
    brain = _brain(image, wanted, rng)
    if brain.sum() < _ENOUGH or (brain & tumour).sum() < _KEPT * tumour.sum():
        return image, fill
    brain |= tumour
    inside = image[:, brain]
    spread = np.maximum(inside.std(axis=1), 1e-3)[:, None, None]
    middle = inside.mean(axis=1)[:, None, None]
    changed = np.where(brain, image, 0) / spread
    return changed.astype(np.float32), (-middle / spread).astype(np.float32)


def _brain(image: Array, wanted: SkullRemoval, rng: np.random.Generator) -> Array:
    """Return a mask (H, W) like that of a brain: the head without its rim, in a random ellipse."""
    head = _head(image[0])
    depth = rng.uniform(*wanted.depth) * np.sqrt(head.sum())
    brain = ndimage.distance_transform_edt(np.pad(head, 1))[1:-1, 1:-1] > depth
    return np.asarray(brain & _ellipse(head, wanted, rng))


def _head(values: Array) -> Array:
    """Return the head (H, W): the largest bright component with its holes filled."""
    bright = values > _TISSUE * np.percentile(values, _BRIGHT)
    labels, count = ndimage.label(bright)
    if not count:
        return np.zeros(values.shape, dtype=bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(ndimage.binary_fill_holes(labels == sizes.argmax()))


def _ellipse(head: Array, wanted: SkullRemoval, rng: np.random.Generator) -> Array:
    """Return a random ellipse around the middle of the head, of a random share of its sides."""
    inside = np.ones(head.shape, dtype=bool)
    if not head.any():
        return inside
    total = np.zeros(head.shape)
    for axis in (0, 1):
        hit = np.flatnonzero(head.any(axis=1 - axis))
        side = hit[-1] - hit[0] + 1
        centre = (hit[0] + hit[-1]) / 2 + rng.uniform(-0.1, 0.1) * side
        radius = rng.uniform(*wanted.extent) * side / 2
        offset = (np.arange(head.shape[axis]) - centre) / radius
        total = total + (offset[:, None] if axis == 0 else offset[None, :]) ** 2
    return np.asarray(total <= 1)
