"""Label conventions: what the numbers in a mask mean, which regions they form, their colours.

Conventions overlap ({1, 2, 3} fits MSD and BraTS 2023): where two fit, the user states which one it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from napari_tumorseg.errors import ChoiceNeededError, InputError, Remedy
from napari_tumorseg.geometry import Array

# Tissues that labels stand for; a conversion between conventions goes through them.
NECROSIS = "necrosis"
NON_ENHANCING = "non-enhancing"
CORE = "necrosis or non-enhancing"
OEDEMA = "oedema"
ENHANCING = "enhancing"
CYST = "cystic"
CAVITY = "resection cavity"
ABNORMALITY = "non-enhancing abnormality"
"""Non-enhancing tumour and oedema that a convention does not distinguish."""
TUMOUR = "tumour"

COLOURS = {  # from the palette of Okabe and Ito, which colour-blind eyes can distinguish
    NECROSIS: "#D55E00",
    CORE: "#D55E00",
    NON_ENHANCING: "#CC79A7",
    OEDEMA: "#009E73",
    ENHANCING: "#56B4E9",
    CYST: "#004488",  # darker than the palette's blue, which is too close to a colour of agreement
    ABNORMALITY: "#009E73",
    CAVITY: "#F0E442",
    TUMOUR: "#E69F00",
}
"""Colour of each tissue."""

_TISSUES_OF_REGION = {
    "WT": (NECROSIS, CORE, NON_ENHANCING, CYST, OEDEMA, ENHANCING, ABNORMALITY, TUMOUR),
    "TC": (NECROSIS, CORE, NON_ENHANCING, CYST, ENHANCING),
    "ET": (ENHANCING,),
}

REGION_NAMES = MappingProxyType({"WT": "whole tumour", "TC": "tumour core", "ET": "enhancing tumour"})
"""The regions of the BraTS challenge, from the outermost inwards."""


@dataclass(frozen=True)
class Label:
    """One number of a convention.

    Attributes
    ----------
    value : int
        The number in the mask.
    short, name : str
        Abbreviation and full name.
    tissue : str
        What it stands for, common to all conventions.
    """

    value: int
    short: str
    name: str
    tissue: str

    @property
    def colour(self) -> str:
        """Colour as ``#RRGGBB``."""
        return COLOURS[self.tissue]


@dataclass(frozen=True)
class LabelConvention:
    """Meaning of the labels in a mask.

    Attributes
    ----------
    name : str
        Identifier, as used by ``--labels`` and side files.
    title : str
        For people.
    labels : tuple of Label
        All labels but background (0).
    """

    name: str
    title: str
    labels: tuple[Label, ...]

    @property
    def values(self) -> frozenset[int]:
        """The label numbers."""
        return frozenset(label.value for label in self.labels)

    @property
    def regions(self) -> Mapping[str, tuple[int, ...]]:
        """Label numbers of each region that the convention distinguishes, from the outermost inwards."""
        found = {}
        hidden = {"TC"} if any(label.tissue == ABNORMALITY for label in self.labels) else set()
        for region, tissues in _TISSUES_OF_REGION.items():
            if region in hidden:  # the abnormality holds a part of the core
                continue
            members = tuple(label.value for label in self.labels if label.tissue in tissues)
            if members:
                found[region] = members
        return found

    def label(self, value: int) -> Label:
        """Return the label with this number.

        Raises
        ------
        KeyError
            If the convention has no such label.
        """
        for label in self.labels:
            if label.value == value:
                return label
        raise KeyError(value)

    def own_label(self, region: str) -> int:
        """Return the label that a voxel gets which is in `region` but in no region inside it."""
        names = list(self.regions)
        inner = {value for name in names[names.index(region) + 1 :] for value in self.regions[name]}
        return next((v for v in self.regions[region] if v not in inner), self.regions[region][0])


def _convention(name: str, title: str, *labels: tuple[int, str, str, str]) -> LabelConvention:
    return LabelConvention(name, title, tuple(Label(*label) for label in labels))


