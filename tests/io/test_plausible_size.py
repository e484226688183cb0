"""Sizes that no head has: no volume in mL, and the likely size is offered."""

from __future__ import annotations

from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import tifffile

from napari_tumorseg import io
from napari_tumorseg.errors import Remedy, remedy_of
from napari_tumorseg.geometry import Grid
from napari_tumorseg.io.plausible_size import plausible
from napari_tumorseg.measurement import measure
from tests.nifti_files import set_fields

SHAPE = (40, 36, 24)
MASK = np.zeros(SHAPE, np.uint8)
MASK[10:14, 10:14, 5:9] = 1


def save(path: Path, step: tuple[float, float, float], unit: str = "mm", pixdim: tuple = ()) -> Path:
    image = nib.Nifti1Image(MASK, np.eye(4))
    image.header.set_xyzt_units(unit)
    nib.save(image, path)
    rows = [[size if row == column else 0.0 for column in range(4)] for row, size in enumerate(step)]
    fields = {"sform_code": 1, "qform_code": 0, "srow_x": rows[0], "srow_y": rows[1], "srow_z": rows[2]}
    set_fields(path, **fields, pixdim=[1.0, *(pixdim or step), 1.0, 1.0, 1.0, 1.0])
    return path


@pytest.mark.parametrize(
    ("step", "unit", "likely"),
    [
        ((5, 5, 5), "meter", "5 x 5 x 5 mm"),  # mm with the unit metres
        ((0.005, 0.005, 0.006), "mm", "6 x 5 x 5 mm"),  # metres with the unit mm
        ((5, 5, 5), "micron", "5 x 5 x 5 mm"),  # mm with the unit micrometres
        ((5000, 5000, 5000), "mm", "5 x 5 x 5 mm"),
        ((0.4, 0.4, 0.3), "mm", "3 x 4 x 4 mm"),  # cm with the unit mm: 1.6 cm across
    ],
)
def test_the_likely_size_is_offered(tmp_path: Path, step: tuple, unit: str, likely: str) -> None:
    seg = io.read_mask(save(tmp_path / "x_seg.nii", step, unit), "binary")
    assert seg.grid.unit == "unknown"
    assert measure(seg).voxel_volume_mm3 is None
    (warning,) = seg.warnings
    assert f"likely the voxels are {likely}" in warning
    assert remedy_of(warning) is Remedy.STATE_SPACING


@pytest.mark.parametrize("step", [(1e9, 1e9, 1e9), (np.nan, 1, 1), (1e-9, 1e-9, 1e-9), (60, 60, 60)])
def test_where_no_size_is_likely_none_is_known(tmp_path: Path, step: tuple) -> None:
    seg = io.read_mask(save(tmp_path / "x_seg.nii", step), "binary")
    assert seg.grid.unit == "unknown"
    assert seg.warnings


@pytest.mark.parametrize(
    ("shape", "step"),
    [
        ((240, 240, 155), (1, 1, 0.05)),  # 8 mm from neck to crown
        ((240, 240, 155), (1, 0.05, 1)),
        ((30, 30, 30), (0.01, 0.01, 0.01)),
        ((240, 240, 20), (0.2, 0.2, 8)),
    ],
)
def test_each_axis_must_be_that_of_a_head(shape: tuple, step: tuple) -> None:
    grid = Grid(shape[::-1], np.diag([*step[::-1], 1.0]))
    found, warnings = plausible(grid, "x.nii")
    assert found.unit == "unknown"
    assert "volumes in mL are not known" in warnings[0]


