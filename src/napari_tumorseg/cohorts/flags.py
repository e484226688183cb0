"""Flags of a result: things worth a look before its numbers are used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from napari_tumorseg.geometry import Array, bounding_box
from napari_tumorseg.measurement import Measurements
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.scan import Role, Scan, Segmentation

NOTHING_FOUND = "no tumour found"
AT_BORDER = "touches the border"
BOTH_SIDES = "both sides"
WIDE_BAND = "wide band"
FEWER_ROLES = "fewer modalities"
POOR_REGISTRATION = "poor registration"
NO_SIZE = "voxel size unknown"
CORRECTED = "corrected by hand"
ELSEWHERE = "made elsewhere"

FLAGS: Mapping[str, str] = {
    NOTHING_FOUND: "the mask is empty",
    AT_BORDER: "the tumour reaches the edge of the volume, so a part of it may be outside",
    BOTH_SIDES: "the tumour lies on both sides of the mid-sagittal plane",
    WIDE_BAND: "the interval of the volume is wide",
    FEWER_ROLES: "a modality that the model can use is missing",
    POOR_REGISTRATION: "a sequence was left out, since its registration cannot be trusted",
    NO_SIZE: "the files store no voxel size, so there are neither mL nor mm",
    ELSEWHERE: "the mask was there before, made by another command or drawn by hand, and was only measured",
    CORRECTED: "the mask was corrected by hand, and the numbers are of the corrected one",
}
"""Flags and their meanings."""

LASTING = (NO_SIZE, FEWER_ROLES, POOR_REGISTRATION, ELSEWHERE)
"""Flags that stay when a mask is measured again without its images."""


def flags_of(
    seg: Segmentation, scan: Scan, card: ModelCard, found: Measurements, sides: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the flags of a result, in the order of `FLAGS`."""
    raised = set(_flags(seg, scan, card, found, sides))
    return tuple(flag for flag in FLAGS if flag in raised)


def _flags(
    seg: Segmentation, scan: Scan, card: ModelCard, found: Measurements, sides: Mapping[str, str]
) -> Iterator[str]:
    if not seg.labels.any():
        yield NOTHING_FOUND
    elif _at_border(seg.labels):
        yield AT_BORDER
    if "crosses" in sides.values():
        yield BOTH_SIDES
    if any((row.get("interval") or {}).get("wide") for row in found.to_dict()["rows"]):
        yield WIDE_BAND
    if missing_roles(scan, card):
        yield FEWER_ROLES
    if any(one.get("left_out") for one in scan.preparation.get("registration", ())):
        yield POOR_REGISTRATION
    if found.unit != "mm":
        yield NO_SIZE


def missing_roles(scan: Scan, card: ModelCard) -> list[Role]:
    """Return the modalities that a model can use and a scan lacks."""
    return [role for role in card.input.roles if role not in scan.roles]


def _at_border(labels: Array) -> bool:
    """Return whether labels reach an edge of the volume; an axis of one slice has none."""
    box = bounding_box(labels)
    sides = zip(box or (), labels.shape, strict=False)
    return any(n > 1 and (side.start == 0 or side.stop == n) for side, n in sides)
