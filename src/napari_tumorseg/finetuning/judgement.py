"""Judgement of a fine-tuned model by patients that its networks were not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean

import numpy as np

LEAST_PATIENTS = 3
"""With fewer left-out patients no model is accepted."""

LEVEL = 1 / 8
"""Largest p of the sign-flip test at which the new model counts as better.

Three patients reach it if all of them improve. It is lenient since a wrong decision is undone by a click.
"""

FORGOTTEN = 0.02
"""Largest loss of mean Dice on the rehearsal cases."""

_EXACT = 14
_DRAWS = 20_000


@dataclass(frozen=True)
class Pair:
    """Dice of a left-out case before and after.

    Attributes
    ----------
    case, patient : str
        Names.
    before, after : mapping of str to float
        Dice of each region that the reference knows.
    is_old : bool
        Whether it is a rehearsal case.
    """

    case: str
    patient: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    is_old: bool = False

    @property
    def gain(self) -> float:
        """Difference of the mean Dice over regions."""
        return fmean(self.after.values()) - fmean(self.before.values())


@dataclass(frozen=True)
class Verdict:
    """Decision on a fine-tuned model.

    Attributes
    ----------
    accepted : bool
        Whether it takes the place of its parent.
    sentence : str
        The reason.
    patients : int
        Left-out patients that it was judged by.
    before, after : float
        Mean Dice over these patients.
    p : float
        Of the one-sided paired sign-flip test.
    interval : (low, high)
        90 % bootstrap interval of the mean gain.
    old_change : float or None
        Mean change on the rehearsal cases; None without any.
    """

    accepted: bool
    sentence: str
    patients: int
    before: float
    after: float
    p: float
    interval: tuple[float, float]
    old_change: float | None = None


def judge(pairs: Sequence[Pair]) -> Verdict:
    """Decide whether a model is better than its parent.

    It is, if at least `LEAST_PATIENTS` patients were left out, their mean Dice grew, a paired sign-flip test
    over patients gives p of at most `LEVEL`, and rehearsal cases lost no more than `FORGOTTEN` on average.
    """
    new = [pair for pair in pairs if not pair.is_old]
    before, after = _by_patient(new, "before"), _by_patient(new, "after")
    gains = np.array([after[patient] - before[patient] for patient in before])
    if len(gains) < LEAST_PATIENTS:
        said = f"{len(gains)} patients could be left out and {LEAST_PATIENTS} are needed to judge a model"
        means = (fmean(before.values()), fmean(after.values())) if before else (0.0, 0.0)
        return Verdict(False, said, len(gains), *means, 1.0, (0.0, 0.0))
    old = [pair.gain for pair in pairs if pair.is_old]
    change = fmean(old) if old else None
    p, interval = sign_flip_p(gains), _interval(gains)
    first, last = fmean(before.values()), fmean(after.values())
    accepted, sentence = _decision(len(gains), first, last, p, interval, change)
    return Verdict(accepted, sentence, len(gains), first, last, p, interval, change)


def _decision(
    patients: int, before: float, after: float, p: float, interval: tuple[float, float], change: float | None
) -> tuple[bool, str]:
    facts = (
        f"mean Dice of {patients} left-out patients {before:.3f} before and {after:.3f} after "
        f"(p = {p:.2g}, 90 % interval of the gain {interval[0]:+.3f} to {interval[1]:+.3f})"
    )
    if after <= before or p > LEVEL:
        return False, f"not shown to be better than its parent: {facts}"
    if change is not None and change < -FORGOTTEN:
        return (
            False,
            f"better on the new cases, but it forgot: rehearsal cases changed by {change:+.3f}; {facts}",
        )
    return True, f"better than its parent: {facts}"


def _by_patient(pairs: Sequence[Pair], when: str) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for pair in pairs:
        found.setdefault(pair.patient, []).append(fmean(getattr(pair, when).values()))
    return {patient: fmean(values) for patient, values in found.items()}


def sign_flip_p(gains: np.ndarray) -> float:
    """Return the p of a one-sided paired sign-flip test: the share of sign patterns with as large a sum.

    Exact up to 14 values, from 20,000 seeded draws beyond.
    """
    if len(gains) <= _EXACT:
        signs = np.array(list(product((1, -1), repeat=len(gains))))
    else:
        drawn = np.random.default_rng(0).choice((1, -1), (_DRAWS, len(gains)))
        signs = np.vstack([np.ones((1, len(gains))), drawn])
    return float(((signs * gains).sum(axis=1) >= gains.sum() - 1e-12).mean())


def _interval(gains: np.ndarray) -> tuple[float, float]:
    drawn = np.random.default_rng(0).choice(gains, (2000, len(gains))).mean(axis=1)
    low, high = np.percentile(drawn, (5, 95))
    return float(low), float(high)
