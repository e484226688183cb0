"""Intervals of volumes with a stated coverage, from a model's errors on patients it had not seen.

Split-conformal prediction (Papadopoulos et al. 2002; Lei et al. 2018). For each patient of a
cross-validation the residual is ``log((reference + floor) / (predicted + floor))``: a ratio, since errors
grow with the tumour, with a floor, so that tiny volumes do not dominate. Where the model's doubt about the
region is known, the residual is divided by it, so that an easy case has a narrow interval and a hard one a
wide one. Of n residuals, sorted by size, the one of rank ``ceil((n + 1) * coverage)`` gives the
width. With n patients the largest attainable coverage is ``n / (n + 1)``.

Split-conformal prediction guarantees the coverage for one model, fitted without the n patients, and for
patients that are exchangeable with them. Here it is approximate: the residuals of the k models of a
cross-validation are pooled, and the model that is shipped is another fit or an ensemble. The coverage is
checked on folds that were not used for it.

The statement holds over patients like those of the cross-validation, not for each kind of tumour, and only
for regions that the model found: a patient without a predicted region has no residual.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

FLOOR_MM3 = 100.0
"""Volume that is added to both sides of a ratio. A voxel of unknown size counts as 1 mm3."""

COVERAGE = 0.9
"""Coverage of the intervals of a run."""

LEAST_COVERAGE = 0.8
"""An interval of a lower coverage is omitted; four patients attain 0.8."""

WIDE = 4.0
"""An interval whose upper end is more than this times the lower is wide: a factor of two either way."""


@dataclass(frozen=True)
class Calibration:
    """Residuals of a region's volume on patients that a model had not seen.

    Attributes
    ----------
    residuals : tuple of float
        One per patient, from `residual`.
    floor_mm3 : float
        Floor used for them.
    by_doubt : bool
        Whether they are divided by the model's doubt.
    """

    residuals: tuple[float, ...]
    floor_mm3: float = FLOOR_MM3
    by_doubt: bool = False

    @property
    def attainable(self) -> float:
        """Largest coverage that the number of patients can attain."""
        return len(self.residuals) / (len(self.residuals) + 1)

    def spread(self, coverage: float) -> float:
        """Return the size of residual that a share of further patients does not exceed.

        Raises
        ------
        ValueError
            If there are too few residuals for that share.
        """
        count = len(self.residuals)
        # a product such as 10 * 0.9, which may come out as a little more than 9, must not count as 10
        rank = math.ceil((count + 1) * coverage - 1e-9)
        if not 1 <= rank <= count:
            raise ValueError(
                f"{count} residuals attain a coverage of {self.attainable:.3g}, not {coverage:g}"
            )
        return sorted(map(abs, self.residuals))[rank - 1]

    def interval(
        self,
        voxels: int,
        voxel_mm3: float | None = None,
        doubt: float | None = None,
        coverage: float = COVERAGE,
    ) -> VolumeInterval | None:
        """Return the interval of a region that a model found.

        Parameters
        ----------
        voxels : int
            Size of the region.
        voxel_mm3 : float or None
            Volume of a voxel, where it is known.
        doubt : float or None
            The model's doubt about the region.
        coverage : float
            Between 0 and 1. Where the patients are too few to attain it, the interval states the one that
            they attain.

        Returns
        -------
        VolumeInterval or None
            None if nothing was found, if the patients attain less than `LEAST_COVERAGE`, or if the doubt is
            needed and not known.
        """
        coverage = min(coverage, self.attainable)
        if not voxels or coverage < LEAST_COVERAGE or (self.by_doubt and doubt is None):
            return None
        floor = floor_voxels(self.floor_mm3, voxel_mm3)
        width = self.spread(coverage) * (doubt if self.by_doubt and doubt is not None else 1)
        low, high = (max((voxels + floor) * math.exp(sign * width) - floor, 0.0) for sign in (-1, 1))
        return VolumeInterval(voxels, low, high, coverage, len(self.residuals))


@dataclass(frozen=True)
class VolumeInterval:
    """Interval of the size of a region, as a run gives it.

    Attributes
    ----------
    voxels : int
        Size of the region that the model found; the interval is for no other mask.
    low, high : float
        Ends, in voxels.
    coverage : float
        Share of patients whose reference lies inside.
    patients : int
        Number of patients whose residuals it is based on.
    """

    voxels: int
    low: float
    high: float
    coverage: float
    patients: int

    @property
    def is_wide(self) -> bool:
        """True if the ends are so far apart that the case should be checked."""
        return self.high > WIDE * self.low

    @classmethod
    def from_dict(cls, content: object) -> Self | None:
        """Return the interval that `to_dict` gave; None for anything else."""
        try:
            found = cls(**content)  # type: ignore[arg-type]  # a mapping, or an error
            usable = 0 <= found.low <= found.voxels <= found.high < math.inf and 0 < found.coverage < 1
        except TypeError:
            return None
        return found if usable else None

    def to_dict(self) -> dict[str, Any]:
        """Return the interval as plain types, for JSON."""
        return asdict(self)


def residual(reference: float, predicted: float, floor: float, doubt: float = 1.0) -> float:
    """Return the logarithm of the ratio of two sizes, over the model's doubt.

    Parameters
    ----------
    reference, predicted, floor : float
        In voxels.
    doubt : float
        Divisor.
    """
    return math.log((reference + floor) / (predicted + floor)) / doubt


def floor_voxels(floor_mm3: float, voxel_mm3: float | None) -> float:
    """Return a floor in voxels; voxels of unknown size count as 1 mm3."""
    return floor_mm3 / (voxel_mm3 or 1.0)


def intervals_in(provenance: Mapping[str, Any]) -> dict[str, VolumeInterval]:
    """Return the intervals of a model's run by region; none if its mask was corrected since."""
    content = provenance.get("intervals")
    if not isinstance(content, Mapping) or provenance.get("corrected_by_hand"):
        return {}
    found = {str(name): VolumeInterval.from_dict(value) for name, value in content.items()}
    return {name: interval for name, interval in found.items() if interval is not None}
