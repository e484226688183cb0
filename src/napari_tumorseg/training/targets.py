"""Training targets: one map for each output of the network, from a reference mask."""

from __future__ import annotations

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.models.card import Output
from napari_tumorseg.regions import CONVENTIONS, convert, region_mask
from napari_tumorseg.scan import Segmentation


def known_outputs(reference: Segmentation, output: Output) -> tuple[bool, ...]:
    """Return the outputs that a reference knows: a binary mask knows only the whole tumour.

    Raises
    ------
    InputError
        If it knows none, or not all of mutually exclusive classes.
    """
    if output.activation == "softmax":
        convert(
            reference.labels[:0], reference.convention, CONVENTIONS[output.scheme]
        )  # raises if it cannot be
        known = [reference.convention.name != "binary" or output.scheme == "binary"] * len(output.names)
    else:
        known = [name in reference.convention.regions for name in output.names]
    if not any(known):
        raise InputError(
            f"{reference.source or reference.name} ({reference.convention.title}) says nothing about "
            f"{', '.join(output.names)}"
        )
    return tuple(known)


def output_masks(reference: Segmentation, output: Output) -> Array:
    """Return (outputs, Z, Y, X) bool: the target mask of each output, empty for unknown outputs."""
    if output.activation == "softmax":
        labels = convert(reference.labels, reference.convention, CONVENTIONS[output.scheme])
        return np.stack([labels == value for value in output.labels])
    empty = np.zeros(reference.labels.shape, dtype=bool)
    regions = reference.convention.regions
    return np.stack(
        [region_mask(reference.labels, regions[name]) if name in regions else empty for name in output.names]
    )


def pack(fractions: Array, activation: str) -> Array:
    """Return (H, W) uint8 with a bit for each output of (O, H, W) fractions of a network pixel.

    A pixel belongs to each output that fills at least half of it; of classes, to the largest.
    """
    if activation == "softmax":
        return np.asarray(np.uint8(1) << fractions.argmax(axis=0).astype(np.uint8))
    bits = (fractions >= 0.5).astype(np.uint8)
    weights = (np.uint8(1) << np.arange(len(bits), dtype=np.uint8))[:, None, None]
    return np.asarray((bits * weights).sum(axis=0, dtype=np.uint8))


def unpack(bits: Array, outputs: int) -> Array:
    """Return (O, H, W) float32 of 0 and 1: the inverse of `pack`."""
    return np.asarray((bits[None] >> np.arange(outputs, dtype=np.uint8)[:, None, None]) & 1, dtype=np.float32)
