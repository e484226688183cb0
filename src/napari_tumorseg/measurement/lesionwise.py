"""Lesion-wise scores, as the BraTS challenge computes them since 2023.

Reimplemented from the description of the challenge and its evaluation (Saluja et al.,
https://github.com/rachitsaluja/BraTS-2023-Metrics).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, TypedDict

import numpy as np
from scipy import ndimage

from napari_tumorseg.errors import GeometryError
from napari_tumorseg.geometry import Affine, Array, Grid
from napari_tumorseg.measurement.confusion import Confusion
from napari_tumorseg.measurement.max_diameter import LabelledComponents, components
from napari_tumorseg.measurement.surface_distance import union_box, weighted_hd95

_CONNECTED_18 = ndimage.generate_binary_structure(3, 2)


class LesionRules(TypedDict):
    """Rules that differ between the tasks of the challenge: keyword arguments of `lesion_wise`."""

    dilation: int
    min_voxels: int


LESION_RULES: Mapping[str, LesionRules] = MappingProxyType(
    {
        "GLI": LesionRules(dilation=3, min_voxels=50),
        "MEN": LesionRules(dilation=1, min_voxels=50),
        "MET": LesionRules(dilation=1, min_voxels=2),
    }
)
"""Rules of BraTS 2023 for glioma, meningioma and metastases."""


@dataclass(frozen=True)
class Lesion:
    """A lesion of the reference and the components that were matched to it.

    Attributes
    ----------
    voxels : int
        Its size.
    found_voxels : int
        Size of all predicted components that touch its dilation; 0 if it was missed.
    components : int
        Number of those components.
    dice : float
        Of the lesion and those components.
    hd95_mm : float or None
        Of the same, weighted by area; the penalty where it was missed, None where voxel size is unknown.
    kept : bool
        Whether it is large enough to count.
    """

    voxels: int
    found_voxels: int
    components: int
    dice: float
    hd95_mm: float | None
    kept: bool


@dataclass(frozen=True)
class LesionScores:
    """Agreement of a mask with its reference, lesion by lesion.

    Attributes
    ----------
    dice, hd95_mm : float, float or None
        Means over the lesions that count and the false positives, 1 and 0 where there are none; HD95 is None
        where the voxel size is unknown.
    whole_dice, whole_hd95_mm : float, float or None
        Of all lesions taken together, HD95 weighted by area, and the penalty where one mask is empty.
    false_positives : int
        Predicted components, of any size, that touch no lesion's dilation.
    lesions : tuple of Lesion
        Lesions of the reference, including those too small to count.
    flags : tuple of str
        Empty masks, as in `Confusion`.
    """

    dice: float
    hd95_mm: float | None
    whole_dice: float
    whole_hd95_mm: float | None
    false_positives: int
    lesions: tuple[Lesion, ...]
    flags: tuple[str, ...]

    @property
    def found(self) -> int:
        """Lesions that count and were found."""
        return sum(lesion.kept and lesion.components > 0 for lesion in self.lesions)

    @property
    def missed(self) -> int:
        """Lesions that count and were missed."""
        return sum(lesion.kept and not lesion.components for lesion in self.lesions)

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain types, for JSON."""
        lists = {"lesions": [asdict(lesion) for lesion in self.lesions], "flags": list(self.flags)}
        return {**asdict(self), "found": self.found, "missed": self.missed, **lists}


def lesion_wise(
    seg_mask: Array,
    ref_mask: Array,
    grid: Grid,
    dilation: int = 3,
    min_voxels: int = 50,
    penalty_mm: float = 374.0,
) -> LesionScores:
    """Score a region lesion by lesion, as BraTS 2023 does.

    The reference is dilated (18-connected); its voxels in one 26-connected component of that are one lesion,
    compared to all of the predicted 26-connected components that touch its dilation. Scores are means
    over the lesions of more than `min_voxels` voxels and the predicted components, of any size, that touch
    none, small lesions included; these have Dice 0 and HD95 `penalty_mm`. HD95 is weighted by area
    (`weighted_hd95`).

    Parameters
    ----------
    seg_mask, ref_mask : (Z, Y, X) array of bool
        A region of the segmentation and of the reference.
    grid : Grid
        Grid of both masks.
    dilation : int
        Number of dilations of the reference.
    min_voxels : int
        Lesions up to this size are left out. (The challenge's program compares mm3: its voxels are of 1 mm3.)
    penalty_mm : float
        HD95 of a lesion that was missed, of a false positive, and of the whole if one mask is empty.

    Returns
    -------
    LesionScores
        Scores; for the rules of a task, pass ``**LESION_RULES["MET"]``.

    Raises
    ------
    GeometryError
        If a mask is not of the grid's shape.
    """
    if not seg_mask.shape == ref_mask.shape == grid.shape:
        raise GeometryError(
            f"masks of shape {seg_mask.shape} and {ref_mask.shape} are not both on a grid of {grid.shape}"
        )
    edges = union_box(seg_mask, ref_mask)
    box = tuple(slice(max(s.start - dilation, 0), s.stop + dilation) for s in edges)
    seg, ref = seg_mask[box].astype(bool), ref_mask[box].astype(bool)
    affine = grid.affine if grid.unit == "mm" else None
    matches, false_positives = _matches(seg, ref, dilation)
    lesions = tuple(_lesion(*match, affine, min_voxels, penalty_mm) for match in matches)
    dice, hd95_mm = _means(lesions, false_positives, None if affine is None else penalty_mm)
    whole, whole_hd95_mm = _compare(seg, ref, affine, penalty_mm)
    return LesionScores(dice, hd95_mm, whole.dice, whole_hd95_mm, false_positives, lesions, whole.flags)


