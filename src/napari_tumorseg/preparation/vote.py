"""One brain mask from the extractions of several sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_tumorseg.errors import PreparationError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.preparation.agreement import dice
from napari_tumorseg.preparation.components import without_specks
from napari_tumorseg.scan import Image, Role

BEST_FIRST = (Role.T1, Role.T1C, Role.FLAIR, Role.T2, Role.OTHER)
"""Sequences by how well the brain is found in them: deepbet was trained on T1."""

VOTERS = 3
"""At most so many sequences vote where they lie on one grid, which needs no registration."""

_AGREEING = 0.85
"""Dice with the vote below which an extraction is an outlier."""

_PLAUSIBLE_ML = (400.0, 2500.0)
_PLAUSIBLE_SHARE = (0.02, 0.9)


@dataclass(frozen=True, eq=False)
class Voter:
    """Extraction of one sequence, brought onto the reference's grid.

    Attributes
    ----------
    image : Image
        The sequence.
    chance : (Z, Y, X) array of float32
        Probability of brain on the reference's grid.
    """

    image: Image
    chance: Array


@dataclass(frozen=True, eq=False)
class Brain:
    """Brain mask of a scan and the figures of its making.

    Attributes
    ----------
    mask : (Z, Y, X) array of bool
        On the reference's grid, one piece without holes.
    volume_ml : float or None
        None where the voxel size is unknown.
    agreements : mapping of str to float
        Dice of each sequence's own brain with the mask, by the sequence's role.
    left_out : tuple of str
        Roles of sequences that did not agree with the others.
    """

    mask: Array
    volume_ml: float | None
    agreements: dict[str, float]
    left_out: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain types, for JSON."""
        return {
            "volume_ml": None if self.volume_ml is None else round(self.volume_ml, 1),
            "dice_of_each_sequence": {role: round(value, 4) for role, value in self.agreements.items()},
            "left_out": list(self.left_out),
        }


def vote(voters: Sequence[Voter], grid: Grid) -> Brain:
    """Return the brain that the sequences agree on: where their mean probability is above one half.

    One that does not agree with the vote is left out; of two that do not agree with each other the one in
    which the brain is found better counts.

    Raises
    ------
    PreparationError
        If the region that was found cannot be a brain.
    """
    ranked = sorted(voters, key=lambda voter: BEST_FIRST.index(voter.image.role))
    kept, mask = ranked, _mask(ranked, grid)
    agreeing = [v for v in ranked if dice(v.chance > 0.5, mask) >= _AGREEING]
    if len(agreeing) < len(ranked):
        kept = agreeing if len(agreeing) > 1 else ranked[:1]
        mask = _mask(kept, grid)
    _refuse_implausible(mask, grid)
    agreements = {str(v.image.role): dice(v.chance > 0.5, mask) for v in ranked}
    left_out = tuple(str(v.image.role) for v in ranked if v not in kept)
    return Brain(mask, grid.volume_ml(int(np.count_nonzero(mask))), agreements, left_out)


def _mask(voters: Sequence[Voter], grid: Grid) -> Array:
    return without_specks(np.mean([v.chance for v in voters], axis=0) > 0.5, grid)


def _refuse_implausible(mask: Array, grid: Grid) -> None:
    voxels = int(np.count_nonzero(mask))
    volume, share = grid.volume_ml(voxels), voxels / mask.size
    if volume is not None and not _PLAUSIBLE_ML[0] <= volume <= _PLAUSIBLE_ML[1]:
        raise PreparationError(f"the region found as the brain has {volume:.0f} mL, which no brain has")
    if volume is None and not _PLAUSIBLE_SHARE[0] <= share <= _PLAUSIBLE_SHARE[1]:
        raise PreparationError(f"the region found as the brain fills {share:.0%} of the image")
