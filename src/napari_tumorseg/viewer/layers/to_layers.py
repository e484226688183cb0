"""Scans and masks as napari layers.

Layers live in world (S, P, L) mm: axis 0 runs towards the head, 1 towards the back, 2 towards the left,
with positive `scale`. The axes are those of the grid itself, so an oblique scan is shown upright
(de-obliqued); its exact affine stays in the layer's metadata and is what gets written.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from napari.utils.colormaps import DirectLabelColormap

from napari_tumorseg.errors import GeometryError, Remedy
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.intensity import looks_stripped
from napari_tumorseg.io.case import Case, bring
from napari_tumorseg.io.resample import onto
from napari_tumorseg.regions import LabelConvention
from napari_tumorseg.scan import Image, Role, Segmentation
from napari_tumorseg.viewer.layers.colours import colour_of
from napari_tumorseg.viewer.layers.origin import BRAIN, METADATA_KEY, VIEW_KEY, Origin
from napari_tumorseg.viewer.widgets.messages import worded

LayerData = tuple[Any, dict[str, Any], str]

AXIS_LABELS = ("z", "y", "x")
_STRANGE_COLOUR = "#FF00FF"  # a label that the convention does not have must be seen, not vanish
_BRAIN_COLOUR = "#4DD0E1"
_SAMPLED_VOXELS = 500_000


def placement(grid: Grid) -> dict[str, Any]:
    """Return the layer arguments that put a canonical array where its grid says."""
    return {
        "scale": grid.spacing,
        "translate": tuple(float(v) for v in grid.directions.T @ grid.origin_spl),
        "units": ("mm" if grid.unit == "mm" else "pixel",) * 3,
        "axis_labels": AXIS_LABELS,
    }


def case_layers(case: Case) -> tuple[list[LayerData], list[str]]:
    """Return the images of a case as layers on the reference's grid, and sentences for the user.

    The reference (FLAIR where there is one) is visible and lowest, so that switching another channel on
    shows it. A channel that does not fit the others is left out, with a sentence.
    """
    images, notes = _on_one_grid(case)
    group = group_key(case)
    found = {image.name: image for image in case.images}
    layers = [
        image_layer(image, case.name, group, visible=not i, native=found.get(image.name))
        for i, image in enumerate(images)
    ]
    return layers, notes


def group_key(case: Case) -> str:
    """Return what layers of the same case share, even if its files are opened one by one."""
    folders = {str(image.source.parent) for image in case.images if image.source}
    return f"{case.name}|{folders.pop()}" if len(folders) == 1 else uuid.uuid4().hex


def labels_layer(
    segmentation: Segmentation,
    *,
    visible: bool = True,
    name: str = "",
    case: str = "",
    group: str = "",
    model: bool = False,
    images: Mapping[str, Role] | None = None,
) -> LayerData:
    """Return a mask as a Labels layer with its convention's names and colours.

    Parameters
    ----------
    segmentation : Segmentation
        The mask.
    visible : bool
        Whether it is shown at first.
    name : str
        Name of the layer; made from the mask's name if empty.
    case, group : str
        Name and key of the case it belongs to.
    model : bool
        Whether a model made it, so that corrections can be distinguished.
    images : mapping of str to Role, optional
        Of a model's result: ids of the image layers it was made from, and their roles.
    """
    title = name or segmentation.name or "mask"
    origin = Origin(
        grid=segmentation.grid,
        role=Role.TUMOUR_MASK,
        case=case or segmentation.name,
        group=group or uuid.uuid4().hex,
        name=title,
        source=segmentation.source,
        convention=segmentation.convention,
        provenance=segmentation.provenance,
        fingerprint=fingerprint(segmentation.labels) if model else None,
        images=images or {},
    )
    arguments = {
        "name": title,
        "visible": visible,
        "opacity": 0.55,
        "metadata": {METADATA_KEY: origin},
        **look(segmentation.convention),
        **placement(segmentation.grid),
    }
    return np.require(segmentation.labels, np.uint8, ["C", "W"]), arguments, "labels"


def brain_layer(mask: Array, grid: Grid, case: str, group: str) -> LayerData:
    """Return the brain mask of a case as a Labels layer, shown by its outline, to be corrected by brush."""
    name = f"{case} brain"
    arguments = {
        "name": name,
        "opacity": 0.8,
        "colormap": DirectLabelColormap(color_dict={None: _BRAIN_COLOUR, 0: "transparent", 1: _BRAIN_COLOUR}),
        "metadata": {
            METADATA_KEY: Origin(grid, Role.BRAIN_MASK, case, group, name),
            VIEW_KEY: BRAIN,
        },
        **placement(grid),
    }
    return np.require(mask, np.uint8, ["C", "W"]), arguments, "labels"


def look(convention: LabelConvention) -> dict[str, Any]:
    """Return the layer arguments that show a convention: its colours, and names keyed by label number."""
    colours: dict[int | None, str] = {None: _STRANGE_COLOUR, 0: "transparent"}
    colours |= {label.value: colour_of(label) for label in convention.labels}
    features = pd.DataFrame(
        {
            "index": [0, *(label.value for label in convention.labels)],
            "label": ["", *(label.short for label in convention.labels)],
            "name": ["background", *(label.name for label in convention.labels)],
        }
    )
    return {"colormap": DirectLabelColormap(color_dict=colours), "features": features}


def fingerprint(labels: Array) -> int:
    """Return a checksum of a mask."""
    return zlib.crc32(np.ascontiguousarray(labels, dtype=np.uint8).data)


def contrast_limits(data: Array) -> tuple[float, float]:
    """Return what to show as black and white: the bulk of what differs from the background."""
    step = max(1, int(np.ceil((data.size / _SAMPLED_VOXELS) ** (1 / 3))))
    values = np.asarray(data[::1, ::step, ::step], dtype=np.float32).ravel()
    background = float(np.nan_to_num(values[0]))
    values = values[np.isfinite(values) & (values != background)]
    if not values.size:
        return background, background + 1
    low, high = (float(v) for v in np.percentile(values, (1, 99.5)))
    low = min(low, background)
    return (low, high) if high > low else (low, low + 1)


def _on_one_grid(case: Case) -> tuple[list[Image], list[str]]:
    if not case.images:
        return [], []
    base = case.reference()
    images, notes = [base], []
    wanted = [image for image in case.images if image is not base]
    for image in (*wanted, *([case.brain_mask] if case.brain_mask else [])):
        try:
            brought = _shown_on(base, image)
        except GeometryError as error:
            notes.append(f"{image.name} is left out: {worded(error)}")
            continue
        if brought.note:
            notes.append(f"{image.name}: {brought.note}")
        images.append(brought)
    return images, notes


def _shown_on(base: Image, image: Image) -> Image:
    """Return an image on the reference's grid.

    Equal shapes with other affines are usual among the sequences of a native scan; where the skull is gone
    they are a lost header.
    """
    nearest = image.role is Role.BRAIN_MASK
    try:
        return bring(image, base, nearest=nearest)
    except GeometryError as error:
        if error.remedy is not Remedy.IGNORE_AFFINE or looks_stripped(base.data):
            raise
    data = onto(image.data, image.grid, base.grid, nearest)
    return replace(image, data=data, grid=base.grid, note=f"resampled onto the grid of {base.role}")


def image_layer(
    image: Image, case: str, group: str, visible: bool = False, native: Image | None = None
) -> LayerData:
    """Return a channel as an Image layer.

    Parameters
    ----------
    image : Image
        On the grid of the case's reference.
    case, group : str
        Name and key of its case.
    visible : bool
        Whether it is shown at first.
    native : Image, optional
        The channel as its file holds it; kept where the layer shows it resampled.
    """
    origin = Origin(
        image.grid, image.role, case, group, image.name, image.source, image.note, role_note=image.role_note
    )
    if native is not None and native.grid is not image.grid:
        origin = replace(origin, native=native)
    arguments = {
        "name": layer_name(case, image),
        "colormap": "gray",
        "contrast_limits": contrast_limits(image.data),
        "visible": visible,
        "metadata": {METADATA_KEY: origin},
        **placement(image.grid),
    }
    return image.data, arguments, "image"


def layer_name(case: str, image: Image) -> str:
    """Return ``case role`` where the role is known, else ``case name``."""
    tail = image.name if image.role is Role.OTHER else str(image.role)
    return tail if tail.startswith(case) else f"{case} {tail}"
