"""Map of the voxels in which two segmentations agree or differ."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from napari_tumorseg.errors import GeometryError, InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.regions import region_mask
from napari_tumorseg.scan import Segmentation

BOTH, ONLY_A, ONLY_B = 1, 2, 3

AGREEMENT_NAMES: Mapping[int, str] = MappingProxyType({BOTH: "both", ONLY_A: "only A", ONLY_B: "only B"})
"""Meaning of the values of an `agreement_map`; A is the segmentation, B the reference."""

AGREEMENT_COLOURS: Mapping[int, str] = MappingProxyType(
    {BOTH: "#FFFFFF", ONLY_A: "#B01060", ONLY_B: "#7070D8"}
)
"""Their colours as ``#RRGGBB``.

At least 20 (CIEDE2000) from every label colour, and from each other for colour-blind people, too.
"""


def agreement_map(seg: Segmentation, reference: Segmentation, region: str = "WT") -> Array:
    """Return the voxels in which two segmentations agree on a region, or differ.

    Parameters
    ----------
    seg, reference : Segmentation
        A and B; their conventions may differ.
    region : str
        A region that both conventions have: ``"WT"``, ``"TC"`` or ``"ET"``.

    Returns
    -------
    (Z, Y, X) array of uint8
        0 in neither, 1 in both, 2 only in A, 3 only in B.

    Raises
    ------
    GeometryError
        If they do not have the same voxels at the same places.
    InputError
        If a convention has no such region.
    """
    if not seg.grid.same_space(reference.grid):
        raise GeometryError(
            f"the segmentation {seg.name} {seg.grid.shape} cannot be laid over the reference "
            f"{reference.name} {reference.grid.shape}: they do not have the same voxels at the same places"
        )
    ours, theirs = _mask(seg, region), _mask(reference, region)
    table = np.array([0, ONLY_A, ONLY_B, BOTH], dtype=np.uint8)
    return np.asarray(table[ours + 2 * theirs.astype(np.uint8)])


def _mask(seg: Segmentation, region: str) -> Array:
    regions = seg.convention.regions
    if region not in regions:
        name = seg.name or "a mask"
        raise InputError(
            f"{name} ({seg.convention.name}) has no region {region!r}; it has {', '.join(regions)}"
        )
    return region_mask(seg.labels, regions[region])
