"""Access to rows of a table by the name of their label or region."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar


class Named(Protocol):
    """A row of a table."""

    @property
    def name(self) -> str:
        """Abbreviation of the label or name of the region."""


R = TypeVar("R", bound=Named)


def row_of(rows: Iterable[R], name: str) -> R:
    """Return the first row of this name.

    Raises
    ------
    KeyError
        If there is none.
    """
    for row in rows:
        if row.name == name:
            return row
    raise KeyError(name)