def _matches(seg: Array, ref: Array, dilation: int) -> tuple[Iterator[tuple[Array, Array, int]], int]:
    """Return the lesions with the components matched to them, as `_matched`, and the false positives."""
    predicted, dilated = components(seg), components(_dilate(ref, dilation))
    touching = _touching(dilated, predicted)
    return _matched(ref, dilated, predicted, touching), predicted.count - np.unique(touching[1]).size


def _dilate(mask: Array, times: int) -> Array:
    # to SciPy, 0 times means until nothing changes
    return np.asarray(ndimage.binary_dilation(mask, _CONNECTED_18, times)) if times else mask


def _touching(dilated: LabelledComponents, predicted: LabelledComponents) -> tuple[Array, Array]:
    """Return the pairs of a lesion and a predicted component that touches its dilation, by number."""
    both = (dilated.numbers > 0) & (predicted.numbers > 0)
    width = predicted.count + 1
    pairs = np.unique(dilated.numbers[both].astype(np.int64) * width + predicted.numbers[both])
    return pairs // width, pairs % width


def _matched(
    ref: Array, dilated: LabelledComponents, predicted: LabelledComponents, touching: tuple[Array, Array]
) -> Iterator[tuple[Array, Array, int]]:
    """Yield each lesion, the predicted components that touch its dilation, in one box, and their number."""
    dilated_boxes = ndimage.find_objects(dilated.numbers, dilated.count)
    predicted_boxes = ndimage.find_objects(predicted.numbers, predicted.count)
    for number in range(1, dilated.count + 1):
        parts = touching[1][touching[0] == number]
        boxes = [dilated_boxes[number - 1], *(predicted_boxes[part - 1] for part in parts)]
        sides = zip(*boxes, strict=True)
        box = tuple(slice(min(s.start for s in side), max(s.stop for s in side)) for side in sides)
        wanted = np.zeros(predicted.count + 1, dtype=bool)
        wanted[parts] = True
        # a component of the dilation is the dilation of the part of the reference inside it
        yield ref[box] & (dilated.numbers[box] == number), wanted[predicted.numbers[box]], parts.size


def _lesion(
    ref: Array, seg: Array, parts: int, affine: Affine | None, min_voxels: int, penalty_mm: float
) -> Lesion:
    counts, distance = _compare(seg, ref, affine, penalty_mm)
    return Lesion(
        voxels=counts.reference_voxels,
        found_voxels=counts.voxels,
        components=parts,
        dice=counts.dice,
        hd95_mm=distance,
        kept=counts.reference_voxels > min_voxels,
    )


def _compare(
    seg: Array, ref: Array, affine: Affine | None, penalty_mm: float
) -> tuple[Confusion, float | None]:
    """Return the counts and the HD95 of two masks."""
    counts = Confusion.of(seg, ref)
    if affine is None:
        return counts, None
    if counts.voxels and counts.reference_voxels:
        return counts, weighted_hd95(seg, ref, affine)
    return counts, penalty_mm if counts.voxels or counts.reference_voxels else 0.0


def _means(
    lesions: tuple[Lesion, ...], false_positives: int, penalty_mm: float | None
) -> tuple[float, float | None]:
    """Return the mean Dice and HD95 of the lesions that count and the false positives."""
    kept = [lesion for lesion in lesions if lesion.kept]
    number = len(kept) + false_positives
    dice = sum(lesion.dice for lesion in kept) / number if number else 1.0
    if penalty_mm is None:
        return dice, None
    distances = sum(lesion.hd95_mm or 0.0 for lesion in kept) + penalty_mm * false_positives
    return dice, distances / number if number else 0.0
