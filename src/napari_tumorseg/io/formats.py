"""Table of the file formats: endings, titles, and the modules that read and write them.

A further format is a module with the functions of `Reader` (and `Writer`, if masks are written so), a
row in `FORMATS`, and its endings in ``napari.yaml``. A module is imported when a file of it is met.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from napari_tumorseg.io.foreign import FOREIGN_ENDINGS

if TYPE_CHECKING:
    from napari_tumorseg.io import hdf5, image2d, nifti, nifti_cases, tiff, tiff_writing
    from napari_tumorseg.io.case import Case
    from napari_tumorseg.scan import Segmentation


class Reader(Protocol):
    """Module that reads the cases of one format."""

    def list_cases(self, path: Path, /) -> list[str]:
        """Return the names of the cases in a file or folder."""

    def open_case(self, path: Path, case: str | None = None, /) -> Case:
        """Read a case from a file or folder.

        Raises
        ------
        InputError
            If it cannot be read; the message names the file.
        ChoiceNeededError
            If there are several cases and none is named.
        """


@runtime_checkable
class SliceReader(Reader, Protocol):
    """Module that also reads folders in which every slice is a file of its own."""

    def stacks(self, folder: Path, /) -> dict[str, tuple[set[str], set[str]]]:
        """Return the names of the image files and of the mask files of each case in a folder."""


class Writer(Protocol):
    """Module that writes masks in one format."""

    def write_mask(self, seg: Segmentation, path: Path, overwrite: bool = False, /) -> None:
        """Write a mask, or raise an OutputError and leave what was there."""


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes
    ----------
    title : str
        Name for people.
    endings : tuple of str
        Lower-case endings of its files, a longer one before one that it ends with.
    module : str
        Module of this package that reads it, a `Reader`.
    written : tuple of str
        Endings under which masks are written, the usual one first; empty if they are not.
    writing_module : str
        Module of this package that writes masks, a `Writer`; empty if there is none.
    incidental : bool
        Whether such files often only accompany a scan (previews, logos): a folder is no case because of
        them, and the viewer leaves them to napari.
    """

    title: str
    endings: tuple[str, ...]
    module: str
    written: tuple[str, ...] = ()
    writing_module: str = ""
    incidental: bool = False

    def matches(self, path: Path) -> bool:
        """Return whether a path is, by its name, a file of this format; hidden files are of none."""
        return self.has_ending(path.name)

    def has_ending(self, name: str) -> bool:
        """Return whether a file name has one of the endings; hidden files are of no format."""
        return name.lower().endswith(self.endings) and not name.startswith(".")

    def reader(self) -> Reader:
        """Import and return the module that reads it."""
        return cast("Reader", import_module(f"{__package__}.{self.module}"))

    def writer(self) -> Writer:
        """Import and return the module that writes masks."""
        return cast("Writer", import_module(f"{__package__}.{self.writing_module}"))


NIFTI = Format(
    "NIfTI",
    # further formats of one volume a file, which are read as if they were NIfTI; see `other_volumes`
    (".nii.gz", ".nii", ".mgz", ".mgh", ".img", ".nrrd", ".mha", ".mhd"),
    "nifti_cases",
    (".nii.gz", ".nii"),
    "nifti",
)
TIFF = Format("TIFF", (".tif", ".tiff"), "tiff", (".tif", ".tiff"), "tiff_writing")
HDF5 = Format("HDF5", (".h5", ".hdf5", ".hdf", ".mat"), "hdf5", (".h5", ".hdf5"), "hdf5")
DICOM = Format(
    "DICOM",
    # an archive may hold DICOM files; DICOMDIR is a whole name, that of an index
    (".dcm", ".dicom", ".ima", ".zip", "dicomdir"),
    "dicom.reader",
    (".dcm",),
    "dicom.seg_writing",
)
PICTURE = Format("picture", (".png", ".jpg", ".jpeg"), "image2d", incidental=True)

FORMATS = (NIFTI, TIFF, HDF5, DICOM, PICTURE)
"""Every format; where files of several lie in one folder, the first one is what the folder is about."""

if TYPE_CHECKING:  # mypy compares the functions of the modules with the protocols
    _READERS: tuple[Reader, ...] = (nifti_cases, tiff, hdf5, image2d)
    _SLICE_READERS: tuple[SliceReader, ...] = (tiff, hdf5)
    _WRITERS: tuple[Writer, ...] = (nifti, tiff_writing, hdf5)

WRITABLE = tuple(form for form in FORMATS if form.written)
"""Formats in which masks are written, the usual one first."""

READ_ENDINGS = tuple(ending for form in FORMATS for ending in form.endings)
WRITTEN_ENDINGS = tuple(ending for form in WRITABLE for ending in form.written)
VIEWER_ENDINGS = tuple(ending for form in FORMATS if not form.incidental for ending in form.endings)
"""Endings of the files that the viewer opens; the manifest lists them, too."""

_OTHER_ENDINGS = (".bmp", ".webp", ".gz", *FOREIGN_ENDINGS)
"""Further endings that look like those of an image, though none of these is a format here."""


def format_of(path: Path) -> Format | None:
    """Return the format of a file by its name, None if it is of none."""
    return next((form for form in FORMATS if form.matches(path)), None)


def written_format(path: Path) -> Format | None:
    """Return the format in which a mask of this name is written, None if its ending is none of those."""
    return next((form for form in WRITABLE if path.name.lower().endswith(form.written)), None)


def looks_like_file(path: Path) -> bool:
    """Return whether a path is, by its name, meant as an image file rather than a folder."""
    return path.name.lower().endswith((*READ_ENDINGS, *_OTHER_ENDINGS))


def stem(path: Path) -> str:
    """Return a file's name without its ending, ``.nii.gz`` included, in upper or lower case."""
    name = path.name
    ending = next((e for e in READ_ENDINGS if name.lower().endswith(e)), path.suffix)
    return name[: len(name) - len(ending)]


def side_file(path: Path) -> Path:
    """Return where the JSON beside a mask lies: ``X_seg.nii.gz`` and ``X_seg.tif`` have ``X_seg.json``."""
    return path.with_name(f"{stem(path)}.json")


def file_dialog_filter(title: str) -> str:
    """Return the filter of an open dialog: what the viewer reads, then all files."""
    return f"{title} ({' '.join(f'*{e}' for e in VIEWER_ENDINGS)});;All files (*)"


def save_dialog_filter() -> str:
    """Return the filters of a save dialog, one for each format in which masks are written."""
    return ";;".join(f"{f.title} ({' '.join(f'*{e}' for e in f.written)})" for f in WRITABLE)
