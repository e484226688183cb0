"""A shape with an uneven edge, spacings to put it on, and what a change makes of labels."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

SHAPE = (11, 15, 17)
SPACINGS = [(1.0, 1.0, 1.0), (5.0, 0.9, 0.9), (2.0, 1.0, 0.5)]


def after(labels, change):
    out = labels.copy()
    if change is not None:
        change.apply(out)
    return out


def blob(seed=0, share=0.1):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random(SHAPE), 1.5)
    return (noise > np.quantile(noise, 1 - share)).astype(np.uint8)
