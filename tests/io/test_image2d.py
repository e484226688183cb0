"""Pictures: grey, colour, depth, masks beside them, hostile files. Oracle: the arrays they were made from."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import PngImagePlugin

from napari_tumorseg.errors import ChoiceNeededError, InputError, TooLargeError
from napari_tumorseg.io import image2d
from napari_tumorseg.scan import Role

H, W = 10, 12


def ramp(dtype: type = np.uint8) -> np.ndarray:
    return np.arange(H * W, dtype=dtype).reshape(H, W)


def save(path: Path, values: np.ndarray, **options: object) -> Path:
    Pillow.fromarray(values).save(path, **options)
    return path


def notes_of(case: object) -> str:
    return " | ".join(case.warnings)  # type: ignore[attr-defined]


def test_a_grey_picture_is_a_volume_of_one_slice(tmp_path: Path) -> None:
    case = image2d.open_case(save(tmp_path / "x_flair.png", ramp()))
    image = case.images[0]
    np.testing.assert_array_equal(image.data, ramp()[None])
    assert image.role is Role.FLAIR
    assert image.grid.unit == "unknown"
    assert (case.layout, case.warnings) == ("picture", ())


def test_sixteen_bits(tmp_path: Path) -> None:
    values = ramp(np.uint16) * 500
    image = image2d.open_case(save(tmp_path / "x.png", values)).images[0]
    assert image.data.dtype == np.uint16
    np.testing.assert_array_equal(image.data[0], values)


@pytest.mark.parametrize("alpha", [False, True])
def test_grey_stored_as_colour_is_grey(tmp_path: Path, alpha: bool) -> None:
    channels = [ramp()] * 3 + ([np.full((H, W), 9, np.uint8)] if alpha else [])
    case = image2d.open_case(save(tmp_path / "x.png", np.stack(channels, axis=2)))
    np.testing.assert_array_equal(case.images[0].data[0], ramp())
    assert not case.warnings


def test_colour_becomes_brightness_and_says_so(tmp_path: Path) -> None:
    values = np.zeros((H, W, 3), np.uint8)
    values[2, 3] = (255, 0, 0)
    case = image2d.open_case(save(tmp_path / "x.png", values))
    assert case.images[0].data[0, 2, 3] == 76  # ITU-R 601
    assert "is in colour" in notes_of(case)


def test_a_grey_jpeg(tmp_path: Path) -> None:
    values = np.repeat(np.full((16, 16, 1), 120, np.uint8), 3, axis=2)
    case = image2d.open_case(save(tmp_path / "x.JPG", values, quality=95))
    np.testing.assert_allclose(case.images[0].data[0], 120, atol=2)
    assert not case.warnings


@pytest.mark.parametrize("word", ["_mask", "_seg"])
def test_a_mask_beside_it(tmp_path: Path, word: str) -> None:
    mask = np.zeros((H, W), np.uint8)
    mask[2, 9] = 255
    path = save(tmp_path / "brain_tumor_1.png", ramp())
    save(tmp_path / f"brain_tumor_1{word}.png", mask)
    assert image2d.list_cases(tmp_path) == ["brain_tumor_1"]
    case = image2d.open_case(path)
    assert case.masks[0].labels[0, 2, 9] == 1
    assert case.masks[0].segmentation().convention.name == "binary"
    alone = image2d.open_case(tmp_path / f"brain_tumor_1{word}.png")
    assert not alone.images
    np.testing.assert_array_equal(alone.masks[0].labels, mask[None] // 255)


def test_masks_of_labels_palettes_and_colours(tmp_path: Path) -> None:
    labels = (ramp() % 5).astype(np.uint8)
    np.testing.assert_array_equal(
        image2d.open_case(save(tmp_path / "a_mask.png", labels)).masks[0].labels[0], labels
    )
    indexed = Pillow.fromarray(labels).convert("P")
    indexed = Pillow.frombytes("P", (W, H), labels.tobytes())
    indexed.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0, 0, 0, 200, 200, 200, 0])
    indexed.save(tmp_path / "b_mask.png")
    np.testing.assert_array_equal(image2d.open_case(tmp_path / "b_mask.png").masks[0].labels[0], labels)
    red = np.zeros((H, W, 3), np.uint8)
    red[2, 3, 0] = 255
    found = image2d.open_case(save(tmp_path / "c_mask.png", red)).masks[0].labels
    assert found[0, 2, 3] == found.sum() == 1


def test_a_mask_with_soft_edges_is_cut_at_half(tmp_path: Path) -> None:
    mask = np.zeros((H, W), np.uint8)
    mask[2, 2:6] = (60, 200, 255, 100)
    case = image2d.open_case(save(tmp_path / "x_mask.png", mask))
    assert case.masks[0].labels[0, 2, 2:6].tolist() == [0, 1, 1, 0]
    assert "between black and white" in notes_of(case)


def test_a_mask_of_another_size_is_left_out(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", ramp())
    save(tmp_path / "x_mask.png", np.zeros((H, W + 1), np.uint8))
    case = image2d.open_case(path)
    assert not case.masks
    assert "the mask is left out" in notes_of(case)


def test_an_exif_orientation_is_noted_and_not_applied(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    case = image2d.open_case(save(tmp_path / "x.png", ramp(), exif=exif))
    np.testing.assert_array_equal(case.images[0].data[0], ramp())
    assert "read as it is stored" in notes_of(case)


def test_metadata_is_never_copied(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("PatientName", "Doe^Jane")
    case = image2d.open_case(save(tmp_path / "x.png", ramp(), pnginfo=info))
    assert "Doe" not in repr(case)


def test_a_folder_of_pictures_needs_a_choice(tmp_path: Path) -> None:
    for n in (10, 9):
        save(tmp_path / f"p{n}.png", ramp())
    assert image2d.list_cases(tmp_path) == ["p9", "p10"]
    with pytest.raises(ChoiceNeededError):
        image2d.open_case(tmp_path)
    assert image2d.open_case(tmp_path, "p10").name == "p10"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize("side", [100_000, 12_000])
def test_decompression_bombs_are_refused_by_their_header(
    tmp_path: Path, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUMORSEG_MAX_GIB", "0.1")
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path = tmp_path / "x.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100)))
    )
    with pytest.raises(TooLargeError, match=r"x\.png"):
        image2d.open_case(path)


def test_damaged_and_foreign_files(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", np.random.default_rng(0).integers(0, 255, (99, 99), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"x\.png cannot be read"):
        image2d.open_case(path)
    save(tmp_path / "y.gif", ramp()).rename(tmp_path / "y.png")  # only PNG and JPEG are decoded
    with pytest.raises(InputError, match=r"y\.png cannot be read"):
        image2d.open_case(tmp_path / "y.png")
    with pytest.raises(InputError, match="is not there"):
        image2d.open_case(tmp_path / "none.png")
