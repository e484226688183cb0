"""Tumour regions and tissues, and modalities, by the words that model files use for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from napari_tumorseg.io.roles import guess_role
from napari_tumorseg.scan import MODALITIES, Role

Region = Literal["WT", "TC", "ET"]

_NESTED = {"WT": 2, "TC": 1, "ET": 3}
"""Label of each region in brats-2023, where the later ones are painted into the earlier ones."""

_TISSUES = {
    "ED": r"o?edema|\bed\b|snfh|hyperintens",
    "RC": r"cavity|\brc\b",
    "NCR": r"necro|\bncr\b|\bnet\b|netc|non.?enhanc|\bnecrotic\b",
    "ET": r"enhanc|\bet\b|active",
}
_REGIONS = {"ET": r"enhanc|\bet\b|active", "TC": r"core|\btc\b", "WT": r"whole|\bwt\b|complete|entire"}
_TUMOUR = re.compile(r"tumou?r|lesion|glioma|metasta|\bwt\b|foreground", re.IGNORECASE)


def region_of(text: str) -> Region | None:
    """Return the region that a text names, or None."""
    return _first(_REGIONS, text)  # type: ignore[return-value]


def tissue_of(text: str) -> str | None:
    """Return the abbreviation (ED, RC, NCR, ET) of the tissue that a text names, or None."""
    return _first(_TISSUES, text)


def _first(patterns: Mapping[str, str], text: str) -> str | None:
    words = text.replace("_", " ")
    return next((name for name, found in patterns.items() if re.search(found, words, re.IGNORECASE)), None)


def names_tumour(text: str) -> bool:
    """Return whether a text names a tumour as a whole."""
    return _TUMOUR.search(text.replace("_", " ")) is not None


def roles_of(names: Sequence[str]) -> tuple[Role, ...] | None:
    """Return the modality of each channel by its name; None if one is not known or two are the same."""
    found = [guess_role(name.replace("T1gd", "T1c"), masks=False) for name in names]
    known = all(role in MODALITIES for role in found) and len(set(found)) == len(found)
    return tuple(found) if known else None


def region_output(names: Sequence[str]) -> dict[str, Any]:
    """Return the table of outputs that are regions of their own; without labels if one is not known."""
    given: dict[str, Any] = {"activation": "sigmoid"}
    regions = [region_of(name) for name in names]
    if len(names) == 1 and (regions[0] == "WT" or names_tumour(names[0])):
        return given | {"names": ["WT"], "labels": [1], "scheme": "binary"}
    if None in regions or len(set(regions)) != len(regions):
        return given
    labels = [_NESTED[str(region)] for region in regions]
    return given | {"names": regions, "labels": labels, "scheme": "brats-2023"}


def class_output(names: Sequence[str]) -> dict[str, Any]:
    """Return the table of classes, the background first; without labels if one is not known."""
    given: dict[str, Any] = {"activation": "softmax"}
    if len(names) == 2 and names_tumour(names[1]):
        return given | {"names": ["background", "WT"], "labels": [0, 1], "scheme": "binary"}
    tissues = [tissue_of(name) for name in names[1:]]
    if None in tissues or len(set(tissues)) != len(tissues):
        return given
    scheme, shorts = "brats-2023", {"NCR": ("NCR", 1), "ED": ("ED", 2), "ET": ("ET", 3)}
    if "RC" in tissues:
        scheme = "brats-2024"
        shorts = {"NCR": ("NETC", 1), "ED": ("SNFH", 2), "ET": ("ET", 3), "RC": ("RC", 4)}
    named = [("background", 0), *(shorts[str(tissue)] for tissue in tissues)]
    return given | {"names": [n for n, _ in named], "labels": [v for _, v in named], "scheme": scheme}
