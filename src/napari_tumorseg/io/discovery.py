"""Cases in a file or folder of any layout: one list of named cases for every part of the program.

A further layout is a function that takes a folder and returns the cases in it, or None where the folder is
none of it, and a row in `LAYOUTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from napari_tumorseg.errors import InputError
from napari_tumorseg.io.arrays import is_mask_name
from napari_tumorseg.io.bids.cases import bids_cases
from napari_tumorseg.io.dicom.files import has_dicom, is_dicom
from napari_tumorseg.io.folder import Folder
from napari_tumorseg.io.foreign import foreign_in_folder, foreign_kind
from napari_tumorseg.io.formats import DICOM, FORMATS, NIFTI, READ_ENDINGS, Format, format_of, stem
from napari_tumorseg.io.found_case import FoundCase
from napari_tumorseg.io.nifti_cases import is_probability
from napari_tumorseg.io.nifti_layouts import (
    is_task_image,
    paired_cases,
    read_task_image,
    sequence_cases,
    task_cases,
)
from napari_tumorseg.io.paired_pictures import picture_cases
from napari_tumorseg.io.roles import guess_role
from napari_tumorseg.io.side_files import side_convention
from napari_tumorseg.scan import Role

_LEVELS = 4
"""Number of levels of folders that are searched for cases."""

_DICOM_LEVELS = 8
"""Levels of folders above DICOM files: archives of hospitals have one for each part of an identifier."""

Layout = Callable[[Folder], list[FoundCase] | None]


def find_cases(path: Path) -> list[FoundCase]:
    """Return the cases in a file or folder; nothing but names, and some headers, is read.

    Raises
    ------
    InputError
        If nothing readable is there.
    """
    found = _in_file(path) if not path.is_dir() else _in_folder(Folder.of(path), _LEVELS)
    if not found:
        raise InputError(_why_nothing(path))
    return found


def _why_nothing(path: Path) -> str:
    """Return the sentence on a file or folder in which there is nothing to read."""
    readable = f"can be read here ({', '.join(READ_ENDINGS)})"
    if path.is_file():
        if format_of(path) is not None:
            return f"{path} holds no image that can be read"
        foreign = foreign_kind(path)
        return f"{path} {foreign}" if foreign else f"{path} is not of a format that {readable}"
    foreign = foreign_in_folder(path)
    return f"{path} holds no file that {readable}" + (f": {foreign}" if foreign else "")


def _in_file(path: Path) -> list[FoundCase]:
    form = format_of(path) or (DICOM if is_dicom(path) else None)
    if form is None:
        return []
    if is_task_image(path):
        return [FoundCase(stem(path), partial(read_task_image, path))]
    return _by_reader(form, path)


def _by_reader(form: Format, path: Path) -> list[FoundCase]:
    reader = form.reader()
    return [FoundCase(name, partial(reader.open_case, path, name)) for name in reader.list_cases(path)]


def flat_cases(folder: Folder) -> list[FoundCase] | None:
    """Return the cases whose files lie directly in a folder; it is those of one format that count."""
    form = _format_inside(folder)
    return _by_reader(form, folder.path) if form else None


def dicom_cases(folder: Folder) -> list[FoundCase] | None:
    """Return the examinations whose DICOM files lie in the folders below, if no other scans lie there."""
    if not _has_dicom_only(folder, _DICOM_LEVELS):
        return None
    return _by_reader(DICOM, folder.path)


LAYOUTS: Sequence[Layout] = (
    task_cases,
    bids_cases,
    flat_cases,
    sequence_cases,
    paired_cases,
    picture_cases,
    dicom_cases,
)
"""Layouts of folders; the first that fits is taken."""


def _in_folder(folder: Folder, levels: int) -> list[FoundCase]:
    found = _directly_in(folder)
    return _below(folder, levels).cases if found is None else found


def _directly_in(folder: Folder) -> list[FoundCase] | None:
    return next((found for layout in LAYOUTS if (found := layout(folder)) is not None), None)


@dataclass(frozen=True)
class _Below:
    """Cases of the folders below one, and whether they are named by files of a single folder."""

    cases: list[FoundCase]
    are_of_one_folder: bool = False


def _below(folder: Folder, levels: int) -> _Below:
    """Return the cases of the folders in a folder, their names led by those of their folders.

    A mere wrapper around one folder of many files is not part of their names: ``content/data``.
    """
    if levels < 2:
        return _Below([])
    lists = [(inner, found) for inner in folder.folders if (found := _inside(inner, levels - 1)).cases]
    if len(lists) == 1 and lists[0][1].are_of_one_folder:
        return lists[0][1]
    return _Below([case for inner, found in lists for case in _led_by(inner.name, found)])


def _inside(path: Path, levels: int) -> _Below:
    folder = Folder.of(path)
    found = _directly_in(folder)
    if found is None:
        return _below(folder, levels)
    if len(found) == 1:  # the folder is the case, and is what it is called by
        return _Below([replace(found[0], name="")])
    return _Below(found, are_of_one_folder=True)


def _led_by(folder: str, found: _Below) -> list[FoundCase]:
    if [case.name for case in found.cases] == [""]:
        return [replace(found.cases[0], name=folder)]
    return [replace(c, name=f"{folder}/{c.name}", folders=(folder, *c.folders)) for c in found.cases]


def _format_inside(folder: Folder) -> Format | None:
    """Return the format of the files lying directly in a folder, the first of several."""
    present = [form for form in FORMATS if next(_files(folder, form), None)]
    # a mask that was saved beside the scan's slices is not what the folder is about
    scans = [form for form in present if not form.incidental and not _are_results(folder, form)]
    form = next(iter(scans or present), None)
    if form is None or (_is_incidental(folder, form) and _has_cases_below(folder)):
        return None
    return form


def _files(folder: Folder, form: Format) -> Iterator[Path]:
    if form is DICOM:  # whose files often have no ending
        names = has_dicom(folder.names, lambda name: is_dicom(folder.path / name))
        return (folder.path / name for name in names)
    return iter(folder.nifti) if form is NIFTI else folder.files_of(form)


def _has_dicom_only(folder: Folder, levels: int) -> bool:
    """Return whether there are DICOM files in a folder or below it, and no scans of other formats."""
    found = [_format_inside(inner) for inner in _with_folders_below(folder, levels)]
    return DICOM in found and all(form is DICOM or form is None or form.incidental for form in found)


def _with_folders_below(folder: Folder, levels: int) -> Iterator[Folder]:
    yield folder
    for inner in folder.folders if levels > 1 else ():
        yield from _with_folders_below(Folder.of(inner), levels - 1)


def _has_cases_below(folder: Folder) -> bool:
    return any(_format_inside(Folder.of(inner)) is not None for inner in folder.folders)


def _is_incidental(folder: Folder, form: Format) -> bool:
    """Return whether a folder's own files are no case of their own: a logo, or masks, above case folders."""
    return form.incidental if form is not NIFTI else _are_results(folder, form)


def _are_results(folder: Folder, form: Format) -> bool:
    return all(_is_result(path, form) for path in _files(folder, form))


def _is_result(path: Path, form: Format) -> bool:
    """Return whether a file is a mask or a map of probabilities, by its name and side file."""
    if form is not NIFTI:
        return is_mask_name(path.stem)
    if guess_role(path.name) is Role.TUMOUR_MASK or side_convention(path) is not None:
        return True
    return is_probability(path)
