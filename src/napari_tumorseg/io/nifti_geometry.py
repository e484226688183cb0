"""Geometry of NIfTI headers: the affine of a file, and the header of a mask that matches it.

Damage that nibabel passes over in silence (a zero sform, a pixdim of 0) ends in a warning here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from napari_tumorseg.errors import Notice, Remedy
from napari_tumorseg.geometry import Affine, Grid, Unit
from napari_tumorseg.io.plausible_size import in_words, plausible

_VOXEL_MM = (1e-4, 1e4)
"""Voxel sizes beyond these are no sizes, but a damaged header."""

_FLAT = 1e-3
"""Volume that unit vectors along a voxel's edges span, below which the matrix is taken as damaged."""

_QUATERNION_SLACK = 1e-3
_SIZE_SLACK = 0.02
"""Share by which the voxel sizes of sform and pixdim may differ: matrices are rounded and sheared."""

_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # unknown is taken as mm, as most tools do
_GEOMETRY_FIELDS = (
    "qform_code",
    "sform_code",
    "quatern_b",
    "quatern_c",
    "quatern_d",
    "qoffset_x",
    "qoffset_y",
    "qoffset_z",
    "srow_x",
    "srow_y",
    "srow_z",
    "xyzt_units",
    "sizeof_hdr",
)

_UNIT_UNKNOWN = b"voxel size unknown"
"""Our mark in the description field of a mask whose source has no geometry."""


def grid_of(header: Any, shape: tuple[int, ...], path: Path, warnings: list[str]) -> Grid:
    """Return the grid that a header describes.

    Parameters
    ----------
    header : nibabel's NIfTI header
        Of the file.
    shape : (I, J, K)
        Of its volumes, as stored.
    path : Path
        The file, for messages.
    warnings : list of str
        Oddities of the header are added.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
        affine, unit = _affine(header, shape, path, warnings)
    if bytes(header["descrip"].tobytes()).startswith(_UNIT_UNKNOWN):
        unit = "unknown"
    fields: dict[str, Any] = {name: np.array(header[name]) for name in _GEOMETRY_FIELDS}
    fields["pixdim"] = np.array(header["pixdim"][:4])
    grid = Grid.from_file(shape, affine, unit, fields)
    contradiction = _contradiction(header, grid, path) if unit == "mm" else ""
    if contradiction:
        warnings.append(Notice(contradiction, Remedy.STATE_SPACING))
        return replace(grid, unit="unknown")
    grid, implausible = plausible(grid, path.name)
    warnings += implausible
    return grid


def _contradiction(header: Any, grid: Grid, path: Path) -> str:
    """Return a sentence if the affine's voxel sizes are not those of pixdim; empty if they agree."""
    with np.errstate(over="ignore", invalid="ignore"):
        zooms = np.asarray(header["pixdim"][1:4], dtype=float) * _mm_per_unit(header)
    assert grid.file_layout is not None
    stated = zooms[list(grid.file_layout.axis_order.axes)]
    if not _are_sizes(zooms) or np.allclose(stated, grid.spacing, rtol=_SIZE_SLACK, atol=0):
        return ""
    return (
        f"{path.name}: its sform has voxels of {in_words(grid.spacing)}, its pixdim voxels of "
        f"{in_words(stated.tolist())} (Z, Y, X), so volumes in mL are not known"
    )


def _affine(header: Any, shape: tuple[int, ...], path: Path, warnings: list[str]) -> tuple[Affine, Unit]:
    """Choose the affine, in mm: a usable sform, else a usable qform, else the voxel sizes."""
    scale = _mm_per_unit(header)
    zooms = np.asarray(header["pixdim"][1:4], dtype=float) * scale
    sized = _are_sizes(zooms)
    sform, qform = _sform(header, scale), _qform(header, zooms, scale)
    has_s, has_q = int(header["sform_code"]) > 0, int(header["qform_code"]) > 0
    if has_s and sform is None:
        warnings.append(f"{path.name}: its sform is not a usable matrix and is ignored")
    if has_q and qform is None:
        warnings.append(f"{path.name}: its qform (quaternion, voxel sizes) is not usable and is ignored")
    if has_s and sform is not None:
        if has_q and qform is not None:
            _warn_of_difference(sform, qform, shape, path, warnings)
        return sform, "mm"
    if has_q and qform is not None:
        return qform, "mm"
    if not sized:
        warnings.append(f"{path.name}: the header gives no voxel size; volumes in mL are not known")
        return _plain(shape, np.ones(3)), "unknown"
    warnings.append(f"{path.name}: the header states no orientation; it is taken as left-anterior-superior")
    return _plain(shape, zooms), "mm"


