"""Tiny NIfTI files in all orientations, for tests of several modules."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from napari_tumorseg.geometry import Grid
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation

SHAPE = (5, 6, 7)  # Z, Y, X: three different lengths, lest a wrong order of axes goes unseen


def asymmetric(shape: tuple[int, ...] = SHAPE, dtype: type = np.int16) -> NDArray[np.generic]:
    """Return an array that no transposition or flip maps onto itself."""
    return (np.arange(np.prod(shape)) * 3 + 1).reshape(shape).astype(dtype)


def labels_like(shape: tuple[int, ...], values: tuple[int, ...] = (0, 1, 2, 4)) -> NDArray[np.uint8]:
    """Return labels without symmetry, on an empty background."""
    found = np.zeros(shape, np.uint8)
    found.flat[: len(values) * 2] = np.repeat(values, 2)
    return found


def orientations() -> Iterator[tuple[str, str, str]]:
    """Yield the 48 axis codes."""
    for pairs in itertools.permutations((("L", "R"), ("P", "A"), ("I", "S"))):
        yield from itertools.product(*pairs)


def affine_of(
    codes: tuple[str, str, str],
    spacing: tuple[float, float, float] = (1, 1, 1),
    tilt: float = 0,
    shear: float = 0,
) -> NDArray[np.float64]:
    """Return a voxel-to-RAS affine whose axes run (roughly) towards `codes`; angles in degrees."""
    affine = np.eye(4)
    for axis, (world, sign) in enumerate(nib.orientations.axcodes2ornt(codes)):
        affine[:3, axis] = 0
        affine[int(world), axis] = sign * spacing[axis]
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    turned = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    sheared = np.eye(3)
    sheared[0, 1] = shear
    affine[:3, :3] = sheared @ turned @ affine[:3, :3]
    affine[:3, 3] = (-11.5, 20.25, 3)
    return affine


def save_nifti(
    path: Path, array: NDArray[np.generic], affine: NDArray[np.float64] | None = None, **fields: object
) -> Path:
    """Write an array with nibabel, then set header fields to any value, sensible or not."""
    affine = affine_of(("L", "P", "S")) if affine is None else affine
    second = fields.pop("second", False)
    image = (nib.Nifti2Image if second else nib.Nifti1Image)(array, affine, dtype=array.dtype)
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    if fields:
        set_fields(path, **fields)
    return path


def set_fields(path: Path, **fields: object) -> None:
    """Overwrite header fields in a NIfTI-1 file, unchecked: ``dim``, or ``pixdim_1`` for one element."""
    import gzip

    packed = path.name.lower().endswith(".gz")
    content = path.read_bytes()
    content = gzip.decompress(content) if packed else content
    kind, size = (nib.Nifti1Header, 348) if content[:2] == b"\x5c\x01" else (nib.Nifti2Header, 540)
    header = kind(content[:size], check=False)
    for name, value in fields.items():
        base, _, index = name.rpartition("_")
        if index.isdigit():
            header[base][int(index)] = value
        else:
            header[name] = value
    content = header.binaryblock + content[size:]
    path.write_bytes(gzip.compress(content) if packed else content)


def segmentation(grid: Grid, convention: str = "brats-2021", name: str = "case") -> Segmentation:
    """Return a few labels on a grid."""
    values = (0, *sorted(CONVENTIONS[convention].values))
    return Segmentation(labels_like(grid.shape, values), grid, CONVENTIONS[convention], name)