# The papers cited here and below describe the data set or tool. The numbers of brats-ped and hd-glio, and the
# aliases, were not compared with files of these data sets; check them with one before they are changed.
CONVENTIONS: Mapping[str, LabelConvention] = MappingProxyType(
    {
        convention.name: convention
        for convention in (
            _convention("binary", "tumour / no tumour", (1, "WT", "whole tumour", TUMOUR)),
            _convention(
                "brats-2015",
                "BraTS 2012-2016",
                (1, "NCR", "necrosis", NECROSIS),
                (2, "ED", "oedema", OEDEMA),
                (3, "NET", "non-enhancing tumour", NON_ENHANCING),
                (4, "ET", "enhancing tumour", ENHANCING),
            ),
            _convention(
                "brats-2021",
                "BraTS 2017-2021",
                (1, "NCR/NET", "necrotic and non-enhancing core", CORE),
                (2, "ED", "oedema", OEDEMA),
                (4, "ET", "enhancing tumour", ENHANCING),
            ),
            _convention(
                "brats-2023",
                "BraTS 2023",
                (1, "NCR", "necrotic and non-enhancing core", CORE),
                (2, "ED", "oedema", OEDEMA),
                (3, "ET", "enhancing tumour", ENHANCING),
            ),
            _convention(
                "brats-2024",
                "BraTS 2024 GLI (after treatment)",
                (1, "NETC", "non-enhancing tumour core", CORE),
                (2, "SNFH", "surrounding FLAIR hyperintensity", OEDEMA),
                (3, "ET", "enhancing tumour", ENHANCING),
                (4, "RC", "resection cavity", CAVITY),
            ),
            _convention(
                "msd",
                "Medical Segmentation Decathlon Task01",
                (1, "ED", "oedema", OEDEMA),
                (2, "NET", "non-enhancing tumour", CORE),
                (3, "ET", "enhancing tumour", ENHANCING),
            ),
            _convention(  # data set: Fathi Kazerooni et al. 2024, arXiv:2404.15009
                "brats-ped",
                "BraTS-PEDs 2024",
                (1, "ET", "enhancing tumour", ENHANCING),
                (2, "NET", "non-enhancing tumour", NON_ENHANCING),
                (3, "CC", "cystic component", CYST),
                (4, "ED", "oedema", OEDEMA),
            ),
            _convention(  # tool: Kickingereder et al. 2019, doi:10.1016/S1470-2045(19)30098-1
                "hd-glio",
                "HD-GLIO",
                (1, "NE", "non-enhancing T2/FLAIR abnormality, oedema included", ABNORMALITY),
                (2, "ET", "enhancing tumour", ENHANCING),
            ),
        )
    }
)
"""The conventions known by name; the table in the user guide is made from them."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "ucsf-pdgm": "brats-2021",  # Calabrese et al. 2022, doi:10.1148/ryai.220058
        "brats-goat": "brats-2023",  # BraTS 2024 generalizability across tumours
        "brats-men": "brats-2023",  # LaBella et al. 2023, arXiv:2305.07642
        "brats-men-rt": "binary",  # LaBella et al. 2024, arXiv:2405.18383: the gross tumour volume
        "brats-mets": "brats-2024",  # Moawad et al. 2023, arXiv:2306.00838; with a cavity from 2025
    }
)
"""Further names of conventions, for data sets that use the numbers of another one."""


def conventions_for(values: Iterable[int]) -> list[LabelConvention]:
    """Return the conventions whose labels include all of `values` (0 is background)."""
    wanted = set(values) - {0}
    return [convention for convention in CONVENTIONS.values() if wanted <= convention.values]


def decide_convention(
    values: Iterable[int], where: str, among: Sequence[str] = tuple(CONVENTIONS)
) -> LabelConvention:
    """Return the one convention that fits the labels found in a mask.

    A mask that holds nothing but 1 is taken as binary. Where several conventions fit, none is taken.

    Parameters
    ----------
    values : iterable of int
        Labels found.
    where : str
        The file, for the message.
    among : sequence of str
        Names of the conventions that come into question, where the file's name shows its data set.

    Raises
    ------
    ChoiceNeededError
        If several conventions fit.
    InputError
        If none does.
    """
    found = sorted({int(v) for v in values} - {0})
    if not found or (found == [1] and "binary" in among):
        return CONVENTIONS["binary"]
    fitting = [c for c in conventions_for(found) if c.name in among and c.name != "binary"]
    if not fitting:
        raise InputError(f"{where} holds the labels {found}, which fit none of {', '.join(among)}")
    if len(fitting) > 1:
        names = [s.name for s in fitting]
        raise ChoiceNeededError(
            f"{where} holds the labels {found}, which fit several conventions ({', '.join(names)})",
            names,
            Remedy.STATE_LABELS,
        )
    return fitting[0]


def region_mask(labels: Array, members: Iterable[int]) -> Array:
    """Return where `labels` is one of `members`, by a lookup table (labels are uint8)."""
    table = np.zeros(256, dtype=bool)
    table[list(members)] = True
    return np.asarray(table[labels])


def convert(labels: Array, source: LabelConvention, target: LabelConvention) -> Array:
    """Return a mask in another convention; tissues that the target lumps together are merged.

    Parameters
    ----------
    labels : array of uint8
        A mask in `source`.
    source, target : LabelConvention
        What the numbers mean and shall mean.

    Raises
    ------
    InputError
        If a label is not in the source, or the target has none for its tissue.
    """
    by_tissue = {label.tissue: label.value for label in target.labels}
    table = np.zeros(256, dtype=np.uint8)
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=256)[:256])
    for value in present[present > 0]:
        if value not in source.values:
            raise InputError(f"the convention {source.name} has no label {value}")
        label = source.label(int(value))
        goal = next((by_tissue[t] for t in _stand_ins(label.tissue) if t in by_tissue), None)
        if goal is None:
            raise InputError(f"the convention {target.name} has no label for {label.name} ({source.name})")
        table[value] = goal
    return np.asarray(table[labels])


def check_conversion(source: LabelConvention, target: LabelConvention) -> None:
    """Raise an InputError if some label of a convention can never be written in another one.

    A resection cavity is no reason: most masks have none.
    """
    values = [label.value for label in source.labels if label.tissue != CAVITY]
    convert(np.array(values, np.uint8), source, target)


def _stand_ins(tissue: str) -> tuple[str, ...]:
    """Return tissues that may stand for `tissue`, the closest first."""
    core = {
        NECROSIS: (NECROSIS, CORE, NON_ENHANCING),
        NON_ENHANCING: (NON_ENHANCING, CORE),
        CORE: (CORE, NECROSIS, NON_ENHANCING),
        CYST: (CYST, CORE, NECROSIS),
    }
    if tissue == CAVITY:
        return (CAVITY,)
    lumped = () if tissue == ENHANCING else (ABNORMALITY,)
    return (*core.get(tissue, (tissue,)), *lumped, TUMOUR)
