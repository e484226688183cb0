"""NIfTI files that belong together: case folders of any naming, and files named one by one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from napari_tumorseg.errors import InputError, UnsuitableError
from napari_tumorseg.io.arrays import distinct, without_folder
from napari_tumorseg.io.bids.metadata import roles_by_metadata
from napari_tumorseg.io.case import Case, pick_case
from napari_tumorseg.io.folder import Folder
from napari_tumorseg.io.formats import stem
from napari_tumorseg.io.nifti_contents import Contents, read_contents
from napari_tumorseg.io.nifti_groups import Source, group_cases, roles_of, source_of, subject_of
from napari_tumorseg.io.roles import RoleGuess, guess_role
from napari_tumorseg.scan import MODALITIES, Image, Role

_TIME_POINT = re.compile(r"BraTS-[A-Za-z]+-\d+-(\d{3})|^sub-[^_]+_ses-([^_]+)")


def list_cases(path: Path) -> list[str]:
    """Return the names of the cases whose NIfTI files lie in a folder: one, or several by their names."""
    return [_case_name([path])] if path.is_file() else list(group_cases(_sources(path), path.name))


def open_case(path: Path, case: str | None = None) -> Case:
    """Read the case that lies in a folder or file.

    Parameters
    ----------
    path : Path
        A case folder, or one file.
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
        return open_files([path])
    groups = group_cases(_sources(path), path.name)
    if not groups:
        raise InputError(f"{path} holds no NIfTI file")
    name = pick_case(list(groups), case, path)
    return read_case(groups[name], name, "folder of NIfTI files")


def open_files(paths: Sequence[Path]) -> Case:
    """Read NIfTI files that are the channels (and masks) of one case."""
    layout = "NIfTI file" if len(paths) == 1 else "NIfTI files"
    return read_case([Source(path, stem(path)) for path in paths], _case_name(paths), layout)


def read_case(
    sources: Sequence[Source],
    name: str,
    layout: str,
    channel_names: Sequence[str] = (),
    known: Mapping[Source, RoleGuess] | None = None,
) -> Case:
    """Read the files of one case side by side: inflating leaves the interpreter free.

    Parameters
    ----------
    sources : sequence of Source
        The files, with the names that show their roles.
    name : str
        Name of the case.
    layout : str
        What kind of file or folder it is.
    channel_names : sequence of str
        Names of the channels of a 4-D file, where something states them.
    known : mapping of Source to RoleGuess, optional
        Roles that something else than the names states.

    Raises
    ------
    InputError
        If an image that a model may need cannot be read, or nothing can.
    """
    roles = {**roles_of(sources, name), **roles_by_metadata(sources), **(known or {})}
    with ThreadPoolExecutor(max_workers=min(len(sources), os.cpu_count() or 1)) as pool:
        reads = list(pool.map(lambda s: read_contents(s, name, roles[s], channel_names), sources))
    found = dict(zip(sources, reads, strict=True))
    _refuse_missing_images(found, roles)
    found, notes = _without_extras(found)
    brains = [c.brain_mask for c in found.values() if c.brain_mask]
    if len(brains) > 1:
        notes.append(f"{name} has {len(brains)} brain masks; {brains[0].name} is used")
    notes += [f"{s.name} is not used: it is {g.note}" for s, g in roles.items() if _is_copy(g)]
    point = _TIME_POINT.search(name)
    return Case(
        name=name,
        images=distinct([image for c in found.values() for image in c.images]),
        masks=tuple(c.mask for c in found.values() if c.mask),
        brain_mask=brains[0] if brains else None,
        layout=layout,
        time_point=next(filter(None, point.groups())) if point else "",
        warnings=(*(w for c in found.values() for w in c.warnings), *notes),
    )


def _refuse_missing_images(found: Mapping[Source, Contents], roles: Mapping[Source, RoleGuess]) -> None:
    """Raise if an image cannot be read, unless another one has its role or it turned out to be no scan."""
    errors = {s: c.error for s, c in found.items() if c.error is not None}
    readable = {image.role for c in found.values() for image in c.images} & {*MODALITIES}
    for source, error in errors.items():
        role = roles[source].role
        is_extra = role in readable or (isinstance(error, UnsuitableError) and readable)
        if role in MODALITIES and not is_extra:
            raise error
    if errors and len(errors) == len(found):
        raise next(iter(errors.values()))


def _without_extras(found: Mapping[Source, Contents]) -> tuple[dict[Source, Contents], list[str]]:
    """Return what is of use, and a sentence for each file that is left out."""
    has_modality = any(image.role in MODALITIES for c in found.values() for image in c.images)
    kept: dict[Source, Contents] = {}
    notes = []
    for source, contents in found.items():
        twin = next((s for s in kept if _is_twin(s, source)), None)
        if contents.error is not None:
            notes.append(f"left out: {without_folder(str(contents.error), source.path.parent)}")
        elif contents.is_series and has_modality:
            count = len(contents.images)
            notes.append(f"left out: {source.path.name} holds {count} volumes, and nothing says of what")
        elif twin is not None and _hold_the_same(kept[twin], contents):
            notes.append(f"left out: {source.path.name} holds the same as {twin.path.name}")
        else:
            kept[source] = contents
    return kept, notes


def _is_twin(one: Source, other: Source) -> bool:
    """Return whether two files are called alike but for their endings: ``X.nii`` and ``X.nii.gz``."""
    return one.path.parent == other.path.parent and stem(one.path) == stem(other.path)


def _hold_the_same(one: Contents, other: Contents) -> bool:
    arrays = [_arrays(contents) for contents in (one, other)]
    return len(arrays[0]) == len(arrays[1]) and all(map(np.array_equal, *arrays))


def _arrays(contents: Contents) -> list[np.ndarray]:
    images: list[Image] = [*contents.images, *((contents.brain_mask,) if contents.brain_mask else ())]
    return [image.data for image in images] + ([contents.mask.labels] if contents.mask else [])


def _is_copy(guess: RoleGuess) -> bool:
    return guess.role is Role.OTHER and bool(guess.note) and guess.otherwise is None


def is_probability(path: Path) -> bool:
    """Return whether a file is named as the probabilities that a run keeps, ``CASE_prob_NAME.nii.gz``."""
    case, _, name = stem(path).rpartition("_prob_")
    return bool(case and name) and guess_role(name) not in MODALITIES


def _sources(folder: Path) -> list[Source]:
    """Return the NIfTI files of a folder but for the results of a run that are no masks."""
    return [source_of(path, folder) for path in Folder.of(folder).nifti if not is_probability(path)]


def _case_name(paths: Sequence[Path]) -> str:
    """Return what the names of the files have in common, else the folder's name."""
    first = subject_of(stem(paths[0]))
    if len(paths) == 1:
        return first or stem(paths[0])
    names = {subject_of(stem(p)) for p in paths}
    return first if len(names) == 1 and first else paths[0].absolute().parent.name
