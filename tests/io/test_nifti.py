"""NIfTI: orientations, round trips, hostile files. Oracles: nibabel and SimpleITK."""

from __future__ import annotations

import gzip
import random
import struct
import time
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from napari_tumorseg import io
from napari_tumorseg.errors import InputError, OutputError, TooLargeError, TumorSegError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.io import nifti
from napari_tumorseg.io.formats import stem
from napari_tumorseg.io.label_arrays import decode_mask, is_labels
from napari_tumorseg.io.limits import LIMIT_VARIABLE
from tests.nifti_files import (
    affine_of,
    asymmetric,
    labels_like,
    orientations,
    save_nifti,
    segmentation,
    set_fields,
)

ALL = list(orientations())
CANONICAL = affine_of(("L", "P", "S"), (1, 1, 1))
GEOMETRY = ("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y",
            "qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units")  # fmt: skip


def write_like(source: Path, target: Path) -> np.ndarray:
    """Write a mask on the grid of a file; return its canonical labels."""
    seg = segmentation(nifti.read_file(source).grid)
    nifti.write_mask(seg, target)
    return seg.labels


def assert_same_geometry(source: Path, mask: Path) -> None:
    """Compare all that a header says about where the voxels are."""
    one, other = nib.load(source), nib.load(mask)
    assert other.shape == one.shape[:3]
    for name in GEOMETRY:
        np.testing.assert_array_equal(other.header[name], one.header[name], err_msg=name)
    np.testing.assert_array_equal(other.header["pixdim"][:4], one.header["pixdim"][:4])
    np.testing.assert_array_equal(other.affine, one.affine)


def assert_same_for_itk(source: Path, mask: Path) -> None:
    one, other = SimpleITK.ReadImage(str(source)), SimpleITK.ReadImage(str(mask))
    assert other.GetSize() == one.GetSize()
    for what in ("GetDirection", "GetOrigin", "GetSpacing"):
        assert getattr(other, what)() == getattr(one, what)()


# --- orientations ------------------------------------------------------------------------------


@pytest.mark.parametrize("codes", ALL, ids="".join)
def test_all_orientations_of_one_array(tmp_path: Path, codes: tuple[str, str, str]) -> None:
    """One array, stored in each way, is read as the same canonical volume at the same place."""
    array = asymmetric((7, 6, 5))  # X, Y, Z of an LPS file
    image = nib.Nifti1Image(array, CANONICAL, dtype=np.int16)
    step = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt(("L", "P", "S")), nib.orientations.axcodes2ornt(codes)
    )
    turned = image.as_reoriented(step)
    assert nib.aff2axcodes(turned.affine) == codes
    source, target = tmp_path / "a.nii", tmp_path / "a_seg.nii.gz"
    nib.save(turned, source)

    found = nifti.read_file(source)
    np.testing.assert_array_equal(found.channels[0], array.T)
    np.testing.assert_allclose(found.grid.affine, CANONICAL[:, [2, 1, 0, 3]], atol=1e-6)
    assert not found.warnings

    labels = write_like(source, target)
    assert_same_geometry(source, target)
    assert_same_for_itk(source, target)
    # on the source's own grid: turned back by nibabel it is the canonical mask
    back = nib.load(target).as_reoriented(
        nib.orientations.ornt_transform(
            nib.orientations.axcodes2ornt(codes), nib.orientations.axcodes2ornt(("S", "P", "L"))
        )
    )
    np.testing.assert_array_equal(np.asarray(back.dataobj), labels)


@pytest.mark.parametrize("codes", ALL[::5], ids="".join)
@pytest.mark.parametrize(
    ("spacing", "tilt"), [((1, 1, 5.5), 0), ((0.45, 0.9, 5.5), 17), ((1.2, 0.7, 3.3), -38), ((2, 1, 1), 5)]
)
def test_oblique_and_anisotropic(
    tmp_path: Path, codes: tuple[str, str, str], spacing: tuple[float, float, float], tilt: float
) -> None:
    affine = affine_of(codes, spacing, tilt)
    source = save_nifti(tmp_path / "a.nii.gz", asymmetric((7, 6, 5)), affine)
    found = nifti.read_file(source)
    data = nib.load(source)
    for index in np.ndindex(found.grid.shape):
        (file_index,) = np.argwhere(np.asarray(data.dataobj) == found.channels[0][index])
        np.testing.assert_allclose(
            found.grid.to_world(index), nib.affines.apply_affine(data.affine, file_index), atol=1e-4
        )
        if sum(index) > 4:
            break
    assert sorted(found.grid.spacing) == pytest.approx(sorted(spacing), rel=1e-5)
    write_like(source, tmp_path / "a_seg.nii")
    assert_same_geometry(source, tmp_path / "a_seg.nii")
    assert_same_for_itk(source, tmp_path / "a_seg.nii")


