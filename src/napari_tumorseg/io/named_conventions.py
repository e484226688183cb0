"""Label conventions known from the names of files and folders."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from napari_tumorseg.io.bids.metadata import table_convention
from napari_tumorseg.io.formats import stem
from napari_tumorseg.io.side_files import side_convention
from napari_tumorseg.io.task_description import convention_of, described_labels
from napari_tumorseg.regions import CONVENTIONS, LabelConvention

_BRATS = r"brats[-_ ]?(?:20)?(1[2-9]|2[0-9])(?!\d)"
_YEAR = re.compile(_BRATS, re.IGNORECASE)
_OFFICIAL = re.compile(_BRATS + r"\w*_\d+_seg", re.IGNORECASE)
"""A data set's own mask: ``BraTS20_Training_001_seg``; not so ``BraTS20_Training_001_nnunet_seg``."""

_OF_A_YEAR = re.compile(r"seg\w*[-_ ]" + _BRATS, re.IGNORECASE)
"""Mask made by an algorithm of a challenge: ``seg-BraTS23_1``."""

_SINCE_2023 = re.compile(r"BraTS-(GLI|SSA|MEN|METS?|GoAT)-\d+-\d+[-_]seg", re.IGNORECASE)
"""Own masks of data sets with the numbers of 2023, and a cavity as label 4 from 2024."""

_MSD = re.compile(r"BRATS_\d{3}")
"""Names of the files of the MSD's Task01."""

_DATA_SETS = (
    (r"brats[-_ ]?peds?(?![a-z])", ("brats-2023", "brats-ped")),  # the numbers changed after 2023
    (r"brats[-_ ]?men[-_ ]?rt(?![a-z])", ("binary",)),
    (r"brats[-_ ]?(gli|ssa|men|mets?)(?![a-z])", ("brats-2023", "brats-2024")),
    (r"brats[-_ ]?goat(?![a-z])", ("brats-2023",)),
    (r"ucsf[-_ ]?pdgm", ("brats-2021",)),
    (r"hd[-_ ]?glio(?!ma)", ("hd-glio",)),
)
"""Conventions that come into question for a mask of a data set, by a part of its name."""


def named_convention(path: Path, case: str, labels: np.ndarray) -> LabelConvention | None:
    """Return the label convention that a side file, a table of labels or the naming states, else None.

    The name of the case speaks only for the data set's own mask (``CASE-seg``, ``CASE_seg``), since
    other tools' masks in the same folder follow conventions of their own.
    """
    convention = side_convention(path)
    convention = convention or table_convention(path)
    if convention is not None:
        return convention
    name = stem(path)
    if path.parent.name.lower() in ("labelstr", "labelsts", "labelsval"):
        return _of_task(path)
    if "otmulticlass" in name.lower() or name.startswith("VSD."):
        return CONVENTIONS["brats-2015"]
    official = re.fullmatch(re.escape(case) + r"[-_]seg", name, re.IGNORECASE) is not None
    if official or _OFFICIAL.fullmatch(name) or _OF_A_YEAR.match(name):
        year = _YEAR.search(name)
        if year is not None:
            return _convention_of_year(int(year.group(1)))
    if _SINCE_2023.fullmatch(name):
        return CONVENTIONS["brats-2024" if (labels == 4).any() else "brats-2023"]
    candidates = named_candidates(name)
    return CONVENTIONS[candidates[0]] if len(candidates) == 1 else None


def _of_task(path: Path) -> LabelConvention | None:
    """Return the convention that a task's description states, else that of the MSD for its own names."""
    labels = described_labels(path)
    if labels:
        return convention_of(labels)
    return CONVENTIONS["msd"] if _MSD.fullmatch(stem(path)) else None


def named_candidates(name: str) -> tuple[str, ...]:
    """Return the names of the conventions that come into question for a mask of this name.

    All do, unless the name is that of a data set: no convention is offered that contradicts it.
    """
    found = (names for pattern, names in _DATA_SETS if re.search(pattern, name, re.IGNORECASE))
    return next(found, tuple(CONVENTIONS))


def _convention_of_year(year: int) -> LabelConvention:
    if year <= 16:
        return CONVENTIONS["brats-2015"]
    return CONVENTIONS["brats-2021" if year <= 22 else "brats-2023" if year == 23 else "brats-2024"]
