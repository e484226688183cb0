"""Preparation of a case: brain extraction, registration, and the scan that a model can run on."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from napari_tumorseg.errors import Notice, Remedy
from napari_tumorseg.geometry import Array
from napari_tumorseg.intensity import background_value, looks_stripped
from napari_tumorseg.io.case import (
    MIN_OVERLAP,
    Case,
    bring,
    refuse_double_roles,
    role_notices,
    same_file_shape,
)
from napari_tumorseg.io.resample import onto
from napari_tumorseg.preparation.alignment import Alignment, align
from napari_tumorseg.preparation.protocols import BrainExtractor, Head, Registration
from napari_tumorseg.preparation.vote import BEST_FIRST, VOTERS, Brain, Voter, vote
from napari_tumorseg.scan import MODALITIES, Image, Role, Scan

MIN_SLICES = 12
"""Fewer slices show too little of a head to find the brain in it."""


@dataclass(frozen=True)
class Tools:
    """Tools of a preparation."""

    extractor: BrainExtractor
    registration: Registration


@dataclass(frozen=True)
class Step:
    """A step of a preparation that begins.

    Attributes
    ----------
    words : str
        For the user.
    done, total : int
        Steps finished and steps in all.
    """

    words: str
    done: int
    total: int


@dataclass(frozen=True, eq=False)
class Needs:
    """Steps that a case needs before a model runs on it.

    Attributes
    ----------
    case : Case
        Its images on their own grids.
    base : Image
        The reference.
    roles : tuple of Role
        Modalities that are prepared.
    brain : bool
        Whether a brain mask has to be made.
    moving : tuple of Image
        Sequences to be registered onto the reference.
    """

    case: Case
    base: Image
    roles: tuple[Role, ...]
    brain: bool
    moving: tuple[Image, ...]

    def __bool__(self) -> bool:
        return self.brain or bool(self.moving)

    def words(self) -> str:
        """Return the steps in words."""
        parts = ["brain extraction"] if self.brain else []
        if self.moving:
            names = " and ".join(image.role.title for image in self.moving)
            parts.append(f"registration of {names} onto {self.base.role.title}")
        return " and ".join(parts)


def needs(
    case: Case,
    reference: str | None = None,
    roles: Sequence[Role] = MODALITIES,
    *,
    brain: bool = True,
    same_voxels: bool = False,
    stripped: bool | None = None,
) -> Needs:
    """Return the steps that a case needs.

    A scan without a skull has been prepared already, and a scan of a few slices shows too little of a head:
    both need none. Where sequences have to be registered, the brain is found, too: the check of the
    registration rests on it.

    Parameters
    ----------
    case : Case
        Images on their own grids.
    reference : str, optional
        Role or name of the image whose grid it is; FLAIR where there is one.
    roles : sequence of Role
        Modalities that are wanted.
    brain : bool
        Whether a brain mask is wanted, where none was given and the skull is there.
    same_voxels : bool
        Whether images of equal shape are taken voxel for voxel.
    stripped : bool, optional
        Whether the skull is removed, if that is known already.
    """
    base = case.reference(reference)
    if min(base.grid.shape) < MIN_SLICES or (looks_stripped(base.data) if stripped is None else stripped):
        return Needs(case, base, tuple(roles), False, ())
    others = [image for image in case.images if image.role in roles and image is not base]
    moving = tuple(i for i in others if i.role in MODALITIES and _lies_elsewhere(i, base, same_voxels))
    lacks = case.brain_mask is None and (brain or bool(moving))
    return Needs(case, base, tuple(roles), lacks, moving)


def prepare(needed: Needs, tools: Tools, same_voxels: bool = False) -> Generator[Step, None, Scan]:
    """Prepare a case, yielding before each step; the scan, on the grid of the reference, is the return value.

    A generator: close it to stop between two steps, which leaves nothing behind. A sequence whose
    registration cannot be trusted is left out, with a warning of the scan; the figures of all steps are in
    the scan's `preparation`.

    Parameters
    ----------
    needed : Needs
        From `needs`.
    tools : Tools
        Brain extractor and registration.
    same_voxels : bool
        As for `Case.scan`, for the images that are not registered.

    Raises
    ------
    PreparationError
        If the brain cannot be found.
    """
    work = _Work(needed, tools, same_voxels)
    total = len(work.to_extract) + len(needed.moving)
    done = 0
    for image in work.to_extract:
        yield Step(f"Finding the brain in {_title(image)}", done, total)
        work.extract(image)
        done += 1
    for image in needed.moving:
        yield Step(f"Registering {_title(image)} onto {_title(needed.base)}", done, total)
        work.register(image)
        done += 1
    return work.finish()


class _Work:
    """State of a preparation."""

    def __init__(self, needed: Needs, tools: Tools, same_voxels: bool) -> None:
        self._needed = needed
        self._tools = tools
        self._chances: dict[str, Array] = {}
        self._alignments: dict[str, Alignment] = {}
        self._seconds: dict[str, float] = {}
        refuse_double_roles(needed.case)
        still = [i for i in needed.case.images if i not in needed.moving and _is_kept(i, needed)]
        self._as_found = {image.name: bring(image, needed.base, same_voxels) for image in still}
        self._given = _given_brain(needed, same_voxels)
        self.to_extract = _to_extract(needed, self._given)

    def extract(self, image: Image) -> None:
        """Find the brain of one sequence on its own grid."""
        start = perf_counter()
        self._chances[image.name] = self._tools.extractor.extract(image)
        self._seconds[f"brain in {image.role}"] = perf_counter() - start

    def register(self, image: Image) -> None:
        """Find where one sequence lies."""
        start = perf_counter()
        found = align(self._head(self._needed.base), self._head(image), self._tools.registration)
        self._alignments[image.name] = found
        self._seconds[f"registration of {image.role}"] = perf_counter() - start

    def finish(self) -> Scan:
        """Return the scan with the brain and the registered sequences."""
        needed = self._needed
        brain = self._brain()
        images, warnings = [needed.base], list(needed.case.warnings)
        for image in needed.case.images:
            if image is needed.base:
                continue
            placed, more = self._placed(image)
            images += [placed] if placed is not None else []
            warnings += more
        warnings += role_notices(images)
        if brain and brain.left_out:
            warnings.append(f"the brain found in {' and '.join(brain.left_out)} differs and does not count")
        case, mask = needed.case, brain.mask if brain else self._given
        notes, figures = tuple(warnings), self._figures(brain)
        return Scan(case.name, tuple(images), mask, case.time_point, case.layout, notes, figures)

    def _placed(self, image: Image) -> tuple[Image | None, list[str]]:
        """Return an image on the reference's grid, or None where it is left out, and warnings about it."""
        base, found = self._needed.base, self._alignments.get(image.name)
        if found is None:
            placed = self._as_found.get(image.name)
            return placed, [f"{_title(image)} was {placed.note}"] if placed and placed.note else []
        if found.problem:
            text = f"{_title(image)} is left out, since it could not be registered onto {_title(base)}: "
            return None, [Notice(text + found.problem, Remedy.IGNORE_PREPARATION)]
        placed = found.on(base)
        return placed, [f"{_title(image)} was {placed.note}"]

    def _head(self, image: Image) -> Head:
        if image is self._needed.base and self._given is not None:
            return Head(image, self._given)
        if image.name in self._chances:
            return Head(image, self._chances[image.name] > 0.5)
        if looks_stripped(image.data):
            return Head(image, np.asarray(image.data != background_value(image.data)))
        return Head(image)

    def _brain(self) -> Brain | None:
        if not self._needed.brain:
            return None
        grid = self._needed.base.grid
        voters = [v for image in self.to_extract if (v := self._voter(image)) is not None]
        return vote(voters, grid)

    def _voter(self, image: Image) -> Voter | None:
        chance, found = self._chances[image.name], self._alignments.get(image.name)
        if found is None:
            return Voter(image, chance)
        if found.problem:
            return None
        return Voter(image, onto(chance, found.moved, self._needed.base.grid))

    def _figures(self, brain: Brain | None) -> dict[str, Any]:
        extraction = None
        if brain is not None:
            extraction = {"tool": self._tools.extractor.name, **brain.to_dict()}
        return {
            "brain_extraction": extraction,
            "registration": [found.to_dict() for found in self._alignments.values()],
            "seconds": {step: round(seconds, 1) for step, seconds in self._seconds.items()},
        }


