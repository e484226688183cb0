"""Registration of a sequence onto the reference, with a check that does not rest on the tool."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_tumorseg.errors import PreparationError
from napari_tumorseg.geometry import Affine, Grid
from napari_tumorseg.io.resample import onto
from napari_tumorseg.preparation.agreement import HeadAgreement, agreement
from napari_tumorseg.preparation.protocols import Head, Registration
from napari_tumorseg.scan import Image

MIN_OVERLAP = 0.9
"""Overlap of the brains (Dice) below which a registration has failed.

Of sequences of one patient with brains found by deepbet it was 0.95 to 0.97 where the registration was right,
0.87 where it was wrong by 17 degrees.
"""

MIN_COVERAGE = 0.5
_MAX_DEGREES = 50.0
_MAX_MM = 250.0
_NO_WORSE = 1e-3
"""Similarity may fall by this: noise of the estimate."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """Position of a sequence in the space of the reference.

    Attributes
    ----------
    image : Image
        The sequence, on its own grid.
    motion : (4, 4) array
        From RAS mm of the sequence to RAS mm of the reference; the identity where the file's position was
        kept.
    before, after : HeadAgreement
        With the reference, as the files tell it and with the motion.
    degrees, shift_mm : float
        Rotation, and displacement of the middle of the image.
    problem : str
        Reason why it is not to be trusted, as part of a sentence; empty if it is.
    tool : str
        Name and version of the tool.
    """

    image: Image
    motion: Affine
    before: HeadAgreement
    after: HeadAgreement
    degrees: float = 0.0
    shift_mm: float = 0.0
    problem: str = ""
    tool: str = ""

    def on(self, target: Image) -> Image:
        """Return the sequence on the grid of the reference."""
        note = f"registered onto {target.role.title}: {self.words()}"
        data = onto(self.image.data, self.moved, target.grid)
        return replace(self.image, data=data, grid=target.grid, note=note)

    @property
    def moved(self) -> Grid:
        """The sequence's grid as it lies in the space of the reference."""
        return replace(self.image.grid, affine=self.motion @ self.image.grid.affine)

    def words(self) -> str:
        """Return the motion and its check in words."""
        if not self.shift_mm and not self.degrees:
            return f"the position in its file was kept, {_overlap_in_words(self.before, self.after)}"
        moved = f"moved by {self.shift_mm:.1f} mm and {self.degrees:.1f} degrees"
        return f"{moved}, {_overlap_in_words(self.before, self.after)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain types, for JSON."""
        return {
            "role": str(self.image.role),
            "tool": self.tool,
            "matrix_ras_mm": np.round(self.motion, 6).tolist(),
            "rotation_degrees": round(self.degrees, 3),
            "shift_mm": round(self.shift_mm, 3),
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "left_out": self.problem or None,
        }


def align(fixed: Head, moving: Head, tool: Registration) -> Alignment:
    """Register a sequence onto the reference and check the result.

    The file's own position is kept where the motion that was found does not improve on it. A result that
    cannot be trusted has a `problem`.

    Parameters
    ----------
    fixed, moving : Head
        Reference and sequence, with their brains where known.
    tool : Registration
        Finds the motion.
    """
    image, stay = moving.image, np.eye(4)
    before = agreement(fixed, moving, stay)
    try:
        motion = tool.motion(fixed, moving)
    except PreparationError as error:
        return Alignment(image, stay, before, before, problem=str(error), tool=tool.name)
    after = agreement(fixed, moving, motion)
    if after.similarity < before.similarity - _NO_WORSE:
        motion, after = stay, before
    degrees, shift = _size(motion, image.grid)
    problem = _problem(after, degrees, shift)
    return Alignment(image, motion, before, after, degrees, shift, problem, tool.name)


def _problem(found: HeadAgreement, degrees: float, shift: float) -> str:
    if degrees > _MAX_DEGREES or shift > _MAX_MM:
        return f"a motion by {shift:.0f} mm and {degrees:.0f} degrees is not plausible"
    if found.coverage < MIN_COVERAGE:
        return f"it shows only {found.coverage:.0%} of the brain"
    if found.overlap is not None and found.overlap < MIN_OVERLAP:
        return f"the brains overlap by only {found.overlap:.0%}"
    return ""


def _size(motion: Affine, grid: Grid) -> tuple[float, float]:
    """Return the angle of a motion in degrees and the displacement of the middle of a grid in mm."""
    cosine = np.clip((np.trace(motion[:3, :3]) - 1) / 2, -1, 1)
    middle = grid.to_world((np.asarray(grid.shape) - 1) / 2)
    shift = np.linalg.norm(motion[:3, :3] @ middle + motion[:3, 3] - middle)
    return float(np.degrees(np.arccos(cosine))), float(shift)


def _overlap_in_words(before: HeadAgreement, after: HeadAgreement) -> str:
    if before.overlap is None or after.overlap is None:
        return f"similarity {before.similarity:.3f} before and {after.similarity:.3f} after"
    return f"overlap of the brains {before.overlap:.2f} before and {after.overlap:.2f} after"
