"""Labels at another threshold of the stored probabilities; corrected voxels do not change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_tumorseg.edit import Change, find_change
from napari_tumorseg.geometry import Array

Thresholds = Mapping[str, float]


@dataclass(frozen=True)
class Rethresholded:
    """Result of another threshold.

    Attributes
    ----------
    change : Change or None
        Change of the labels.
    unchanged : int
        Number of voxels that the threshold would change, but that were corrected or are locked.
    """

    change: Change | None
    unchanged: int


def rethreshold(labels: Array, base: Array, new: Array, locked: Array | None = None) -> Rethresholded:
    """Return the change from one threshold's result to another's, except for corrected voxels.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        Current labels, corrections included.
    base : array of uint8
        Result of the model at the current threshold; voxels that differ from it were corrected.
    new : array of uint8
        Result of the model at the new threshold.
    locked : array of bool, optional
        Further voxels that do not change.
    """
    step = find_change(base, new)
    if step is None:
        return Rethresholded(None, 0)
    now = labels[step.box]
    stays = now != step.before
    if locked is not None:
        stays |= locked[step.box]
    after = np.where(stays, now, step.after)
    unchanged = int(np.count_nonzero(stays & (step.before != step.after) & (now != step.after)))
    whole = Change(step.box, now.copy(), after)
    return Rethresholded(whole if whole.voxels else None, unchanged)


def status_text(thresholds: Thresholds, step: Change | None, unchanged: int) -> str:
    """Return the thresholds, the number of changed voxels and that of unchanged ones in words."""
    levels = sorted(set(thresholds.values()))
    at = f"{levels[0]:.2f}" if len(levels) == 1 else ", ".join(f"{n} {t:.2f}" for n, t in thresholds.items())
    text = f"Threshold {at}: {step.voxels if step else 0} voxels changed"
    return f"{text}; {unchanged} corrected or locked voxels were not changed." if unchanged else f"{text}."


def is_same_edit(one: Change, other: Change) -> bool:
    """Return whether two changes do the same, even if one has a larger box."""
    return _moves(one) == _moves(other)


def _moves(change: Change) -> tuple[bytes, ...]:
    indices, values = change.as_setitem()
    return (*(axis.tobytes() for axis in indices), values.tobytes())
