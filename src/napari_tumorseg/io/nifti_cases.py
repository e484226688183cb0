"""NIfTI files that belong together: case folders of any naming, MSD task folders, files named one by one."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from napari_tumorseg.errors import InputError
from napari_tumorseg.io import nifti
from napari_tumorseg.io.arrays import distinct, without_folder
from napari_tumorseg.io.case import Case, pick_case
from napari_tumorseg.io.formats import NIFTI, stem
from napari_tumorseg.io.nifti_contents import read_contents, role_in_case
from napari_tumorseg.io.roles import guess_role, without_role
from napari_tumorseg.scan import MODALITIES

_MSD_CHANNELS = ("FLAIR", "T1w", "t1gd", "T2w")
_TIME_POINT = re.compile(r"BraTS-[A-Za-z]+-\d+-(\d{3})")


def nifti_files(folder: Path) -> list[Path]:
    """Return the NIfTI files of a folder, sorted; hidden ones (also a Mac's ``._``) are left out."""
    return sorted(p for p in folder.iterdir() if NIFTI.matches(p) and not p.is_dir())


def list_cases(path: Path) -> list[str]:
    """Return the names of the cases whose NIfTI files lie in a folder: one, or several by their prefix."""
    if path.is_file():
        return [_case_name([path])]
    if _msd_images(path) is not None:
        return [stem(p) for p in _msd_files(path)]
    return list(_groups(_scan_files(path), path.name))


def open_case(path: Path, case: str | None = None) -> Case:
    """Read the case that lies in a folder or file.

    Parameters
    ----------
    path : Path
        A case folder, an MSD task folder (or its ``imagesTr``), or one file.
    case : str, optional
        Which one, where the folder holds several.

    Raises
    ------
    ChoiceNeededError
        If there are several and none is named.
    InputError
        If nothing can be read.
    """
    if path.is_file():
        return _open_msd(path) if _dataset_json(path) else open_files([path])
    if _msd_images(path) is not None:
        names = [stem(p) for p in _msd_files(path)]
        return _open_msd(_msd_files(path)[names.index(pick_case(names, case, path))])
    groups = _groups(_scan_files(path), path.name)
    if not groups:
        raise InputError(f"{path} holds no NIfTI file")
    name = pick_case(list(groups), case, path)
    return replace(_read_all(groups[name], name), layout="folder of NIfTI files")


def open_files(paths: Sequence[Path]) -> Case:
    """Read NIfTI files that are the channels (and masks) of one case."""
    layout = "NIfTI file" if len(paths) == 1 else "NIfTI files"
    return replace(_read_all(list(paths), _case_name(paths)), layout=layout)


def _read_all(paths: list[Path], name: str, channel_names: Sequence[str] = ()) -> Case:
    """Read files side by side (inflating leaves the interpreter free) and sort them by what they are."""
    with ThreadPoolExecutor(max_workers=min(len(paths), os.cpu_count() or 1)) as pool:
        reads = list(pool.map(lambda path: read_contents(path, name, channel_names), paths))
    errors = [r.error for r in reads if r.error]
    of_images = [r.error for p, r in zip(paths, reads, strict=True) if r.error and _is_image(p, name)]
    masks = tuple(r.mask for r in reads if r.mask)
    images = tuple(image for r in reads for image in r.images)
    if of_images or len(errors) == len(reads):
        raise (of_images or errors)[0]
    brains = [r.brain_mask for r in reads if r.brain_mask]
    warnings = [w for r in reads for w in r.warnings]
    warnings += [
        f"left out: {without_folder(str(r.error), p.parent)}"
        for p, r in zip(paths, reads, strict=True)
        if r.error
    ]
    if len(brains) > 1:
        warnings.append(f"{name} has {len(brains)} brain masks; {brains[0].name} is used")
    point = _TIME_POINT.search(name)
    return Case(
        name=name,
        images=distinct(images),
        masks=masks,
        brain_mask=brains[0] if brains else None,
        time_point=point.group(1) if point else "",
        warnings=tuple(warnings),
    )


def _is_image(path: Path, case: str) -> bool:
    """Tell whether a file is an image by its name: an error of such a one is never passed over."""
    return role_in_case(stem(path), case) in MODALITIES


def is_probability(path: Path) -> bool:
    """Tell whether a file is named as the probabilities that a run keeps, ``CASE_prob_NAME.nii.gz``."""
    case, _, name = stem(path).rpartition("_prob_")
    return bool(case and name) and guess_role(name) not in MODALITIES


def _scan_files(folder: Path) -> list[Path]:
    """Return the NIfTI files of a folder but for the results of a run that are no masks."""
    return [p for p in nifti_files(folder) if not is_probability(p)]


def _case_name(paths: Sequence[Path]) -> str:
    """Return what the names of the files have in common, else the folder's name."""
    first = without_role(stem(paths[0]))
    if len(paths) == 1:
        return first or stem(paths[0])
    names = {without_role(stem(p)) for p in paths}
    return first if len(names) == 1 and first else paths[0].absolute().parent.name


def _groups(paths: Iterable[Path], folder: str) -> dict[str, list[Path]]:
    """Return the files of each case: all are one, unless two claim one role and their prefixes part them."""
    files = list(paths)
    if not files:
        return {}
    if _unambiguous(files):
        return {folder: files}
    parted: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        parted[without_role(stem(path))].append(path)
    cases = {name: group for name, group in parted.items() if _has_modality(group)}
    if len(cases) < 2 or not all(name and _unambiguous(group) for name, group in cases.items()):
        return {folder: files}
    for name in parted.keys() - cases.keys():  # such as another tool's mask; an atlas belongs to none
        owner = max((c for c in cases if name.startswith(c)), key=len, default=None)
        if owner is not None:
            cases[owner] = sorted(cases[owner] + parted[name])
    return dict(sorted(cases.items()))


def _unambiguous(paths: Sequence[Path]) -> bool:
    roles = [r for r in (guess_role(stem(p)) for p in paths) if r in MODALITIES]
    return len(roles) == len(set(roles))


def _has_modality(paths: Sequence[Path]) -> bool:
    return any(guess_role(stem(p)) in MODALITIES for p in paths)


def _msd_images(path: Path) -> Path | None:
    """Return the folder of images where `path` is an MSD task folder or that folder itself."""
    if path.name in ("imagesTr", "imagesTs"):
        return path
    inside = path / "imagesTr"
    return inside if inside.is_dir() else None


def _msd_files(path: Path) -> list[Path]:
    images = _msd_images(path)
    return nifti_files(images) if images else []


def _dataset_json(path: Path) -> Path | None:
    """Return the description of the MSD task that a file of it belongs to."""
    if path.parent.name not in ("imagesTr", "imagesTs"):
        return None
    found = path.parent.parent / "dataset.json"
    return found if found.is_file() else None


def _open_msd(path: Path) -> Case:
    """Read a 4-D MSD image with its channels' names and, where there is one, its label."""
    label = path.parent.parent / path.parent.name.replace("images", "labels") / path.name
    files = [path, label] if label.is_file() else [path]
    case = _read_all(files, stem(path), _msd_channel_names(path))
    if not case.images:
        nifti.read_file(path)  # tells what is wrong with it
    return replace(case, layout="MSD task")


def _msd_channel_names(path: Path) -> Sequence[str]:
    described = _dataset_json(path)
    try:
        content = json.loads(described.read_text(encoding="utf-8")) if described else {}
        named = content.get("modality") or content.get("channel_names") or {}
        return [str(named[key]) for key in sorted(named, key=int)] or _MSD_CHANNELS
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return _MSD_CHANNELS