@pytest.mark.parametrize(
    ("shape", "step"),
    [
        ((240, 240, 155), (1, 1, 1)),
        ((160, 160, 16), (1, 1, 1)),  # a part of 16 slices
        ((512, 512, 20), (0.43, 0.43, 6.5)),
        ((256, 256, 3), (0.9, 0.9, 8)),
        ((16, 16, 16), (1, 1, 1)),
        ((512, 512, 1), (0.4, 0.4, 50)),  # the distance of slices says nothing about a single one
    ],
)
def test_patches_and_thick_slices_are_left_as_they_are(shape: tuple, step: tuple) -> None:
    grid = Grid(shape[::-1], np.diag([*step[::-1], 1.0]))
    assert plausible(grid, "x.nii") == (grid, [])


@pytest.mark.parametrize(
    ("step", "unit", "volume"),
    [((1, 1, 2), "mm", 2.0), ((0.001, 0.001, 0.002), "meter", 2.0), ((1000, 1000, 2000), "micron", 2.0)],
)
def test_a_size_in_any_unit_is_right(tmp_path: Path, step: tuple, unit: str, volume: float) -> None:
    seg = io.read_mask(save(tmp_path / "x_seg.nii", step, unit), "binary")
    assert seg.grid.voxel_volume_mm3 == pytest.approx(volume)
    assert not seg.warnings


def test_an_sform_that_contradicts_pixdim(tmp_path: Path) -> None:
    path = save(tmp_path / "x_seg.nii", (1, 1, 3), pixdim=(2, 2, 4))
    seg = io.read_mask(path, "binary")
    assert seg.grid.unit == "unknown"
    assert "voxels of 3 x 1 x 1 mm, its pixdim voxels of 4 x 2 x 2 mm" in seg.warnings[0]
    stated = seg.grid.with_spacing((4, 2, 2))
    assert stated.voxel_volume_mm3 == pytest.approx(16)


def test_small_rounding_is_no_contradiction(tmp_path: Path) -> None:
    seg = io.read_mask(save(tmp_path / "x_seg.nii", (1, 1, 3), pixdim=(1.001, 0.999, 3.01)), "binary")
    assert (seg.grid.unit, seg.warnings) == ("mm", ())


def test_the_size_that_is_stated_counts(tmp_path: Path) -> None:
    save(tmp_path / "flair.nii", (0.005, 0.005, 0.006))
    scan = io.read(tmp_path / "flair.nii", roles=None, spacing=(6, 5, 5))
    assert scan.grid.voxel_volume_mm3 == pytest.approx(150)
    assert not any("mL are not known" in w for w in scan.warnings)


def test_a_mask_written_for_such_a_scan_lies_on_it(tmp_path: Path) -> None:
    source = save(tmp_path / "x_seg.nii", (0.005, 0.005, 0.006))
    seg = io.read_mask(source, "binary")
    written, _ = io.write_mask(seg, tmp_path / "out.nii")
    assert np.array_equal(nib.load(written).affine, nib.load(source).affine)
    assert np.array_equal(np.asarray(nib.load(written).dataobj), MASK)
    assert io.read_mask(written).grid.unit == "unknown"


def test_hdf5_and_tiff_are_held_to_the_same(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x_mask.h5", "w") as file:
        file["mask"] = MASK
        file["mask"].attrs["spacing_mm"] = (0.005, 0.005, 0.006)
    path = tmp_path / "y_mask.tif"
    resolution = (1 / 0.005, 1 / 0.005)
    metadata = {"axes": "ZYX", "spacing": 0.006, "unit": "mm"}
    tifffile.imwrite(path, MASK, imagej=True, resolution=resolution, metadata=metadata)
    for found in (io.read_mask(tmp_path / "x_mask.h5", "binary"), io.read_mask(path, "binary")):
        assert found.grid.unit == "unknown"
        assert any("likely the voxels are" in w for w in found.warnings)


def test_a_small_patch_is_no_whole_head(tmp_path: Path) -> None:
    image = nib.Nifti1Image(MASK[10:20, 10:20, 5:15], np.diag([0.9, 0.9, 0.9, 1.0]))
    nib.save(image, tmp_path / "p_seg.nii")
    assert io.read_mask(tmp_path / "p_seg.nii", "binary").grid.unit == "mm"
