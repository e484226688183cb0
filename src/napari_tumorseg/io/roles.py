"""Which modality a file or channel is, told by the words in its name."""

from __future__ import annotations

import re

from napari_tumorseg.scan import Role

_WORDS: dict[str, Role] = {
    **dict.fromkeys(("t1", "t1n", "t1w", "t1pre"), Role.T1),
    **dict.fromkeys(("t1c", "t1ce", "t1gd", "t1gad", "t1post", "t1km", "t1wce", "t1cw"), Role.T1C),
    **dict.fromkeys(("t2", "t2w"), Role.T2),
    **dict.fromkeys(("flair", "fla", "t2f", "t2flair", "tirm"), Role.FLAIR),
    **dict.fromkeys(("brainmask", "bmask", "parenchyma"), Role.BRAIN_MASK),
    **dict.fromkeys(
        ("seg", "segmentation", "mask", "label", "labels", "otmulticlass", "tumor", "tumour", "lesion", "gt"),
        Role.TUMOUR_MASK,
    ),
}
_PAIRS: dict[tuple[str, str], Role] = {
    ("brain", "mask"): Role.BRAIN_MASK,
    ("brain", "seg"): Role.BRAIN_MASK,
    ("brain", "segmentation"): Role.BRAIN_MASK,
    ("bet", "mask"): Role.BRAIN_MASK,
    ("otmulti", "class"): Role.TUMOUR_MASK,
    ("o", "ot"): Role.TUMOUR_MASK,  # VSD.Brain.XX.O.OT of BraTS 2015
    ("t1", "c"): Role.T1C,
    ("t1", "ce"): Role.T1C,
    ("t2", "flair"): Role.FLAIR,
    ("t1", "flair"): Role.T1,  # a T1 with inversion recovery
    ("t2", "star"): Role.OTHER,
}
_WEAK: dict[str, Role] = {"fl": Role.FLAIR, "mprage": Role.T1, "spgr": Role.T1}
"""Words that tell a modality only where no other word does (``fl`` is a flash sequence, too)."""

_CONTRAST = {"post", "gd", "gad", "gadolinium", "ce", "contrast", "km"}
_NO_CONTRAST = {"pre", "native", "non", "no", "without"}
_TIME = {"op", "operative", "operation", "surgery", "treatment", "therapy", "rt", "processed"}
"""After these, ``pre`` and ``post`` tell a time, as in post-op."""

_SPACE = {"in", "to", "on", "onto", "space"}
"""A modality after these is what an image was registered to, as in ``FLAIR_in_T1``."""

_PLAIN_T1 = {"t1", "t1w", "mprage", "spgr", "flair"}
_STRONG = {Role.BRAIN_MASK, Role.TUMOUR_MASK}


def tokens(name: str) -> list[str]:
    """Split a name into lower-case words: at punctuation, and where lower case turns into upper case."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def guess_role(name: str, masks: bool = True) -> Role:
    """Guess the role of a file or channel from its name; `Role.OTHER` if no word tells.

    The last word that tells wins (``MRHR_T1_AX_POST_GAD_..._t1c`` is T1c), but a word for a mask
    anywhere makes it a mask (``seg_flair``), and ``brainmask`` is never a tumour mask. Words for contrast
    agent make a T1 a T1c wherever they stand, and are one by themselves (``post``).

    Parameters
    ----------
    name : str
        File stem, dataset or layer name.
    masks : bool
        Whether it may be a mask; false for what the voxels have shown to be an image.
    """
    words = tokens(name)
    role, teller = Role.OTHER, ""
    for index, word in enumerate(words):
        before = words[index - 1] if index else ""
        found = _PAIRS.get((before, word)) or _WORDS.get(word) or _mask_word(word)
        if found is None or (found in _STRONG and not masks):
            continue
        if role is Role.BRAIN_MASK or (role in _STRONG and found not in _STRONG):
            continue
        if before not in _SPACE or found in _STRONG:
            role, teller = found, word
    if role is Role.OTHER and not teller:
        role, teller = next(((_WEAK[w], w) for w in words if w in _WEAK), (role, teller))
    contrast = _contrast(words)
    if role is Role.T1 and teller in _PLAIN_T1 and contrast:
        return Role.T1C
    if role is Role.OTHER and not teller and contrast is not None:
        return Role.T1C if contrast else Role.T1
    return role


def _contrast(words: list[str]) -> bool | None:
    """Tell whether words say with (or without) contrast agent; None if they say neither."""
    told = None
    for index, word in enumerate(words):
        before, after = words[index - 1] if index else "", (*words[index + 1 :], "")[0]
        if word in _CONTRAST and before not in _NO_CONTRAST and after not in _TIME:
            told = True
        elif (word == "pre" and after not in _TIME) or (word in _NO_CONTRAST and after in _CONTRAST):
            told = False
    return told


def without_role(name: str) -> str:
    """Return a name without the words that tell a role: what the files of one case have in common."""
    parts = re.split(r"([^A-Za-z0-9]+)", name)
    after = [*parts, "", ""][2:]  # every other part is a separator
    kept = [p for p, a in zip(parts, after, strict=True) if guess_role(p) is Role.OTHER or _is_time(p, a)]
    return re.sub(r"[^A-Za-z0-9]{2,}", lambda m: m.group()[0], "".join(kept)).strip("-_. ")


def _is_time(word: str, after: str) -> bool:
    return word.lower() in ("pre", "post") and after.lower() in _TIME


def _mask_word(word: str) -> Role | None:
    if word.startswith("brain") and ("mask" in word or "seg" in word):
        return Role.BRAIN_MASK
    if word.startswith(("seg", "mask")) or word.endswith(("seg", "mask", "label")):
        return Role.TUMOUR_MASK
    return None
