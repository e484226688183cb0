"""Names of files in a BIDS data set: entities and suffix, and the folders that they lie in."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"(?P<entities>(?:[a-zA-Z]+-[a-zA-Z0-9+]+_)*)(?P<suffix>[a-zA-Z0-9]+)")
_ORDER = ("sub", "ses", "acq", "ce", "rec", "run", "space", "seg", "res", "label", "desc")
"""Order of the entities that are written here."""


@dataclass(frozen=True)
class BidsName:
    """Name of a file without its ending, such as ``sub-01_ses-1_ce-gadolinium_T1w``.

    Attributes
    ----------
    entities : mapping of str to str
        Values by key.
    suffix : str
        The last part.
    """

    entities: Mapping[str, str]
    suffix: str

    @classmethod
    def parse(cls, stem: str) -> BidsName | None:
        """Return the parts of a name; None if it does not follow BIDS."""
        found = _NAME.fullmatch(stem)
        if found is None:
            return None
        pairs = (part.split("-") for part in found["entities"].split("_") if part)
        return cls(dict(pairs), found["suffix"])

    def applies_to(self, other: BidsName) -> bool:
        """Return whether a side file of this name applies to a file of the other name, by inheritance."""
        return self.suffix == other.suffix and self.entities.items() <= other.entities.items()

    def __str__(self) -> str:
        keys = sorted(self.entities, key=lambda key: _ORDER.index(key) if key in _ORDER else len(_ORDER))
        return "_".join([*(f"{key}-{self.entities[key]}" for key in keys), self.suffix])


def shared_entities(names: Iterable[BidsName], keys: Iterable[str]) -> dict[str, str]:
    """Return those entities among `keys` that have the same value in all names."""
    tables = [name.entities for name in names]
    common = set.intersection(*(set(table.items()) for table in tables)) if tables else set()
    return {key: value for key, value in common if key in set(keys)}


def entity_value(text: str) -> str:
    """Return a text as the value of an entity, which has letters and digits only.

    A text without Latin letters and digits is replaced by a part of its hash.
    """
    plain = re.sub(r"[^a-zA-Z0-9]", "", unicodedata.normalize("NFKD", text))
    return plain or f"case{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def dataset_root(path: Path) -> Path | None:
    """Return the root of the data set that contains the file of a subject; None if there is none."""
    above = (folder for folder in path.absolute().parents if folder.name.startswith("sub-"))
    subject = next(above, None)
    return None if subject is None or not path.name.startswith(f"{subject.name}_") else subject.parent
