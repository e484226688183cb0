"""Which modality a file or channel is, told by the words in its name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from napari_tumorseg.scan import Role

_WORDS: dict[str, Role] = {
    **dict.fromkeys(("t1", "t1n", "t1w", "t1pre", "pre"), Role.T1),
    **dict.fromkeys(
        (
            "t1c",
            "t1ce",
            "t1gd",
            "t1gad",
            "t1post",
            "t1km",
            "t1wce",
            "t1cw",
            "post",
            "gd",
            "gad",
            "ce",
            "contrast",
        ),
        Role.T1C,
    ),
    **dict.fromkeys(("t2", "t2w"), Role.T2),
    **dict.fromkeys(("flair", "fla", "t2f", "t2flair", "fl"), Role.FLAIR),
    **dict.fromkeys(("brainmask", "bmask"), Role.BRAIN_MASK),
    **dict.fromkeys(
        ("seg", "segmentation", "mask", "label", "labels", "otmulticlass", "tumor", "tumour", "lesion", "gt"),
        Role.TUMOUR_MASK,
    ),
}
_PAIRS: dict[tuple[str, str], Role] = {
    ("brain", "mask"): Role.BRAIN_MASK,
    ("t1", "c"): Role.T1C,
    ("t1", "ce"): Role.T1C,
    ("t2", "flair"): Role.FLAIR,
}
_STRONG = {Role.BRAIN_MASK, Role.TUMOUR_MASK}


def tokens(name: str) -> list[str]:
    """Split a name into lower-case words: at punctuation, and where lower case turns into upper case."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def guess_role(name: str) -> Role:
    """Guess the role of a file or channel from its name; `Role.OTHER` if no word tells.

    The last word that tells wins (``MRHR_T1_AX_POST_GAD_..._t1c`` is T1c), but a word for a mask
    anywhere makes it a mask (``seg_flair``), and ``brainmask`` is never a tumour mask.
    """
    words = tokens(name)
    role = Role.OTHER
    for index, word in enumerate(words):
        found = _PAIRS.get((words[index - 1], word)) if index else None
        found = found or _WORDS.get(word) or _mask_word(word)
        if found is None or role is Role.BRAIN_MASK or (role in _STRONG and found not in _STRONG):
            continue
        role = found
    return role


def guess_roles(names: Sequence[str]) -> list[Role]:
    """Guess the roles of several names that belong together.

    What all names share (the case's own name, such as ``T1-study``) tells nothing and is left out.
    """
    split = [tokens(name) for name in names]
    shared = set.intersection(*map(set, split)) if len(split) > 1 else set()
    roles = []
    for name, words in zip(names, split, strict=True):
        own = [word for word in words if word not in shared]
        roles.append(guess_role(" ".join(own)) if own else guess_role(name))
    return roles


def _mask_word(word: str) -> Role | None:
    if word.startswith("brain") and "mask" in word:
        return Role.BRAIN_MASK
    if word.startswith(("seg", "mask")) or word.endswith(("seg", "mask", "label")):
        return Role.TUMOUR_MASK
    return None
