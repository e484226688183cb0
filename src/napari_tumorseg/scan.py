"""Scans and segmentations: images with roles on one grid, and labels with a convention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from napari_tumorseg.errors import InputError, Remedy, remedy_of
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.regions import LabelConvention, convert


class Role(StrEnum):
    """Modality of an image, or another purpose that it serves."""

    T1 = "t1"
    T1C = "t1c"
    T2 = "t2"
    FLAIR = "flair"
    BRAIN_MASK = "brain mask"
    TUMOUR_MASK = "tumour mask"
    OTHER = "other"

    @property
    def title(self) -> str:  # type: ignore[override]  # a role is never a text to be put in title case
        """Name as people write it: T1, T1c, T2, FLAIR; the value itself for what is no modality."""
        return "T1c" if self is Role.T1C else self.upper() if self in MODALITIES else self.value


MODALITIES = (Role.T1, Role.T1C, Role.T2, Role.FLAIR)
"""The roles that a network can take as input."""


@dataclass(frozen=True, eq=False)
class Image:
    """One channel: an array on a grid of its own.

    Attributes
    ----------
    name : str
        For people; the file's stem where there is one.
    role : Role
        What it is taken to be.
    data : (Z, Y, X) array
        Canonical; a view of the file's array in its own type where that can be.
    grid : Grid
        Where it lies.
    source : Path or None
        The file.
    note : str
        What was done to it that a user should know, such as having been resampled; else empty.
    role_note : str
        The contested word of its name that its role rests on; else empty.
    """

    name: str
    role: Role
    data: Array
    grid: Grid
    source: Path | None = None
    note: str = ""
    role_note: str = ""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Labels on a grid, what they mean, and where they come from.

    Attributes
    ----------
    labels : (Z, Y, X) array of uint8
        Canonical; 0 is background.
    grid : Grid
        Where it lies; its file layout shows how the source of the scan held its array.
    convention : LabelConvention
        What the numbers mean.
    name : str
        Case or file name.
    source : Path or None
        The file it was read from.
    provenance : mapping
        Model, settings, versions, hashes of the inputs: what the JSON beside a saved mask holds.
    probabilities : mapping of str to array, optional
        Per region or output, uint8 (255 = 1.0) in `probability_box`; only where asked for.
    probability_box : tuple of slice, optional
        Where the probability arrays lie in the grid.
    warnings : tuple of str
        What a user should know about the file it was read from, one sentence each.
    disagreement : array of uint8, optional
        In `probability_box`, between the members of an ensemble: 255 for the most it can be.
    """

    labels: Array
    grid: Grid
    convention: LabelConvention
    name: str = ""
    source: Path | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    probabilities: Mapping[str, Array] = field(default_factory=dict)
    probability_box: tuple[slice, ...] | None = None
    warnings: tuple[str, ...] = ()
    disagreement: Array | None = None

    def probability_map(self, name: str) -> Array:
        """Return the probabilities of an output on the whole grid, uint8 (255 = 1.0), 0 outside the box."""
        found = np.zeros(self.grid.shape, np.uint8)
        found[self.probability_box or ()] = self.probabilities[name]
        return found

    def with_spacing(self, spacing: tuple[float, float, float]) -> Segmentation:
        """Return the mask with a spacing (Z, Y, X) in mm that the user states, as `Scan.with_spacing`."""
        refuse_known_spacing(self.grid, str(self.source or self.name))
        grid = self.grid.with_spacing(spacing)
        return replace(self, grid=grid, warnings=_without_spacing_notices(self.warnings))

    def in_convention(self, convention: LabelConvention) -> Segmentation:
        """Return the mask with the label numbers of another convention; its provenance says from which.

        Raises
        ------
        InputError
            If the other convention has no label for a tissue of this mask.
        """
        if convention.name == self.convention.name:
            return self
        labels = convert(self.labels, self.convention, convention)
        provenance = {**self.provenance, "converted_from": self.convention.name}
        return replace(self, labels=labels, convention=convention, provenance=provenance)


@dataclass(frozen=True, eq=False)
class Scan:
    """Channels of one case at one time, all on one grid.

    Attributes
    ----------
    case : str
        Name of the case, used for file names.
    images : tuple of Image
        The channels, all with the same grid.
    brain_mask : array of bool or None
        (Z, Y, X), where one was given.
    time_point : str
        As the folder or file names show it; else empty.
    layout : str
        What kind of file or folder it was read from, such as ``"BraTS folder"``.
    warnings : tuple of str
        What a user should know, one sentence each.
    preparation : mapping
        Steps that prepared it (brain extraction, registration) with their figures, fit for JSON; empty if
        there was none.
    """

    case: str
    images: tuple[Image, ...]
    brain_mask: Array | None = None
    time_point: str = ""
    layout: str = ""
    warnings: tuple[str, ...] = ()
    preparation: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.images:
            raise InputError(f"{self.case} has no image to segment")

    @property
    def grid(self) -> Grid:
        """The grid that all channels share: the reference's."""
        return self.images[0].grid

    @property
    def roles(self) -> Mapping[Role, Image]:
        """The images by the modality they are; the first one where a role is taken twice."""
        found: dict[Role, Image] = {}
        for image in self.images:
            if image.role in MODALITIES:
                found.setdefault(image.role, image)
        return found

    @property
    def reference(self) -> Image:
        """The image on whose own grid the scan lies."""
        return self.images[0]

    def __iter__(self) -> Iterator[Image]:
        return iter(self.images)

    def with_roles(self, roles: Mapping[str, Role]) -> Scan:
        """Return the scan with the roles of some images, by name, set anew."""
        unknown = set(roles) - {image.name for image in self.images}
        if unknown:
            names = ", ".join(image.name for image in self.images)
            raise InputError(f"{self.case} has no image {sorted(unknown)[0]!r}; it has {names}")
        images = tuple(replace(i, role=roles.get(i.name, i.role)) for i in self.images)
        return replace(self, images=images)

    def with_spacing(self, spacing: tuple[float, float, float]) -> Scan:
        """Return the scan with a spacing (Z, Y, X) in mm that the user states.

        Raises
        ------
        InputError
            If its files state one already, or it is no spacing.
        """
        refuse_known_spacing(self.grid, self.case)
        grid = self.grid.with_spacing(spacing)
        images = tuple(replace(i, grid=grid) for i in self.images)
        return replace(self, images=images, warnings=_without_spacing_notices(self.warnings))


def _without_spacing_notices(warnings: Sequence[str]) -> tuple[str, ...]:
    """Return warnings without those that ask for the voxel size, once it is stated."""
    return tuple(w for w in warnings if remedy_of(w) is not Remedy.STATE_SPACING)


def refuse_known_spacing(grid: Grid, name: str) -> None:
    """Raise if a spacing that a user states would override the one that a file states."""
    if grid.unit == "mm":
        stored = ", ".join(f"{step:.3g}" for step in grid.spacing)
        raise InputError(f"{name} stores its voxel size ({stored} mm); state one only for files that do not")
