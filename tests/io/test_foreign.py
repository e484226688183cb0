"""Files that are of another kind: the error names the kind and what to do."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from napari_tumorseg import io
from napari_tumorseg.errors import InputError
from napari_tumorseg.io.formats import FORMATS

DICOM = b"\0" * 128 + b"DICM" + b"\0" * 99
KINDS = {
    "dicom": (
        DICOM,
        "is a DICOM file; give it|is no DICOM object that is read|is DICOM, which needs pydicom",
    ),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\n", "Git LFS pointer.*git lfs pull"),
    "annex": (b"../../.git/annex/objects/ab/MD5E-s1--1.nii.gz", "git-annex pointer.*datalad get"),
    "html": (b"\n<!DOCTYPE html><html></html>", "web page.*download"),
    "matlab5": (b"MATLAB 5.0 MAT-file, Platform: PCWIN64".ljust(400), "MATLAB 5 file.*-v7.3"),
    "zip": (b"PK\x03\x04" + b"\0" * 400, "zip archive; unpack"),
    "tar": (b"a".ljust(257, b"\0") + b"ustar\0" + b"\0" * 400, "tar archive; unpack"),
    "weights": (b"PK\x03\x04" + b"\0" * 26 + b"best/data.pkl" + b"\0" * 400, "weights of a network"),
    "nrrd": (b"NRRD0004\n", "NRRD file; give it the ending .nrrd"),
    "numpy": (b"\x93NUMPY\x01\0", "NumPy array"),
    "bzip2": (b"BZh91AY", "packed with bzip2"),
}


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".h5", ".mat", ".tif", ".png", ".xyz"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_under_any_name(tmp_path: Path, kind: str, ending: str) -> None:
    content, sentence = KINDS[kind]
    path = tmp_path / f"flair{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence) as raised:
        io.open_case(path)
    assert str(path) in str(raised.value)
    assert "holds no file" not in str(raised.value)


@pytest.mark.parametrize("kind", ["html", "tar", "dicom"])
def test_what_is_inside_gzip_is_named(tmp_path: Path, kind: str) -> None:
    content, sentence = KINDS[kind]
    (tmp_path / "flair.nii.gz").write_bytes(gzip.compress(content))
    with pytest.raises(InputError, match=sentence):
        io.open_case(tmp_path / "flair.nii.gz")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a.nhdr", "NRRD"),
        ("a.hdr", "open the .img"),
        ("a.PAR", "PAR/REC"),
        ("a.npz", "NumPy"),
        ("a.pt", "network"),
    ],
)
def test_a_kind_is_known_by_the_ending_too(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / name).write_bytes(b"\1\2\3\4" * 100)
    with pytest.raises(InputError, match=sentence):
        io.open_case(tmp_path / name)


def test_a_folder_of_dicom_files(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    (tmp_path / "series").mkdir()
    for number in range(3):
        (tmp_path / "series" / f"IM{number}").write_bytes(DICOM)
    for folder in (tmp_path, tmp_path / "series"):
        with pytest.raises(InputError, match="IM0 is no DICOM object that is read here, or is damaged"):
            io.list_cases(folder)


def test_a_format_of_ours_under_another_ending(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.nii", "w") as file:
        file["image"] = np.zeros((9, 9))
    tifffile.imwrite(tmp_path / "b.h5", np.zeros((9, 9), np.uint8))
    for name, ending in (("a.nii", ".h5"), ("b.h5", ".tif")):
        with pytest.raises(InputError, match=f"give it the ending {ending}"):
            io.open_case(tmp_path / name)


def test_a_damaged_file_is_not_said_to_be_of_another_format(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\xff" * 300)
    (tmp_path / "a.tif").write_bytes(b"II*\0" + b"\xff" * 300)
    for name in ("a.h5", "a.tif"):
        with pytest.raises(InputError) as raised:
            io.open_case(tmp_path / name)
        assert "give it" not in str(raised.value)


def test_weights_of_keras_are_no_scan(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["keras_version"] = "2.3.1"
        file["model_weights/conv/kernel"] = np.zeros((64, 64))
    with pytest.raises(InputError, match="weights of a Keras network, no scan"):
        io.open_case(tmp_path / "model.h5")


def test_a_filter_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk((16, 16))
        settings.set_filter(32001, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((16, 16))
        data = h5py.h5d.create(file.id, b"image", h5py.h5t.NATIVE_UINT8, space, settings)
        data.write_direct_chunk((0, 0), b"packed", filter_mask=0)
    with pytest.raises(InputError, match=r"HDF5 filter blosc \(32001\), which is not installed"):
        io.open_case(tmp_path / "a.h5")


def test_a_keras_archive_is_known(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
    with pytest.raises(InputError, match="weights of a network"):
        io.open_case(tmp_path / "net.keras")


def test_no_format_is_foreign() -> None:
    from napari_tumorseg.io.foreign import FOREIGN_ENDINGS

    assert not {e for form in FORMATS for e in form.endings} & set(FOREIGN_ENDINGS)
