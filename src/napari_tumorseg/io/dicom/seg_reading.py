"""DICOM segmentation objects as masks: binary, fractional and label maps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Affine, Array, Grid
from napari_tumorseg.io.case import Mask
from napari_tumorseg.io.dicom import library
from napari_tumorseg.io.dicom.facts import Header
from napari_tumorseg.io.dicom.files import shown
from napari_tumorseg.io.dicom.headers import read_data
from napari_tumorseg.io.dicom.pixels import from_frames, read_frames
from napari_tumorseg.io.dicom.seg_codes import labels_for, tissues_of
from napari_tumorseg.io.dicom.seg_painting import painted
from napari_tumorseg.io.dicom.stacks import NoVolumeError, Plane, sparse_stack
from napari_tumorseg.io.dicom.values import item, text, whole
from napari_tumorseg.io.formats import stem
from napari_tumorseg.io.label_arrays import LabelArray
from napari_tumorseg.io.limits import check_array
from napari_tumorseg.io.plausible_size import plausible
from napari_tumorseg.io.side_files import side_convention
from napari_tumorseg.regions import CONVENTIONS, LabelConvention
from napari_tumorseg.scan import Image

OWN_LABEL = "label {value} of {convention}"
"""Description of a segment that this program writes."""

MANUFACTURER = "napari-tumorseg developers"
"""Manufacturer of the objects that this program writes."""

_OWN_LABEL = re.compile(r"label (\d{1,3}) of ([\w.-]+)")
_ELEMENTS = [
    *("SegmentSequence", "SegmentationType", "MaximumFractionalValue"),
    *("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"),
]
_MOST_SEGMENTS = 255
_NEAR = 0.01
"""Share of a voxel by which a frame may lie off a slice of the scan."""


@dataclass(frozen=True)
class _Segment:
    number: int
    description: str
    tissues: frozenset[str]


def read_segmentation(header: Header, images: Sequence[Image] = ()) -> Mask:
    """Read a segmentation object as a mask.

    It lies on the grid of that image of its study whose slices its frames are; without such an image on one
    of its own, from its first to its last frame. Fractions are cut at half; where segments overlap, as
    regions inside each other do, the smallest one wins, with a warning. The convention is the one that this
    program wrote, or one that has a label for each coded type.

    Raises
    ------
    InputError
        If it is damaged or its frames lie in no grid.
    TooLargeError
        If that grid would take more than the limit.
    """
    where = shown(header.file)
    data = read_data(header.file, list(_ELEMENTS))
    with library.reading(where):
        segments = _segments(data, where)
        numbers = [_segment_of(data, n) for n in range(len(header.frames))]
    frames = _decided(read_frames(header.file, len(header.frames), header.shape), data)
    planes = [Plane(header, frame) for frame in header.frames]
    grid, slots = _grid_for(planes, images, where)
    convention, values = _meaning(segments)
    stated = side_convention(header.file.path) if not header.file.member else None
    meaning = {segment.number: value for segment, value in zip(segments, values, strict=True)}
    assert grid.file_layout is not None
    check_array(grid.file_layout.shape, np.uint8, header.file.path)
    volume, notes = painted(frames, numbers, slots, meaning, grid.file_layout.shape, where)
    labels = grid.file_layout.axis_order.apply(from_frames(volume))
    if _is_fractional(data):
        notes.append("a fractional segmentation, cut at half")
    name = stem(header.file.path) if not header.file.member else "segmentation"
    grid, implausible = plausible(grid, name)
    notes += implausible
    return Mask.of(name, LabelArray(labels, tuple(notes)), grid, convention or stated, header.file.path)


# --- meaning ---------------------------------------------------------------------------------


def _segments(data: Any, where: str) -> list[_Segment]:
    found = [
        _Segment(whole(s, "SegmentNumber") or 0, text(s, "SegmentDescription"), _tissues(s))
        for s in data.SegmentSequence
    ]
    kept = [segment for segment in found if segment.number > 0]  # 0 is the background of a label map
    if not kept or len(kept) > _MOST_SEGMENTS:
        raise InputError(f"{where} describes {len(kept)} segments, which is no mask of a tumour")
    return kept


def _tissues(segment: Any) -> frozenset[str]:
    kind = item(segment, "SegmentedPropertyTypeCodeSequence")
    return tissues_of(text(kind, "CodeValue"), text(kind, "CodingSchemeDesignator"))


def _meaning(segments: Sequence[_Segment]) -> tuple[LabelConvention | None, list[int]]:
    """Return the convention of the segments, if it is known, and the label of each."""
    own = [match for segment in segments if (match := _OWN_LABEL.fullmatch(segment.description))]
    named = {match[2] for match in own}
    if len(own) == len(segments) and len(named) == 1:
        values = [int(match[1]) for match in own]
        convention = CONVENTIONS.get(named.pop())
        possible = convention.values if convention else frozenset(range(1, _MOST_SEGMENTS + 1))
        if set(values) <= possible:
            return convention, values
    known = labels_for([segment.tissues for segment in segments])
    return known if known else (None, [min(segment.number, 255) for segment in segments])


# --- frames ----------------------------------------------------------------------------------


def _segment_of(data: Any, frame: int) -> int:
    """Return the number of the segment that a frame shows; 0 for a frame of a label map."""
    groups = data.PerFrameFunctionalGroupsSequence[frame]
    own = item(groups, "SegmentIdentificationSequence")
    shared = item(data, "SharedFunctionalGroupsSequence", "SegmentIdentificationSequence")
    return whole(own, "ReferencedSegmentNumber") or whole(shared, "ReferencedSegmentNumber") or 0


def is_own_probabilities(header: Header) -> bool:
    """Return whether a segmentation object holds probabilities that this program wrote, no mask.

    Raises
    ------
    InputError
        If it is damaged.
    """
    data = read_data(header.file, ["Manufacturer", "SegmentationType"])
    with library.reading(shown(header.file)):
        return text(data, "Manufacturer") == MANUFACTURER and _is_fractional(data)


def _is_fractional(data: Any) -> bool:
    return text(data, "SegmentationType") == "FRACTIONAL"


def _decided(frames: Array, data: Any) -> Array:
    """Return fractions as 0 or 1, other frames as they are."""
    if not _is_fractional(data):
        return frames
    return frames * 2.0 > (whole(data, "MaximumFractionalValue") or 255)


def _grid_for(planes: Sequence[Plane], images: Sequence[Image], where: str) -> tuple[Grid, list[int]]:
    """Return the grid on which frames lie, and the slice of each."""
    try:
        stack, slots = sparse_stack(planes)
    except NoVolumeError as error:
        raise InputError(f"{where} {error}") from None
    for image in images:
        layout = image.grid.file_layout
        if layout is not None and layout.shape[:2] == stack.shape[:2]:
            found = _slices_in(stack.affine, slots, layout.affine, layout.shape)
            if found is not None:
                return image.grid, found
    return Grid.from_file(stack.shape, stack.affine), slots


def _slices_in(
    own: Affine, slots: Sequence[int], scan: Affine, shape: tuple[int, int, int]
) -> list[int] | None:
    """Return the scan's slices that frames lie in; None if they do not lie in its voxels."""
    to_scan = np.linalg.inv(scan) @ own
    columns, rows = (0, shape[0] - 1), (0, shape[1] - 1)
    corners = np.array([[i, j, k, 1] for k in slots for i in columns for j in rows]).T
    found = (to_scan @ corners)[:3]
    expected = np.vstack([corners[:2], np.rint(found[2])])
    inside = found[2].min() > -0.5 and found[2].max() < shape[2] - 0.5
    if not inside or np.abs(found - expected).max() > _NEAR:
        return None
    return [int(n) for n in np.rint(found[2][:: len(columns) * len(rows)])]
