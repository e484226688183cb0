"""Outline of the lesions whose diameters are measured: enhancing tumour with or without enclosed necrosis."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, cast

import numpy as np
from scipy import ndimage

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.regions import LabelConvention, region_mask

Outline = Literal["enhancing-only", "with-necrosis"]

OUTLINES: Mapping[Outline, str] = MappingProxyType(
    {
        "enhancing-only": "enhancing tumour only",
        "with-necrosis": "enhancing tumour with the necrosis it encloses",
    }
)
"""Outlines of enhancing lesions, with their titles."""


def checked_outline(name: str) -> Outline:
    """Return the outline of this name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in OUTLINES:
        raise InputError(f"the outline of diameters is {' or '.join(OUTLINES)}, not {name!r}")
    return cast(Outline, name)


def lesion_mask(labels: Array, convention: LabelConvention, region: str, outline: Outline) -> Array:
    """Return the mask whose components are the lesions.

    Parameters
    ----------
    labels : (Z, Y, X) array of uint8
        A mask in the convention.
    convention : LabelConvention
        Meaning of the labels.
    region : str
        Region of the convention.
    outline : {"enhancing-only", "with-necrosis"}
        The latter adds to ET the necrotic and non-enhancing core (TC without ET) that it surrounds on the
        axial slice. All other labels that it surrounds, a resection cavity included, stay outside.
    """
    mask = region_mask(labels, convention.regions[region])
    if region != "ET" or outline == "enhancing-only":
        return mask
    core = set(convention.regions.get("TC", ())) - set(convention.regions["ET"])
    enclosed = np.array([ndimage.binary_fill_holes(plane) for plane in mask]) & region_mask(labels, core)
    return np.asarray(mask | enclosed)
