"""Label conventions: what the numbers in a mask mean, which regions they form, their colours.

Conventions overlap ({1, 2, 3} fits MSD and BraTS 2023): where two fit, the user states which one it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
CAVITY = "resection cavity"
TUMOUR = "tumour"

# From the palette of Okabe and Ito, made to be told apart by colour-blind eyes
_COLOURS = {
    NECROSIS: "#D55E00",
    CORE: "#D55E00",
    NON_ENHANCING: "#CC79A7",
    OEDEMA: "#009E73",
    ENHANCING: "#56B4E9",
    CAVITY: "#F0E442",
    TUMOUR: "#E69F00",
}

_TISSUES_OF_REGION = {
    "WT": (NECROSIS, CORE, NON_ENHANCING, OEDEMA, ENHANCING, TUMOUR),
    "TC": (NECROSIS, CORE, NON_ENHANCING, ENHANCING),
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
        return _COLOURS[self.tissue]


@dataclass(frozen=True)
class LabelConvention:
    """What the labels of a mask mean.

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
        """Label numbers of each region that the convention can tell, from the outermost inwards."""
        found = {}
        for region, tissues in _TISSUES_OF_REGION.items():
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
        )
    }
)
"""The conventions known by name; the table in the user guide is made from them."""


def get_convention(name: str) -> LabelConvention:
    """Return the convention of this name.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        return CONVENTIONS[name.lower()]
    except KeyError:
        raise InputError(
            f"there is no label convention {name!r}; there are {', '.join(CONVENTIONS)}"
        ) from None


def conventions_for(values: Iterable[int]) -> list[LabelConvention]:
    """Return the conventions whose labels include all of `values` (0 is background)."""
    wanted = set(values) - {0}
    return [convention for convention in CONVENTIONS.values() if wanted <= convention.values]


def decide_convention(values: Iterable[int], where: str) -> LabelConvention:
    """Return the one convention that fits the labels found in a mask.

    A mask that holds nothing but 1 is taken as binary. Where several conventions fit, none is taken.

    Parameters
    ----------
    values : iterable of int
        Labels found.
    where : str
        The file, for the message.

    Raises
    ------
    ChoiceNeededError
        If several conventions fit.
    InputError
        If none does.
    """
    found = sorted({int(v) for v in values} - {0})
    if not set(found) - {1}:
        return CONVENTIONS["binary"]
    fitting = [s for s in conventions_for(found) if s.name != "binary"]
    if not fitting:
        raise InputError(
            f"{where} holds the labels {found}, which fit none of the conventions {', '.join(CONVENTIONS)}"
        )
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


def _stand_ins(tissue: str) -> tuple[str, ...]:
    """Return tissues that may stand for `tissue`, the closest first."""
    core = {NECROSIS: (NECROSIS, CORE), NON_ENHANCING: (NON_ENHANCING, CORE), CORE: (CORE, NECROSIS)}
    fallback = () if tissue == CAVITY else (TUMOUR,)
    return (*core.get(tissue, (tissue,)), *fallback)
