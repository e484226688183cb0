"""Background value, intensity range and normalised intensities of an MR volume.

Tissue is what differs from the background value, not what is above zero: scans may be z-scored or hold
negative values. Every part of the package that separates tissue from background uses these functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_tumorseg.geometry import Array

DARKEST = 0.3
"""Value that `normalise_intensity` gives to the darkest tissue, so that it stands out from the background."""

_SPIKE = 2.0
"""A maximum beyond this multiple of the 99.9th percentile is a spike and is not used as the maximum."""

_BELOW = 0.2
"""Share of the range above the background that tissue must reach below it to lie on both sides of it.

Scans with small negative intensities reach 0.07 to 0.1; ones that were z-scored inside the brain, with a
background of 0, well over 0.5.
"""

_DIM = 0.1
"""Share of the range above the background up to which a voxel is too dim to be tissue."""

_FAINT = 0.002
"""Share of the range up to which a voxel counts as background when dim voxels are counted."""

_STRIPPED_SHARE = 0.12
"""Dim voxels (noise in air, bone) per bright one below which the skull is gone.

On the FLAIR and T1c of 7 skull-stripped scans of BraTS and TCGA the share was 0.001 to 0.085, on 74 + 4
TCGA scans with skull and one healthy T1 0.15 to 3.2.
"""

_LARGE = 500_000
_STEP = 2
"""Percentiles of a volume of more than `_LARGE` voxels are taken from every second row and column."""


@dataclass(frozen=True)
class IntensityRange:
    """Intensities that separate tissue from background in a volume.

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
        """Return the range of a volume, not counting NaN and infinity."""
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
        """True if tissue is darker and brighter than the background, as after z-scoring the brain alone."""
        return self.background - self.low > _BELOW * (self.high - self.background)

    def is_tissue(self, values: Array) -> Array:
        """Return where values are tissue: clearly brighter than the background, or different from it.

        Any other value than the background counts where tissue lies on both sides of it.
        """
        if self.tissue_on_both_sides:
            return np.asarray(values != self.background)
        return np.asarray(values > self.background + _DIM * (self.high - self.background))


def background_value(data: Array) -> float:
    """Return the median of the eight corners; of two in the middle the lower, which is a voxel's value."""
    corners = data[tuple(np.ix_(*[(0, n - 1) for n in data.shape]))].astype(float)
    corners = np.sort(corners[np.isfinite(corners)])
    return float(corners[(corners.size - 1) // 2]) if corners.size else 0.0


def normalise_intensity(data: Array) -> Array:
    """Return a volume as float32 with tissue from 0.3 to 1 and background 0, whatever its scale and offset.

    Parameters
    ----------
    data : (Z, Y, X) array
        Intensities; NaN and infinity become background.
    """
    data = np.asarray(data, dtype=np.float32)
    intensity_range = IntensityRange.of(data)
    background = intensity_range.background
    data = np.nan_to_num(data, nan=background, posinf=background, neginf=background)
    tissue = intensity_range.is_tissue(data)
    if not intensity_range.high > intensity_range.low or not tissue.any():
        return np.zeros_like(data)
    step = _step(data)
    sampled = data[:, ::step, ::step][tissue[:, ::step, ::step]]
    dark, bright = np.percentile(sampled if sampled.size else data[tissue], (2, 98))
    shares = np.clip((data - dark) / max(bright - dark, np.finfo(np.float32).tiny), 0, 1)
    return np.where(tissue, DARKEST + (1 - DARKEST) * shares, 0).astype(np.float32)


def looks_stripped(data: Array, intensity_range: IntensityRange | None = None) -> bool:
    """Return whether the skull seems to be removed: almost no voxel is dim without being background.

    Where tissue lies on both sides of the background, dim voxels prove nothing; then the background must be
    one exact value in more than half of the voxels, as after masking.

    Parameters
    ----------
    data : (Z, Y, X) array
        Intensities.
    intensity_range : IntensityRange, optional
        Of the volume, if it is known already.
    """
    intensity_range = intensity_range or IntensityRange.of(data)
    background, bright = intensity_range.background, intensity_range.high - intensity_range.background
    if intensity_range.tissue_on_both_sides and bright != 0:
        whole = _sample(data)
        return bool(np.count_nonzero(whole == np.float32(background)) > whole.size / 2)
    end = data.shape[0] // 5
    sample = _sample(data[end : -end or None])  # the ends are dim in any scan
    if not sample.size or bright == 0:
        return False
    relative = np.abs(sample - background) / abs(bright)
    dim = np.count_nonzero((relative > _FAINT) & (relative <= _DIM))
    return bool(dim < _STRIPPED_SHARE * np.count_nonzero(relative > _DIM))


def _step(data: Array) -> int:
    return _STEP if data.size > _LARGE else 1


def _sample(data: Array) -> Array:
    """Return the finite voxels as float32, every fourth of a large volume."""
    step = _step(data)
    sample = data[:, ::step, ::step].astype(np.float32).ravel()
    return sample[np.isfinite(sample)]
