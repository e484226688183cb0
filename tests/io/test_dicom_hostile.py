"""DICOM files that are damaged, lie, or are packed: one sentence each, and no memory taken."""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate

from napari_tumorseg import io
from napari_tumorseg.errors import InputError, TooLargeError
from napari_tumorseg.geometry import Grid, SliceFile
from napari_tumorseg.io.dicom import library
from napari_tumorseg.io.dicom.headers import read_header
from napari_tumorseg.io.dicom.pixels import read_frames
from napari_tumorseg.io.limits import LIMIT_VARIABLE
from tests.dicom_files import write_enhanced, write_segmentation, write_series
from tests.nifti_files import affine_of

SHAPE = (16, 12, 6)
AFFINE = affine_of(("L", "P", "S"), (1, 1, 4))
JPEG = "1.2.840.10008.1.2.4."
NICOM = Path(nib.__file__).parent / "nicom" / "tests" / "data"


def values() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 4000, SHAPE).astype(np.uint16)


@pytest.fixture
def series(tmp_path: Path) -> list[Path]:
    """Return the files of one FLAIR series."""
    return write_series(tmp_path / "in", values(), AFFINE, 1, "FLAIR", "{}.dcm")


def change(path: Path, **elements: Any) -> None:
    data = pydicom.dcmread(path)
    for keyword, value in elements.items():
        if value is None:
            delattr(data, keyword)
        else:
            setattr(data, keyword, value)
    data.save_as(path)


def compress(path: Path, syntax: str, encode: Callable[[np.ndarray], bytes]) -> None:
    data = pydicom.dcmread(path)
    data.PixelData = encapsulate([encode(data.pixel_array)])
    data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = syntax
    data.save_as(path)


# --- compressed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (f"{JPEG}70", imagecodecs.ljpeg_encode),
        (f"{JPEG}57", lambda x: imagecodecs.jpeg8_encode(x, lossless=True, bitspersample=16)),
        (f"{JPEG}80", imagecodecs.jpegls_encode),
        (f"{JPEG}90", lambda x: imagecodecs.jpeg2k_encode(x, level=0, codecformat="j2k", reversible=True)),
    ],
    ids=["JPEG Lossless SV1", "JPEG Lossless", "JPEG-LS", "JPEG 2000"],
)
def test_lossless_compression_gives_the_same_voxels(
    series: list[Path], syntax: str, encode: Callable[[np.ndarray], bytes]
) -> None:
    for path in series:
        compress(path, syntax, encode)
    data = io.open_case(series[0].parent).images[0].data
    np.testing.assert_array_equal(data, Grid.from_file(SHAPE, AFFINE).file_layout.axis_order.apply(values()))


@pytest.mark.parametrize(
    "kind", ["RLE", "bigendian", "implicit", "expb", "jp2klossless", "jpeg_ls_lossless", "padded"]
)
def test_pydicoms_one_image_in_every_encoding(kind: str) -> None:
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    plain = pydicom.dcmread(folder / "MR_small.dcm").pixel_array
    file = SliceFile(folder / f"MR_small_{kind}.dcm")
    np.testing.assert_array_equal(read_frames(file, 1, read_header(file).shape)[0], plain)


def test_signed_numbers_keep_their_sign(tmp_path: Path) -> None:
    signed = (values().astype(np.int32) - 2000).astype(np.int16)
    for path in write_series(tmp_path / "in", signed, AFFINE, 1, "FLAIR"):
        compress(path, f"{JPEG}70", lambda x: imagecodecs.ljpeg_encode(x.view(np.uint16)))
    assert io.open_case(tmp_path / "in").images[0].data.min() == signed.min()


def test_a_codec_that_is_not_there_is_named(series: list[Path]) -> None:
    for path in series:
        compress(path, f"{JPEG}102", lambda x: b"\0" * 100)
    with pytest.raises(InputError, match=r"compressed in a way that is not read here.*MPEG-4") as raised:
        io.open_case(series[0].parent)
    assert series[0].name in str(raised.value)


def test_a_compressed_image_of_another_size_is_not_decoded(series: list[Path]) -> None:
    compress(series[0], f"{JPEG}70", lambda x: imagecodecs.ljpeg_encode(np.zeros((3000, 3000), np.uint16)))
    with pytest.raises(InputError, match="another size than its header declares"):
        io.open_case(series[0].parent)


