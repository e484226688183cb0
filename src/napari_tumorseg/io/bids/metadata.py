"""Metadata of a BIDS data set: JSON side files and tables of labels, found by the inheritance principle.

A file such as ``T1w.json`` in a folder above applies to all images whose names have its suffix and entities;
the file nearest to the image has priority.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from napari_tumorseg.conventions import own_convention
from napari_tumorseg.errors import InputError
from napari_tumorseg.io.bids.names import BidsName, dataset_root
from napari_tumorseg.io.contrast_words import names_agent
from napari_tumorseg.io.formats import stem
from napari_tumorseg.io.json_files import read_json
from napari_tumorseg.io.nifti_groups import Source
from napari_tumorseg.io.roles import RoleGuess, guess
from napari_tumorseg.io.task_description import convention_of, tissue_of
from napari_tumorseg.regions import LabelConvention
from napari_tumorseg.scan import Role

_AGENT_KEYS = ("ContrastBolusIngredient", "ContrastBolusAgent")
_LONGEST_TABLE = 1 << 20
_LONGEST_INDEX = 9
"""Digits of a label; what is longer is none."""


def side_files_of(path: Path, ending: str) -> list[Path]:
    """Return the side files of an image, from the root of its data set down to its own folder.

    Parameters
    ----------
    path : Path
        The image.
    ending : str
        ``.json`` or ``.tsv``.
    """
    root, name = dataset_root(path), BidsName.parse(stem(path))
    if root is None or name is None:
        return []
    folders = [folder for folder in path.absolute().parents if folder == root or root in folder.parents]
    return [found for folder in reversed(folders) for found in _applicable(folder, name, ending)]


def _applicable(folder: Path, name: BidsName, ending: str) -> list[Path]:
    """Return the side files in one folder that apply to an image, the most general first."""
    found = {}
    for path in folder.glob(f"*{name.suffix}{ending}"):
        own = BidsName.parse(path.name.removesuffix(ending))
        if own is not None and own.applies_to(name):
            found[path] = len(own.entities)
    return sorted(found, key=lambda path: (found[path], path.name))


def metadata_of(path: Path) -> dict[str, Any]:
    """Return the merged content of an image's JSON side files; empty if there are none."""
    found: dict[str, Any] = {}
    for side in side_files_of(path, ".json"):
        found |= read_json(side) or {}
    return found


def roles_by_metadata(sources: Iterable[Source]) -> dict[Source, RoleGuess]:
    """Return the images that are T1c by their side files: T1-weighted by name, with a contrast agent."""
    images = (source for source in sources if source.path.name.startswith("sub-"))
    weighted = (source for source in images if guess(source.name).role is Role.T1)
    return {source: RoleGuess(Role.T1C) for source in weighted if _states_agent(metadata_of(source.path))}


def _states_agent(metadata: Mapping[str, Any]) -> bool:
    values = (metadata.get(key) for key in _AGENT_KEYS)
    return any(isinstance(v, str) and names_agent(v) for v in values)


# --- tables of labels ------------------------------------------------------------------------


def label_table(mask: Path) -> dict[int, tuple[str, str]]:
    """Return name and abbreviation of each label that the table of a mask lists; empty without a table."""
    for path in reversed(side_files_of(mask, ".tsv")):
        if found := dict(_rows(path)):
            return found
    return {}


def _rows(path: Path) -> Iterator[tuple[int, tuple[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read(_LONGEST_TABLE)
    except (OSError, UnicodeError):
        return
    rows = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    try:
        listed = list(rows)
    except csv.Error:  # a field of more than 128 KiB
        return
    for row in listed:
        index, name = (row.get("index") or "").strip(), (row.get("name") or "").strip()
        if index.isdecimal() and len(index) <= _LONGEST_INDEX and int(index) and name:
            yield int(index), (name, (row.get("abbreviation") or "").strip())


def table_convention(mask: Path) -> LabelConvention | None:
    """Return the label convention that the table of a mask states: a built-in one if it is equivalent.

    None if there is no table, or if a name in it is not that of a tumour tissue.
    """
    table = label_table(mask)
    tissues = {number: _tissue(*names) for number, names in table.items()}
    if not table or None in tissues.values():
        return None
    known = convention_of({name: (number,) for number, (name, _) in table.items()})
    return known or _own_convention(table, tissues, mask)


def names_no_tumour(mask: Path) -> bool:
    """Return whether a mask has a table of labels without any part of a tumour."""
    table = label_table(mask)
    return bool(table) and not any(_tissue(*names) for names in table.values())


def _tissue(name: str, abbreviation: str) -> str | None:
    return tissue_of(name) or (tissue_of(abbreviation) if abbreviation else None)


def _own_convention(
    table: Mapping[int, tuple[str, str]], tissues: Mapping[int, str | None], mask: Path
) -> LabelConvention | None:
    """Return a convention named after the tissues of its labels, so that equal tables share one."""
    labels = {
        str(number): {"tissue": tissues[number], "name": name, "short": short or name}
        for number, (name, short) in sorted(table.items())
    }
    called = "bids: " + ", ".join(f"{number} {tissues[int(number)]}" for number in labels)
    try:
        return own_convention({"name": called, "title": "BIDS label table", "labels": labels}, mask.name)
    except InputError:  # a label beyond 255
        return None
