"""Coded terms of DICOM segmentation objects for the tissues that labels stand for.

Of the segmentation types for brain lesions (DICOM PS3.16, CID 7159, 7168 and 7169); SNOMED CT where that has
the term, else the NCI Thesaurus.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from types import MappingProxyType

from napari_tumorseg.regions import (
    ABNORMALITY,
    CAVITY,
    CONVENTIONS,
    CORE,
    CYST,
    ENHANCING,
    NECROSIS,
    NON_ENHANCING,
    OEDEMA,
    TUMOUR,
    LabelConvention,
)


@dataclass(frozen=True)
class Term:
    """A coded term: value, coding scheme, meaning."""

    value: str
    scheme: str
    meaning: str


ALTERED_STRUCTURE = Term("49755003", "SCT", "Morphologically Abnormal Structure")
"""Category of every segment."""

BRAIN = Term("12738006", "SCT", "Brain")

TERMS = MappingProxyType(
    {
        TUMOUR: Term("108369006", "SCT", "Neoplasm"),
        OEDEMA: Term("79654002", "SCT", "Edema"),
        NECROSIS: Term("6574001", "SCT", "Necrosis"),
        CORE: Term("6574001", "SCT", "Necrosis"),
        ENHANCING: Term("C113842", "NCIt", "Enhancing Lesion"),
        NON_ENHANCING: Term("C81175", "NCIt", "Non-Enhancing Lesion"),
        ABNORMALITY: Term("C81175", "NCIt", "Non-Enhancing Lesion"),
        CYST: Term("367643001", "SCT", "Cyst"),
        CAVITY: Term("49755003", "SCT", "Morphologically Abnormal Structure"),
    }
)
"""Type of a segment by its tissue."""

_NEOPLASMS = ("108369006", "372087000", "14799000", "86049000", "52988006", "4147007")
"""Neoplasm, primary or secondary, lesion, mass: terms of other programs for a whole tumour."""

_PREFERRED = ("binary", "brats-2023", "brats-2015", "brats-2024", "hd-glio", "brats-ped")


def tissues_of(value: str, scheme: str) -> frozenset[str]:
    """Return the tissues that a coded type may stand for; empty if it is none of a tumour."""
    if value in _NEOPLASMS:
        return frozenset({TUMOUR})
    return frozenset(t for t, term in TERMS.items() if (term.value, term.scheme) == (value, scheme))


def labels_for(types: Collection[frozenset[str]]) -> tuple[LabelConvention, list[int]] | None:
    """Return a convention that has one label for each type of segment, and these labels in the same order.

    None if there is no such convention.
    """
    for name in _PREFERRED:
        convention = CONVENTIONS[name]
        labels = [next((x.value for x in convention.labels if x.tissue in tissues), 0) for tissues in types]
        if all(labels) and len(set(labels)) == len(labels):
            return convention, labels
    return None