def _is_kept(image: Image, needed: Needs) -> bool:
    """Return whether an image that is not registered becomes a part of the scan."""
    return image.role in needed.roles or image.grid.same_space(needed.base.grid)


def _lies_elsewhere(image: Image, base: Image, same_voxels: bool) -> bool:
    """Return whether an image of the same examination has another grid than the reference."""
    if image.grid.unit != "mm" or base.grid.unit != "mm" or image.grid.same_space(base.grid):
        return False
    if same_voxels and same_file_shape(image.grid, base.grid):
        return False
    return image.grid.overlap(base.grid) >= MIN_OVERLAP


def _given_brain(needed: Needs, same_voxels: bool) -> Array | None:
    """Return the brain mask that came with the case."""
    given = needed.case.brain_mask
    if given is None:
        return None
    return np.asarray(bring(given, needed.base, same_voxels, nearest=True).data > 0.5)


def _to_extract(needed: Needs, given: Array | None) -> list[Image]:
    """Return the images in which the brain is looked for: those to register, and the best of the others."""
    moving = [i for i in needed.moving if not looks_stripped(i.data)]
    if given is not None:
        return moving
    beside = [i for i in needed.case.images if i.role in needed.roles and i.grid.same_space(needed.base.grid)]
    beside = [i for i in beside if i is not needed.base]
    ranked = sorted([needed.base, *beside], key=lambda image: BEST_FIRST.index(image.role))
    chosen = ranked[:VOTERS]
    if moving and needed.base not in chosen:
        chosen = [needed.base, *chosen[:-1]]
    return [*chosen, *moving]


def _title(image: Image) -> str:
    return image.role.title if image.role in MODALITIES else image.name
