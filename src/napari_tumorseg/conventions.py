"""Label conventions by name: built-in ones, and those of the user's own TOML files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_tumorseg.errors import InputError
from napari_tumorseg.regions import ALIASES, COLOURS, CONVENTIONS, Label, LabelConvention


@dataclass(frozen=True)
class _Own:
    """A convention of the user's, and the file that defines it."""

    convention: LabelConvention
    where: str


_own: dict[str, _Own] = {}
"""Conventions of the user's files that this process has read, so that they are known by name as well."""


def get_convention(name: str) -> LabelConvention:
    """Return the convention of this name, or that of a TOML file (``my.toml``); see `read_convention`.

    Raises
    ------
    InputError
        If there is none.
    """
    if name.lower().endswith(".toml"):
        return read_convention(Path(name))
    key = ALIASES.get(name.lower(), name.lower())
    if key in CONVENTIONS:
        return CONVENTIONS[key]
    if key in _own:
        return _own[key].convention
    known = ", ".join([*CONVENTIONS, *ALIASES])
    raise InputError(f"there is no label convention {name!r}; there are {known}, or name a .toml file")


def read_convention(path: Path) -> LabelConvention:
    """Read a user's own convention from a TOML file.

    Its table ``[labels]`` gives each number a tissue, or a table with ``tissue``, ``name`` and ``short``;
    ``name`` and ``title`` of the convention are optional.

    Raises
    ------
    InputError
        If it cannot be read, or a tissue is not one of those that this package knows.

    Examples
    --------
    .. code-block:: toml

        name = "my-centre"

        [labels]
        1 = "necrosis"
        2 = "oedema"
        3 = { tissue = "enhancing", name = "active tumour" }
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as a label convention: {error}") from error
    return own_convention(content, str(path), path.stem)


def own_convention(content: Mapping[str, Any], where: str, name: str = "own") -> LabelConvention:
    """Return a convention that is not built in, from what a file says, and make it known by its name.

    Parameters
    ----------
    content : mapping
        ``labels`` (number to tissue, or to a table of tissue, name and short), ``name``, ``title``.
    where : str
        The file, for the message.
    name : str
        Name of the convention, where the file gives none.

    Raises
    ------
    InputError
        If the content is not of this form, or another file gives the name another meaning.
    """
    name = str(content.get("name", name)).strip().lower()
    entries = content.get("labels")
    if not isinstance(entries, Mapping) or not entries:
        raise InputError(f'{where} has no table of labels, such as [labels] with 1 = "enhancing"')
    if not name or name in CONVENTIONS or name in ALIASES:
        raise InputError(f"{where} is named {name!r} as a built-in label convention; choose another name")
    labels = tuple(_own_label(number, entry, where) for number, entry in entries.items())
    found = LabelConvention(name, str(content.get("title", name)), tuple(sorted(labels, key=_by_value)))
    if len(found.values) < len(labels):
        raise InputError(f"{where} names a label twice")
    return _known(found, where)


def _known(convention: LabelConvention, where: str) -> LabelConvention:
    """Make a convention known by its name; a file that was changed replaces its own earlier definition.

    Raises
    ------
    InputError
        If another file gives the name another meaning.
    """
    earlier = _own.get(convention.name)
    if earlier is None or earlier.where == where:
        _own[convention.name] = _Own(convention, where)
    elif _meaning(earlier.convention) != _meaning(convention):
        raise InputError(
            f"{where} and {earlier.where} both define a label convention {convention.name!r}, with different "
            "labels; give one of them another name"
        )
    return convention


def _meaning(convention: LabelConvention) -> dict[int, str]:
    return {label.value: label.tissue for label in convention.labels}


def _own_label(number: str, entry: Any, where: str) -> Label:
    fields = entry if isinstance(entry, Mapping) else {"tissue": entry}
    tissue = str(fields.get("tissue", "")).lower()
    if tissue not in COLOURS:
        raise InputError(
            f"{where}: label {number} stands for {tissue!r}; the tissues are {', '.join(COLOURS)}"
        )
    if not str(number).isdecimal() or not 1 <= int(number) <= 255:
        raise InputError(f"{where}: {number} is no label; a label is a number from 1 to 255")
    name = str(fields.get("name", tissue))
    return Label(int(number), str(fields.get("short", name)), name, tissue)


def _by_value(label: Label) -> int:
    return label.value
