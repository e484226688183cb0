"""Files of a mask and its scan, by which the journal of its edits is found again.

A journal holds no path, since folders can name patients: a file is identified by a hash of its path.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_tumorseg.report.tables import jsonable
from napari_tumorseg.session import Unfinished
from napari_tumorseg.viewer.layers.inputs import images_of
from napari_tumorseg.viewer.layers.origin import CONVENTION_KEY, origin_of, source_of
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask


def about(mask: TrackedMask, layers: Iterable[Layer]) -> dict[str, Any]:
    """Return the description of a mask in its journal, by which its edits are offered and restored."""
    origin = origin_of(mask.layer)
    return {
        "layer": mask.layer.name,
        "case": origin.case if origin else mask.layer.name,
        "name": origin.name if origin else mask.layer.name,
        "files": files_of(mask.layer, layers),
        "source": _hash(origin.source) if origin and origin.source else None,
        "named": mask.layer.metadata.get(CONVENTION_KEY),
        "scheme": mask.convention.name if mask.convention else None,
        "provenance": jsonable(dict(origin.provenance)) if origin else {},
        "fingerprint": origin.fingerprint if origin else None,
        "at_first": {str(value): voxels for value, voxels in mask.edits.at_first.items()},
    }


def files_of(mask: LabelsLayer, layers: Iterable[Layer]) -> list[str]:
    """Return hashes of the mask's file and those of its case; the name of the layer where there are none."""
    origin = origin_of(mask)
    layers = list(layers)
    beside = [layer for layer in layers if (o := origin_of(layer)) and origin and o.group == origin.group]
    made_from = images_of(mask, layers)
    images = made_from.layers if made_from else ()
    lying_on = [layer for layer in layers if not origin and _alike(layer, mask)]
    found = [file for layer in (mask, *beside, *images, *lying_on) if (file := file_of(layer))]
    return list(dict.fromkeys(found)) or [f"layer {mask.name}"]


def file_of(layer: Layer) -> str:
    """Return a hash of the path of the file that a layer comes from, empty where it comes from none."""
    source = source_of(layer)
    return _hash(source) if source else ""


def source_among(wanted: str | None, layers: Iterable[Layer]) -> Path | None:
    """Return the file whose hash a journal holds, if an open layer comes from it."""
    sources = (source for layer in layers if (source := source_of(layer)) is not None)
    return next((source for source in sources if wanted and _hash(source) == wanted), None)


def _hash(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()


def place_of(one: Unfinished, layers: Sequence[Layer]) -> Layer | None:
    """Return an open layer on whose grid the edits of a journal lie, None where there is none."""
    files = set(one.about.get("files") or ())
    name = f"layer {one.about.get('layer')}"
    for layer in layers:
        if _known_as(layer) & files or (name in files and f"layer {layer.name}" == name):
            return layer
    return None


def _known_as(layer: Layer) -> set[str]:
    """Return what journals may call the file of a layer; those of earlier versions hold its path."""
    source = source_of(layer)
    return {_hash(source), str(source.resolve())} if source else set()


def _alike(one: Layer, other: Layer) -> bool:
    return np.shape(one.data) == np.shape(other.data) and np.allclose(one.scale, other.scale)
