"""Copy-paste augmentation: the tumour of one slice pasted onto the tissue of another."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_tumorseg.geometry import Array

_BLEND = 2.0  # pixels over which a pasted tumour is blended into the tissue


def paste(
    image: Array, target: Array, other: Array, more: Array, shift: int, rng: np.random.Generator
) -> None:
    """Paste the tumour of another slice, in place.

    Parameters
    ----------
    image, target : (C, H, W), (O, H, W) arrays
        Slice and outputs to paste onto, background 0.
    other, more : arrays of the same shapes
        Slice and outputs of the tumour, background 0.
    shift : int
        Largest shift of the tumour in pixels along each axis.
    rng : Generator
        Random generator.

    Notes
    -----
    The tumour is pasted only where both slices have tissue, and blended at its border. Channels that only one
    of the slices has are set to 0, so that no hole reveals the tumour.
    """
    offset = tuple(int(v) for v in rng.integers(-shift, shift + 1, size=2))
    other, more = (_moved(values, offset) for values in (other, more))
    if rng.random() < 0.5:
        other, more = other[:, :, ::-1], more[:, :, ::-1]
    tissue = (image != 0).any(axis=0) & (other != 0).any(axis=0)
    wanted = more.any(axis=0) & tissue
    if not wanted.any():
        return
    image[~(image.any(axis=(1, 2)) & other.any(axis=(1, 2)))] = 0
    weight = np.clip(1 - ndimage.distance_transform_edt(~wanted) / _BLEND, 0, 1) * tissue
    shared = image.any(axis=(1, 2))
    image[shared] += weight.astype(np.float32) * (other - image)[shared]
    target[:, wanted] = more[:, wanted]


def _moved(values: Array, offset: tuple[int, ...]) -> Array:
    """Return (C, H, W) values moved by rows and columns; new pixels are 0."""
    out = np.zeros_like(values)
    sizes = values.shape[1:]
    to = tuple(slice(max(o, 0), min(n + o, n)) for o, n in zip(offset, sizes, strict=True))
    of = tuple(slice(max(-o, 0), min(n - o, n)) for o, n in zip(offset, sizes, strict=True))
    if all(abs(o) < n for o, n in zip(offset, sizes, strict=True)):
        out[:, to[0], to[1]] = values[:, of[0], of[1]]
    return out
