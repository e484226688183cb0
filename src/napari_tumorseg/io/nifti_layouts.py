"""Layouts of data sets of NIfTI files: MSD and nnU-Net tasks, a folder for each sequence, images and masks.

A layout is a function that takes a folder and returns the cases in it, or None where it does not fit.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from napari_tumorseg.io import nifti
from napari_tumorseg.io.case import Case
from napari_tumorseg.io.folder import Folder, nifti_below
from napari_tumorseg.io.formats import NIFTI, stem
from napari_tumorseg.io.found_case import FoundCase
from napari_tumorseg.io.nifti_cases import is_probability, read_case
from napari_tumorseg.io.nifti_groups import Source, source_of
from napari_tumorseg.io.roles import RoleGuess, guess, without_role
from napari_tumorseg.io.side_files import side_convention
from napari_tumorseg.io.task_description import channel_names, described_by, file_ending
from napari_tumorseg.scan import MODALITIES, Role

_MSD_CHANNELS = ("FLAIR", "T1w", "t1gd", "T2w")
_IMAGE_FOLDERS = ("imagesTr", "imagesTs", "imagesVal")
_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>00\d\d)")
IMAGE_FOLDER = re.compile(r"images?|imgs?|scans?|volumes?", re.IGNORECASE)
"""Names of a folder of images, beside one of masks."""

MASK_FOLDER = re.compile(r"labels?|masks?|segs?|segmentations?|annotations?|gts?", re.IGNORECASE)
"""Names of a folder of masks."""

_MASK_ROLES = (Role.TUMOUR_MASK, Role.BRAIN_MASK)


# --- MSD and nnU-Net -------------------------------------------------------------------------


def task_cases(folder: Folder) -> list[FoundCase] | None:
    """Return the cases of an MSD or nnU-Net task folder, of all its folders of images, or of one of them."""
    inside = [d for name in _IMAGE_FOLDERS for d in folder.folders if d.name == name]
    if inside:
        return _with_own_names(
            [(d.name, case) for d in inside for case in _cases_of_files(Folder.of(d).nifti)]
        )
    if folder.path.name not in _IMAGE_FOLDERS and not _is_input(folder):
        return None
    return _cases_of_files(folder.nifti)


def _is_input(folder: Folder) -> bool:
    """Return whether nnU-Net's channels lie beside a description, which other layouts may have as well."""
    return "dataset.json" in folder.names and any(_CHANNEL.fullmatch(stem(path)) for path in folder.nifti)


def is_task_image(path: Path) -> bool:
    """Return whether a file lies in the folder of images of a task that is described."""
    return path.parent.name in _IMAGE_FOLDERS and described_by(path) is not None


def read_task_image(path: Path) -> Case:
    """Read one image file of a task: a 4-D one with its channels' names, or one channel of nnU-Net's."""
    if _CHANNEL.fullmatch(stem(path)):
        return _read_raw(stem(path), (path,))
    return _read_task_case((path,))


def _with_own_names(cases: Sequence[tuple[str, FoundCase]]) -> list[FoundCase]:
    """Return cases of several folders; one whose name is taken is led by the name of its folder."""
    found: dict[str, FoundCase] = {}
    for folder, case in cases:
        taken = case.name in found
        name = f"{folder}/{case.name}" if taken else case.name
        found[name] = replace(case, name=name, folders=(folder,) if taken else ())
    return list(found.values())


def _cases_of_files(files: Sequence[Path]) -> list[FoundCase]:
    """Return the cases of a folder of images; results are a part of the case that they are named after."""
    cases: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        match = _CHANNEL.fullmatch(stem(path))
        cases[match["case"] if match else stem(path)].append(path)
    results = {name: owner for name in cases if (owner := _owner(name, cases[name][0], cases))}
    for name, owner in results.items():
        cases[owner] += [path for path in cases.pop(name) if not is_probability(path)]
    return [FoundCase(name, partial(_read_task_files, name, tuple(paths))) for name, paths in cases.items()]


def _owner(name: str, path: Path, cases: Iterable[str]) -> str | None:
    """Return the case that a result belongs to by its name: ``A_001_seg`` to ``A_001``."""
    is_result = guess(name).role in _MASK_ROLES or is_probability(path) or side_convention(path) is not None
    if not is_result or _CHANNEL.fullmatch(stem(path)):
        return None
    owners = [case for case in cases if name != case and re.match(re.escape(case) + r"[\W_]", name)]
    return min(owners, key=len, default=None)


def _read_task_files(name: str, paths: Sequence[Path]) -> Case:
    return _read_raw(name, paths) if _CHANNEL.fullmatch(stem(paths[0])) else _read_task_case(paths)


