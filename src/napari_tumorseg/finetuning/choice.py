"""Choice of how far a model moves away from its parent, and of its threshold, by left-out cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Mixtures of tuned weights with those of the parent that are tried; 1 is the tuned network itself."""

THRESHOLDS = (0.25, 0.35, 0.5)
"""Thresholds that are tried beside that of the parent, for sigmoid outputs."""

_CLOSE = 0.003
"""Of mixtures whose mean Dice differs by no more, the one nearest to the parent is taken."""


@dataclass(frozen=True, order=True)
class Option:
    """Share of the tuned weights, and threshold of the outputs."""

    share: float
    threshold: float


@dataclass(frozen=True)
class Tried:
    """Dice of a left-out case with each option."""

    patient: str
    dice: Mapping[Option, float]
    is_old: bool = False


def choose(tried: Mapping[str, Tried], without: str | None = None) -> Option:
    """Return the best option, by cases of all patients but one.

    A patient's own figures are thus those of a choice that the patient had no part in. The mean over new
    cases and that over rehearsal cases count the same.

    Parameters
    ----------
    tried : mapping of str to Tried
        By case.
    without : str, optional
        Patient to leave out; all count if nobody else is left.
    """
    taken = [one for one in tried.values() if one.patient != without] or list(tried.values())
    groups = [group for old in (False, True) if (group := [one for one in taken if one.is_old is old])]
    scores = {
        option: fmean(fmean(one.dice[option] for one in group) for group in groups)
        for option in taken[0].dice
    }
    least = max(scores.values()) - _CLOSE
    share = min(option.share for option, score in scores.items() if score >= least)
    return max((option for option in sorted(scores) if option.share == share), key=scores.__getitem__)