def test_sheared(tmp_path: Path) -> None:
    affine = affine_of(("L", "P", "S"), (1, 1, 4), tilt=10, shear=0.3)
    source = save_nifti(tmp_path / "a.nii", asymmetric((7, 6, 5)), affine)
    grid = nifti.read_file(source).grid
    assert grid.voxel_volume_mm3 == pytest.approx(4, rel=1e-5)
    assert np.prod(grid.spacing) > 4.01
    write_like(source, tmp_path / "a_seg.nii")
    assert_same_geometry(source, tmp_path / "a_seg.nii")


@pytest.mark.parametrize(("sform", "qform"), [(1, 1), (2, 0), (0, 1), (0, 3), (4, 2), (0, 0)])
def test_codes_are_those_of_the_source(tmp_path: Path, sform: int, qform: int) -> None:
    source = save_nifti(
        tmp_path / "a.nii", asymmetric((7, 6, 5)), affine_of(("R", "A", "S"), (1, 1, 2), 8),
        sform_code=sform, qform_code=qform,
    )  # fmt: skip
    found = nifti.read_file(source)
    world = found.grid.file_layout.affine  # type: ignore[union-attr]
    np.testing.assert_allclose(world, nib.load(source).affine, atol=1e-5)
    assert bool(found.warnings) == (sform == qform == 0)
    write_like(source, tmp_path / "a_seg.nii.gz")
    assert_same_geometry(source, tmp_path / "a_seg.nii.gz")
    assert_same_for_itk(source, tmp_path / "a_seg.nii.gz")


@pytest.mark.parametrize(("code", "factor"), [(0, 1), (1, 1000), (2, 1), (3, 0.001)])
@pytest.mark.parametrize("sform", [0, 1])
def test_units_of_length(tmp_path: Path, code: int, factor: float, sform: int) -> None:
    affine = affine_of(("L", "P", "S"), (1 / factor, 1 / factor, 3 / factor))
    source = save_nifti(
        tmp_path / "a.nii", asymmetric(), affine, xyzt_units=code, sform_code=sform, qform_code=1
    )
    found = nifti.read_file(source)
    assert found.grid.spacing_mm == pytest.approx((3, 1, 1))
    np.testing.assert_allclose(found.grid.to_world((0, 0, 0)), affine[:3, 3] * factor, rtol=1e-6)
    assert not found.warnings
    write_like(source, tmp_path / "a_seg.nii")
    assert_same_geometry(source, tmp_path / "a_seg.nii")


def test_a_big_endian_source(tmp_path: Path) -> None:
    source = tmp_path / "a.nii"
    image = nib.Nifti1Image(
        asymmetric(), affine_of(("R", "A", "S"), (1, 2, 3), 8), nib.Nifti1Header(endianness=">")
    )
    image.to_filename(source)
    assert source.read_bytes()[:4] == struct.pack(">i", 348)
    write_like(source, tmp_path / "a_seg.nii")
    assert_same_geometry(source, tmp_path / "a_seg.nii")
    assert_same_for_itk(source, tmp_path / "a_seg.nii")


REAL = {
    "LPS": "brats/BraTS-GLI-00001-000/BraTS-GLI-00001-000-t2f.nii.gz",
    "a header that was lost": "brats/BraTS-GLI-00001-000/seg-BraTS23_1_mapped.nii.gz",
    "RAS": "brats/MSD_BRATS_001_label.nii.gz",
    "0.88 mm": "negatives/chris_t1.nii.gz",
    "16.9 degrees": "brats/TCGA-FG-6692/native/*_fla.nii.gz",
    "5.5 degrees": "brats/TCGA-FG-6692/native/*_t1c.nii.gz",
}


