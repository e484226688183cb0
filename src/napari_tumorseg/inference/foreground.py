"""What is tissue and what is background, and whether the skull is gone.

Foreground is what differs from the background value, not what is above zero: scans may be z-scored or
hold negative values.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from napari_tumorseg.geometry import Array
from napari_tumorseg.models.card import Foreground
from napari_tumorseg.scan import Image, Scan

_NEAR_ZERO = 0.02
"""A background within this share of the maximum counts as zero."""

_SPIKE = 2.0
"""A maximum beyond this multiple of the 99.9th percentile is a spike, and says nothing about tissue."""

_BELOW = 0.2
"""Share of the range above the background that tissue must reach below it to lie on both sides of it.

Scans with small negative intensities reach 0.07 to 0.1; ones that were z-scored inside the brain, with a
background of 0, well over 0.5.
"""

_LARGE = 500_000
_DIM = 0.1
_STRIPPED_SHARE = 0.12
"""Dim voxels (noise in air, bone) per bright one below which the skull is gone.

On the FLAIR and T1c of 7 skull-stripped scans of BraTS and TCGA the share was 0.001 to 0.085, on 74 + 4
TCGA scans with skull and one healthy T1 0.15 to 3.2.
"""


@dataclass(frozen=True)
class IntensityRange:
    """Intensities that tell tissue from background in a volume.

    Attributes
    ----------
    background : float
        As `background_value` finds it.
    low, high : float
        0.1 and 99.9 % of the voxels lie below.
    maximum : float
        The largest value, or `high` where that is a spike.
    """

    background: float
    low: float
    high: float
    maximum: float

    @classmethod
    def of(cls, data: Array) -> IntensityRange:
        """Look at a volume; what is not a number does not count."""
        sample = _sample(data)
        if not sample.size:
            return cls(0.0, 0.0, 0.0, 0.0)
        background = background_value(data)
        low, high = (float(v) for v in np.percentile(sample, (0.1, 99.9)))
        largest = float(data.max())
        if not np.isfinite(largest):
            largest = float(data[np.isfinite(data)].max())
        spiked = largest - background > _SPIKE * (high - background) > 0
        return cls(background, low, high, high if spiked else largest)

    @property
    def tissue_on_both_sides(self) -> bool:
        """Whether tissue is darker and brighter than the background, as after z-scoring the brain alone."""
        return self.background - self.low > _BELOW * (self.high - self.background)


def background_value(data: Array) -> float:
    """Return the median of the eight corners; of two in the middle the lower, which is a voxel's value."""
    corners = data[tuple(np.ix_(*[(0, n - 1) for n in data.shape]))].astype(float)
    corners = np.sort(corners[np.isfinite(corners)])
    return float(corners[(corners.size - 1) // 2]) if corners.size else 0.0


def foreground(values: Array, rule: Foreground, intensity_range: IntensityRange) -> Array:
    """Return where an array (or a slice of it) is foreground.

    Parameters
    ----------
    values : array
        Intensities.
    rule : Foreground
        The card's.
    intensity_range : IntensityRange
        Of the whole volume.
    """
    background = intensity_range.background
    if rule.rule == "fraction-of-max" and not intensity_range.tissue_on_both_sides:
        # a background near zero counts as zero, as it did where models were trained by this rule
        base = 0.0 if abs(background) <= _NEAR_ZERO * abs(intensity_range.maximum) else background
        return np.asarray(values > base + rule.fraction * (intensity_range.maximum - base))
    if values.dtype.kind in "iu" and rule.tolerance < 1:
        return np.asarray(values != background)
    return np.asarray(np.abs(values - np.float32(background)) > rule.tolerance)


def looks_stripped(data: Array) -> bool:
    """Tell whether the skull seems to be gone: next to nothing is dim but not background.

    Where tissue lies on both sides of the background, dim says nothing; then the background must be one
    exact value in more than half of the voxels, as after masking.
    """
    intensity_range = IntensityRange.of(data)
    thick = data[data.shape[0] // 5 : -(data.shape[0] // 5) or None]  # the ends are dim in any scan
    sample = _sample(thick)
    bright = intensity_range.high - intensity_range.background
    if not sample.size or bright == 0:
        return False
    if intensity_range.tissue_on_both_sides:
        whole = _sample(data)
        return bool(np.count_nonzero(whole == np.float32(intensity_range.background)) > whole.size / 2)
    relative = np.abs(sample - intensity_range.background) / abs(bright)
    dim = np.count_nonzero((relative > 0.002) & (relative <= _DIM))
    tissue = np.count_nonzero(relative > _DIM)
    return bool(dim < _STRIPPED_SHARE * tissue)


_known: WeakKeyDictionary[Image, bool] = WeakKeyDictionary()


def scan_is_stripped(scan: Scan) -> bool:
    """Tell whether the skull seems to be gone, from the reference; looked for once per image."""
    image = scan.reference
    if image not in _known:
        _known[image] = looks_stripped(image.data)
    return _known[image]


def brain_of(scan: Scan) -> Array | None:
    """Return the brain mask: one that was given, or the foreground where the skull is gone, else None."""
    if scan.brain_mask is not None:
        return scan.brain_mask
    if not scan_is_stripped(scan):
        return None
    data = scan.reference.data
    return foreground(data, Foreground(), IntensityRange.of(data))


def _sample(data: Array) -> Array:
    """Return the voxels as float32, every fourth of a large volume, without what is not a number."""
    step = 2 if data.size > _LARGE else 1
    sample = data[:, ::step, ::step].astype(np.float32).ravel()
    return sample[np.isfinite(sample)]
