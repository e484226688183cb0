"""Grammar of image names: from the words of a file or channel name to its modality.

BIDS entities come first: ``ce-`` is contrast agent, ``ses-`` is none. Then parcellations, masks, derived
maps, sequences and contrast agent are looked for, in this order. `role_words` has the vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

from napari_tumorseg.io import role_words as w
from napari_tumorseg.io.name_words import words_of
from napari_tumorseg.scan import MODALITIES, Role

K = TypeVar("K", bound=Hashable)

_CACHED = 2**16

_BIDS_SUBJECT = re.compile(r"sub-[a-zA-Z0-9+]+(?:_ses-[a-zA-Z0-9+]+)?(?=_|$)")
_TISSUE_MAP = re.compile(r"^(?:(?:s?m?w|r)?c|s?mwp|wp)[0-6](?=[a-z])|^i?y_", re.IGNORECASE)
"""SPM's and CAT's maps of tissue and their deformation fields: ``c1T1``, ``mwp2T1``, ``y_T1``."""

_INVERSION = re.compile(r"mp2rage.*(?:inv-?[12]|t1[\W_]images)|inv-?[12].*mp2rage", re.IGNORECASE)
"""Parts of an MP2RAGE that are no T1-weighted image: its two inversions and its T1 map."""

_TELLING = frozenset[str]().union(
    w.SEQUENCES, w.PULSES, w.AGENTS, w.PLAIN, w.DERIVED, w.PARCELLATIONS, w.TUMOUR, w.MASKS, ("pre", "post")
)


@dataclass(frozen=True)
class RoleGuess:
    """Role that a name suggests.

    Attributes
    ----------
    role : Role
        `Role.OTHER` if no word tells.
    note : str
        The word that it rests on, where others would read that word differently; else empty.
    otherwise : Role or None
        Role without that word.
    is_known : bool
        Whether words tell it; a map or parcellation is known to be `Role.OTHER`.
    """

    role: Role
    note: str = ""
    otherwise: Role | None = None
    is_known: bool = True


_UNKNOWN = RoleGuess(Role.OTHER, is_known=False)


def guess_role(name: str, masks: bool = True) -> Role:
    """Return the role that a file, dataset or layer name suggests; see `guess`."""
    return guess(name, masks).role


@lru_cache(_CACHED)
def guess(name: str, masks: bool = True) -> RoleGuess:
    """Return the role that a name suggests, with a note where it rests on one contested word.

    Parameters
    ----------
    name : str
        File stem, dataset or layer name.
    masks : bool
        Whether it may be a mask; false for what the voxels have shown to be an image.
    """
    words = words_of(name)
    if _TISSUE_MAP.search(name) or any(word in w.PARCELLATIONS for word in words):
        return RoleGuess(Role.OTHER)
    mask = _mask(words) if masks else None
    if mask is not None:
        return RoleGuess(mask)
    if _is_derived(words) or _INVERSION.search(name):
        return RoleGuess(Role.OTHER)
    return _modality(words)


def settle(guesses: Mapping[K, RoleGuess]) -> dict[K, RoleGuess]:
    """Return the roles of images of one case: a contested word gives way to a clear one.

    Beside ``P1_post_T1c``, ``P1_post_T1`` is no second T1c, so that "post" is a time there.
    """
    found = dict(guesses)
    clear = {g.role for g in found.values() if not g.note}
    for key, hint in found.items():
        taken = {g.role for other, g in found.items() if other != key and g.role in MODALITIES}
        if hint.otherwise is not None and hint.role in clear and hint.otherwise not in taken:
            why = f"another image is clearly {hint.role.title}"
            found[key] = RoleGuess(hint.otherwise, f"{hint.otherwise.title}: {why}")
    return found


def without_role(name: str) -> str:
    """Return the part of a name that tells the patient and time: what the files of one case have in common.

    That is everything before the words for an image or mask, or what is left beside them where a name begins
    with those (``flair_7``); of a BIDS name its subject and session.
    """
    if bids := _BIDS_SUBJECT.match(name):
        return bids.group()
    parts = re.split(r"([\W_]+)", name)
    words, joints = parts[::2], [*parts[1::2], ""]
    telling = [_tells(word, after) for word, after in zip(words, [*words[1:], ""], strict=True)]
    kept = list(range(telling.index(True) if True in telling else len(words)))
    while kept and words[kept[-1]].lower() in w.TECHNIQUE:
        kept.pop()
    if not any(words[i] for i in kept):
        kept = [i for i in range(len(words)) if not telling[i] and words[i].lower() not in w.TECHNIQUE]
    text = "".join(words[i] + joints[i] for i in kept)
    return re.sub(r"[\W_]{2,}", lambda m: m.group()[0], text).strip("-_. ")


def _tells(word: str, after: str) -> bool:
    """Tell whether a word is part of an image's name; "post" before a time belongs to the patient's."""
    pieces = words_of(word)
    if pieces and pieces[-1] in ("pre", "post") and after.lower() in w.TIMES:
        return False
    return any(piece in _TELLING for piece in pieces) and not _is_time(pieces, 0)


# --- masks and maps --------------------------------------------------------------------------


def _mask(words: Sequence[str]) -> Role | None:
    """Return what the words make a mask of; None if they do not speak of one."""
    if any(word in w.TUMOUR for word in words) or ("o", "ot") in pairwise(words):
        return Role.TUMOUR_MASK  # VSD.Brain.XX.O.OT of BraTS 2015
    at = [i for i, word in enumerate(words) if word in w.MASKS]
    if not at:
        alone = any(word in w.BRAIN_ALONE for word in words)
        return Role.BRAIN_MASK if alone else None
    if any(_is_of_brain(words, i) for i in at):
        return Role.BRAIN_MASK
    return Role.OTHER if any(word in w.ANATOMY for word in words) else Role.TUMOUR_MASK


def _is_of_brain(words: Sequence[str], mask: int) -> bool:
    """Tell whether a word for the brain stands before or right behind a word for a mask."""
    tools = w.EXTRACTORS if words[mask] in ("mask", "masks") else ()
    if mask + 1 < len(words) and words[mask + 1] in w.BRAIN:
        return words[mask + 1] in tools or words[mask + 1] not in w.EXTRACTORS
    for before in reversed(words[:mask]):
        if before in w.BRAIN:
            return before in tools or before not in w.EXTRACTORS
        if before not in w.SEQUENCES and before not in w.TECHNIQUE:
            return False
    return False


def _is_derived(words: Sequence[str]) -> bool:
    """Tell whether the words are those of a map, another kind of scan, or a T2*-weighted image."""
    if any(word in w.DERIVED for word in words) or (words and words[-1] in ("sub", "ph")):
        return True
    has_t2 = any(w.SEQUENCES.get(word) is Role.T2 for word in words)
    has_flair = any(w.SEQUENCES.get(word) is Role.FLAIR for word in words)
    return has_t2 and not has_flair and any(word in w.GRADIENT_ECHO for word in words)


# --- modalities ------------------------------------------------------------------------------


def _modality(words: Sequence[str]) -> RoleGuess:
    found = [(i, w.SEQUENCES[word]) for i, word in enumerate(words) if word in w.SEQUENCES]
    own = [(i, role) for i, role in found if not _is_target(words, i, found)]
    if found and not own:
        return RoleGuess(Role.OTHER)
    hint = _sequence(words, own) if own else _pulse(words)
    if hint.role is Role.T1 and not any(words[i] == "t1n" for i, _ in own[-1:]):
        return _with_contrast(words, hint)
    if hint.role is Role.OTHER and not any(word in w.OTHER_SCANS for word in words):
        return _contrast_alone(words)
    return hint


def _is_target(words: Sequence[str], at: int, found: Sequence[tuple[int, Role]]) -> bool:
    """Tell whether a sequence is only the image that another one was registered to."""
    before, after = (words[at - 1] if at else ""), tuple(words[at + 1 :])
    if before in w.TARGETS:
        return True
    earlier = {role for i, role in found if i < at} - {w.SEQUENCES[words[at]]}
    if not earlier or (earlier == {Role.T2} and w.SEQUENCES[words[at]] is Role.FLAIR):
        return False
    return before in w.REGISTERED or after == ("space",)


def _sequence(words: Sequence[str], own: Sequence[tuple[int, Role]]) -> RoleGuess:
    """Return what the words for sequences make together; the last one wins where they disagree."""
    roles = {role for _, role in own}
    last, role = own[-1]
    if roles <= {Role.T1, Role.T1C}:
        return RoleGuess(Role.T1 if words[last] == "t1n" or Role.T1C not in roles else Role.T1C)
    if roles <= {Role.T2, Role.FLAIR}:
        return RoleGuess(Role.FLAIR if Role.FLAIR in roles else Role.T2)
    if role is Role.FLAIR and _follows_t1(words, last):
        return _contested(Role.T1, "`T1 FLAIR`, a T1 with inversion recovery", Role.FLAIR)
    other = next(r for _, r in reversed(own) if r is not role)
    return _contested(role, f"the name says {other.title} and {role.title}, this one last", other)


def _follows_t1(words: Sequence[str], at: int) -> bool:
    """Tell whether nothing but planes and techniques stands between a T1 and the word behind it."""
    before = next((x for x in reversed(words[:at]) if x not in w.TECHNIQUE and x not in w.PULSES), "")
    return w.SEQUENCES.get(before) is Role.T1


def _pulse(words: Sequence[str]) -> RoleGuess:
    """Return the modality that a pulse sequence is usually used for."""
    word = next((word for word in words if word in w.PULSES), None)
    if word is None:
        return _UNKNOWN
    if word in w.CONTESTED_PULSES:
        return _contested(w.PULSES[word], f"`{word}` alone", Role.OTHER)
    return RoleGuess(w.PULSES[word])


def _with_contrast(words: Sequence[str], plain: RoleGuess) -> RoleGuess:
    """Return a T1 as T1 or T1c, as the words for contrast agent say."""
    contrast = _contrast(words)
    if contrast.word == "":
        return plain
    if contrast.is_both:
        return _contested(Role.T1, "the name says with and without contrast agent", Role.T1C)
    role = Role.T1C if contrast.given else Role.T1
    if contrast.given and contrast.word == "post":
        return _contested(role, "`post` alone", Role.T1)
    return RoleGuess(role, plain.note if role is plain.role else "")


def _contrast_alone(words: Sequence[str]) -> RoleGuess:
    """Return what words for contrast agent mean where no sequence is named: a T1, as a rule."""
    contrast = _contrast(words)
    if (
        contrast.word in ("", *w.PLAIN - {"precontrast", "noncontrast"}, *w.NEGATIONS_ALONE)
        or contrast.is_both
    ):
        return _UNKNOWN
    return _contested(Role.T1C if contrast.given else Role.T1, f"`{contrast.word}` alone", Role.OTHER)


def _contested(role: Role, why: str, otherwise: Role) -> RoleGuess:
    return RoleGuess(
        role, f"{role.title} because of {why}" if "`" in why else f"{role.title}: {why}", otherwise
    )


# --- contrast agent --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Contrast:
    """Contrast agent as the words tell it; `word` is empty where none does."""

    given: bool = False
    word: str = ""
    is_both: bool = False


def _contrast(words: Sequence[str]) -> _Contrast:
    """Return what the words tell of contrast agent; plain words win over "post" alone."""
    hint = [c for i in range(len(words)) if (c := _contrast_at(words, i)) is not None]
    strong = [c for c in hint if c.word not in ("pre", "post")]
    if "both" in words and not [c for c in hint if c.word != "both"]:
        return _Contrast(word="both", is_both=True)
    return (strong or hint or [_Contrast()])[-1]


def _contrast_at(words: Sequence[str], at: int) -> _Contrast | None:
    word = words[at]
    if word in w.AGENTS:
        return _agent(words, at)
    if word in ("pre", "post"):
        leads = _is_time(words, at) or _next(words, at) in w.AGENTS
        return None if leads else _Contrast(word == "post", word)
    if word in w.PLAIN:
        return _Contrast(word=word)
    if word in w.NEGATIONS_ALONE and _next(words, at) not in w.AGENTS:
        return _Contrast(word=word)
    if word == "c" and "t1" in (*words[max(at - 1, 0) : at], *words[at + 1 : at + 2]):
        return _Contrast(True, word)
    return None


def _agent(words: Sequence[str], at: int) -> _Contrast | None:
    """Return whether contrast agent was given: not behind a negation, unknown behind "with and without"."""
    before = next((word for word in reversed(words[:at]) if word not in w.FILLERS), "")
    if before == "both":
        return None
    return _Contrast(before not in w.NEGATIONS, words[at])


def _next(words: Sequence[str], at: int) -> str:
    return next((word for word in words[at + 1 :] if word not in w.FILLERS), "")


def _is_time(words: Sequence[str], at: int) -> bool:
    """Tell whether "pre" or "post" tells a time: an operation, a therapy or a number of months follows."""
    if at >= len(words) or words[at] not in ("pre", "post"):
        return False
    after = [*words[at + 1 : at + 3], "", ""]
    number = re.match(r"\d*", after[0])
    assert number is not None
    if not number.group():
        return after[0] in w.TIMES
    unit = after[0][number.end() :] or after[1]
    return unit in w.UNITS or unit in w.TIMES
