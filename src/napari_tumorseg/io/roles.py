"""Grammar of image names: from the words of a file or channel name to its modality.

BIDS entities come first: ``ce-`` is contrast agent, ``ses-`` is none. Then parcellations, masks, derived
maps, sequences and contrast agent are looked for, in this order. `role_words` has the vocabulary,
`contrast_words` the grammar of contrast agent.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

from napari_tumorseg.io import role_words as w
from napari_tumorseg.io.contrast_words import contrast_of, is_time
from napari_tumorseg.io.name_words import words_of
from napari_tumorseg.scan import MODALITIES, Role

K = TypeVar("K", bound=Hashable)

_CACHED = 2**16

_BIDS_SUBJECT = re.compile(r"sub-[a-zA-Z0-9+]+(?:_ses-[a-zA-Z0-9+]+)?(?=_|$)")
_TISSUE_MAP = re.compile(r"^(?:(?:s?m?w|r)?c|s?mwp|wp)[0-6](?=[a-z])|^i?y_", re.IGNORECASE)
"""SPM's and CAT's maps of tissue and their deformation fields: ``c1T1``, ``mwp2T1``, ``y_T1``."""

_INVERSION = re.compile(r"mp2rage.*(?:inv-?[12]|t1[\W_]images)|inv-?[12].*mp2rage", re.IGNORECASE)
"""Parts of an MP2RAGE that are no T1-weighted image: its two inversions and its T1 map."""

_DESCRIBING = frozenset[str]().union(
    w.SEQUENCES, w.PULSES, w.AGENTS, w.PLAIN, w.DERIVED, w.PARCELLATIONS, w.TUMOUR, w.MASKS, ("pre", "post")
)


@dataclass(frozen=True)
class RoleGuess:
    """Role that a name suggests.

    Attributes
    ----------
    role : Role
        `Role.OTHER` if no word shows it.
    note : str
        The word that it rests on, where others would read that word differently; else empty.
    otherwise : Role or None
        Role without that word.
    is_known : bool
        Whether words show it; a map or parcellation is known to be `Role.OTHER`.
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
    words = _without_patient(words_of(name))
    if _TISSUE_MAP.search(name) or any(word in w.PARCELLATIONS for word in words):
        return RoleGuess(Role.OTHER)
    mask = _mask(words) if masks else None
    if mask is not None:
        return RoleGuess(mask)
    if _is_derived(words) or _INVERSION.search(name):
        return RoleGuess(Role.OTHER)
    return _modality(words)


