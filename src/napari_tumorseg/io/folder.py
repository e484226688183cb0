"""Folders as they are searched for cases: files and folders in them, listed once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_tumorseg.errors import InputError
from napari_tumorseg.io.formats import NIFTI, Format

_LEVELS = 3


@dataclass(frozen=True)
class Folder:
    """Contents of a folder, without hidden entries.

    Attributes
    ----------
    path : Path
        The folder.
    names : tuple of str
        Names of its files, sorted.
    folders : tuple of Path
        Folders that can be read, sorted; links to a folder above are left out, they lead in a circle.
    """

    path: Path
    names: tuple[str, ...]
    folders: tuple[Path, ...]

    @classmethod
    def of(cls, path: Path) -> Folder:
        """List a folder.

        Raises
        ------
        InputError
            If it cannot be read.
        """
        files: list[str] = []
        folders: list[str] = []
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        (folders if entry.is_dir() else files).append(entry.name)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
        inner = [path / name for name in sorted(folders)]
        return cls(
            path,
            tuple(sorted(files)),
            tuple(d for d in inner if os.access(d, os.R_OK | os.X_OK) and not _leads_up(d)),
        )

    @property
    def nifti(self) -> list[Path]:
        """Its NIfTI files, and those in folders that are named like one and hold one: ``X.nii/Y.nii``."""
        own = list(self.files_of(NIFTI))
        for folder in self.folders:
            if NIFTI.matches(folder):
                inside = list(Folder.of(folder).files_of(NIFTI))
                own += inside if len(inside) == 1 else []
        return sorted(own)

    def files_of(self, form: Format) -> Iterator[Path]:
        """Yield its files of a format, sorted: of thousands only those that are looked at become paths."""
        return (self.path / name for name in self.names if form.has_ending(name))


def nifti_below(path: Path, levels: int = _LEVELS) -> list[Path]:
    """Return the NIfTI files in a folder and some levels of folders in it, sorted."""
    folder = Folder.of(path)
    found = folder.nifti
    if levels > 1:
        for inner in folder.folders:
            found += [] if NIFTI.matches(inner) else nifti_below(inner, levels - 1)
    return sorted(found)


def _leads_up(path: Path) -> bool:
    """Return whether a folder is a link to one that it lies in."""
    if not path.is_symlink():
        return False
    target = path.resolve()
    return target in (path.parent.resolve(), *path.parent.resolve().parents)
