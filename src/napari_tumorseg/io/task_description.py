"""Descriptions of MSD and nnU-Net tasks, ``dataset.json``: channels, labels and file ending."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_tumorseg.io.json_files import read_json
from napari_tumorseg.regions import (
    ABNORMALITY,
    CAVITY,
    CONVENTIONS,
    CORE,
    CYST,
    ENHANCING,
    NECROSIS,
    NON_ENHANCING,
    OEDEMA,
    TUMOUR,
    LabelConvention,
)

_NECROTIC = r"necro|\bncr\b"
_NOT_ENHANCING = r"non ?enhanc|\bnetc?\b"

_TISSUES = (  # the first that fits: "surrounding non-enhancing FLAIR hyperintensity" is oedema
    (r"resect|cavity|\brc\b", CAVITY),
    (r"cyst|\bcc\b", CYST),
    (rf"({_NOT_ENHANCING}).*(abnormal|edema)", ABNORMALITY),
    (r"edema|\bed\b|peritum|surround|hyperintens|\bsnfh\b", OEDEMA),
    (rf"({_NECROTIC}).*({_NOT_ENHANCING})|({_NOT_ENHANCING}).*({_NECROTIC})", CORE),
    (_NECROTIC, NECROSIS),
    (_NOT_ENHANCING, NON_ENHANCING),
    (r"enhanc|\bet\b|\bat\b|active", ENHANCING),
    (r"\bcore\b|\btc\b", CORE),
    (r"tumou?r|lesion|glioma|\bwt\b|\bgtv\b", TUMOUR),
)
"""Tissues by words in the names of labels, which are lower-case words with single spaces."""

_REGIONS = (
    (r"whole|\bwt\b", "WT"),
    (r"core|\btc\b", "TC"),
    (r"enhanc|\bet\b", "ET"),
)

_PARTS_OF_CORE = (NECROSIS, NON_ENHANCING)
_NO_LABELS = ("background", "ignore")


def described_by(path: Path) -> Path | None:
    """Return the description of the task that a file belongs to: above its folder, or beside it."""
    places = (path.parent.parent / "dataset.json", path.parent / "dataset.json")
    return next((place for place in places if place.is_file()), None)


def channel_names(image: Path) -> tuple[str, ...]:
    """Return the names of the channels in their order, none if nothing states them."""
    content = _content(image)
    named = content.get("modality") or content.get("channel_names") or {}
    try:
        return tuple(str(named[key]) for key in sorted(named, key=int))
    except (ValueError, TypeError, KeyError, IndexError):
        return ()


def file_ending(path: Path) -> str:
    """Return the ending of the files of a task, empty if its description has none."""
    ending = _content(path).get("file_ending")
    return ending if isinstance(ending, str) and re.fullmatch(r"(\.\w+)+", ending) else ""


def described_labels(mask: Path) -> dict[str, tuple[int, ...]]:
    """Return the numbers of each label or region that a description names, without the background.

    nnU-Net gives each name a number, or the numbers of a region; MSD gives each number a name.
    """
    labels = _content(mask).get("labels")
    try:
        found = dict(_named_numbers(*entry) for entry in labels.items()) if labels else {}
    except (ValueError, TypeError, AttributeError):
        return {}
    return {name: numbers for name, numbers in found.items() if name not in _NO_LABELS and numbers != (0,)}


def convention_of(labels: Mapping[str, tuple[int, ...]]) -> LabelConvention | None:
    """Return the built-in convention whose labels, or regions, mean the same as those described, if any."""
    if any(len(numbers) > 1 for numbers in labels.values()):
        return _by_regions(labels)
    tissues = {numbers[0]: tissue_of(name) for name, numbers in labels.items()}
    fitting = (c for c in CONVENTIONS.values() if c.values == set(tissues))
    return next((c for c in fitting if _mean_the_same(c, tissues)), None)


def tissue_of(name: str) -> str | None:
    """Return the tissue that the name of a label stands for, None if it is none of a tumour."""
    return _first(_TISSUES, _words(name))


def _content(path: Path) -> dict[str, Any]:
    place = described_by(path)
    return (read_json(place) or {}) if place else {}


def _named_numbers(key: str, value: object) -> tuple[str, tuple[int, ...]]:
    if isinstance(value, str):  # MSD: number to name, unless the number is a text as well
        return (_words(key), (int(value),)) if value.isdecimal() else (_words(value), (int(key),))
    return _words(key), tuple(sorted(value)) if isinstance(value, list) else (_number(value),)


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no label")
    return value


def _words(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name.lower()).strip()


def _first(table: tuple[tuple[str, str], ...], name: str) -> str | None:
    return next((meaning for pattern, meaning in table if re.search(pattern, name)), None)


def _by_regions(labels: Mapping[str, tuple[int, ...]]) -> LabelConvention | None:
    regions = {_first(_REGIONS, name): set(numbers) for name, numbers in labels.items()}
    values = set().union(*regions.values())
    for convention in CONVENTIONS.values():
        known = {name: set(numbers) for name, numbers in convention.regions.items()}
        if values == convention.values and regions == known and len(regions) == len(labels):
            return convention
    return None


def _mean_the_same(convention: LabelConvention, tissues: Mapping[int, str | None]) -> bool:
    """Return whether labels have the tissues of a convention, which may merge the parts of a core."""
    stated = {label.value: (tissues[label.value], label.tissue) for label in convention.labels}
    return all(one == other or (one in _PARTS_OF_CORE and other == CORE) for one, other in stated.values())
