"""NIfTI files grouped into cases by their names alone, with the role of each file."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_tumorseg.io.folder import Folder
from napari_tumorseg.io.formats import NIFTI, stem
from napari_tumorseg.io.name_words import words_of
from napari_tumorseg.io.roles import RoleGuess, guess, is_bare_mask, settle, without_role
from napari_tumorseg.scan import MODALITIES, Role

_VARIANT_WORDS = frozenset(
    {
        *("bias", "n3", "n4", "n4itk", "corrected", "corr", "norm", "normalized", "normalised", "restore"),
        *("restored", "denoised", "gibbs", "unstripped", "smoothed", "sharpened"),
    }
)
"""Words by which the name of a processed copy differs from that of its image, as in ``T1_bias``."""

_REGISTERED_WORDS = frozenset({"reg", "registered", "coreg", "coregistered", "aligned"})
"""Words for a copy on the grid of the other images, which is better suited than its original."""

_PREPARED_WORDS = frozenset(
    {
        *("brain", "bet", "hdbet", "synthstrip", "deepbet", "robex", "extracted"),
        *("skullstrip", "skullstripped", "stripped", "strip"),
        *("resampled", "resliced", "mni", "mni152", "space", "warped", "iso", "final"),
    }
)
"""Words for a copy that suits the other images only if they are prepared likewise."""

_FAST_PARTS = ("_pveseg", "_pve_0", "_mixeltype", "_seg_0")
"""Endings of what FSL's FAST writes beside ``X_seg``, which is a map of tissues then."""


@dataclass(frozen=True, order=True)
class Source:
    """A file, and the name that shows its role: its own, or that of a folder that it lies in."""

    path: Path
    name: str


def source_of(path: Path, case_folder: Path) -> Source:
    """Return a file with the name that shows its role; folders are looked at up to the case's own."""
    own = stem(path)
    for name in _folder_names(path, case_folder):
        if _gives_way(path, guess(name)):
            return Source(path, name)
    return Source(path, own)


def _folder_names(path: Path, case_folder: Path) -> list[str]:
    """Return the names of the folders between a file and its case's that show a role, the nearest first."""
    inside = [folder for folder in path.parents if case_folder in folder.parents]
    names = [stem(folder) if NIFTI.matches(folder) else folder.name for folder in inside]
    return [name for name in names if guess(name).role is not Role.OTHER]


def _gives_way(path: Path, folder: RoleGuess) -> bool:
    """Return whether the name of a file says less than that of its folder.

    A contested word yields to a clear modality, unless the folder holds several images of one sequence
    (``t1/T1.nii``, ``t1/T1_post.nii``); a mere ``MASK`` yields to a folder of brain masks.
    """
    own = guess(stem(path))
    if own.role is Role.OTHER:
        return True
    if own.role is Role.TUMOUR_MASK:
        return folder.role is Role.BRAIN_MASK and is_bare_mask(stem(path))
    if not own.note or folder.note or folder.role not in MODALITIES:
        return False
    return own.otherwise is Role.OTHER or len(Folder.of(path.parent).nifti) == 1


def roles_of(sources: Sequence[Source], case: str) -> dict[Source, RoleGuess]:
    """Return the roles of the files of one case, as their names show them together.

    Contested words give way to clear ones, FAST's map of tissues is no tumour, and of an image and its
    processed copy (``T1`` and ``T1_bias``) the one that suits the other images keeps the role.
    """
    found = {source: guess_in_case(source.name, case) for source in sources}
    names = {source.name for source in sources}
    for source in sources:
        base = source.name.removesuffix("_seg")
        if base != source.name and any(base + part in names for part in _FAST_PARTS):
            found[source] = RoleGuess(Role.OTHER)
    return _without_variants(settle(found))


def guess_in_case(name: str, case: str) -> RoleGuess:
    """Return the role that a file's name shows; the name of the case says nothing about a mask."""
    own = name.removeprefix(case)
    if own == name or name.startswith("sub-") or not re.match(r"[\W_]", own):
        return guess(name)
    hint = guess(own)
    return hint if hint.is_known else guess(name, masks=False)


