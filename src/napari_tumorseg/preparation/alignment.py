"""Registration of a sequence onto the reference, with a check that does not rest on the tool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from napari_tumorseg.errors import PreparationError
from napari_tumorseg.geometry import Affine, Grid
from napari_tumorseg.io.resample import onto
from napari_tumorseg.measurement.registration import Rigid
from napari_tumorseg.preparation.agreement import HeadAgreement, agreement, similarities
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

MIN_COMMON = 0.25
"""Share of the brain that two positions have to show both, for their similarities to be compared."""

_NUDGES_MM = (6.0, 12.0)
_NUDGE_DEGREES = 6.0
"""Further motions after which a right result has to fit less well; they show errors of more than half of the
smallest. A sphere of a brain's volume that is wrong by 8 mm still overlaps by 0.92, slabs by more. Of native
sequences of TCGA-FG-6692 similarity fell by 0.015 or more after 6 mm where the result was right, and rose by
0.016 or more towards the right place where it was wrong by 8 mm; after 3 mm thick slices gave no clear
answer.
"""


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
        With the reference, at the position in the file and with the motion; the similarities are taken where
        the sequence reaches in both, if that is `MIN_COMMON` of the brain.
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
    cannot be trusted has a `problem`: too little of the brain is shown, the brains do not overlap, or the
    sequence fits better after a further small motion.

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
    (at_first, at_last), common = similarities(fixed, moving, (stay, motion))
    if common >= MIN_COMMON:
        before, after = replace(before, similarity=at_first), replace(after, similarity=at_last)
        if at_last < at_first - _NO_WORSE:
            motion, after = stay, before
    found = Rigid(motion, fixed.image.grid, image.grid)
    degrees, shift = found.rotation_degrees, found.shift_mm
    problem = _problem(after, degrees, shift) or _fits_better(fixed, moving, motion)
    return Alignment(image, motion, before, after, degrees, shift, problem, tool.name)


def _fits_better(fixed: Head, moving: Head, motion: Affine) -> str:
    """Return the small further motion after which a sequence fits better; empty if there is none."""
    nudges = dict(_nudges(fixed))
    motions = [motion, *(nudge @ motion for nudge in nudges.values())]
    (here, *others), _ = similarities(fixed, moving, motions)
    best, words = max(zip(others, nudges, strict=True))
    return f"it fits the reference better when it is {words}" if best >= here else ""


def _nudges(head: Head) -> Iterator[tuple[str, Affine]]:
    """Yield small motions along and about the axes of the body through the middle of an image, in words."""
    middle = head.image.grid.centre
    ways = [*np.eye(3), *-np.eye(3)]
    for way, name in zip(ways, ("right", "front", "top", "left", "back", "bottom"), strict=True):
        for distance in _NUDGES_MM:
            shift = np.eye(4)
            shift[:3, 3] = distance * way
            yield f"moved on by {distance:g} mm to the {name}", shift
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_rotvec(_NUDGE_DEGREES * way, degrees=True).as_matrix()
        turn[:3, 3] = middle - turn[:3, :3] @ middle
        yield f"turned on by {_NUDGE_DEGREES:g} degrees about the axis to the {name}", turn


def _problem(found: HeadAgreement, degrees: float, shift: float) -> str:
    if degrees > _MAX_DEGREES or shift > _MAX_MM:
        return f"a motion by {shift:.0f} mm and {degrees:.0f} degrees is not plausible"
    if found.coverage < MIN_COVERAGE:
        return f"it shows only {found.coverage:.0%} of the brain"
    if found.overlap is not None and found.overlap < MIN_OVERLAP:
        return f"the brains overlap by only {found.overlap:.0%}"
    return ""


def _overlap_in_words(before: HeadAgreement, after: HeadAgreement) -> str:
    if before.overlap is None or after.overlap is None:
        return f"similarity {before.similarity:.3f} before and {after.similarity:.3f} after"
    return f"overlap of the brains {before.overlap:.2f} before and {after.overlap:.2f} after"
