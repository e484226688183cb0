"""Series of a study: volumes with names and roles, and a sentence for each that is left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_tumorseg.errors import Notice, Remedy
from napari_tumorseg.io.dicom.facts import Header
from napari_tumorseg.io.dicom.pixels import has_same_pixels
from napari_tumorseg.io.dicom.roles import is_reformatted, role_of, safe_words, unsuitable
from napari_tumorseg.io.dicom.stacks import Plane, Stack, sort_planes
from napari_tumorseg.io.roles import RoleGuess, settle
from napari_tumorseg.scan import MODALITIES, Role

_OTHER_MODALITIES = {
    "CT": "CT",
    "PT": "PET",
    "CR": "an X-ray image",
    "DX": "an X-ray image",
    "NM": "nuclear medicine",
    "US": "ultrasound",
}
_FEWEST_SLICES = 5
"""Slices from which on a part of a series in several directions is a scan rather than a localiser."""

_WHOLE_HEAD_MM = 80.0
"""Extent from which on a series covers the brain rather than a part of it."""


@dataclass(frozen=True, eq=False)
class Series:
    """A volume of a study.

    Attributes
    ----------
    name : str
        ``series-`` and its number, with those words of its description that are of the vocabulary.
    stack : Stack
        Its planes.
    guess : RoleGuess
        Its modality.
    """

    name: str
    stack: Stack
    guess: RoleGuess


@dataclass(frozen=True)
class Contents:
    """Volumes of a study, and sentences on series that are left out or doubtful."""

    series: tuple[Series, ...]
    notes: tuple[str, ...] = ()


def contents_of(headers: Sequence[Header]) -> Contents:
    """Return the volumes among the image files of one study, one for each modality.

    Series that are no scan of a modality (localisers, maps, diffusion, screenshots) are left out. Where
    several series are of one modality, the finest is used and the others keep no role.
    """
    found: list[Series] = []
    notes: list[str] = []
    for name, group in _named(_by_series(headers)).items():
        volumes, problems = _volumes(name, group)
        found += volumes
        notes += [f"{name} {problem}" for problem in problems]
    chosen, choices = _one_for_each_role(found)
    return Contents(tuple(chosen), (*notes, *choices))


def _by_series(headers: Sequence[Header]) -> list[list[Header]]:
    """Return files by series, in the order of their numbers; copies of one object count once."""
    parted: dict[str, dict[str, Header]] = defaultdict(dict)
    for header in headers:
        parted[header.series].setdefault(header.instance or str(header.file), header)
    groups = [list(group.values()) for group in parted.values()]
    return sorted(groups, key=lambda g: (g[0].number is None, g[0].number or 0, g[0].file))


def _named(groups: Sequence[list[Header]]) -> dict[str, list[Header]]:
    named: dict[str, list[Header]] = {}
    taken = {group[0].number for group in groups}
    for group in groups:
        number = group[0].number
        if number is None:
            number = next(n for n in range(1, len(groups) + len(taken) + 2) if n not in taken)
            taken.add(number)
        named[_free(f"series-{number}", named)] = group
    return named


def _free(name: str, taken: Mapping[str, object]) -> str:
    if name not in taken:
        return name
    return next(f"{name}-{n}" for n in range(2, len(taken) + 3) if f"{name}-{n}" not in taken)


def _volumes(name: str, headers: Sequence[Header]) -> tuple[list[Series], list[str]]:
    """Return the volumes of a series, and why something of it is left out, without its subject."""
    first = headers[0]
    if first.modality not in ("MR", ""):
        return [], [f"is left out: it is {_kind_of(first)}, not MR"]
    suitable = [header for header in headers if not unsuitable(header)]
    if not suitable:
        return [], [f"is left out: it is {unsuitable(first)}"]
    hint = role_of(suitable[0])
    if hint.is_known and hint.role not in MODALITIES:
        return [], ["is left out: its description is that of a map, a localiser or another kind of scan"]
    planes = [Plane(header, frame) for header in suitable for frame in header.frames]
    result = sort_planes(planes, has_same_pixels)
    stacks, problems = _without_localisers(result.stacks)
    problems += [problem if result.stacks else f"is left out: it {problem}" for problem in result.problems]
    words = "_".join([name, *safe_words(suitable[0])])
    named: dict[str, Stack] = {}
    for stack in stacks:
        named[_free(words, named)] = stack
    found = [Series(title, stack, _guess_of(stack, hint)) for title, stack in named.items()]
    return found, [*problems, *(note for stack in stacks for note in stack.notes)]


def _kind_of(header: Header) -> str:
    return _OTHER_MODALITIES.get(header.modality, "of another kind")


def _guess_of(stack: Stack, series: RoleGuess) -> RoleGuess:
    """Return the role of one volume of a series: its echo may be that of another modality."""
    own = role_of(replace(stack.header, frames=(stack.planes[0].frame,)))
    return own if own.is_known else series


def _without_localisers(stacks: Sequence[Stack]) -> tuple[list[Stack], list[str]]:
    """Return the volumes of a series in several directions that have more slices than a localiser."""
    directions = {tuple(np.round(np.abs(stack.planes[0].normal), 1)) for stack in stacks}
    if len(directions) < 2:
        return list(stacks), []
    kept = [stack for stack in stacks if len(stack.planes) >= _FEWEST_SLICES]
    few = len(stacks) - len(kept)
    if not few:
        return kept, []
    left_out = "is left out" if not kept else f"is left out in {few} of {len(stacks)} directions"
    return kept, [
        f"{left_out}: it has few slices in each of {len(directions)} directions, as a localiser has"
    ]


# --- one series for each modality ------------------------------------------------------------


def _one_for_each_role(found: Sequence[Series]) -> tuple[list[Series], list[str]]:
    """Return the series with at most one of each modality, and a notice where that was a choice."""
    roles = settle({series.name: series.guess for series in found})
    settled = [replace(series, guess=roles[series.name]) for series in found]
    notes: list[str] = []
    for role in MODALITIES:
        rivals = [series for series in settled if series.guess.role is role]
        if len(rivals) < 2:
            continue
        best = max(rivals, key=_suitability)
        others = [series.name for series in rivals if series is not best]
        text = f"{best.name} is taken as {role.title}; so could be {', '.join(others)}"
        notes.append(Notice(text, Remedy.STATE_ROLES))
        settled = [s if s.name not in others else replace(s, guess=RoleGuess(Role.OTHER)) for s in settled]
    return settled, notes


def _suitability(series: Series) -> tuple[bool, bool, bool, float, int]:
    """Return the merits of one of several series of a modality: clear, original, whole, fine, late."""
    stack = series.stack
    spacing = np.linalg.norm(stack.affine[:3, :3], axis=0)
    extent = float(min(spacing * stack.shape))
    return (
        not series.guess.note,
        not is_reformatted(stack.header),
        extent > _WHOLE_HEAD_MM,
        -round(float(spacing.max()), 1),
        stack.header.number or 0,
    )
