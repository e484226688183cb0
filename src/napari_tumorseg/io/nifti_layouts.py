"""Layouts of data sets of NIfTI files: MSD and nnU-Net tasks, BIDS, a folder for each sequence.

A layout is a function that takes a folder and returns the cases in it, or None where it does not fit.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from napari_tumorseg.io import nifti
from napari_tumorseg.io.case import Case
from napari_tumorseg.io.folder import Folder, nifti_below
from napari_tumorseg.io.formats import stem
from napari_tumorseg.io.found_case import FoundCase
from napari_tumorseg.io.nifti_cases import read_case
from napari_tumorseg.io.nifti_groups import Source, source_of
from napari_tumorseg.io.roles import RoleGuess, guess, without_role
from napari_tumorseg.scan import MODALITIES, Role

_MSD_CHANNELS = ("FLAIR", "T1w", "t1gd", "T2w")
_IMAGE_FOLDERS = ("imagesTr", "imagesTs", "imagesVal")
_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>00\d\d)")
_IMAGE_FOLDER = re.compile(r"images?|imgs?|scans?|volumes?", re.IGNORECASE)
_MASK_FOLDER = re.compile(r"labels?|masks?|segs?|segmentations?|annotations?|gts?", re.IGNORECASE)
_IN_ANOTHER_SPACE = re.compile(r"_space-(?!T1w|T2w|FLAIR|orig|native)", re.IGNORECASE)
_MASK_ROLES = (Role.TUMOUR_MASK, Role.BRAIN_MASK)


# --- MSD and nnU-Net -------------------------------------------------------------------------


def task_cases(folder: Folder) -> list[FoundCase] | None:
    """Return the cases of an MSD or nnU-Net task folder, or of its folder of images."""
    inside = next((d for name in _IMAGE_FOLDERS for d in folder.folders if d.name == name), None)
    is_images = folder.path.name in _IMAGE_FOLDERS
    if inside is None and not is_images and not (folder.path / "dataset.json").is_file():
        return None
    files = folder.nifti if inside is None else Folder.of(inside).nifti
    channels = _by_case(files)
    if channels:
        return [FoundCase(name, partial(_read_raw, name, tuple(paths))) for name, paths in channels.items()]
    if inside is None and not is_images:
        return None  # a dataset.json beside files of another layout
    return [FoundCase(stem(path), partial(read_task_image, path)) for path in files]


def is_task_image(path: Path) -> bool:
    """Tell whether a file lies in the folder of images of a task that is described."""
    return path.parent.name in _IMAGE_FOLDERS and _described(path) is not None


def read_task_image(path: Path) -> Case:
    """Read one image file of a task: a 4-D one with its channels' names, or one channel of nnU-Net's."""
    if _CHANNEL.fullmatch(stem(path)):
        return _read_raw(stem(path), (path,))
    sources = [Source(p, stem(p)) for p in (path, *_label_of(path, path.name))]
    case = read_case(sources, stem(path), "MSD task", _channel_names(path) or _MSD_CHANNELS)
    if not case.images:
        nifti.read_file(path)  # raises what is wrong with it
    return case


def _by_case(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the channels of each case, empty unless all files are named ``CASE_0000.nii.gz``."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        match = _CHANNEL.fullmatch(stem(path))
        if match is None:
            return {}
        found[match["case"]].append(path)
    return found


def _read_raw(name: str, paths: Sequence[Path]) -> Case:
    """Read a case of which each channel is a file, with roles by the task's names of channels."""
    named = _channel_names(paths[0])
    sources = [Source(path, stem(path)) for path in paths]
    roles = {s: guess(named[n]) for s in sources if (n := int(s.name[-4:])) < len(named)}
    case = _CHANNEL.fullmatch(sources[0].name)
    assert case is not None
    labels = [Source(p, stem(p)) for p in _label_of(paths[0], f"{case['case']}.nii.gz")]
    roles |= {source: RoleGuess(Role.TUMOUR_MASK) for source in labels}
    return read_case([*sources, *labels], name, "nnU-Net task", known=roles)


