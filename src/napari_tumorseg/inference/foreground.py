"""What is tissue and what is background, and whether the skull is gone.

Foreground is what differs from the background value, not what is above zero: scans may be z-scored or
hold negative values.
"""

from __future__ import annotations

import numpy as np

from napari_tumorseg.geometry import Array
from napari_tumorseg.models.card import Foreground
from napari_tumorseg.scan import Image, Scan

_NEAR_ZERO = 0.02
"""A background within this share of the intensity range counts as zero."""

_DIM = 0.1
_STRIPPED_SHARE = 0.12
"""Dim voxels (noise in air, bone) per bright one below which the skull is gone.

On the FLAIR and T1c of 7 skull-stripped scans of BraTS and TCGA the share was 0.001 to 0.085, on 74 + 4
TCGA scans with skull and one healthy T1 0.15 to 3.2.
"""


def background_value(data: Array) -> float:
    """Return the median of the eight corners; of two in the middle the lower, which is a voxel's value."""
    corners = data[tuple(np.ix_(*[(0, n - 1) for n in data.shape]))].astype(float)
    corners = np.sort(corners[np.isfinite(corners)])
    return float(corners[(corners.size - 1) // 2]) if corners.size else 0.0


def foreground(values: Array, rule: Foreground, background: float, maximum: float) -> Array:
    """Return where an array (or a slice of it) is foreground.

    Parameters
    ----------
    values : array
        Intensities.
    rule : Foreground
        The card's.
    background, maximum : float
        Of the whole volume.
    """
    if rule.rule == "fraction-of-max" and maximum > 0 and abs(background) <= _NEAR_ZERO * maximum:
        return np.asarray(values > rule.fraction * maximum)
    if values.dtype.kind in "iu" and rule.tolerance < 1:
        return np.asarray(values != background)
    return np.asarray(np.abs(values - np.float32(background)) > rule.tolerance)


def looks_stripped(data: Array) -> bool:
    """Tell whether the skull seems to be gone: next to nothing is dim but not background."""
    background = background_value(data)
    thick = data[data.shape[0] // 5 : -(data.shape[0] // 5) or None]  # the ends are dim in any scan
    sample = thick[:, ::2, ::2].astype(np.float32).ravel()
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return False
    bright = float(np.percentile(sample, 99.9)) - background
    if bright == 0:
        return False
    relative = np.abs(sample - background) / abs(bright)
    dim = np.count_nonzero((relative > 0.002) & (relative <= _DIM))
    tissue = np.count_nonzero(relative > _DIM)
    return bool(dim < _STRIPPED_SHARE * tissue)


def scan_is_stripped(scan: Scan) -> bool:
    """Tell whether the skull seems to be gone, from the reference."""
    return looks_stripped(scan.reference.data)


def brain_of(scan: Scan) -> Array | None:
    """Return the brain mask: one that was given, or the foreground where the skull is gone, else None."""
    if scan.brain_mask is not None:
        return scan.brain_mask
    image: Image = scan.reference
    if not looks_stripped(image.data):
        return None
    return foreground(image.data, Foreground(), background_value(image.data), float(np.nanmax(image.data)))