def without_free_text(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of channels that a header states, without words that say nothing of an image.

    What a name says beside the modality may be that of a patient, or a date, and names of images are written
    into results. The order of words stays, and so does the role that they show.
    """
    found = []
    for number, name in enumerate(names):
        words = words_of(name)
        known = [word for word in words if word in w.VOCABULARY]
        found.append(name if known == words else " ".join(known) or f"channel {number}")
    return tuple(n if found.count(n) == 1 else f"{n} {i}" for i, n in enumerate(found))


def is_bare_mask(name: str) -> bool:
    """Return whether a name says that it is a mask, and nothing more: ``MASK``, ``seg_1``."""
    return all(word in w.MASKS or word.isdigit() for word in words_of(name))


def may_be_mask(name: str) -> bool:
    """Return whether the image of a numbered patient might be a numbered mask: ``lesion_1_flair``."""
    return _names_patient(words_of(name))


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
    """Return the part of a name that identifies the patient and time, which the files of one case share.

    That is everything before the words for an image or mask, or what is left beside them where a name begins
    with those (``flair_7``); of a BIDS name its subject and session.
    """
    if bids := _BIDS_SUBJECT.match(name):
        return bids.group()
    parts = re.split(r"([\W_]+)", name)
    words, joints = parts[::2], [*parts[1::2], ""]
    describing = [_describes_image(word, after) for word, after in zip(words, [*words[1:], ""], strict=True)]
    if _names_patient(words_of(name)):
        describing[0] = False
    kept = list(range(describing.index(True) if True in describing else len(words)))
    while kept and words[kept[-1]].lower() in w.TECHNIQUE:
        kept.pop()
    if not any(words[i] for i in kept):
        kept = [i for i in range(len(words)) if not describing[i] and words[i].lower() not in w.TECHNIQUE]
    text = "".join(words[i] + joints[i] for i in kept)
    return re.sub(r"[\W_]{2,}", lambda m: m.group()[0], text).strip("-_. ")


def _describes_image(word: str, after: str) -> bool:
    """Return whether a word is part of an image's name; "post" before a time belongs to the patient's."""
    pieces = words_of(word)
    if pieces and pieces[-1] in ("pre", "post") and after.lower() in w.TIMES:
        return False
    return any(piece in _DESCRIBING for piece in pieces) and not is_time(pieces, 0)


def _without_patient(words: Sequence[str]) -> Sequence[str]:
    return words[2:] if _names_patient(words) else words


def _names_patient(words: Sequence[str]) -> bool:
    """Return whether a name begins with a tumour and its number as with a patient's: ``tumor_01_flair``.

    A mask needs a number of two digits: ``seg_2_t1`` may be the second mask of a T1.
    """
    if len(words) < 3 or not words[1].isdigit():
        return False
    is_patient = words[0] in w.TUMOUR or (words[0] in w.MASKS and len(words[1]) > 1)
    return is_patient and any(word in w.SEQUENCES or word in w.MASKS for word in words[2:])


# --- masks and maps --------------------------------------------------------------------------


def _mask(words: Sequence[str]) -> Role | None:
    """Return what the words make a mask of; None if they do not speak of one."""
    tumours = [i for i, word in enumerate(words) if word in w.TUMOUR]
    if any(not _is_absent(words, i) for i in tumours) or ("o", "ot") in pairwise(words):
        return Role.TUMOUR_MASK  # VSD.Brain.XX.O.OT of BraTS 2015
    at = [i for i, word in enumerate(words) if word in w.MASKS]
    if at and tumours:
        return Role.OTHER
    if not at:
        alone = any(word in w.BRAIN_ALONE for word in words)
        return Role.BRAIN_MASK if alone else None
    if any(_is_of_brain(words, i) for i in at):
        return Role.BRAIN_MASK
    return Role.OTHER if any(word in w.ANATOMY for word in words) else Role.TUMOUR_MASK


def _is_absent(words: Sequence[str], tumour: int) -> bool:
    """Return whether the words speak of what is no tumour: ``non_tumor_mask``, ``tumor_free_mask``."""
    before = words[tumour - 1] if tumour else ""
    return before in w.NEGATIONS_OF_TUMOUR or words[tumour + 1 : tumour + 2] == ["free"]


def _is_of_brain(words: Sequence[str], mask: int) -> bool:
    """Return whether a word for the brain stands before or right behind a word for a mask."""
    is_mask = words[mask] in ("mask", "masks")
    tools = w.EXTRACTORS if is_mask else ()
    if mask + 1 < len(words) and words[mask + 1] in w.BRAIN:
        return words[mask + 1] in tools or words[mask + 1] not in w.EXTRACTORS
    for before in reversed(words[:mask]):
        if before in w.BRAIN:
            return before in tools or before not in w.EXTRACTORS
        if not (before in w.TECHNIQUE or (before in w.SEQUENCES and is_mask)):
            return False  # the "seg" of a brain's FLAIR is one of the tumour
    return False


def _is_derived(words: Sequence[str]) -> bool:
    """Return whether the words are those of a map, another kind of scan, or a T2*-weighted image."""
    if any(word in w.DERIVED for word in words) or (words and words[-1] in ("sub", "ph")):
        return True
    if any(_is_difference(words, i) for i in range(len(words))):
        return True
    has_t2 = any(w.SEQUENCES.get(word) is Role.T2 for word in words)
    has_flair = any(w.SEQUENCES.get(word) is Role.FLAIR for word in words)
    return has_t2 and not has_flair and any(word in w.GRADIENT_ECHO for word in words)


def _is_difference(words: Sequence[str], at: int) -> bool:
    """Return whether a word makes a difference of images: ``T1c_minus_T1``, ``delta_T1``, ``dT1``."""
    before, after = (words[at - 1] if at else ""), (words[at + 1] if at + 1 < len(words) else "")
    if words[at] == "delta":
        return before in w.SEQUENCES or after in w.SEQUENCES
    if words[at] == "d":
        return after in w.SEQUENCES and not before.isdigit()
    return words[at] in w.DIFFERENCES and before in w.SEQUENCES and after in w.SEQUENCES


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
    """Return whether a sequence is only the image that another one was registered to."""
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
    """Return whether nothing but planes and techniques stands between a T1 and the word behind it."""
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
    contrast = contrast_of(words)
    if contrast.word == "":
        return plain if plain.note else _doubted(words, plain)
    if contrast.is_both:
        return _contested(Role.T1, "the name says with and without contrast agent", Role.T1C)
    role = Role.T1C if contrast.given else Role.T1
    other = Role.T1 if contrast.given else Role.T1C
    if contrast.is_doubtful or (contrast.given and contrast.word == "post"):
        return _contested(role, f"`{contrast.word}`" + (" alone" if contrast.given else ""), other)
    return RoleGuess(role, plain.note if role is plain.role else "")


def _doubted(words: Sequence[str], plain: RoleGuess) -> RoleGuess:
    """Return a T1 with a note if an unknown word beside it may speak of contrast agent."""
    first = next((i for i, word in enumerate(words) if word in w.SEQUENCES or word in w.PULSES), 0)
    for i, word in enumerate(words):
        is_stem = i > first and word not in w.VOCABULARY and word.startswith(w.DOUBTFUL_STEMS)
        if is_stem or (word in w.DOUBTFUL and not is_time(words, i)):
            note = f"{Role.T1.title}, though `{word}` may mean contrast agent"
            return RoleGuess(Role.T1, note, Role.T1C)
    return plain


def _contrast_alone(words: Sequence[str]) -> RoleGuess:
    """Return what words for contrast agent mean where no sequence is named: a T1, as a rule."""
    contrast = contrast_of(words)
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
