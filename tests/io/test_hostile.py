"""Files that declare more than they hold: a typed error at once, no zeros and no gigabytes."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from napari_tumorseg import io
from napari_tumorseg.errors import InputError
from napari_tumorseg.io import tiff_file


def tiff_of(path: Path, width: int, rows: int, rows_per_strip: int, strips: int) -> Path:
    """Write an 8-bit TIFF whose only strips all point to the same 16 bytes."""
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, rows),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, strips, 0),
        (277, 3, 1, 1),
        (278, 4, 1, rows_per_strip),
        (279, 4, strips, 0),
    ]
    tables = 8 + 2 + 12 * len(tags) + 4
    pixels = tables + 8 * strips
    values = {273: tables, 279: tables + 4 * strips} if strips > 1 else {273: pixels, 279: 16}
    entries = b"".join(struct.pack("<HHII", t, k, n, values.get(t, v)) for t, k, n, v in tags)
    content = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + struct.pack("<I", 0)
    if strips > 1:
        content += struct.pack(f"<{strips}I", *[pixels] * strips) + struct.pack(f"<{strips}I", *[16] * strips)
    else:
        content += b"\0" * 8
    path.write_bytes(content + bytes(range(16)))
    return path


@pytest.mark.parametrize(
    ("rows", "rows_per_strip", "strips"),
    [(200_000_000, 1, 30), (64, 1, 2), (64, 64, 1), (100_000, 1, 1)],
)
def test_a_tiff_with_fewer_strips_than_rows(
    tmp_path: Path, rows: int, rows_per_strip: int, strips: int
) -> None:
    path = tiff_of(tmp_path / "flair.tif", 16, rows, rows_per_strip, strips)
    start = time.monotonic()
    with pytest.raises(InputError, match=r"flair\.tif"):
        io.open_case(path)
    assert time.monotonic() - start < 5


def test_a_tiff_that_holds_all_its_strips(tmp_path: Path) -> None:
    path = tiff_of(tmp_path / "flair.tif", 16, 2, 1, 2)
    assert tiff_file.read(path).data.tolist() == [[[list(range(16))] * 2]]


@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"compression": "zlib"}, {"rowsperstrip": 5}])
def test_tiffs_of_every_layout_are_whole(tmp_path: Path, options: dict) -> None:
    image = np.arange(3 * 40 * 50, dtype=np.uint16).reshape(3, 40, 50)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack", **options)
    np.testing.assert_array_equal(tiff_file.read(tmp_path / "a.tif").data[0], image)


def test_an_hdf5_that_was_never_filled(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "flair.h5", "w") as file:
        file.create_dataset("image", (200, 1000, 1000), "f4", chunks=(1, 1000, 1000))
    with pytest.raises(InputError, match="almost nothing is stored"):
        io.open_case(tmp_path / "flair.h5")


@pytest.mark.parametrize("kind", ["u1", "?"])
def test_white_is_zero(tmp_path: Path, kind: str) -> None:
    mask = np.zeros((12, 14), bool)
    mask[3:6, 4:9] = True
    stored = ~mask if kind == "?" else np.where(mask, 0, 255).astype(kind)
    tifffile.imwrite(tmp_path / "x_mask.tif", stored, photometric="miniswhite")
    np.testing.assert_array_equal(io.read_mask(tmp_path / "x_mask.tif").labels[0], mask)


def test_an_image_of_12_bits_in_which_white_is_zero(tmp_path: Path) -> None:
    image = np.arange(12 * 14, dtype=np.uint16).reshape(12, 14)
    tifffile.imwrite(tmp_path / "flair.tif", image, photometric="miniswhite")
    np.testing.assert_array_equal(tiff_file.read(tmp_path / "flair.tif").data[0, 0], 65535 - image)
