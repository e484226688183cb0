"""Which modality a file or channel is, told by the words in its name."""

from __future__ import annotations

import re

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


def guess_role(name: str, masks: bool = True) -> Role:
    """Guess the role of a file or channel from its name; `Role.OTHER` if no word tells.

    The last word that tells wins (``MRHR_T1_AX_POST_GAD_..._t1c`` is T1c), but a word for a mask
    anywhere makes it a mask (``seg_flair``), and ``brainmask`` is never a tumour mask.

    Parameters
    ----------
    name : str
        File stem, dataset or layer name.
    masks : bool
        Whether it may be a mask; false for what the voxels have shown to be an image.
    """
    words = tokens(name)
    role = Role.OTHER
    for index, word in enumerate(words):
        found = _PAIRS.get((words[index - 1], word)) if index else None
        found = found or _WORDS.get(word) or _mask_word(word)
        if found is None or (found in _STRONG and not masks):
            continue
        if role is Role.BRAIN_MASK or (role in _STRONG and found not in _STRONG):
            continue
        role = found
    return role


def without_role(name: str) -> str:
    """Return a name without the words that tell a role: what the files of one case have in common."""
    parts = re.split(r"([^A-Za-z0-9]+)", name)
    kept = [p for p in parts if guess_role(p) is Role.OTHER]
    return re.sub(r"[^A-Za-z0-9]{2,}", lambda m: m.group()[0], "".join(kept)).strip("-_. ")


def _mask_word(word: str) -> Role | None:
    if word.startswith("brain") and "mask" in word:
        return Role.BRAIN_MASK
    if word.startswith(("seg", "mask")) or word.endswith(("seg", "mask", "label")):
        return Role.TUMOUR_MASK
    return None