def _read_task_case(paths: Sequence[Path]) -> Case:
    """Read a 4-D image with its channels' names, its label, and masks of results beside it."""
    image = paths[0]
    sources = [Source(p, stem(p)) for p in (*paths, *_label_of(image, stem(image)))]
    case = read_case(sources, stem(image), "MSD task", channel_names(image) or _MSD_CHANNELS)
    if not case.images:
        nifti.read_file(image)  # raises what is wrong with it
    return case


def _read_raw(name: str, paths: Sequence[Path]) -> Case:
    """Read a case of which each channel is a file, with roles by the task's names of channels."""
    named = channel_names(paths[0])
    sources = [Source(path, stem(path)) for path in paths]
    channels = {s: match for s in sources if (match := _CHANNEL.fullmatch(s.name))}
    numbers = {source: int(match["channel"]) for source, match in channels.items()}
    roles = {source: guess(named[n]) for source, n in numbers.items() if n < len(named)}
    labels = [Source(p, stem(p)) for p in _label_of(paths[0], channels[sources[0]]["case"])]
    roles |= {source: RoleGuess(Role.TUMOUR_MASK) for source in labels}
    return read_case([*sources, *labels], name, "nnU-Net task", known=roles)


def _label_of(image: Path, case: str) -> list[Path]:
    """Return the label of a case, with the ending of the task, of the image, or any other."""
    folder = image.parent.parent / image.parent.name.replace("images", "labels")
    if folder == image.parent:
        return []
    endings = (file_ending(image), image.name[len(stem(image)) :], *NIFTI.endings)
    places = (folder / f"{case}{ending}" for ending in endings if ending)
    return [place for place in places if place.is_file()][:1]


# --- a folder for each sequence --------------------------------------------------------------


def sequence_cases(folder: Folder) -> list[FoundCase] | None:
    """Return the cases of a folder in which each sequence has a folder of its own, named by it.

    That is one patient (``EGD-0001/1_T1/NIFTI/T1.nii.gz``), or several whose files have the same names in
    each (``flair/P1.nii.gz``, ``t1c/P1.nii.gz``).
    """
    if folder.nifti:
        return None
    inside = {d: nifti_below(d) for d in folder.folders if _is_sequence(d.name)}
    sources = {d: [source_of(p, folder.path) for p in files] for d, files in inside.items() if files}
    modalities = [guess(d.name).role for d in sources if guess(d.name).role in MODALITIES]
    if len(modalities) < 2 or len(set(modalities)) < len(modalities):
        return None
    if not all(_agree(d.name, s) for d, files in sources.items() for s in files):
        return None
    everything = [source for files in sources.values() for source in files]
    if all(len(files) == 1 for files in sources.values()):
        return [_of_sequences(folder.path.name, everything)]
    patients: dict[str, list[Source]] = defaultdict(list)
    for source in everything:
        patients[without_role(stem(source.path)) or stem(source.path)].append(source)
    if max(len(files) for files in patients.values()) < 2:
        return None
    return [_of_sequences(name, files) for name, files in sorted(patients.items())]


def _of_sequences(name: str, sources: Sequence[Source]) -> FoundCase:
    return FoundCase(name, partial(read_case, tuple(sources), name, "a folder for each sequence"))


def _is_sequence(name: str) -> bool:
    return guess(name).role in (*MODALITIES, *_MASK_ROLES)


def _agree(folder: str, source: Source) -> bool:
    """Return whether a file may be the sequence that its folder is named by, as far as its own name shows."""
    if source.name == folder:
        return True
    folder_role, own = guess(folder).role, guess(stem(source.path)).role
    return own in (folder_role, Role.OTHER) or {own, folder_role} <= {Role.T1, Role.T1C} or own in _MASK_ROLES


# --- a folder of images and a folder of masks ------------------------------------------------


def paired_cases(folder: Folder) -> list[FoundCase] | None:
    """Return the cases of a folder with one of images and one of masks that are called alike.

    Images that show their modality are left to other layouts: ``images`` may also hold those of one patient.
    """
    images = _files_of(folder, IMAGE_FOLDER)
    masks = {stem(path): path for path in _files_of(folder, MASK_FOLDER)}
    if any(guess(stem(path)).role is not Role.OTHER for path in images):
        return None
    if not any(stem(path) in masks for path in images):
        return None
    return [FoundCase(stem(path), partial(_read_pair, path, masks.get(stem(path)))) for path in images]


def _files_of(folder: Folder, name: re.Pattern[str]) -> list[Path]:
    inside = [d for d in folder.folders if name.fullmatch(d.name)]
    return Folder.of(inside[0]).nifti if len(inside) == 1 else []


def _read_pair(image: Path, mask: Path | None) -> Case:
    sources = [Source(path, stem(path)) for path in (image, mask) if path is not None]
    known = {source: RoleGuess(Role.TUMOUR_MASK) for source in sources[1:]}
    return read_case(sources, stem(image), "images and masks", known=known)