@pytest.mark.parametrize("pattern", REAL.values(), ids=REAL)
def test_real_scans_and_their_masks(shared_data: Path, tmp_path: Path, pattern: str) -> None:
    (source,) = shared_data.glob(pattern)
    found = nifti.read_file(source)
    image = nib.load(source)
    assert not found.warnings
    stored = np.asarray(image.dataobj)
    np.testing.assert_array_equal(found.grid.to_file_order(found.channels[0]), stored.astype(np.float32))
    np.testing.assert_allclose(found.grid.file_layout.affine, image.affine, atol=1e-4)  # type: ignore[union-attr]
    write_like(source, tmp_path / "a_seg.nii.gz")
    assert_same_geometry(source, tmp_path / "a_seg.nii.gz")
    assert_same_for_itk(source, tmp_path / "a_seg.nii.gz")


def test_second_version(tmp_path: Path) -> None:
    affine = affine_of(("R", "A", "S"), (1 / 3, 1, 2), 8)
    source = save_nifti(tmp_path / "a.nii.gz", asymmetric(), affine, second=True)
    found = nifti.read_file(source)
    np.testing.assert_array_equal(found.grid.file_layout.affine, affine)  # type: ignore[union-attr]
    write_like(source, tmp_path / "a_seg.nii")
    assert isinstance(nib.load(tmp_path / "a_seg.nii"), nib.Nifti2Image)
    assert_same_geometry(source, tmp_path / "a_seg.nii")


