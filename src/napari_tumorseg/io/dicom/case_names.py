"""Names of examinations: folders and numbers that name no person, identifier or date."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from napari_tumorseg.io.dicom.facts import Header

_NAMELESS = "dicom"
_PRIVATE = re.compile(
    r"\d{6}"  # an identifier, or a date in one
    r"|\d{1,4}[-_. ]\d{1,2}[-_. ]\d{1,4}(?!\d)"  # a date in three parts
    r"|\d+(\.\d+){3}"  # a unique identifier
)


def name_of_folder(folder: Path, headers: Sequence[Header], otherwise: str = _NAMELESS) -> str:
    """Return the name of a folder that files lie in, which the user did not name.

    Parameters
    ----------
    folder : Path
        The folder.
    headers : sequence of Header
        Of the files.
    otherwise : str
        The name if that of the folder looks as if it names a person or an examination.
    """
    return otherwise if _is_private(folder.name, headers) else folder.name


def _is_private(name: str, headers: Sequence[Header]) -> bool:
    """Return whether a name holds an identifier, a date or a word of the patient's name."""
    words = set(re.findall(r"[^\W\d_]+", name.lower()))
    return bool(_PRIVATE.search(name)) or any(words & header.name_words for header in headers)


def _shareable(folder: str, headers: Sequence[Header]) -> str:
    """Return a folder up to the first part of it that is private."""
    parts = Path(folder).parts
    first = next((n for n, part in enumerate(parts) if _is_private(part, headers)), len(parts))
    return "/".join(parts[:first])


def case_names(groups: Sequence[Sequence[Header]], root: Path, name: str) -> list[str]:
    """Return the name of each examination: its folder, where it has one of its own, else a number.

    Folders below the root count up to the first that looks as if it names a person or an examination.

    Parameters
    ----------
    groups : sequence of sequence of Header
        Files of each examination.
    root : Path
        Folder that the user named, or archive.
    name : str
        Its name.
    """
    if len(groups) == 1:
        return [name]
    whose = name if len({group[0].patient for group in groups}) == 1 else ""
    own = _below_shared([_folder_of(group, root) for group in groups])
    folders = [_shareable(folder, group) for folder, group in zip(own, groups, strict=True)]
    patients = list(dict.fromkeys(group[0].patient for group in groups))
    names: list[str] = []
    for group, folder, point in zip(groups, folders, time_points(groups), strict=True):
        number = whose or f"patient-{patients.index(group[0].patient) + 1}"
        numbered = "/".join(filter(None, [number, point and f"study-{point}"]))
        names.append(folder if folder and folders.count(folder) == 1 else numbered)
    return names


def _below_shared(folders: Sequence[str]) -> list[str]:
    """Return folders without the part that all have in common."""
    parts = [Path(folder).parts for folder in folders]
    shared = next((n for n, level in enumerate(zip(*parts, strict=False)) if len(set(level)) > 1), None)
    return ["/".join(p[shared:]) for p in parts] if shared is not None and all(parts) else list(folders)


def time_points(groups: Sequence[Sequence[Header]]) -> list[str]:
    """Return the number of each examination among those of its patient; empty where it is the only one."""
    of_patient: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        of_patient[group[0].patient].append(index)
    points = [""] * len(groups)
    for indices in of_patient.values():
        for n, index in enumerate(indices if len(indices) > 1 else (), start=1):
            points[index] = str(n)
    return points


def _folder_of(group: Sequence[Header], root: Path) -> str:
    """Return the folder below the root that all files of a study lie in; empty if it is the root."""
    places = [Path(h.file.member).parent if h.file.member else h.file.path.parent for h in group]
    shared = Path(os.path.commonpath([str(place) for place in places])) if len(set(places)) > 1 else places[0]
    if not group[0].file.member:
        try:
            shared = shared.relative_to(root)
        except ValueError:
            return ""
    return "" if shared == Path() else shared.as_posix()
