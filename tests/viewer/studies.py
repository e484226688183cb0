"""Small cases and masks for the pages of the panel."""

from __future__ import annotations

import numpy as np
from napari.layers import Layer

from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Image, Role, Segmentation
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.to_layers import case_layers, labels_layer
from tests.viewer.conftest import case, grid

SHAPE = (8, 40, 48)


def head_case(name="case", spacing=(2.0, 1.0, 1.0), unit="mm", seed=0):
    """An ellipsoid in two modalities, a bit turned, so that it has a mid-sagittal plane."""
    on = grid(SHAPE, spacing, unit)
    z, y, x = (np.linspace(-1, 1, n) for n in SHAPE)
    inside = 0.3 * z[:, None, None] ** 2 + (y[None, :, None] / 0.85) ** 2 + (x[None, None, :] / 0.8) ** 2 < 1
    noise = np.random.default_rng(seed).normal(100, 10, SHAPE)
    data = np.where(inside, noise, 0).astype(np.float32)
    images = [Image(f"{name}_{r}", r, data * k, on) for k, r in ((1, Role.FLAIR), (2, Role.T1C))]
    return case(*images, name=name)


def mask_on(one, shift=0, convention="brats-2023") -> Segmentation:
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:6, 10 + shift : 26 + shift, 28:42] = 2
    labels[3:5, 13 + shift : 23 + shift, 30:40] = 3
    labels[3:5, 16 + shift : 20 + shift, 33:37] = 1
    return Segmentation(labels, one.images[0].grid, CONVENTIONS[convention], one.name)


def show_case(viewer, one, *masks, model=False):
    """Add the images of a case and masks of it; return the mask layers."""
    for data in case_layers(one)[0]:
        viewer.add_layer(Layer.create(*data))
    group = origin_of(viewer.layers[-1]).group
    layers = []
    for number, seg in enumerate(masks):
        data = labels_layer(seg, name=f"{one.name} mask {number}", case=one.name, group=group, model=model)
        layers.append(viewer.add_layer(Layer.create(*data)))
    return layers
