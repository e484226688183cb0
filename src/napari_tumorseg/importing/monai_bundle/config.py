"""Configurations of MONAI bundles as data: references are followed within the file, nothing is evaluated."""

from __future__ import annotations

import re
from typing import Any

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.messages import quoted

MAX_DEPTH = 64
MAX_VALUES = 100_000
"""Values once every reference stands for what it refers to; a bundle has some hundred."""

_SEPARATOR = re.compile(r"::|#")


class Config:
    """A configuration whose values are read one by one.

    Parameters
    ----------
    table : dict
        Content of the file.
    name : str
        Of the file.
    """

    def __init__(self, table: dict[str, Any], name: str) -> None:
        self._table = table
        self._left = MAX_VALUES
        self.name = name

    def get(self, key: str) -> Any:
        """Return the value of an entry with all references in it resolved; None if it is absent.

        Raises
        ------
        ModelError
            If the value holds an expression, a macro, or a reference that leads nowhere or to itself.
        """
        return self.resolved(self._table.get(key), (key,))

    def raw(self, key: str) -> Any:
        """Return an entry as it stands in the file."""
        return self._table.get(key)

    def follow(self, value: Any) -> Any:
        """Return a value, or the entry that it refers to, as that stands in the file."""
        seen: list[str] = []
        while isinstance(value, str) and value.startswith("@"):
            if value in seen or len(seen) > MAX_DEPTH:
                raise ModelError(f"{self.name}: {quoted(value)} refers to itself")
            seen.append(value)
            value = self._at(value)
        return value

    def resolved(self, value: Any, above: tuple[str, ...] = ()) -> Any:
        """Return a value with all references in it resolved; see `get`."""
        if len(above) > MAX_DEPTH:
            raise ModelError(f"{self.name}: {quoted(above[0])} is nested too deeply, or refers to itself")
        self._left -= 1
        if self._left < 0:
            raise ModelError(f"{self.name}: its references stand for more than {MAX_VALUES} values")
        value = self.follow(value)
        if isinstance(value, str):
            return self._plain(value)
        if isinstance(value, dict):
            return {str(key): self.resolved(part, (*above, str(key))) for key, part in value.items()}
        if isinstance(value, list):
            return [self.resolved(part, (*above, str(place))) for place, part in enumerate(value)]
        return value

    def _plain(self, text: str) -> str:
        if text.startswith("$"):
            raise ModelError(f"{self.name}: {quoted(text)} would have to be evaluated, which is never done")
        if text.startswith("%"):
            raise ModelError(f"{self.name}: {quoted(text)} refers to another file, which is not read")
        return text

    def _at(self, reference: str) -> Any:
        found: Any = self._table
        for part in _SEPARATOR.split(reference[1:]):
            if isinstance(found, str):
                found = self.follow(found)
            if isinstance(found, list) and part.isdecimal() and int(part) < len(found):
                found = found[int(part)]
            elif isinstance(found, dict) and part in found:
                found = found[part]
            else:
                raise ModelError(f"{self.name}: {quoted(reference)} leads nowhere")
        return found


def target_of(table: Any) -> str:
    """Return the last part of the class that a table names; empty if it names none."""
    name = table.get("_target_") if isinstance(table, dict) else None
    return name.rpartition(".")[2] if isinstance(name, str) else ""
