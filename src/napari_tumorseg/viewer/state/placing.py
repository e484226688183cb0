"""Masks that have the voxels of a scan but lie elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_tumorseg.viewer.layers.from_layers import PLACEMENT, grid_of, is_alike, same_voxels
from napari_tumorseg.viewer.layers.inputs import usable
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.widgets import ask

_DIFFERENCES = {
    "has another voxel size": ("units", "scale"),
    "is turned": ("rotate",),
    "is distorted": ("shear", "affine"),
    "lies elsewhere": ("translate",),
}
_LAY, _LEAVE = "lay it on {}", "save it where it lies"


def scan_beneath(mask: LabelsLayer, layers: Sequence[Layer]) -> ImageLayer | None:
    """Return the image whose voxels a drawn mask has, though it lies elsewhere; None where all is well."""
    if origin_of(mask) is not None or same_voxels(mask, layers) is not None:
        return None
    shape = np.shape(mask.data)
    alike = [x for x in layers if isinstance(x, ImageLayer) and usable(x) and _shape(x) == shape]
    if not alike or any(grid_of(image).same_space(grid_of(mask)) for image in alike):
        return None
    return next((image for image in alike if image.visible), alike[0])


def lay_on(mask: LabelsLayer, image: ImageLayer) -> None:
    """Put a mask where an image of the same shape lies."""
    for name in PLACEMENT:
        setattr(mask, name, getattr(image, name))


def differences_of(mask: LabelsLayer, image: ImageLayer) -> list[str]:
    """Return in words how the placement of a mask differs from that of an image."""
    return [
        words
        for words, names in _DIFFERENCES.items()
        if mask.ndim != image.ndim or not all(is_alike(mask, image, name) for name in names)
    ]


def settle_place(mask: LabelsLayer, layers: Sequence[Layer]) -> str:
    """Ask whether a mask that lies beside the scan of its shape shall be laid on it.

    Returns
    -------
    str
        Warning where it stays elsewhere, as a sentence; else empty.

    Raises
    ------
    CancelledError
        If the dialog is dismissed.
    """
    image = scan_beneath(mask, layers)
    if image is None:
        return ""
    lay = _LAY.format(image.name)
    differences = " and ".join(differences_of(mask, image)) or "lies elsewhere"
    question = f"{mask.name} has as many voxels as {image.name}, but {differences}."
    answer = ask.choose("Mask beside the scan", question, [lay, _LEAVE])
    if answer == lay:
        lay_on(mask, image)
        return ""
    return f"{mask.name} has the voxels of {image.name}, but was saved where it lies, not on the scan."


def _shape(image: ImageLayer) -> tuple[int, ...]:
    shape = tuple(np.shape(image.data))
    return shape[:-1] if image.rgb else shape
