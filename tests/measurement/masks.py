"""Pairs of masks on which measures of agreement go wrong, and spacings to put them on."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_tumorseg.geometry import Grid

SHAPE = (14, 17, 19)
SPACINGS = [(1.0, 1.0, 1.0), (5.5, 0.9375, 0.45), (0.5, 2.0, 1.25)]


def grid(shape=SHAPE, spacing=(1.0, 1.0, 1.0)):
    return Grid.from_codes(shape, "SPL", spacing)


def ball(centre, radius, shape=SHAPE):
    axes = np.ogrid[tuple(slice(0, n) for n in shape)]
    return sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) <= radius**2


def box(*sides, shape=SHAPE):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*side) for side in sides)] = True
    return mask


def noise(seed, share, smooth=0.0):
    values = np.random.default_rng(seed).random(SHAPE)
    if smooth:
        values = ndimage.gaussian_filter(values, smooth)
    return values < np.quantile(values, share)


PAIRS = {
    "overlapping balls": (ball((6, 8, 8), 4.5), ball((7, 9, 7), 5)),
    "equal": (ball((6, 8, 8), 4.5), ball((6, 8, 8), 4.5)),
    "nested": (ball((6, 8, 9), 2), ball((6, 8, 9), 6)),
    "touching": (box((3, 9), (4, 8), (2, 9)), box((3, 9), (8, 12), (2, 9))),
    "touching corners": (box((1, 4), (1, 4), (1, 4)), box((4, 7), (4, 7), (4, 7))),
    "single voxels": (box((0, 1), (0, 1), (0, 1)), box((13, 14), (16, 17), (18, 19))),
    "whole image": (np.ones(SHAPE, bool), ball((6, 8, 8), 4.5)),
    "on the border": (box((0, 5), (0, 7), (0, 3)), box((0, 4), (2, 9), (0, 5))),
    "plane": (box((5, 6), (2, 12), (3, 15)), box((7, 8), (1, 12), (3, 15))),
    "several pieces": (
        ball((3, 4, 4), 3) | ball((10, 12, 14), 2) | box((12, 13), (1, 2), (1, 2)),
        ball((4, 4, 5), 3) | ball((9, 3, 15), 2),
    ),
    "sparse noise": (noise(1, 0.02), noise(2, 0.03)),
    "dense noise": (noise(3, 0.5), noise(4, 0.4)),
    "blobs": (noise(5, 0.2, 1.5), noise(6, 0.25, 1.5)),
    "blobs, alike": (noise(7, 0.2, 1.5), noise(7, 0.26, 1.4)),
}

EMPTY = {
    "both empty": (np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)),
    "segmentation empty": (np.zeros(SHAPE, bool), ball((6, 8, 8), 3)),
    "reference empty": (ball((6, 8, 8), 3), np.zeros(SHAPE, bool)),
}


def each(pairs):
    """Return what `pytest.mark.parametrize` takes for two masks, with names."""
    return {"argvalues": list(pairs.values()), "ids": list(pairs)}
