"""Surfaces of regions and head in 3-D (marching cubes, Lewiner et al. 2003)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Surface as SurfaceLayer
from napari.utils.colormaps import Colormap
from scipy import ndimage
from skimage import measure as skmeasure

from napari_tumorseg.geometry import Affine, Array, Grid, bounding_box
from napari_tumorseg.intensity import normalise_intensity
from napari_tumorseg.regions import region_mask
from napari_tumorseg.scan import Scan, Segmentation
from napari_tumorseg.viewer.layers.colours import colour_of
from napari_tumorseg.viewer.layers.to_layers import placement
from napari_tumorseg.viewer.layers.views import view_metadata

_OPACITY = {"WT": 0.35, "TC": 0.5, "ET": 1.0}
_HEAD_OPACITY = 0.12
_HEAD_STEP = 2
_LIGHT = np.array([0.64, -0.64, 0.43])
"""Direction of the light along (Z, Y, X)."""
_SMOOTHING = 0.7
"""Sigma in voxels that removes the steps but not the shape."""


@dataclass(frozen=True, eq=False)
class Surface:
    """A closed surface.

    Attributes
    ----------
    name, colour : str
        Name and colour of the layer.
    opacity : float
        From 0 to 1.
    vertices : (N, 3) array
        Canonical voxel coordinates.
    faces : (M, 3) array of int
        Triangles.
    grid : Grid
        Grid of the voxels.
    """

    name: str
    colour: str
    opacity: float
    vertices: Affine
    faces: Array
    grid: Grid


def find_surfaces(seg: Segmentation, scan: Scan | None = None) -> list[Surface]:
    """Return the surfaces of the regions, innermost first, and of the head; run it in a thread.

    Parameters
    ----------
    seg : Segmentation
        Labels on a grid.
    scan : Scan, optional
        Scan on the same grid; the tissue of its reference image is the head.
    """
    found = [*_regions(seg)]
    if found and scan is not None and scan.grid.same_space(seg.grid):
        head = _head(scan)
        if head is not None:
            found.append(head)
    return found


def surface_layers(found: Sequence[Surface], kind: str) -> list[SurfaceLayer]:
    """Return layers for surfaces, innermost first, so that the outer ones are drawn over them."""
    return [
        SurfaceLayer(
            (each.vertices, each.faces, _lit(each)),
            name=each.name,
            colormap=Colormap(["black", each.colour], name=f"shades of {each.colour}"),
            contrast_limits=(0, 1),
            opacity=each.opacity,
            blending="translucent",
            shading="none",
            metadata=view_metadata(kind),
            **placement(each.grid),
        )
        for each in found
    ]


def _lit(surface: Surface) -> Array:
    """Return the brightness of each vertex in light from above, the front and the left.

    napari's own light does not follow the depth axis, which is turned so that left stays left.
    """
    corners = surface.vertices[surface.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(surface.vertices)
    for corner in range(3):
        np.add.at(normals, surface.faces[:, corner], across)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    towards = (normals / np.maximum(lengths, 1e-9)) @ _LIGHT
    return np.asarray(0.65 + 0.35 * towards, dtype=np.float32)


def _regions(seg: Segmentation) -> Iterator[Surface]:
    box = bounding_box(seg.labels)
    if box is None:
        return
    labels, corner = seg.labels[box], np.array([side.start for side in box])
    regions = seg.convention.regions
    for name in reversed(list(regions)):
        mask = region_mask(labels, regions[name])
        if not mask.any():
            continue
        vertices, faces = _mesh(mask)
        colour = colour_of(seg.convention.label(seg.convention.own_label(name)))
        # a single region has nothing inside to show
        opacity = _OPACITY[name] if len(regions) > 1 else 1.0
        yield Surface(f"{name} surface", colour, opacity, vertices + corner, faces, seg.grid)


def _head(scan: Scan) -> Surface | None:
    coarse = normalise_intensity(scan.reference.data)[::1, ::_HEAD_STEP, ::_HEAD_STEP]
    tissue = ndimage.binary_closing(coarse > 0, iterations=2)
    numbers, count = ndimage.label(tissue)
    if not count:
        return None
    largest = numbers == 1 + int(np.argmax(np.bincount(numbers.ravel())[1:]))
    vertices, faces = _mesh(ndimage.binary_fill_holes(largest))
    scaled = vertices * np.array([1, _HEAD_STEP, _HEAD_STEP])
    return Surface("head surface", "#B0B0B0", _HEAD_OPACITY, scaled, faces, scan.grid)


def _mesh(mask: Array) -> tuple[Affine, Array]:
    """Return vertices and faces around a mask, smoothed unless smoothing removes it."""
    padded = np.pad(mask, 3).astype(np.float32)
    smooth = ndimage.gaussian_filter(padded, _SMOOTHING)
    body: Any = smooth if smooth.max() > 0.5 else padded
    vertices, faces, _, _ = skmeasure.marching_cubes(body, 0.5)
    return np.asarray(vertices, dtype=np.float64) - 3, np.asarray(faces)