def group_cases(sources: Sequence[Source], folder: str) -> dict[str, list[Source]]:
    """Return the files of each case that lie in one folder.

    All are one case, unless several claim one role and their names are those of several patients or times.
    """
    if not sources:
        return {}
    if not _is_ambiguous(sources, folder):
        return {folder: list(sources)}
    for with_times in (False, True):
        parted = _parted(sources, with_times)
        cases = {name: group for name, group in parted.items() if _modalities(group, name)}
        if _are_patients(cases):
            return _with_rest(cases, parted)
    return {folder: list(sources)}


def subject_of(name: str, with_times: bool = False) -> str:
    """Return the part of a name that identifies the patient; on request up to "pre" or "post"."""
    if with_times and (found := re.match(r"(.*?(?:^|[\W_])(?:pre|post))(?=[\W_])", name, re.IGNORECASE)):
        return found.group(1)
    return without_role(name)


def _parted(sources: Sequence[Source], with_times: bool) -> dict[str, list[Source]]:
    parted: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        parted[subject_of(source.name, with_times)].append(source)
    return parted


def _are_patients(cases: Mapping[str, Sequence[Source]]) -> bool:
    """Return whether groups of files are cases of their own rather than the series of one patient.

    Patients have modalities in common: one that all have, or one that most have where some have several.
    Series that differ by a number or a doubtful word do not.
    """
    if len(cases) < 2 or not all(name and not _is_ambiguous(g, name) for name, g in cases.items()):
        return False
    held = [_modalities(group, name) for name, group in cases.items()]
    most = max(Counter(role for roles in held for role in roles).values())
    return most == len(cases) or (2 * most >= len(cases) and any(len(roles) > 1 for roles in held))


def _with_rest(
    cases: Mapping[str, list[Source]], parted: Mapping[str, list[Source]]
) -> dict[str, list[Source]]:
    """Return the cases with the files of no modality whose names begin as theirs: another tool's masks."""
    whole = dict(cases)
    for name in parted.keys() - cases.keys():
        owner = max((case for case in cases if name.startswith(case)), key=len, default=None)
        if owner is not None:
            whole[owner] = sorted(whole[owner] + parted[name])
    return dict(sorted(whole.items()))


def _modalities(sources: Sequence[Source], case: str) -> set[Role]:
    return {hint.role for hint in roles_of(sources, case).values() if hint.role in MODALITIES}


def _is_ambiguous(sources: Sequence[Source], case: str) -> bool:
    """Return whether images of different names claim one role; ``X.nii`` beside ``X.nii.gz`` is one image."""
    claimed = {(hint.role, s.name) for s, hint in roles_of(sources, case).items() if hint.role in MODALITIES}
    return len(claimed) > len({role for role, _ in claimed})


def _without_variants(guesses: Mapping[Source, RoleGuess]) -> dict[Source, RoleGuess]:
    """Return the roles with `Role.OTHER` for the less suited of an image and its processed copy."""
    found = dict(guesses)
    images = {s: g.role for s, g in guesses.items() if g.role in MODALITIES}
    for source, role in images.items():
        others = [set(words_of(s.name)) for s, r in images.items() if r is not role]
        shared = frozenset[str]().union(*others)
        for rival in (s for s, r in images.items() if r is role and s.name != source.name):
            if (extra := _added_words(rival.name, source.name)) and not _is_better(extra, shared):
                found[source] = RoleGuess(Role.OTHER, f"a processed copy of {rival.name}")
            elif (extra := _added_words(source.name, rival.name)) and _is_better(extra, shared):
                found[source] = RoleGuess(Role.OTHER, f"what {rival.name} was made from")
    return found


def _added_words(plain: str, name: str) -> frozenset[str]:
    """Return the words by which a name differs from that of its original; none if it is no copy of it."""
    more, less = Counter(words_of(name)), Counter(words_of(plain))
    extra = frozenset(more - less)
    is_copy = not less - more and extra <= _VARIANT_WORDS | _REGISTERED_WORDS | _PREPARED_WORDS
    return extra if is_copy else frozenset()


def _is_better(extra: frozenset[str], shared: frozenset[str]) -> bool:
    """Return whether a copy suits the other images better: registered to them, or prepared as they are."""
    if extra & _VARIANT_WORDS:
        return False
    return extra <= _REGISTERED_WORDS or not shared or bool(extra & _PREPARED_WORDS & shared)