# --- headers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "sentence"),
    [
        ({"ImagePositionPatient": None}, "has no positions of slices"),
        ({"ImageOrientationPatient": None}, "has no positions of slices"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "has no positions of slices"),
        ({"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, "has no positions of slices"),
        ({"PixelSpacing": None}, "has no positions of slices"),
        ({"PixelSpacing": [0, 0]}, "has no positions of slices"),
        ({"Rows": 65000, "Columns": 65000}, "more than the limit"),
        ({"Rows": 500}, "damaged"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "colours"),
        ({"BitsAllocated": 64}, "size of its pixels"),
        ({"PixelData": None}, "holds no pixels"),
        ({"NumberOfFrames": 9999}, "has no positions of slices"),
        (
            {"SeriesNumber": None, "SeriesDescription": None, "PixelSpacing": None},
            "has no positions of slices",
        ),
    ],
)
def test_a_header_that_lies_or_lacks_something(
    series: list[Path], elements: dict[str, Any], sentence: str
) -> None:
    for path in series:
        change(path, **elements)
    with pytest.raises(InputError, match=sentence):
        io.open_case(series[0].parent)


def test_a_truncated_slice(series: list[Path]) -> None:
    content = series[3].read_bytes()
    series[3].write_bytes(content[: len(content) - 100])
    with pytest.raises(InputError, match=r"4\.dcm is damaged or incomplete; copy it again"):
        io.open_case(series[0].parent)


@pytest.mark.parametrize("length", [0, 100, 132, 140, 400])
def test_a_file_cut_in_its_header_is_counted(series: list[Path], length: int) -> None:
    series[5].write_bytes(series[5].read_bytes()[:length])
    case = io.open_case(series[0].parent)
    assert case.images[0].data.shape == (5, 12, 16)
    assert "1 damaged DICOM file(s) are left out" in case.warnings


def test_other_files_among_the_slices_do_not_matter(series: list[Path]) -> None:
    for name, content in (
        ("notes.txt", b"x"),
        ("viewer.exe", b"MZ" * 99),
        ("IMAGE", b"\0" * 300),
        (".DS_Store", b""),
    ):
        (series[0].parent / name).write_bytes(content)
    case = io.open_case(series[0].parent)
    assert case.images[0].data.shape == (6, 12, 16)
    assert case.warnings == ()


def test_frames_that_are_not_described(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "a.dcm", values(), AFFINE, 1, "FLAIR")
    change(path, NumberOfFrames=4000)
    with pytest.raises(InputError, match="does not describe as many frames as it declares"):
        io.open_case(path)


def test_a_mosaic_without_its_private_header(series: list[Path]) -> None:
    for path in series:
        change(path, ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])
    with pytest.raises(InputError, match="mosaic without the private header"):
        io.open_case(series[0].parent)


def test_a_mosaic_that_does_not_state_the_distance_of_its_slices(tmp_path: Path) -> None:
    packed = NICOM / "siemens_dwi_0.dcm.gz"
    (tmp_path / "a.dcm").write_bytes(gzip.decompress(packed.read_bytes()))
    change(tmp_path / "a.dcm", SpacingBetweenSlices=None, SliceThickness=None)
    with pytest.raises(InputError, match="does not state how far its slices lie apart"):
        read_header(SliceFile(tmp_path / "a.dcm"))


