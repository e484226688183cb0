"""A case that was found in a file or folder and is not read yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from napari_tumorseg.io.case import Case


@dataclass(frozen=True)
class FoundCase:
    """Name of a case, and the way to read it.

    Attributes
    ----------
    name : str
        Name to choose it by; the folders that lead to it come first, divided by slashes.
    read : callable
        Reads it.
    folders : tuple of str
        Folders that become part of its name in results, since its own says too little: PATIENT/native.
    files : tuple of Path
        All that it is read from, where the layout states it; else empty.
    """

    name: str
    read: Callable[[], Case]
    folders: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    def open(self) -> Case:
        """Read everything that belongs to the case; folders that lead to it are part of its name then."""
        found = self.read()
        return replace(found, name="_".join([*self.folders, found.name])) if self.folders else found
