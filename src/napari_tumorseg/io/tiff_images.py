"""Channels of a TIFF as images with roles, and as labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_tumorseg.errors import Notice, Remedy
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.io import tiff_file
from napari_tumorseg.io.arrays import not_finite
from napari_tumorseg.io.label_arrays import LabelArray, decode_mask
from napari_tumorseg.io.roles import guess_role
from napari_tumorseg.scan import MODALITIES, Image, Role

LGG_CHANNELS = (("pre", Role.T1), ("FLAIR", Role.FLAIR), ("post", Role.T1C))
"""Channels of the LGG data set in their order."""


def images_of(found: tiff_file.TiffArray, path: Path, grid: Grid) -> tuple[tuple[Image, ...], list[str]]:
    """Return the channels as images with roles, where their names state them."""
    channels = list(found.data)
    notes: list[str] = []
    if found.is_rgb:
        channels = channels[:3]  # a fourth is alpha
        if all(np.array_equal(channels[0], c) for c in channels[1:]):
            channels = channels[:1]
    if len(channels) == 1:
        role = guess_role(path.stem)
        named = [(path.stem, role if role in MODALITIES else Role.OTHER)]
    elif found.channel_names:
        named = [(name, guess_role(name)) for name in found.channel_names]
    else:
        colours = ("red", "green", "blue") if found.is_rgb else ()
        named = [(c, Role.OTHER) for c in colours or [f"channel {i}" for i in range(len(channels))]]
        text = f"{path.name}: the modality of its {len(named)} channels is not stored"
        notes.append(Notice(text, Remedy.STATE_ROLES))
    images = tuple(Image(n, role, c, grid, path) for (n, role), c in zip(named, channels, strict=True))
    return images, notes + [w for i in images for w in not_finite(i.name, i.data)]


def lgg_images(volume: Array, name: str, grid: Grid, source: Path) -> tuple[tuple[Image, ...], list[str]]:
    """Return the three channels of the LGG data set: pre-contrast T1, FLAIR, post-contrast T1.

    Where a sequence was never acquired the data set repeats FLAIR in its place; such a channel is left out,
    since it would be taken for what it is not.
    """
    images, notes = [], []
    for (channel, role), values in zip(LGG_CHANNELS, volume, strict=True):
        if role is not Role.FLAIR and np.array_equal(values, volume[1]):
            notes.append(
                f"{name}: the {channel}-contrast channel repeats FLAIR, so it was never acquired; left out"
            )
            continue
        images.append(Image(channel, role, values, grid, source))
    return tuple(images), notes


def labels_of(found: tiff_file.TiffArray, where: object) -> LabelArray:
    """Return (Z, Y, X) labels."""
    return decode_mask(without_alpha(found), where, 0)


def without_alpha(found: tiff_file.TiffArray) -> Array:
    """Return the channels of a mask without transparency.

    A fourth channel of a colour picture is transparency where it is the same everywhere or the three colours
    are equal; else the four are classes, which the library writes as a colour picture, too.
    """
    channels = found.data
    if not found.is_rgb or len(channels) != 4:
        return channels
    grey = all(np.array_equal(channels[0], c) for c in channels[1:3])
    return channels[:3] if grey or channels[3].min() == channels[3].max() else channels