def test_files_on_different_drives(series: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def apart(paths: list[Path]) -> str:
        raise ValueError("Paths don't have the same drive")  # as on Windows

    monkeypatch.setattr(os.path, "commonpath", apart)
    with pytest.raises(InputError, match="lie on different drives; copy them into one folder"):
        io.open_case(series)


def test_a_deflated_bomb(series: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    data = pydicom.dcmread(series[0])
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    data.save_as(series[0])
    assert read_header(SliceFile(series[0])).shape == (12, 16)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(packer.compress(b"\0" * 2**20) for _ in range(200)) + packer.flush()
    content = series[0].read_bytes()
    length = int.from_bytes(content[140:144], "little")
    series[0].write_bytes(content[: 144 + length] + bomb)
    monkeypatch.setenv(LIMIT_VARIABLE, "0.05")
    with pytest.raises(TooLargeError, match="is deflated and unpacks to more than the limit"):
        read_header(SliceFile(series[0]))


# --- segmentation objects --------------------------------------------------------------------


def boxes(count: int, dtype: type = np.uint8) -> np.ndarray:
    """Return frames of 12 x 16 with a box of ones."""
    frames = np.zeros((count, 12, 16), dtype)
    frames[:, 2:6, 3:9] = 1
    return frames


@pytest.mark.parametrize("value", [0, 256, 999])
def test_a_segment_whose_words_claim_an_impossible_label_keeps_its_number(tmp_path: Path, value: int) -> None:
    path = write_segmentation(
        tmp_path / "a.dcm", boxes(2), [0, 3], {4: f"label {value} of foo"}, numbers=[4, 4]
    )
    (mask,) = io.open_case(path).masks
    assert np.unique(mask.labels).tolist() == [0, 4]


def test_a_label_that_its_words_may_claim_is_kept(tmp_path: Path) -> None:
    path = write_segmentation(tmp_path / "a.dcm", boxes(2), [0, 3], {4: "label 255 of foo"}, numbers=[4, 4])
    assert np.unique(io.open_case(path).masks[0].labels).tolist() == [0, 255]


def test_frames_that_lie_a_kilometre_apart(tmp_path: Path) -> None:
    path = write_segmentation(tmp_path / "a.dcm", boxes(3), [0, 0.01, 1e6], {1: "x"}, numbers=[1, 1, 1])
    with pytest.raises(InputError, match=r"a\.dcm has slices at uneven distances, 0\.01 to 1e\+06 mm"):
        io.open_case(path)


def test_a_grid_of_frames_that_takes_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "0.0005")
    path = write_segmentation(tmp_path / "a.dcm", boxes(3), [0, 1, 3000], {1: "x"}, numbers=[1, 1, 1])
    with pytest.raises(TooLargeError, match="16 x 12 x 3001 voxels"):
        io.open_case(path)


def test_frames_over_more_than_a_head_have_no_volumes_in_ml(tmp_path: Path) -> None:
    path = write_segmentation(tmp_path / "a.dcm", boxes(3), [0, 1, 3000], {1: "x"}, numbers=[1, 1, 1])
    case = io.open_case(path)
    assert case.masks[0].grid.unit == "unknown"
    assert any("cannot be those of a head" in warning for warning in case.warnings)


@pytest.mark.parametrize(("number", "dtype"), [(65_536, np.uint32), (2**32 - 1, np.uint32), (-1, np.int16)])
def test_a_label_map_of_impossible_numbers(tmp_path: Path, number: int, dtype: type) -> None:
    frames = boxes(2, dtype)
    frames[1, 0, 0] = number
    path = write_segmentation(tmp_path / "a.dcm", frames, [0, 3], {1: "x"})
    with pytest.raises(InputError, match="label map holds numbers that no segment can have"):
        io.open_case(path)


def test_a_label_map_of_32_bits_is_read(tmp_path: Path) -> None:
    frames = boxes(2, np.uint32) * np.uint32(65_535)
    path = write_segmentation(tmp_path / "a.dcm", frames, [0, 3], {65_535: "label 3 of foo"})
    (mask,) = io.open_case(path).masks
    assert np.unique(mask.labels, return_counts=True)[1].tolist() == [336, 48]
    assert mask.labels.max() == 3


# --- archives --------------------------------------------------------------------------------


def zipped(path: Path, files: dict[str, bytes], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_names_in_an_archive_that_lead_out_of_it_write_nothing(tmp_path: Path, series: list[Path]) -> None:
    files = {f"../../{p.name}": p.read_bytes() for p in series}
    case = io.open_case(zipped(tmp_path / "slip.zip", files))
    assert case.images[0].data.shape == (6, 12, 16)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "slip.zip"]
    assert not (tmp_path.parent / series[0].name).exists()


def test_an_archive_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "0.01")
    path = zipped(tmp_path / "bomb.zip", {"a.dcm": b"\0" * 128 + b"DICM" + b"\0" * 2**24})
    with pytest.raises(TooLargeError, match=r"more than the limit of 0\.01 GiB"):
        io.open_case(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + b"\xff" * 200, b"PK\x05\x06" + b"\xff" * 18])
def test_a_damaged_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.zip is no zip archive, or damaged|a\.zip holds no DICOM"):
        io.open_case(tmp_path / "a.zip")


def test_an_archive_with_a_damaged_member(tmp_path: Path, series: list[Path]) -> None:
    path = zipped(tmp_path / "a.zip", {p.name: p.read_bytes() for p in series})
    content = bytearray(path.read_bytes())
    content[400:460] = b"\xff" * 60
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.zip is damaged"):
        io.open_case(path)


def test_an_archive_without_dicom(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"x.nii": b"\0" * 400})
    with pytest.raises(InputError, match="holds no DICOM file; unpack it and open what is inside"):
        io.open_case(path)


def test_without_pydicom_the_sentence_names_the_extra(
    series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(library, "import_module", missing)
    with pytest.raises(InputError, match=r'needs pydicom; it is not installed: pip install "\.\[dicom\]"'):
        io.open_case(series[0].parent)
