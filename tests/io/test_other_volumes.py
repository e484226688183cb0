"""Volumes of other formats lie where their own libraries say, and are read as NIfTI files are."""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from napari_tumorseg import io
from napari_tumorseg.errors import InputError, TooLargeError
from napari_tumorseg.io.limits import LIMIT_VARIABLE
from napari_tumorseg.scan import Role
from tests.nifti_files import affine_of, asymmetric, labels_like

SHAPE = (8, 9, 10)
OBLIQUE = affine_of(("P", "I", "R"), (1.0, 2.0, 3.0))
OBLIQUE[:3, 3] = (5, -7, 11)


def write(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    """Write a volume (I, J, K) with the library of its format."""
    if path.suffix in (".mgz", ".mgh"):
        nib.save(nib.MGHImage(array, affine), path)
    elif path.suffix == ".img":
        nib.save(nib.Nifti1Pair(array, affine), path)
    else:
        nifti = path.with_name("through.nii")
        nib.save(nib.Nifti1Image(array, affine), nifti)
        SimpleITK.WriteImage(SimpleITK.ReadImage(str(nifti)), str(path))
        nifti.unlink()
    return path


@pytest.mark.parametrize("ending", [".mgz", ".mgh", ".img", ".nrrd", ".mha", ".mhd"])
def test_a_volume_lies_where_its_nifti_copy_does(tmp_path: Path, ending: str) -> None:
    array = asymmetric(SHAPE).astype(np.float32)
    (image,) = io.open_case(write(tmp_path / f"flair{ending}", array, OBLIQUE)).images
    nib.save(nib.Nifti1Image(array, OBLIQUE), tmp_path / "copy.nii")
    (copy,) = io.open_case(tmp_path / "copy.nii").images
    assert image.role is Role.FLAIR
    assert image.name == "flair"
    np.testing.assert_allclose(image.data, copy.data)
    np.testing.assert_allclose(image.grid.affine, copy.grid.affine, atol=1e-4)
    assert image.grid.unit == "mm"


@pytest.mark.parametrize("ending", [".mgz", ".nrrd", ".mha"])
def test_a_folder_of_them_is_one_case_with_its_mask(tmp_path: Path, ending: str) -> None:
    for name in ("T1", "FLAIR"):
        write(tmp_path / f"{name}{ending}", asymmetric(SHAPE).astype(np.int16), OBLIQUE)
    labels = labels_like(SHAPE).astype(np.int16)
    write(tmp_path / f"tumor_seg{ending}", labels, OBLIQUE)
    case = io.open_case(tmp_path)
    assert {image.name: image.role for image in case.images} == {"FLAIR": Role.FLAIR, "T1": Role.T1}
    (mask,) = case.masks
    scan = case.scan()
    np.testing.assert_array_equal(scan.grid.to_file_order(mask.labels), labels)


def test_a_mask_for_such_a_scan_lies_on_it(tmp_path: Path) -> None:
    write(tmp_path / "flair.nrrd", asymmetric(SHAPE).astype(np.int16), OBLIQUE)
    write(tmp_path / "x_seg.nrrd", labels_like(SHAPE).astype(np.uint8), OBLIQUE)
    path, _ = io.write_mask(io.read_mask(tmp_path / "x_seg.nrrd", "brats-2015"), tmp_path / "out.nii.gz")
    np.testing.assert_allclose(nib.load(path).affine, OBLIQUE, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), labels_like(SHAPE))


def test_analyze_without_orientation_says_so(tmp_path: Path) -> None:
    nib.save(
        nib.AnalyzeImage(asymmetric(SHAPE).astype(np.int16), np.diag([1.0, 1, 2, 1])), tmp_path / "t1.img"
    )
    case = io.open_case(tmp_path / "t1.img")
    assert case.images[0].grid.spacing_mm == (2, 1, 1)
    assert "Analyze files have no orientation" in case.warnings[0]


@pytest.mark.parametrize("ending", [".mgz", ".img", ".nrrd", ".mha"])
def test_damage_ends_in_one_sentence(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"flair{ending}", asymmetric(SHAPE).astype(np.int16), OBLIQUE)
    path.write_bytes(path.read_bytes()[: 200 if ending != ".img" else 20])
    with pytest.raises(InputError, match="convert it to NIfTI") as raised:
        io.open_case(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("ending", [".mgh", ".nrrd", ".mha"])
def test_the_limit_holds(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / f"flair{ending}", asymmetric(SHAPE).astype(np.int16), OBLIQUE)
    monkeypatch.setenv(LIMIT_VARIABLE, "1e-6")
    with pytest.raises(TooLargeError):
        io.open_case(path)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.mhd", "ObjectType = Image\nNDims = 3\nDimSize = 8 9 10\nElementDataFile = /etc/passwd\n"),
        ("a.mha", "ObjectType = Image\nNDims = 3\nDimSize = 8 9 10\nElementDataFile = b.raw\n"),
        ("a.nrrd", "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 8 9 10\ndata file: ../x.raw\n\n"),
    ],
)
def test_no_other_file_is_read(tmp_path: Path, name: str, header: str) -> None:
    (tmp_path / name).write_text(header)
    with pytest.raises(InputError, match="takes its voxels from other files"):
        io.open_case(tmp_path / name)


def test_without_simpleitk_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "flair.nrrd", asymmetric(SHAPE).astype(np.int16), OBLIQUE)
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(InputError, match=r'pip install "\.\[formats\]"'):
        io.open_case(path)
