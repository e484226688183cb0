"""Sessions of BIDS data sets as cases: their anatomy, and the masks that pipelines made for them.

A data set may lie in a folder ``rawdata`` beside its ``derivatives``, and a derivative data set, such as the
results of this program, may be opened by itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from napari_tumorseg.io.bids.metadata import names_no_tumour
from napari_tumorseg.io.case import Case
from napari_tumorseg.io.folder import Folder, nifti_below
from napari_tumorseg.io.formats import stem
from napari_tumorseg.io.found_case import FoundCase
from napari_tumorseg.io.nifti_cases import read_case
from napari_tumorseg.io.nifti_groups import Source
from napari_tumorseg.io.roles import RoleGuess, guess
from napari_tumorseg.io.side_files import files_of_set
from napari_tumorseg.scan import Role

_IN_ANOTHER_SPACE = re.compile(r"_space-(?!T1w|T2w|FLAIR|orig|native|individual)", re.IGNORECASE)
_OF_TISSUES = re.compile(r"_label-(GM|WM|CSF)_probseg$")
_MASK_ROLES = (Role.TUMOUR_MASK, Role.BRAIN_MASK)
_DERIVATIVES, _RAW = "derivatives", "rawdata"


def bids_cases(folder: Folder) -> list[FoundCase] | None:
    """Return the sessions of a BIDS data set, subject or session, with the masks among its derivatives."""
    found = []
    for subject, session in sessions_in(folder):
        name = session_name(subject, session)
        images = anatomy_of(session)
        if images:
            read = partial(_read_session, tuple(images), tuple(_derived_masks(subject, session)), name)
            found.append(FoundCase(name, read))
    return found or None


def sessions_in(folder: Folder) -> list[tuple[Path, Path]]:
    """Return subject and session of each session in a folder, which may be a part of a data set."""
    path = folder.path
    if path.name == "anat" and path.parent.name.startswith(("sub-", "ses-")):
        path = path.parent
    if path.name.startswith("ses-") and path.parent.name.startswith("sub-"):
        return [(path.parent, path)]
    subjects = [path] if path.name.startswith("sub-") else _subjects(folder)
    return [(subject, session) for subject in subjects for session in _sessions(subject)]


def session_name(subject: Path, session: Path) -> str:
    """Return ``sub-01_ses-pre``, or ``sub-01`` where there are no sessions."""
    return subject.name if session == subject else f"{subject.name}_{session.name}"


def _subjects(folder: Folder) -> list[Path]:
    found = [inner for inner in folder.folders if inner.name.startswith("sub-")]
    raw = next((inner for inner in folder.folders if inner.name == _RAW), None)
    return _subjects(Folder.of(raw)) if raw and not found else found


def _sessions(subject: Path) -> list[Path]:
    return [inner for inner in Folder.of(subject).folders if inner.name.startswith("ses-")] or [subject]


def anatomy_of(session: Path) -> list[Path]:
    """Return the files of ``anat``, or those of the session itself, whose names follow BIDS."""
    inside = Folder.of(session)
    anatomy = next((Folder.of(d) for d in inside.folders if d.name == "anat"), inside)
    named = (path for path in anatomy.nifti if path.name.startswith("sub-"))
    return [path for path in named if not stem(path).endswith("_probseg")]


def _derived_masks(subject: Path, session: Path) -> list[Path]:
    """Return the tumour and brain masks that pipelines made for a session, in its own space."""
    inside = session.relative_to(subject.parent)
    places = (place / inside for place in _pipelines(subject.parent))
    files = (path for place in places if place.is_dir() for path in nifti_below(place))
    return [p for p in files if _guess(p).role in _MASK_ROLES and not _IN_ANOTHER_SPACE.search(p.name)]


def _pipelines(root: Path) -> Iterator[Path]:
    """Yield the folders of the derivatives of a data set."""
    for above in (root, root.parent) if root.name == _RAW else (root,):
        if (above / _DERIVATIVES).is_dir():
            yield above / _DERIVATIVES
            yield from Folder.of(above / _DERIVATIVES).folders


def _guess(path: Path) -> RoleGuess:
    """Return the role that a name states; an atlas is neither brain nor tumour."""
    return RoleGuess(Role.OTHER) if "_atlas-" in path.name else guess(stem(path))


def _read_session(images: Sequence[Path], derived: Sequence[Path], name: str) -> Case:
    files = _without_regions([*images, *derived])
    paths = [p for p in files if not (_guess(p).role is Role.TUMOUR_MASK and _is_other_anatomy(p))]
    sources = _unique_names(paths)
    # the name of a pipeline does not state the role of a file
    known = {s: _guess(s.path) for s in sources if s.name != stem(s.path)}
    return read_case(sources, name, "BIDS", known=known)


def _without_regions(paths: Sequence[Path]) -> list[Path]:
    """Return the files without masks that a segmentation's side file lists as regions of its labels."""
    of_labels = (path for path in paths if stem(path).endswith("_dseg"))
    parts = {part for path in of_labels for part in files_of_set(path) if part != path}
    return [path for path in paths if path not in parts]


def _is_other_anatomy(mask: Path) -> bool:
    """Return whether labels are those of tissues or of a parcellation, not of a tumour."""
    if names_no_tumour(mask):
        return True
    beside = (stem(path) for path in mask.parent.glob("*_probseg.nii*"))
    return stem(mask).endswith("_dseg") and any(_OF_TISSUES.search(name) for name in beside)


def _unique_names(paths: Sequence[Path]) -> list[Source]:
    """Return the files with unique names: those that pipelines share have the pipeline's name added."""
    counts = Counter(stem(path) for path in paths)
    return [Source(p, stem(p) if counts[stem(p)] < 2 else f"{stem(p)} ({_pipeline_of(p)})") for p in paths]


def _pipeline_of(path: Path) -> str:
    """Return the name of the folder that holds the subject of a file: its pipeline, or data set."""
    subject = next((folder for folder in path.parents if folder.name.startswith("sub-")), path.parent)
    return subject.parent.name
