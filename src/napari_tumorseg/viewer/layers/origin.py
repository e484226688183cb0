"""Origin of a layer: its role, grid and source, kept in the layer's metadata."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Layer

from napari_tumorseg.conventions import get_convention
from napari_tumorseg.geometry import Grid
from napari_tumorseg.regions import LabelConvention
from napari_tumorseg.scan import Image, Role

METADATA_KEY = "tumorseg"
"""Metadata key of a layer's `Origin`."""

CONVENTION_KEY = "tumorseg-convention"
"""Metadata key of the name of the label convention that the user chose for a layer."""

VIEW_KEY = "tumorseg-view"
"""Metadata key of layers that only show something of other layers: neither input nor mask."""

BRAIN = "brain"
"""Kind of view of a brain mask: no mask of a tumour, but an input of runs."""

PROBABILITIES_KEY = "tumorseg-evidence"
"""Metadata key of the `StoredProbabilities` of the run that made a layer."""


@dataclass(frozen=True, eq=False)
class Origin:
    """Role, grid and source of a layer of this plugin, kept in the layer's metadata.

    Attributes
    ----------
    grid : Grid
        The exact grid, affine and file layout included.
    role : Role
        Role of the image or mask.
    case : str
        Name of the case, for file names.
    group : str
        The same for all layers that belong together; else random.
    name : str
        Name of the channel or mask within the case.
    source : Path or None
        The file.
    note : str
        Remark on the voxels, such as that they were resampled.
    convention : LabelConvention or None
        Of a mask.
    provenance : mapping
        Of a model's result.
    fingerprint : int or None
        Checksum of a model's result, which shows whether it was corrected since.
    stated_spacing : bool
        Whether the voxel size was typed by the user, who can correct it, and is in no file.
    images : mapping of str to Role
        Of a model's result: the unique ids of the image layers it was made from, and their roles.
    role_note : str
        The contested word of the file's name that its role rests on; else empty.
    native : Image or None
        The image as its file holds it, where the layer shows it resampled.
    """

    grid: Grid
    role: Role
    case: str
    group: str = field(default_factory=lambda: uuid.uuid4().hex)
    name: str = ""
    source: Path | None = None
    note: str = ""
    convention: LabelConvention | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: int | None = None
    stated_spacing: bool = False
    images: Mapping[str, Role] = field(default_factory=dict)
    role_note: str = ""
    native: Image | None = None


def origin_of(layer: Layer) -> Origin | None:
    """Return the origin of a layer, or None if it is not of this plugin or was reshaped."""
    origin = layer.metadata.get(METADATA_KEY)
    if isinstance(origin, Origin) and origin.grid.shape == tuple(np.shape(layer.data)):
        return origin
    return None


def source_of(layer: Layer) -> Path | None:
    """Return the file that a layer comes from, whichever reader opened it."""
    origin = origin_of(layer)
    if origin is not None:
        return origin.source
    return Path(layer.source.path) if layer.source.path else None


def convention_of(layer: Layer) -> LabelConvention | None:
    """Return the label convention that the user chose for a layer, else the one of its origin."""
    chosen = layer.metadata.get(CONVENTION_KEY)
    if chosen:
        return get_convention(chosen)
    origin = origin_of(layer)
    return origin.convention if origin else None


def is_result(layer: Layer) -> bool:
    """Return whether a layer is the result of a model, corrected since or not."""
    origin = origin_of(layer)
    return origin is not None and origin.fingerprint is not None


def is_brain(layer: Layer) -> bool:
    """Return whether a Labels layer is the brain mask of a case, made by a preparation."""
    origin = origin_of(layer)
    return origin is not None and origin.role is Role.BRAIN_MASK and layer.metadata.get(VIEW_KEY) == BRAIN


def is_view(layer: Layer) -> bool:
    """Return whether a layer of this plugin only shows something derived from other layers."""
    return VIEW_KEY in layer.metadata