def test_a_grid_too_long_for_the_first_version(tmp_path: Path) -> None:
    seg = segmentation(Grid.from_codes((2, 2, 40000), spacing=(1, 1, 1)))
    nifti.write_mask(seg, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(nifti.read_file(tmp_path / "a.nii.gz").channels[0], seg.labels)


def test_a_mask_holds_no_text_of_its_source(tmp_path: Path) -> None:
    source = save_nifti(
        tmp_path / "a.nii", asymmetric(), descrip=b"Jane Doe 1970", aux_file=b"doe.par", db_name=b"doe"
    )
    nib_image = nib.load(source)
    nib_image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Jane Doe"))
    nib.save(nib_image, tmp_path / "b.nii")
    for name in ("a.nii", "b.nii"):
        write_like(tmp_path / name, tmp_path / f"{name}_seg.nii.gz")
        packed = (tmp_path / f"{name}_seg.nii.gz").read_bytes()
        assert packed[3] == 0  # gzip holds no file name either
        assert b"oe" not in gzip.decompress(packed).rstrip(b"\0")


def test_source_without_geometry_stays_so(tmp_path: Path) -> None:
    seg = segmentation(Grid.from_codes((5, 6, 7), ("P", "R", "S")))
    nifti.write_mask(seg, tmp_path / "a.nii")
    found = nifti.read_file(tmp_path / "a.nii")
    assert found.grid.unit == "unknown"
    np.testing.assert_array_equal(found.channels[0], seg.labels)
    assert nib.aff2axcodes(nib.load(tmp_path / "a.nii").affine) == ("P", "R", "S")


def test_grid_of_no_file(tmp_path: Path) -> None:
    seg = segmentation(Grid((5, 6, 7), affine_of(("S", "P", "L"), (3, 1, 1))))
    nifti.write_mask(seg, tmp_path / "a.nii")
    found = nifti.read_file(tmp_path / "a.nii")
    np.testing.assert_array_equal(found.channels[0], seg.labels)
    assert found.grid.same_space(seg.grid)


def test_writing_replaces_only_on_request(tmp_path: Path) -> None:
    seg = segmentation(Grid.from_codes((2, 3, 4)))
    (tmp_path / "a.nii").write_bytes(b"old")
    with pytest.raises(OutputError, match="exists"):
        nifti.write_mask(seg, tmp_path / "a.nii")
    assert (tmp_path / "a.nii").read_bytes() == b"old"
    nifti.write_mask(seg, tmp_path / "a.nii", overwrite=True)
    assert nib.load(tmp_path / "a.nii").shape == (2, 3, 4)


def test_the_same_mask_is_the_same_file(tmp_path: Path) -> None:
    seg = segmentation(Grid.from_codes((5, 6, 7)))
    for name in ("a.nii.gz", "b.NII.GZ"):
        nifti.write_mask(seg, tmp_path / name)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.NII.GZ").read_bytes()


# --- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".NII.GZ"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_types_and_byte_orders(tmp_path: Path, kind: str, order: str, ending: str) -> None:
    dtype = np.dtype(order + kind)
    array = (np.arange(210) % 120).reshape(7, 6, 5).astype(dtype)
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(dtype)
    image = nib.Nifti1Image(array, CANONICAL, header)
    nib.save(image, tmp_path / f"a{ending.lower()}")
    (tmp_path / f"a{ending.lower()}").rename(tmp_path / f"x{ending}")
    (found,) = nifti.read_file(tmp_path / f"x{ending}").channels
    np.testing.assert_array_equal(found, array.T)
    assert found.dtype.isnative
    assert found.dtype.itemsize <= 4 or found.dtype.kind in "iu"


def test_plain_data_are_not_copied(tmp_path: Path) -> None:
    (found,) = nifti.read_file(save_nifti(tmp_path / "a.nii.gz", asymmetric())).channels
    assert not found.flags.owndata
    assert not found.flags.writeable


@pytest.mark.parametrize(
    ("slope", "intercept"),
    [(0.5, -3), (2, 0), (1, -1024), (-1, 10), (0, 5), (np.nan, 1), (1, 0), (3, np.nan)],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_scaled_values(tmp_path: Path, slope: float, intercept: float, dtype: type) -> None:
    array = (np.arange(210) % 120).reshape(7, 6, 5).astype(dtype)
    path = save_nifti(tmp_path / "a.nii", array, scl_slope=slope, scl_inter=intercept)
    (found,) = nifti.read_file(path).channels
    if slope == 3:  # nibabel refuses an intercept of NaN
        np.testing.assert_array_equal(found, array.T.astype(float) * 3)
    else:
        np.testing.assert_allclose(found, nib.load(path).get_fdata().T, rtol=1e-6)


def test_scaled_data_count_at_their_scaled_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_nifti(tmp_path / "a.nii", np.zeros((32, 32, 32), np.uint8), scl_slope=2)
    monkeypatch.setenv(LIMIT_VARIABLE, str(64 * 1024 / 2**30))
    with pytest.raises(TooLargeError):
        nifti.read_file(path)


@pytest.mark.parametrize(
    "dims", [(7, 6), (7,), (7, 6, 5, 1), (7, 6, 5, 1, 1), (7, 6, 5, 3), (7, 6, 5, 1, 3), (7, 6, 1, 4)]
)
def test_numbers_of_dimensions(tmp_path: Path, dims: tuple[int, ...]) -> None:
    array = asymmetric(dims)
    found = nifti.read_file(save_nifti(tmp_path / "a.nii", array))
    whole = array.reshape((*dims, 1, 1)[:3] if len(dims) < 3 else (*dims[:3], -1), order="F")
    whole = whole[..., None] if whole.ndim == 3 else whole
    assert len(found.channels) == whole.shape[3]
    for c, channel in enumerate(found.channels):
        np.testing.assert_array_equal(channel, whole[..., c].T)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_numbers(tmp_path: Path, value: float) -> None:
    array = asymmetric(dtype=np.float32)
    array.flat[3:5] = value
    found = nifti.read_file(save_nifti(tmp_path / "scan.nii", array))
    assert "scan.nii has 2 voxels that are not numbers" in found.warnings[0]


@pytest.mark.parametrize("value", [0, 7])
def test_constant_image(tmp_path: Path, value: int) -> None:
    found = nifti.read_file(save_nifti(tmp_path / "scan.nii", np.full((3, 4, 5), value, np.int16)))
    assert "scan.nii is constant" in found.warnings[0]


def test_large_float64(tmp_path: Path) -> None:
    array = asymmetric(dtype=np.float64)
    array[0, 0, 0] = 1e300
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.showwarning", lambda *a, **k: pytest.fail("a warning of NumPy"))
        found = nifti.read_file(save_nifti(tmp_path / "a.nii", array))
    assert "1 voxels that are not numbers" in found.warnings[0]


# --- geometry that is odd ----------------------------------------------------------------------


def odd(tmp_path: Path, **fields: Any) -> nifti.NiftiFile:
    affine = affine_of(("L", "P", "S"), (1, 2, 3))
    return nifti.read_file(save_nifti(tmp_path / "a.nii.gz", asymmetric((7, 6, 5)), affine, **fields))


def test_no_codes_at_all_is_method_one(tmp_path: Path) -> None:
    found = odd(tmp_path, sform_code=0, qform_code=0)
    np.testing.assert_allclose(
        found.grid.file_layout.affine,
        nib.load(tmp_path / "a.nii.gz").header.get_base_affine(),  # type: ignore[union-attr]
    )
    assert "states no orientation" in found.warnings[0]


@pytest.mark.parametrize("size", [0, np.nan, -1, np.inf, 1e30, 1e-30])
def test_voxel_size_that_is_none(tmp_path: Path, size: float) -> None:
    found = odd(tmp_path, sform_code=0, qform_code=0, pixdim_2=size)
    assert found.grid.unit == "unknown"
    assert found.grid.spacing == (1, 1, 1)
    assert "no voxel size" in found.warnings[0]
    # with a usable sform there is one all the same
    found = odd(tmp_path, sform_code=1, qform_code=0, pixdim_2=size)
    assert found.grid.spacing_mm == pytest.approx((3, 2, 1))


@pytest.mark.parametrize("row", [(0, 0, 0, 0), (np.nan, 0, 0, 0), (np.inf, 1, 0, 0), (1e30, 0, 0, 0)])
def test_sform_that_is_no_matrix(tmp_path: Path, row: tuple[float, ...]) -> None:
    found = odd(tmp_path, sform_code=1, qform_code=1, srow_x=row)
    assert any("sform is not a usable matrix" in w for w in found.warnings)
    assert found.grid.spacing_mm == pytest.approx((3, 2, 1))  # from the qform
    found = odd(tmp_path, sform_code=1, qform_code=0, srow_x=row)
    assert found.grid.spacing_mm == pytest.approx((3, 2, 1))  # from the voxel sizes
    assert len(found.warnings) == 2


def test_sform_of_zeros_written_back(tmp_path: Path) -> None:
    zero = (0, 0, 0, 0)
    odd(tmp_path, sform_code=1, qform_code=0, srow_x=zero, srow_y=zero, srow_z=zero)
    write_like(tmp_path / "a.nii.gz", tmp_path / "b.nii")
    assert_same_geometry(tmp_path / "a.nii.gz", tmp_path / "b.nii")


@pytest.mark.parametrize("value", [np.nan, 2.0, np.inf, 1e20])
def test_quaternion_that_is_none(tmp_path: Path, value: float) -> None:
    found = odd(tmp_path, sform_code=0, qform_code=1, quatern_b=value, quatern_c=1.5)
    assert "qform" in found.warnings[0]
    assert found.grid.spacing_mm == pytest.approx((3, 2, 1))


def test_quaternion_slightly_too_long(tmp_path: Path) -> None:
    """Rounding by old converters: nibabel refuses it, all others read it."""
    found = odd(tmp_path, sform_code=0, qform_code=1, quatern_b=0, quatern_c=0, quatern_d=1.00001)
    assert not found.warnings
    np.testing.assert_allclose(np.diag(found.grid.file_layout.affine)[:3], (-1, -2, 3), rtol=1e-4)  # type: ignore[union-attr]


@pytest.mark.parametrize(("qfac", "third"), [(0, 3), (1, 3), (-1, -3), (np.nan, 3)])
def test_the_sign_of_the_third_axis(tmp_path: Path, qfac: float, third: float) -> None:
    fields = {"quatern_b": 0, "quatern_c": 0, "quatern_d": 0, "pixdim_0": qfac}
    found = odd(tmp_path, sform_code=0, qform_code=1, **fields)
    np.testing.assert_allclose(np.diag(found.grid.file_layout.affine)[:3], (1, 2, third))  # type: ignore[union-attr]
    assert not found.warnings


def test_qform_and_sform_that_differ(tmp_path: Path) -> None:
    found = odd(tmp_path, sform_code=1, qform_code=1, qoffset_x=50)
    assert "differ by up to" in found.warnings[0]
    assert found.grid.file_layout.affine[0, 3] == pytest.approx(-11.5)  # type: ignore[union-attr]


# --- files that must not hurt ------------------------------------------------------------------

SMALL = np.zeros((3, 4, 5), np.int16)


def bare(**fields: Any) -> bytes:
    """Return a NIfTI-1 header with 16 bytes behind, its fields set unchecked."""
    header = nib.Nifti1Header()
    header.set_data_shape((3, 4, 5))
    header.set_data_dtype(np.int16)
    header["vox_offset"] = 352
    for name, value in fields.items():
        header[name] = value
    return bytes(header.binaryblock) + bytes(16)


def dims(*values: int) -> dict[str, np.ndarray]:
    return {"dim": np.array([*values, *([1] * 8)][:8])}


HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "text": (b"# not a scan\n" * 100, "not a NIfTI file"),
    "short": (bare()[:200], "not a NIfTI file"),
    "page of a portal": (b"<!DOCTYPE html><html>" + b" " * 999, "not a NIfTI file"),
    "no gzip behind the magic": (b"\x1f\x8b" + bytes(500), "damaged"),
    "gzip cut in the header": (gzip.compress(bare())[:40], "not a NIfTI file|damaged"),
    "gzip of nothing": (gzip.compress(b""), "is empty"),
    "headers of a pair": (bare(magic=b"ni1"), "pair"),
    "wrong magic": (bare(magic=b"xyz"), "not a NIfTI file"),
    "negative dimensions": (bare(**dims(3, -3, 4, 5)), "empty array"),
    "zero dimensions": (bare(**dims(3, 3, 0, 5)), "empty array"),
    "no dimensions": (bare(**dims(0, 3, 4, 5)), "0 dimensions"),
    "nine dimensions": (bare(**dims(9, 3, 4, 5)), "9 dimensions"),
    "minus one dimensions": (bare(**dims(-1, 3, 4, 5)), "-1 dimensions"),
    "six real dimensions": (bare(**dims(6, 3, 4, 5, 2, 2, 2)), "6 dimensions"),
    "time series": (bare(**dims(4, 3, 4, 5, 200)), "200 volumes"),
    "giant": (bare(**dims(3, 32767, 32767, 32767)) + bytes(2000), "32767 x 32767 x 32767 voxels"),
    "giant seven times": (bare(dim=np.array([7] + [32767] * 7)), "dimensions|voxels"),
    "large but allowed": (bare(**dims(3, 1200, 1200, 1200)), "truncated"),
    "offset nan": (bare(vox_offset=np.nan), "puts the voxels at byte nan"),
    "offset infinite": (bare(vox_offset=np.inf), "puts the voxels at byte inf"),
    "offset negative": (bare(vox_offset=-400), "puts the voxels"),
    "offset within the header": (bare(vox_offset=100), "puts the voxels"),
    "offset beyond the file": (bare(vox_offset=20000), "truncated"),
    "offset far beyond": (bare(vox_offset=2.0e9), "puts the voxels"),
    "truncated": (bare(), "truncated"),
    "complex": (bare(datatype=32), "complex"),
    "complex128": (bare(datatype=1792), "complex"),
    "rgb": (bare(datatype=128), "RGB"),
    "rgba": (bare(datatype=2304), "RGBA"),
    "bits": (bare(datatype=1), "1-bit"),
    "no type": (bare(datatype=0), "unknown data type 0"),
    "unknown type": (bare(datatype=77), "unknown data type 77"),
    "infinite slope": (bare(scl_slope=np.inf) + bytes(200), "infinite scale"),
    "infinite intercept": (bare(scl_slope=2, scl_inter=-np.inf) + bytes(200), "infinite scale"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize(("content", "sentence"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_end_in_one_sentence(
    tmp_path: Path, content: bytes, sentence: str, packed: bool
) -> None:
    path = tmp_path / ("scan.nii.gz" if packed else "scan.nii")
    path.write_bytes(gzip.compress(content) if packed and not content.startswith(b"\x1f\x8b") else content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=sentence) as raised:
            nifti.read_file(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * 2**20
    finally:
        tracemalloc.stop()
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_giant_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(HOSTILE["giant"][0])
    with pytest.raises(TooLargeError, match="TUMORSEG_MAX_GIB"):
        nifti.read_file(tmp_path / "a.nii")


def bomb(header: bytes, mebibytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    body = [packer.compress(header)] + [packer.compress(bytes(2**20)) for _ in range(mebibytes)]
    return b"".join([*body, packer.flush()])


def test_gzip_bomb_is_inflated_no_further_than_declared(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(bomb(bare(), 300))
    tracemalloc.start()
    found = nifti.read_file(tmp_path / "a.nii.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20
    assert found.channels[0].shape == (5, 4, 3)


def test_gzip_bomb_behind_a_far_offset(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(bomb(bare(vox_offset=250 * 2**20), 300))
    tracemalloc.start()
    with pytest.raises(InputError, match="puts the voxels"):
        nifti.read_file(tmp_path / "a.nii.gz")
    assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    tracemalloc.stop()


def test_many_empty_gzip_members(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(b"", mtime=0) * 100_000)  # 2 MB
    start = time.process_time()
    with pytest.raises(InputError, match="empty"):
        nifti.read_file(tmp_path / "a.nii.gz")
    assert time.process_time() - start < 5


@pytest.mark.parametrize("step", [1, 100, 348, 5000])
def test_gzip_members_follow_each_other(tmp_path: Path, step: int) -> None:
    array = np.random.default_rng(0).integers(0, 999, (20, 21, 22)).astype(np.int16)
    content = save_nifti(tmp_path / "a.nii", array).read_bytes()
    content, step = (content[:3000], 1) if step == 1 else (content, step)
    if step == 1:
        set_fields(tmp_path / "a.nii", dim=np.array([3, 10, 10, 10, 1, 1, 1, 1]))
        content = (tmp_path / "a.nii").read_bytes()[: 352 + 2000]
    members = [gzip.compress(content[i : i + step]) for i in range(0, len(content), step)]
    (tmp_path / "b.nii.gz").write_bytes(b"".join(members))
    (tmp_path / "c.nii").write_bytes(content)
    np.testing.assert_array_equal(
        nifti.read_file(tmp_path / "b.nii.gz").channels[0], nifti.read_file(tmp_path / "c.nii").channels[0]
    )


@pytest.mark.parametrize("behind", [b"\0" * 100, b"trailing rubbish", b"\x1f\x8b rubbish"])
def test_what_follows_the_voxels_does_not_matter(tmp_path: Path, behind: bytes) -> None:
    path = save_nifti(tmp_path / "a.nii.gz", asymmetric())
    path.write_bytes(path.read_bytes() + behind)
    try:
        (found,) = nifti.read_file(path).channels
    except InputError as error:
        assert behind.startswith(b"\x1f\x8b"), error
    else:
        np.testing.assert_array_equal(found, asymmetric().T)


def test_a_flipped_bit_in_packed_voxels_is_found(tmp_path: Path) -> None:
    path = save_nifti(
        tmp_path / "a.nii.gz", np.random.default_rng(0).integers(0, 999, (20, 21, 22)).astype(np.int16)
    )
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged|truncated"):
        nifti.read_file(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_truncated_download(tmp_path: Path, share: float) -> None:
    for name in ("a.nii", "a.nii.gz"):
        array = np.random.default_rng(0).integers(0, 999, (20, 21, 22)).astype(np.int16)
        path = save_nifti(tmp_path / name, array)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(InputError, match=f"{name} is truncated"):
            nifti.read_file(path)


def test_a_large_plain_file_is_not_read_whole(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii", SMALL)
    with path.open("r+b") as file:
        file.truncate(2**36)  # sparse: 64 GiB that take no room
    assert nifti.read_file(path).channels[0].shape == (5, 4, 3)


def test_a_large_packed_file_is_not_read_at_all(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii.gz", SMALL)
    with path.open("r+b") as file:
        file.truncate(2**36)
    with pytest.raises(TooLargeError, match="64"):
        nifti.read_file(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.nii").mkdir()
    (tmp_path / "lost.nii").symlink_to(tmp_path / "annex")
    for name in ("folder.nii", "lost.nii", "nothing.nii"):
        with pytest.raises(InputError, match=f"{name} cannot be read"):
            nifti.read_file(tmp_path / name)


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_nifti(tmp_path / "a.nii", SMALL)

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"a\.nii cannot be read: Permission denied"):
        nifti.read_file(path)


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_flipped_bytes_never_end_in_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: bool, packed: bool
) -> None:
    """Hundreds of damaged files: each is read, and a mask written for it, or refused in a sentence."""
    monkeypatch.setenv(LIMIT_VARIABLE, "0.01")
    source = save_nifti(tmp_path / "source.nii", asymmetric(), second=second)
    clean = source.read_bytes()
    if packed:
        clean = gzip.compress(clean, mtime=0)
    rng = random.Random(7)
    path, read = tmp_path / ("scan.nii.gz" if packed else "scan.nii"), 0
    for turn in range(300):
        content = bytearray(clean)
        for _ in range(rng.choice((1, 1, 2, 5))):
            # most of the voxels are of no interest
            content[rng.randrange(min(len(content), 560))] = rng.choice(
                (0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256))
            )
        path.write_bytes(content)
        try:
            found = io.open_case(path)
            seg = segmentation(found.images[0].grid) if found.images else found.masks[0].segmentation()
            io.write_mask(seg, tmp_path / f"{turn}.nii")
        except TumorSegError as error:
            assert str(error)
        else:
            read += 1
    assert packed or read > 50


FIELDS = "dim datatype pixdim vox_offset scl_slope scl_inter xyzt_units sizeof_hdr qform_code sform_code"


@pytest.mark.parametrize("field", [*FIELDS.split(), "quatern_b", "qoffset_x", "srow_x"])
def test_each_field_at_its_extremes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "0.01")
    source = save_nifti(tmp_path / "source.nii", asymmetric(dtype=np.float32))
    header = nib.Nifti1Header(source.read_bytes()[:348])
    dtype, start = header.template_dtype.fields[field][:2]
    codes = {"i4": "<i", "i2": "<h", "f4": "<f", "u1": "B"}
    code = codes[dtype.base.str[1:]]
    ends = (
        (0, 1, -1, 7, 2**15 - 1, -(2**15))
        if "f" not in code
        else (0, -1, np.nan, np.inf, -np.inf, 3e38, 1e-45)
    )
    count = int(np.prod(dtype.shape or (1,)))
    for turn, (value, place) in enumerate((v, p) for v in ends for p in range(count)):
        content = bytearray(source.read_bytes())
        value = value % 256 if code == "B" else value
        struct.pack_into(code, content, start + place * struct.calcsize(code), value)
        (tmp_path / "scan.nii").write_bytes(content)
        try:
            found = nifti.read_file(tmp_path / "scan.nii")
        except InputError:
            continue
        assert np.all(np.isfinite(found.grid.affine))
        nifti.write_mask(segmentation(found.grid), tmp_path / f"{turn}.nii")
        nib.load(tmp_path / f"{turn}.nii").get_fdata()


# --- labels ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0, 1, 2, 4], [0, 1, 2, 4]),
        ([0.0, 0.99999997, 2.0000002], [0, 1, 2]),
        ([-0.001, 1.001], [0, 1]),
        ([0, 255], [0, 1]),
        ([0.0, 255.0], [0, 1]),
        ([False, True], [0, 1]),
        ([0, 0], [0, 0]),
        ([0, 1, 255], [0, 1, 255]),
        (np.array([0, 4], ">i2"), [0, 4]),
        (np.array([0, 4], np.int64), [0, 4]),
    ],
)
def test_labels(values: Any, labels: list[int]) -> None:
    array = np.array(values)
    assert is_labels(array)
    found = decode_mask(array, "x").labels
    assert found.dtype == np.uint8
    assert found.flags.writeable
    np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize(
    "values", [[0, 0.5], [-1, 0], [0, 256], [0, np.nan], [0, np.inf], list(range(100)), [0, 2**40]]
)
def test_what_are_no_labels(values: list[float]) -> None:
    assert not is_labels(np.array(values))


def test_labels_of_a_view_are_contiguous() -> None:
    view = labels_like((4, 5, 6))[::-1, :, ::2]
    found = decode_mask(view, "x").labels
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, view)


def test_stems() -> None:
    for name in ("a b.nii", "a b.nii.gz", "a b.NII.GZ", "a b.Nii"):
        assert stem(Path(name)) == "a b"
    assert stem(Path("VSD.Brain.XX.O.MR_T1.54512.nii")) == "VSD.Brain.XX.O.MR_T1.54512"
