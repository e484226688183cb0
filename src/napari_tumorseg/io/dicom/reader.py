"""DICOM folders, indexes (DICOMDIR) and zip archives as cases, one for each study of each patient.

Names, identifiers, dates and descriptions of the headers are in no name and no warning: cases are called by
their folders or numbered, series by their numbers.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_tumorseg.errors import InputError, Notice, Remedy, TumorSegError
from napari_tumorseg.geometry import Grid, SliceFile, Unit
from napari_tumorseg.io.arrays import without_folder
from napari_tumorseg.io.case import Case, Mask, pick_case
from napari_tumorseg.io.dicom import library
from napari_tumorseg.io.dicom.case_names import case_names, name_of_folder, time_points
from napari_tumorseg.io.dicom.facts import Header
from napari_tumorseg.io.dicom.files import files_in, is_archive, is_index, kept_open, members_of
from napari_tumorseg.io.dicom.headers import SEGMENTATION_CLASSES, read_header
from napari_tumorseg.io.dicom.pixels import read_volume
from napari_tumorseg.io.dicom.series import Series, contents_of
from napari_tumorseg.io.formats import stem
from napari_tumorseg.io.plausible_size import plausible
from napari_tumorseg.scan import MODALITIES, Image

_LAYOUT = "DICOM"
_MOST_REASONS = 4


@dataclass(frozen=True)
class Study:
    """Files of one examination of one patient.

    Attributes
    ----------
    name : str
        Name of the case.
    headers : tuple of Header
        Of its files.
    unreadable : int
        Files of the folder that could not be read and may be of any examination.
    time_point : str
        Number among the patient's examinations, where there are several.
    """

    name: str
    headers: tuple[Header, ...]
    unreadable: int = 0
    time_point: str = ""


def list_cases(path: Path) -> list[str]:
    """Return the names of the cases in a file, a folder and the folders below, or an archive."""
    with kept_open(path):
        return [study.name for study in _studies(path)]


def open_case(path: Path, case: str | None = None) -> Case:
    """Read a case.

    Raises
    ------
    InputError
        If no series can be read; the message says why.
    ChoiceNeededError
        If there are several cases and none is named.
    """
    with kept_open(path):
        return _open_one(_studies(path), case, path)


def open_files(paths: Sequence[Path]) -> Case:
    """Read DICOM files that are named one by one, of one examination."""
    folder = _shared_folder(paths)
    files = [SliceFile(path) for path in paths]
    studies = _of_files(files, folder, name_of_folder(folder, _readable(files)[0]))
    return _open_one(studies, None, folder)


def _open_one(studies: Sequence[Study], case: str | None, root: Path) -> Case:
    known = {study.name: study for study in studies}
    return read_study(known[pick_case([study.name for study in studies], case, root)], root)


def _shared_folder(paths: Sequence[Path]) -> Path:
    try:
        folder = Path(os.path.commonpath([path.absolute() for path in paths]))
    except ValueError:  # two drives of Windows
        raise InputError(
            f"{paths[0]} and {paths[-1]} lie on different drives; copy them into one folder"
        ) from None
    return folder.parent if folder.is_file() else folder


def _studies(path: Path) -> list[Study]:
    if is_index(path):
        path = path.parent
    if path.is_dir():
        return _of_files(files_in(path), path, path.name)
    if is_archive(path):
        files = members_of(path)
        if not files:
            raise InputError(f"{path} holds no DICOM file; unpack it and open what is inside")
        return _of_files(files, path, stem(path))
    return [_series_of(path)]


def _series_of(path: Path) -> Study:
    """Return the series that one file is of, with the files of it that lie in the same folder."""
    header = read_header(SliceFile(path))
    name = stem(path)
    if header.sop_class in SEGMENTATION_CLASSES:
        return Study(name, (header,))
    beside = [h for h in _readable(files_in(path.parent, levels=1))[0] if h.series == header.series]
    whole = beside if header in beside else [header]
    if len(whole) > 1:
        name = name_of_folder(path.absolute().parent, whole, otherwise=name)
    return Study(name, tuple(whole))


# --- examinations ----------------------------------------------------------------------------


def _of_files(files: Sequence[SliceFile], root: Path, name: str) -> list[Study]:
    """Return the examinations that files are of, named by their folders below the root, or numbered."""
    headers, errors = _readable(files)
    if not headers:
        if errors:
            raise errors[0]
        raise InputError(f"{root} holds no DICOM file")
    groups = _examinations(headers)
    names = case_names(groups, root, name)
    points = time_points(groups)
    return [
        Study(n, tuple(group), len(errors), point)
        for n, group, point in zip(names, groups, points, strict=True)
    ]


def _readable(files: Sequence[SliceFile]) -> tuple[list[Header], list[InputError]]:
    headers: list[Header] = []
    errors: list[InputError] = []
    for file in files:
        try:
            headers.append(read_header(file))
        except InputError as error:
            library.pydicom(file.path)  # without it nothing can be read
            errors.append(error)
    return headers, errors


def _examinations(headers: Sequence[Header]) -> list[list[Header]]:
    """Return files by patient, in the order of their files, and by study, in that of time."""
    parted: dict[tuple[str, str], list[Header]] = defaultdict(list)
    for header in headers:
        parted[header.patient, header.study].append(header)
    patients = list(dict.fromkeys(patient for patient, _ in parted))
    return sorted(parted.values(), key=lambda g: (patients.index(g[0].patient), min(h.when for h in g)))


# --- one examination -------------------------------------------------------------------------


def read_study(study: Study, root: Path) -> Case:
    """Read the volumes and masks of an examination.

    Raises
    ------
    InputError
        If an image of a modality cannot be read, or nothing can.
    """
    pictures = [h for h in study.headers if h.sop_class not in SEGMENTATION_CLASSES and min(h.shape) > 0]
    contents = contents_of(pictures)
    images: list[Image] = []
    notes = list(contents.notes)
    if study.unreadable:
        notes.append(f"{study.unreadable} damaged DICOM file(s) are left out")
    for series in contents.series:
        try:
            images.append(_image(series, notes))
        except InputError as error:
            if series.guess.role in MODALITIES:
                raise
            notes.append(f"{series.name} is left out: {without_folder(str(error), root)}")
    masks = _masks(study, images, notes)
    if not images and not masks:
        more = "; ..." if len(notes) > _MOST_REASONS else ""
        why = f" ({'; '.join(notes[:_MOST_REASONS])}{more})" if notes else ""
        raise InputError(f"{root} holds no DICOM series that can be segmented{why}")
    return Case(study.name, tuple(images), tuple(masks), None, _LAYOUT, study.time_point, tuple(notes))


def _image(series: Series, notes: list[str]) -> Image:
    stack, guess = series.stack, series.guess
    values = read_volume(stack)
    unit: Unit = "mm" if stack.has_depth else "unknown"
    grid = Grid.from_file(stack.shape, stack.affine, unit)
    grid = grid.with_slice_files([p.header.file for p in stack.planes])
    if not stack.has_depth:
        text = f"{series.name} does not state how thick its slice is, so volumes in mL are not known"
        notes.append(Notice(text, Remedy.STATE_SPACING))
    grid, implausible = plausible(grid, series.name)
    notes += implausible
    assert grid.file_layout is not None
    data = grid.file_layout.axis_order.apply(values)
    folder = stack.header.file.path if stack.header.file.member else stack.header.file.path.parent
    return Image(series.name, guess.role, data, grid, folder, role_note=guess.note)


def _masks(study: Study, images: Sequence[Image], notes: list[str]) -> list[Mask]:
    from napari_tumorseg.io.dicom.seg_reading import is_own_probabilities, read_segmentation

    masks = []
    for header in study.headers:
        if header.sop_class not in SEGMENTATION_CLASSES:
            continue
        try:
            if not is_own_probabilities(header):
                masks.append(read_segmentation(header, images))
        except TumorSegError as error:
            if not images and len(study.headers) == 1:
                raise
            notes.append(f"a mask is left out: {without_folder(str(error), header.file.path.parent)}")
    return masks