def _mm_per_unit(header: Any) -> float:
    return _MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)


def _are_sizes(zooms: Affine) -> bool:
    return bool(np.all((zooms > _VOXEL_MM[0]) & (zooms < _VOXEL_MM[1])))  # false for NaN


def _sform(header: Any, scale: float) -> Affine | None:
    rows = np.array([header["srow_x"], header["srow_y"], header["srow_z"]], dtype=float) * scale
    sizes = np.linalg.norm(rows[:, :3], axis=0)
    if not np.all(np.isfinite(rows)) or not _are_sizes(sizes):
        return None
    # of unit columns, so that the unit of length does not matter
    if abs(np.linalg.det(rows[:, :3] / sizes)) < _FLAT:
        return None
    return np.vstack([rows, [0, 0, 0, 1]])


def _qform(header: Any, zooms: Affine, scale: float) -> Affine | None:
    """Return the affine of the quaternion; one that is slightly too long is shortened, as in niftilib."""
    bcd = np.array([header["quatern_b"], header["quatern_c"], header["quatern_d"]], dtype=float)
    offset = np.array([header["qoffset_x"], header["qoffset_y"], header["qoffset_z"]], dtype=float) * scale
    left = 1 - bcd @ bcd if np.all(np.abs(bcd) < 2) else -1.0  # not so for NaN
    if not _are_sizes(zooms) or not np.all(np.isfinite(offset)) or left < -_QUATERNION_SLACK:
        return None
    affine = np.eye(4)
    affine[:3, :3] = nib.quaternions.quat2mat([np.sqrt(max(left, 0.0)), *bcd]) * zooms
    if header["pixdim"][0] < 0:  # 0 counts as 1
        affine[:3, 2] *= -1
    affine[:3, 3] = offset
    return affine


def _plain(shape: tuple[int, ...], zooms: Affine) -> Affine:
    """Return the standard's "method 1": axes towards left, anterior, superior, centred."""
    affine = np.diag([-zooms[0], zooms[1], zooms[2], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return affine


def _warn_of_difference(
    sform: Affine, qform: Affine, shape: tuple[int, ...], path: Path, warnings: list[str]
) -> None:
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    apart = np.abs((sform - qform) @ corners)[:3].max()
    if apart > 0.5 * np.linalg.norm(sform[:3, :3], axis=0).min():
        warnings.append(f"{path.name}: its qform and sform differ by up to {apart:.1f} mm; the sform is used")


def header_for(grid: Grid, shape: tuple[int, ...]) -> Any:
    """Return the header of a uint8 file of this shape, as stored, with every geometry field of its source."""
    file_layout = grid.file_layout
    fields: Mapping[str, Any] = file_layout.fields if file_layout else {}
    second = int(fields.get("sizeof_hdr", 348)) == 540 or max(shape) > np.iinfo(np.int16).max
    header = nib.Nifti2Header() if second else nib.Nifti1Header()
    size, magic = header["sizeof_hdr"].copy(), header["magic"].copy()
    header.set_data_shape(shape)
    header.set_data_dtype(np.uint8)
    if fields:
        header["pixdim"][:4] = fields["pixdim"]
        for name in _GEOMETRY_FIELDS:
            header[name] = fields[name]
    else:
        affine = file_layout.affine if file_layout else grid.affine
        header.set_sform(affine, code=1)
        header.set_qform(affine, code=0)
        header.set_xyzt_units(*(("mm", None) if grid.unit == "mm" else ("unknown", None)))
    if grid.unit == "unknown":
        header["descrip"] = _UNIT_UNKNOWN
    header["scl_slope"], header["scl_inter"] = 1, 0
    header["sizeof_hdr"], header["magic"], header["vox_offset"] = size, magic, size + 4
    return header
