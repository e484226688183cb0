"""Masks written as TIFF: one multi-page file, or a file for each slice as in the LGG data set."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import tifffile

from napari_tumorseg.geometry import Grid
from napari_tumorseg.io.atomic import atomic_path, check_target
from napari_tumorseg.regions import region_mask
from napari_tumorseg.scan import Segmentation


def write_mask(seg: Segmentation, path: Path, overwrite: bool = False) -> None:
    """Write a mask as a multi-page TIFF of 8 bits that ImageJ and napari open as a stack (axes ZYX).

    Slices run towards the head, rows towards the back, columns towards the left, whatever the order of the
    file that the scan came from. The voxel size is written where it is known; TIFF has no place for the rest
    of the geometry.
    """
    metadata: dict[str, object] = {"axes": "ZYX", "scheme": seg.convention.name}
    spacing = seg.grid.spacing_mm
    resolution = None
    if spacing is not None:
        metadata |= {"spacing": spacing[0], "unit": "mm"}
        resolution = (1 / spacing[2], 1 / spacing[1])
    labels = np.ascontiguousarray(seg.labels, dtype=np.uint8)
    with atomic_path(path, overwrite) as temporary:
        tifffile.imwrite(temporary, labels, imagej=True, resolution=resolution, metadata=metadata)


def lgg_masks(folder: Path, name: str, grid: Grid) -> list[Path]:
    """Return the files that `write_lgg` writes for a case on this grid."""
    return [folder / f"{stem}_mask.tif" for stem in _slice_names(name, grid) if stem]


def _slice_names(name: str, grid: Grid) -> Sequence[str]:
    """Return what the slices' own files are called, or NAME_N where the scan was no stack of files."""
    named = grid.file_layout.slice_names if grid.file_layout else ()
    return named or [f"{name}_{n}" for n in range(1, grid.shape[0] + 1)]


def write_lgg(seg: Segmentation, folder: Path, overwrite: bool = False) -> list[Path]:
    """Write a mask slice by slice as the LGG layout has it: ``NAME_N_mask.tif``, {0, 255}.

    A scan that was read from slices gives its masks their names and numbers, and none to a slice that was
    missing; else N counts from 1. Every label that is tumour becomes 255. Files appear only after all have
    been written.

    Raises
    ------
    OutputError
        If one of the files exists and `overwrite` is false, or the folder cannot be written to; nothing is
        written then.
    """
    tumour = region_mask(seg.labels, seg.convention.regions["WT"]).astype(np.uint8) * np.uint8(255)
    paths = lgg_masks(folder, seg.name, seg.grid)
    there = [bool(stem) for stem in _slice_names(seg.name, seg.grid)]
    for path in paths:
        check_target(path, overwrite)
    with ExitStack() as stack:
        for path, picture in zip(paths, tumour[there], strict=True):
            temporary = stack.enter_context(atomic_path(path, overwrite))
            tifffile.imwrite(temporary, picture, photometric="minisblack", metadata=None)
    return paths