def _label_of(image: Path, name: str) -> list[Path]:
    label = image.parent.parent / image.parent.name.replace("images", "labels") / name
    return [label] if label.is_file() and label.parent != image.parent else []


def _described(image: Path) -> Path | None:
    """Return the description of the task that an image belongs to: above its folder, or beside it."""
    places = (image.parent.parent / "dataset.json", image.parent / "dataset.json")
    return next((place for place in places if place.is_file()), None)


def _channel_names(image: Path) -> Sequence[str]:
    """Return the names of the channels in their order, none if nothing tells them."""
    described = _described(image)
    try:
        content = json.loads(described.read_text(encoding="utf-8")) if described else {}
        named = content.get("modality") or content.get("channel_names") or {}
        return [str(named[key]) for key in sorted(named, key=int)]
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return ()


# --- BIDS ------------------------------------------------------------------------------------


def bids_cases(folder: Folder) -> list[FoundCase] | None:
    """Return the sessions of a BIDS data set, subject or session, with the masks among its derivatives."""
    if folder.path.name == "anat" and folder.path.parent.name.startswith(("sub-", "ses-")):
        folder = Folder.of(folder.path.parent)
    subjects = [d for d in folder.folders if d.name.startswith("sub-")]
    if folder.path.name.startswith("sub-"):
        subjects = [folder.path]
    if folder.path.name.startswith("ses-") and folder.path.parent.name.startswith("sub-"):
        sessions = [(folder.path.parent, folder.path)]
    else:
        sessions = [(subject, session) for subject in subjects for session in _sessions(subject)]
    found = []
    for subject, session in sessions:
        name = subject.name if session == subject else f"{subject.name}_{session.name}"
        images = _anatomy(session)
        if images:
            paths = (*images, *_derived_masks(subject, session))
            sources = tuple(Source(path, stem(path)) for path in paths)
            found.append(FoundCase(name, partial(read_case, sources, name, "BIDS")))
    return found or None


def _sessions(subject: Path) -> list[Path]:
    return [d for d in Folder.of(subject).folders if d.name.startswith("ses-")] or [subject]


def _anatomy(session: Path) -> list[Path]:
    """Return the files of ``anat``, or those of the session itself, that are named as BIDS has it."""
    inside = Folder.of(session)
    anatomy = next((Folder.of(d) for d in inside.folders if d.name == "anat"), inside)
    return [path for path in anatomy.nifti if path.name.startswith("sub-")]


def _derived_masks(subject: Path, session: Path) -> list[Path]:
    """Return the tumour and brain masks that pipelines have left for a session, in its own space."""
    derivatives = subject.parent / "derivatives"
    if not derivatives.is_dir():
        return []
    inside = session.relative_to(subject.parent)
    places = [derivatives / inside, *(pipeline / inside for pipeline in Folder.of(derivatives).folders)]
    files = [path for place in places if place.is_dir() for path in nifti_below(place)]
    return [p for p in files if guess(stem(p)).role in _MASK_ROLES and not _IN_ANOTHER_SPACE.search(p.name)]


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
    """Tell whether a file may be the sequence that its folder is named by, as far as its own name tells."""
    if source.name == folder:
        return True
    folder_role, own = guess(folder).role, guess(stem(source.path)).role
    return own in (folder_role, Role.OTHER) or {own, folder_role} <= {Role.T1, Role.T1C} or own in _MASK_ROLES


# --- a folder of images and a folder of masks ------------------------------------------------


def paired_cases(folder: Folder) -> list[FoundCase] | None:
    """Return the cases of a folder with one of images and one of masks that are called alike.

    Images that tell their modality are left to other layouts: ``images`` may also hold those of one patient.
    """
    images = _files_of(folder, _IMAGE_FOLDER)
    masks = {stem(path): path for path in _files_of(folder, _MASK_FOLDER)}
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
