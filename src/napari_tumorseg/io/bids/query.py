"""Selection of sessions and images of a BIDS data set: by labels, and by the filter file of BIDS Apps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_tumorseg.errors import InputError
from napari_tumorseg.io.bids.cases import anatomy_of, session_name, sessions_in
from napari_tumorseg.io.bids.names import BidsName
from napari_tumorseg.io.case import Case
from napari_tumorseg.io.dataset import CaseRef
from napari_tumorseg.io.folder import Folder
from napari_tumorseg.io.formats import stem
from napari_tumorseg.io.found_case import FoundCase
from napari_tumorseg.io.nifti_cases import read_case
from napari_tumorseg.io.nifti_groups import Source

_SHORT = {
    "subject": "sub", "session": "ses", "acquisition": "acq", "ceagent": "ce", "reconstruction": "rec",
    "direction": "dir", "inversion": "inv", "space": "space", "run": "run",
}  # fmt: skip
"""Keys of names by the words of filter files."""

_SUFFIXES = {"t1w": "T1w", "t2w": "T2w", "flair": "FLAIR"}
"""Suffixes that the queries of a filter file stand for, unless they state another one."""

_IGNORED = ("datatype", "extension")


@dataclass(frozen=True)
class BidsFilter:
    """Conditions on images, by their suffix.

    Attributes
    ----------
    queries : mapping of str to mapping
        For each suffix the entities that its images must have: a value, one of several, or None for images
        without the entity. All images of other suffixes are taken.
    """

    queries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> BidsFilter:
        """Read a filter file, ``{"flair": {"acquisition": "ax"}}``.

        Raises
        ------
        InputError
            If it is not a filter file, or has an unknown key.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
            queries = {name: dict(query) for name, query in content.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{path} cannot be read as a BIDS filter: {error}") from error
        return cls({_suffix(name, query): _entities(query, path) for name, query in queries.items()})

    def takes(self, path: Path) -> bool:
        """Return whether an image meets the conditions on its suffix."""
        name = BidsName.parse(stem(path))
        wanted = self.queries.get(name.suffix, {}) if name else {}
        return name is None or all(_fits(name.entities.get(key), value) for key, value in wanted.items())


def _suffix(name: str, query: Mapping[str, Any]) -> str:
    return str(query.get("suffix") or _SUFFIXES.get(name.lower(), name))


def _entities(query: Mapping[str, Any], path: Path) -> dict[str, Any]:
    unknown = sorted(set(query) - {*_SHORT, *_SHORT.values(), *_IGNORED, "suffix"})
    if unknown:
        raise InputError(f"{path} filters by {unknown[0]!r}; known are {', '.join(_SHORT)} and suffix")
    return {_SHORT.get(k, k): v for k, v in query.items() if k not in (*_IGNORED, "suffix")}


def _fits(value: str | None, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return any(_fits(value, one) for one in wanted)
    if value is None or wanted is None:
        return value is wanted
    return value == str(wanted) or (
        value.isdecimal() and str(wanted).isdecimal() and int(value) == int(wanted)
    )


@dataclass(frozen=True)
class BidsSession:
    """Session of a subject, not read yet.

    Attributes
    ----------
    name : str
        ``sub-01_ses-pre``, or ``sub-01`` where there are no sessions.
    images : tuple of Path
        Its anatomy.
    """

    name: str
    images: tuple[Path, ...]

    def open(self) -> Case:
        """Read the images.

        Raises
        ------
        InputError
            If there is none, or one cannot be read.
        """
        if not self.images:
            raise InputError(f"{self.name} has no anatomical image that meets the filter")
        return read_case([Source(path, stem(path)) for path in self.images], self.name, "BIDS")

    def reference(self, root: Path) -> CaseRef:
        """Return the session as a case of a data set, to be read later."""
        return CaseRef(root, self.name, found=FoundCase(self.name, self.open, files=self.images))


def session_labels(root: Path, name: str) -> list[Path]:
    """Return the segmentations of a session in a derivative data set.

    Parameters
    ----------
    root : Path
        Folder of the derivative data set.
    name : str
        ``sub-01_ses-pre``, or ``sub-01`` where there are no sessions.
    """
    return sorted(root.joinpath(*name.split("_"), "anat").glob(f"{name}_*seg-tumour_dseg.nii.gz"))


def select_sessions(
    root: Path,
    participants: Sequence[str] = (),
    sessions: Sequence[str] = (),
    images: BidsFilter | None = None,
) -> list[BidsSession]:
    """Return the selected sessions of a data set, in the order of their names.

    Parameters
    ----------
    root : Path
        Folder of the data set.
    participants, sessions : sequence of str
        Labels, with or without ``sub-`` and ``ses-``; all if there are none.
    images : BidsFilter, optional
        Conditions on images.

    Raises
    ------
    InputError
        If a label does not exist, or the folder holds no session.
    """
    images = images or BidsFilter()
    found = sessions_in(Folder.of(root))
    _check({subject.name for subject, _ in found}, participants, "sub-", root)
    _check({session.name for subject, session in found if session != subject}, sessions, "ses-", root)
    wanted = [
        (subject, session)
        for subject, session in found
        if _is_wanted(subject.name, participants, "sub-")
        and (session == subject or _is_wanted(session.name, sessions, "ses-"))
    ]
    if not wanted:
        raise InputError(f"{root} holds no session of a BIDS data set")
    return [_session(subject, session, images) for subject, session in wanted]


def _session(subject: Path, session: Path, images: BidsFilter) -> BidsSession:
    taken = tuple(path for path in anatomy_of(session) if images.takes(path))
    return BidsSession(session_name(subject, session), taken)


def _is_wanted(name: str, labels: Sequence[str], prefix: str) -> bool:
    return not labels or name in {prefix + label.removeprefix(prefix) for label in labels}


def _check(names: set[str], labels: Sequence[str], prefix: str, root: Path) -> None:
    missing = next((label for label in labels if prefix + label.removeprefix(prefix) not in names), None)
    if missing is not None:
        raise InputError(f"{root} has no {prefix}{missing.removeprefix(prefix)}")
