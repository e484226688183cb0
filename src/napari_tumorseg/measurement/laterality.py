"""Side of the mid-sagittal plane on which each region of a segmentation lies.

Left and right are the patient's own: pictures are radiological, with the patient's left on the right.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from napari_tumorseg.errors import GeometryError
from napari_tumorseg.geometry import Array, Grid, bounding_box
from napari_tumorseg.measurement.midline import Midline
from napari_tumorseg.measurement.volumes import listed
from napari_tumorseg.regions import region_mask
from napari_tumorseg.scan import Segmentation

Side = Literal["left", "right", "crosses"]

CROSSES_PERCENT = 5.0
"""A region crosses the plane if at least this share of it lies on either side."""


@dataclass(frozen=True)
class Laterality:
    """Side of a label or region.

    Attributes
    ----------
    name, title : str
        Abbreviation and full name.
    side : {"left", "right", "crosses"}
        Of the patient; at least 5 % on either side is ``"crosses"``.
    left_percent, right_percent : float
        Share of its volume on either side.
    centroid_mm : float or None
        Distance of its centre of gravity to the plane, positive on the left; None where the voxel size is
        unknown.
    confident : bool
        Whether the plane can be trusted.
    words : str
        The same as a sentence.
    """

    name: str
    title: str
    side: Side
    left_percent: float
    right_percent: float
    centroid_mm: float | None
    confident: bool
    words: str

    def to_dict(self) -> dict[str, Any]:
        """Return the sides as plain types, for JSON."""
        return asdict(self)


def laterality(seg: Segmentation, midline: Midline) -> tuple[Laterality, ...]:
    """Return the side of each label and region that is not empty.

    Parameters
    ----------
    seg : Segmentation
        Labels on a grid.
    midline : Midline
        From `find_midline` of the scan.

    Returns
    -------
    tuple of Laterality
        In the order of the table of measurements.

    Raises
    ------
    GeometryError
        If one of them has a known voxel size and the other has not.
    """
    if seg.grid.unit != midline.unit:
        raise GeometryError(
            f"{seg.name or 'the mask'} and the mid-sagittal plane are not in one unit: find the plane anew "
            "after stating a voxel size"
        )
    box = bounding_box(seg.labels)
    if box is None:
        return ()
    labels, offset = seg.labels[box], np.array([side.start for side in box])
    found = []
    for name, _, title, members in listed(seg.convention):
        mask = region_mask(labels, members)
        if mask.any():
            found.append(_row(name, title, _distances(mask, offset, seg.grid, midline), midline))
    return tuple(found)


def _distances(mask: Array, offset: Array, grid: Grid, midline: Midline) -> Array:
    return midline.distance_of_voxels(np.argwhere(mask) + offset, grid)


def _row(name: str, title: str, distances: Array, midline: Midline) -> Laterality:
    # a voxel that the plane halves counts half on either side
    tiny = 1e-6
    left = 100 * float(np.mean(np.where(np.abs(distances) < tiny, 0.5, distances > 0)))
    side: Side = "crosses" if CROSSES_PERCENT <= left <= 100 - CROSSES_PERCENT else "right"
    side = "left" if left > 100 - CROSSES_PERCENT else side
    centroid = float(distances.mean()) if midline.unit == "mm" else None
    words = _words(name, side, left, centroid, midline.confident)
    return Laterality(name, title, side, left, 100 - left, centroid, midline.confident, words)


def _words(name: str, side: Side, left: float, centroid: float | None, confident: bool) -> str:
    if side == "crosses":
        text = f"{name} crosses the mid-sagittal plane: {left:.0f} % on the patient's left, "
        text += f"{100 - left:.0f} % on the right"
    else:
        text = f"{name} lies on the patient's {side}"
    if centroid is not None:
        towards = "left" if centroid >= 0 else "right"
        text += f"; its centre is {abs(centroid):.1f} mm to the {towards} of the plane"
    return text if confident else f"{text} (uncertain: the plane is not to be trusted)"
