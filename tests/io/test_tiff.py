"""TIFF: axes, voxel sizes, the LGG layout, hostile files, round trips. Oracle: tifffile."""

from __future__ import annotations

import runpy
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_tumorseg.errors import ChoiceNeededError, InputError, OutputError, TooLargeError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.io import tiff, tiff_writing
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Role, Segmentation

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
PATIENT = "TCGA_HT_7602_19951103"
H, W = 10, 12

shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared scans are not here")


def ramp(*shape: int, dtype: type = np.uint16) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def notes_of(case: object) -> str:
    return " | ".join(case.warnings)  # type: ignore[attr-defined]


# --- single files ----------------------------------------------------------------------------


def test_a_slice_is_a_volume_of_one(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "brain_flair.tif", ramp(H, W), resolution=(72, 72), resolutionunit="inch")
    case = tiff.open_case(tmp_path / "brain_flair.tif")
    image = case.images[0]
    np.testing.assert_array_equal(image.data, ramp(H, W)[None])
    assert image.data.dtype == np.uint16
    assert image.role is Role.FLAIR
    assert image.grid.unit == "unknown"  # 72 dpi is for printing
    assert not case.warnings


@pytest.mark.parametrize("metadata", [None, {}])
def test_pages_are_slices(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    tifffile.imwrite(tmp_path / "a.tiff", ramp(7, H, W), photometric="minisblack", metadata=metadata)
    assert tiff.list_cases(tmp_path) == ["a"]
    np.testing.assert_array_equal(tiff.open_case(tmp_path / "a.tiff").images[0].data, ramp(7, H, W))


def test_imagej_voxel_size_and_channels(tmp_path: Path) -> None:
    values = ramp(7, 2, H, W)
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        imagej=True,
        resolution=(1 / 0.4, 1 / 0.5),
        metadata={"axes": "ZCYX", "spacing": 5.0, "unit": "mm"},
    )
    case = tiff.open_case(tmp_path / "a.tif")
    assert [i.name for i in case.images] == ["channel 0", "channel 1"]
    np.testing.assert_array_equal(case.images[1].data, values[:, 1])
    assert case.images[0].grid.spacing_mm == pytest.approx((5.0, 0.5, 0.4))
    assert "modality of its 2 channels is not stored" in notes_of(case)


def test_imagej_micrometres_and_no_slice_distance(tmp_path: Path) -> None:
    options = {"imagej": True, "resolution": (1 / 400, 1 / 500)}
    tifffile.imwrite(
        tmp_path / "a.tif", ramp(7, H, W), metadata={"axes": "ZYX", "spacing": 5000, "unit": "um"}, **options
    )
    assert tiff.open_case(tmp_path / "a.tif").images[0].grid.spacing_mm == pytest.approx((5.0, 0.5, 0.4))
    tifffile.imwrite(tmp_path / "b.tif", ramp(7, H, W), metadata={"axes": "ZYX", "unit": "um"}, **options)
    case = tiff.open_case(tmp_path / "b.tif")
    assert case.images[0].grid.unit == "unknown"
    assert "not the distance of the slices" in notes_of(case)
    tifffile.imwrite(
        tmp_path / "c.tif", ramp(7, H, W), metadata={"axes": "ZYX", "spacing": 2, "unit": "pixel"}, **options
    )
    assert tiff.open_case(tmp_path / "c.tif").images[0].grid.unit == "unknown"


def test_ome_axes_units_and_channel_names(tmp_path: Path) -> None:
    values = ramp(2, 7, H, W)
    metadata = {
        "axes": "CZYX",
        "PhysicalSizeX": 400.0,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 0.5,
        "PhysicalSizeYUnit": "mm",
        "PhysicalSizeZ": 0.5,
        "PhysicalSizeZUnit": "cm",
        "Channel": {"Name": ["flair", "t1ce"]},
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", values, ome=True, metadata=metadata)
    case = tiff.open_case(tmp_path / "a.ome.tif")
    assert [(i.name, i.role) for i in case.images] == [("flair", Role.FLAIR), ("t1ce", Role.T1C)]
    np.testing.assert_array_equal(case.images[1].data, values[1])
    assert case.images[0].grid.spacing_mm == pytest.approx((5.0, 0.5, 0.4))


def test_three_slices_are_no_channels_and_three_channels_no_slices(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "z.tif", ramp(3, H, W), imagej=True, metadata={"axes": "ZYX"})
    assert [i.data.shape for i in tiff.open_case(tmp_path / "z.tif").images] == [(3, H, W)]
    tifffile.imwrite(tmp_path / "c.tif", ramp(3, H, W), imagej=True, metadata={"axes": "CYX"})
    assert [i.data.shape for i in tiff.open_case(tmp_path / "c.tif").images] == [(1, H, W)] * 3


def test_time_series_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", ramp(3, H, W), imagej=True, metadata={"axes": "TYX"})
    with pytest.raises(InputError, match="3 time points"):
        tiff.open_case(tmp_path / "a.tif")


def test_rgb_is_three_channels_and_grey_rgb_one(tmp_path: Path) -> None:
    values = ramp(H, W, 3, dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb")
    case = tiff.open_case(tmp_path / "a.tif")
    np.testing.assert_array_equal(case.images[2].data[0], values[..., 2])
    tifffile.imwrite(tmp_path / "b.tif", np.repeat(values[..., :1], 3, axis=2), photometric="rgb")
    assert len(tiff.open_case(tmp_path / "b.tif").images) == 1


@pytest.mark.parametrize("compression", ["zlib", "lzw", "lzma", "packbits"])
def test_compressed(tmp_path: Path, compression: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", ramp(7, H, W), compression=compression)
    np.testing.assert_array_equal(tiff.open_case(tmp_path / "a.tif").images[0].data, ramp(7, H, W))


def test_big_endian_floats_become_native_float32(tmp_path: Path) -> None:
    values = ramp(7, H, W).astype(">f8")
    values[0, 0, 0] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", values, byteorder=">")
    case = tiff.open_case(tmp_path / "a.tif")
    assert case.images[0].data.dtype == np.dtype(np.float32)
    np.testing.assert_array_equal(case.images[0].data, values.astype(np.float32))
    assert "NaN" in notes_of(case)


def test_a_mask_beside_a_stack(tmp_path: Path) -> None:
    mask = (ramp(7, H, W) % 5 == 1).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", ramp(7, H, W))
    tifffile.imwrite(tmp_path / "a_seg.tif", mask)
    (tmp_path / "a_seg.json").write_text('{"scheme": "binary"}')
    assert tiff.list_cases(tmp_path) == ["a"]
    case = tiff.open_case(tmp_path)
    np.testing.assert_array_equal(case.masks[0].labels, mask)
    assert case.masks[0].convention is CONVENTIONS["binary"]
    assert not tiff.open_case(tmp_path / "a_seg.tif").images
    tifffile.imwrite(tmp_path / "a_seg.tif", mask[1:])
    case = tiff.open_case(tmp_path / "a.tif")
    assert not case.masks
    assert "the mask is left out" in notes_of(case)


# --- slices ----------------------------------------------------------------------------------


def test_numbered_slices_are_a_stack_in_numeric_order(tmp_path: Path) -> None:
    for n in (1, 2, 10, 11):
        tifffile.imwrite(tmp_path / f"slice_{n}.tif", ramp(H, W) + n)
    assert tiff.list_cases(tmp_path) == ["slice"]
    case = tiff.open_case(tmp_path)
    assert case.layout == "TIFF slices"
    assert case.images[0].data[:, 0, 0].tolist() == [1, 2, 10, 11]
    assert "7 of 11 slice numbers are missing" in notes_of(case)


def test_numbered_volumes_are_cases(tmp_path: Path) -> None:
    for n in (1, 2):
        tifffile.imwrite(tmp_path / f"TCGA_AB_000{n}.tif", ramp(7, H, W) + n)
    assert tiff.list_cases(tmp_path) == ["TCGA_AB_0001", "TCGA_AB_0002"]
    assert tiff.open_case(tmp_path, "TCGA_AB_0002").images[0].data.shape == (7, H, W)


def test_a_folder_of_masks_alone(tmp_path: Path) -> None:
    for n in (1, 2):
        tifffile.imwrite(tmp_path / f"P_{n}_mask.tif", np.full((H, W), 255 * (n - 1), np.uint8))
    case = tiff.open_case(tmp_path)
    assert not case.images
    assert case.masks[0].labels.sum() == H * W
    assert case.masks[0].labels[1].all()


def save_patient(folder: Path, name: str, volume: np.ndarray, masks: np.ndarray | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for n, picture in enumerate(volume, start=1):
        tifffile.imwrite(folder / f"{name}_{n}.tif", picture, photometric="rgb", metadata=None)
        if masks is not None:
            tifffile.imwrite(folder / f"{name}_{n}_mask.tif", masks[n - 1], metadata=None)


def lgg(depth: int = 11) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    volume = rng.integers(0, 255, (depth, H, W, 3), dtype=np.uint8)
    masks = np.zeros((depth, H, W), np.uint8)
    masks[-1, 2, 3] = 255
    return volume, masks


def test_lgg_folder(tmp_path: Path) -> None:
    volume, masks = lgg()
    save_patient(tmp_path / "kaggle_3m" / "P_1", "P_1", volume, masks)
    save_patient(tmp_path / "kaggle_3m" / "P_2", "P_2", volume, masks)
    assert tiff.list_cases(tmp_path / "kaggle_3m") == ["P_1", "P_2"]
    with pytest.raises(ChoiceNeededError):
        tiff.open_case(tmp_path / "kaggle_3m")
    case = tiff.open_case(tmp_path / "kaggle_3m", "P_1")
    assert (case.name, case.layout) == ("P_1", "LGG folder")
    assert [i.role for i in case.images] == [Role.T1, Role.FLAIR, Role.T1C]
    for c in range(3):
        np.testing.assert_array_equal(case.images[c].data, volume[..., c])
    np.testing.assert_array_equal(case.masks[0].labels, masks // 255)
    assert case.masks[0].convention is CONVENTIONS["binary"]
    assert case.images[0].grid.unit == "unknown"
    assert not case.warnings


def test_channels_that_repeat_flair_are_left_out(tmp_path: Path) -> None:
    volume, masks = lgg()
    volume[..., 2] = volume[..., 1]
    save_patient(tmp_path / "P", "P", volume, masks)
    case = tiff.open_case(tmp_path / "P")
    assert [i.role for i in case.images] == [Role.T1, Role.FLAIR]
    assert "the post-contrast channel repeats FLAIR" in notes_of(case)
    volume[..., 0] = volume[..., 1]
    save_patient(tmp_path / "Q", "Q", volume, masks)
    assert [i.role for i in tiff.open_case(tmp_path / "Q").images] == [Role.FLAIR]


def test_classes_in_the_colours_of_slices_are_read_together(tmp_path: Path) -> None:
    volume, _ = lgg()
    labels = np.zeros((len(volume), H, W), np.uint8)
    labels[2, 1, 1:3], labels[3, 1, 1], labels[3, 2, 2], labels[4, 3, 3] = 2, 1, 3, 2
    colours = np.stack([labels == v for v in (1, 2, 3)], axis=-1) * np.uint8(255)
    save_patient(tmp_path / "P", "P", volume, colours)
    (mask,) = tiff.open_case(tmp_path / "P").masks
    np.testing.assert_array_equal(mask.labels, labels)  # slices 2 and 4 fill one colour only


def test_missing_slices_and_masks_are_noted(tmp_path: Path) -> None:
    volume, masks = lgg()
    save_patient(tmp_path / "P", "P", volume, masks)
    (tmp_path / "P" / "P_4.tif").unlink()
    (tmp_path / "P" / "P_4_mask.tif").unlink()
    (tmp_path / "P" / "P_7_mask.tif").unlink()
    case = tiff.open_case(tmp_path / "P")
    assert not case.images[0].data[3].any()
    np.testing.assert_array_equal(case.images[0].data[10], volume[10, ..., 0])
    assert case.masks[0].labels[10, 2, 3] == 1
    assert "1 slice(s) are missing (number 4)" in notes_of(case)
    assert "1 slice(s) have no mask (number 7)" in notes_of(case)


def test_slices_that_differ_are_refused(tmp_path: Path) -> None:
    volume, masks = lgg()
    save_patient(tmp_path / "P", "P", volume, masks)
    tifffile.imwrite(tmp_path / "P" / "P_5.tif", np.zeros((H, W + 1, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputError, match=r"P_5\.tif"):
        tiff.open_case(tmp_path / "P")


def test_a_mask_slice_of_another_shape_leaves_the_mask_out(tmp_path: Path) -> None:
    volume, masks = lgg()
    save_patient(tmp_path / "P", "P", volume, masks)
    tifffile.imwrite(tmp_path / "P" / "P_5_mask.tif", np.zeros((H, W + 1), np.uint8))
    case = tiff.open_case(tmp_path / "P")
    assert not case.masks
    assert r"P_5_mask.tif" in notes_of(case)


def test_a_single_lgg_slice(tmp_path: Path) -> None:
    volume, masks = lgg()
    save_patient(tmp_path, "P", volume, masks)
    case = tiff.open_case(tmp_path / "P_11.tif")
    assert case.layout == "LGG slice"
    assert [i.role for i in case.images] == [Role.T1, Role.FLAIR, Role.T1C]
    np.testing.assert_array_equal(case.images[1].data, volume[10:, ..., 1])
    assert case.masks[0].labels[0, 2, 3] == 1


@shared
def test_a_real_lgg_patient(tmp_path: Path) -> None:
    unpack = runpy.run_path(str(SHARED / "unpack_lgg.py"))
    unpack["main"](str(tmp_path), PATIENT)
    folder = tmp_path / "kaggle_3m" / PATIENT
    case = tiff.open_case(folder)
    depth = len(list(folder.glob("*_mask.tif")))
    assert [i.role for i in case.images] == [Role.T1, Role.FLAIR, Role.T1C]
    assert case.scan().grid.shape == (depth, 256, 256)
    middle = depth // 2
    picture = tifffile.imread(folder / f"{PATIENT}_{middle + 1}.tif")
    np.testing.assert_array_equal(case.images[1].data[middle], picture[..., 1])
    truth = tifffile.imread([folder / f"{PATIENT}_{n}_mask.tif" for n in range(1, depth + 1)])
    np.testing.assert_array_equal(case.masks[0].labels, truth // 255)
    # the same voxels come back when they are written
    (tmp_path / "out").mkdir()
    seg = case.masks[0].segmentation()
    seg = Segmentation(seg.labels, seg.grid, seg.convention, case.name)
    written = tiff_writing.write_lgg(seg, tmp_path / "out")
    np.testing.assert_array_equal(tifffile.imread(written), truth)
    assert {p.name for p in written} == {p.name for p in folder.glob("*_mask.tif")}


# --- hostile ---------------------------------------------------------------------------------


@shared
@pytest.mark.parametrize("name", ["1", "15", "15_mask"])
def test_mangled_files(name: str, caplog: pytest.LogCaptureFixture) -> None:
    path = SHARED / "bad" / f"TCGA_CS_4941_19960909_{name}.tif"
    with pytest.raises(InputError, match=path.name):
        tiff.open_case(path)
    assert not caplog.records


def declare(width: int, height: int) -> bytes:
    """Return a TIFF of one strip that declares a size and holds no pixels."""
    entries = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8)]
    entries += [(277, 3, 1), (278, 4, height), (279, 4, width * height % 2**32)]
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(entries)) + body + bytes(4)


def test_small_files_that_declare_much(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(declare(60_000, 90_000))
    with pytest.raises(TooLargeError, match=r"a\.tif"):
        tiff.open_case(tmp_path / "a.tif")
    (tmp_path / "b.tif").write_bytes(declare(60_000, 60_000))
    with pytest.raises(InputError, match=r"b\.tif is truncated"):
        tiff.open_case(tmp_path / "b.tif")


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_truncated(tmp_path: Path, compression: str | None, share: float) -> None:
    values = np.random.default_rng(0).integers(0, 2**16, (7, 40, 40), dtype=np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, compression=compression)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=r"a\.tif"):
        tiff.open_case(path)


def test_no_tiff_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"<html>not here</html>")
    with pytest.raises(InputError, match="no TIFF file"):
        tiff.open_case(tmp_path / "a.tif")
    (tmp_path / "a.tif").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.tif"):
        tiff.open_case(tmp_path / "a.tif")
    with pytest.raises(InputError, match="is not there"):
        tiff.open_case(tmp_path / "b.tif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no TIFF"):
        tiff.open_case(tmp_path / "empty")


def test_a_missing_codec_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp(H, W), compression="zlib")

    def refuse(*args: object, **kwargs: object) -> None:
        raise ValueError("<COMPRESSION.LERC: 34887> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", refuse)
    with pytest.raises(InputError, match="compressed with a method that is not installed"):
        tiff.open_case(path)


def test_an_unknown_compression(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ramp(H, W), compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["Compression"].overwrite(34887)  # LERC, but the pixels are deflated
    with pytest.raises(InputError, match=r"a\.tif cannot be read"):
        tiff.open_case(path)


def test_pixels_in_other_files_are_not_read(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "other.ome.tif", ramp(2, H, W), ome=True, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(tmp_path / "other.ome.tif") as file:
        xml = file.ome_metadata
    assert xml
    head, _, tail = xml.partition("<TiffData")
    tail = tail[tail.index("/>") + 2 :]
    lent = (
        '<TiffData IFD="0" PlaneCount="1" FirstZ="0"/><TiffData IFD="0" PlaneCount="1" FirstZ="1">'
        '<UUID FileName="other.ome.tif">urn:uuid:1234</UUID></TiffData>'
    )
    tifffile.imwrite(
        tmp_path / "a.ome.tif", ramp(H, W), description=(head + lent + tail).encode(), metadata=None
    )
    with pytest.raises(InputError, match=r"other files|damaged"):
        tiff.open_case(tmp_path / "a.ome.tif")


def test_entities_in_ome_are_not_expanded(tmp_path: Path) -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a "aaaa">]><OME>&a;</OME>'
    tifffile.imwrite(tmp_path / "a.tif", ramp(H, W), description=bomb, metadata=None)
    image = tiff.open_case(tmp_path / "a.tif").images[0]
    assert image.grid.unit == "unknown"


# --- writing ---------------------------------------------------------------------------------


def segmentation(spacing: tuple[float, float, float] | None = (5.0, 0.9375, 0.4)) -> Segmentation:
    labels = np.zeros((7, H, W), np.uint8)
    labels[1, 2, 3], labels[6, 9, 11] = 4, 2
    return Segmentation(
        labels, Grid.from_codes(labels.shape, spacing=spacing), CONVENTIONS["brats-2021"], "case"
    )


@pytest.mark.parametrize("spacing", [(5.0, 0.9375, 0.4), None])
def test_round_trip(tmp_path: Path, spacing: tuple[float, float, float] | None) -> None:
    seg = segmentation(spacing)
    path = tmp_path / "case_seg.tif"
    tiff_writing.write_mask(seg, path)
    mask = tiff.open_case(path).masks[0]
    np.testing.assert_array_equal(mask.labels, seg.labels)
    assert mask.labels.dtype == np.uint8
    assert mask.convention is CONVENTIONS["brats-2021"]
    assert mask.grid.unit == seg.grid.unit
    np.testing.assert_allclose(mask.grid.spacing, seg.grid.spacing, rtol=1e-6)
    with tifffile.TiffFile(path) as file:
        assert file.is_imagej
        assert file.series[0].axes == "ZYX"
    with pytest.raises(OutputError, match="exists already"):
        tiff_writing.write_mask(seg, path)


def test_masks_from_flipped_files_are_written_canonically(tmp_path: Path) -> None:
    seg = segmentation()
    grid = Grid.from_codes((W, H, 7), "RAS", (0.4, 0.9375, 5.0))
    tiff_writing.write_mask(Segmentation(seg.labels, grid, seg.convention), tmp_path / "a_seg.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a_seg.tif"), seg.labels)


def test_lgg_writing_is_all_or_nothing(tmp_path: Path) -> None:
    seg = segmentation()
    (tmp_path / "case_4_mask.tif").write_bytes(b"corrected by hand")
    with pytest.raises(OutputError, match="case_4_mask"):
        tiff_writing.write_lgg(seg, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["case_4_mask.tif"]
    assert (tmp_path / "case_4_mask.tif").read_bytes() == b"corrected by hand"
    written = tiff_writing.write_lgg(seg, tmp_path, overwrite=True)
    assert [p.name for p in written] == [f"case_{n}_mask.tif" for n in range(1, 8)]
    np.testing.assert_array_equal(tifffile.imread(written), (seg.labels > 0) * np.uint8(255))
    assert len(list(tmp_path.iterdir())) == 7


def test_lgg_writing_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, calls = tifffile.imwrite, []

    def full(*args: object, **kwargs: object) -> None:
        calls.append(args)
        if len(calls) == 5:
            raise OSError(28, "No space left on device")
        write(*args, **kwargs)

    monkeypatch.setattr(tifffile, "imwrite", full)
    with pytest.raises(OutputError, match="No space left"):
        tiff_writing.write_lgg(segmentation(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_pages_in_a_circle_do_not_hang(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.arange(6 * 32 * 32, dtype=np.uint16).reshape(6, 32, 32))
    with tifffile.TiffFile(path) as tif:
        places = [page.offset for page in tif.pages]
        tags = len(tif.pages[3].tags)
    content = bytearray(path.read_bytes())
    following = places[3] + 2 + 12 * tags
    assert int.from_bytes(content[following : following + 4], "little") == places[4]
    content[following : following + 4] = places[2].to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(InputError, match="pages run in a circle"):
        tiff.open_case(path)


@pytest.mark.parametrize(
    ("axis", "options"),
    [
        (0, {}),
        (0, {"metadata": {"axes": "CZYX"}}),
        (1, {"imagej": True, "metadata": {"axes": "ZCYX"}}),
        (3, {}),
        (3, {"photometric": "minisblack"}),
    ],
)
@pytest.mark.parametrize("scale", [1, 255])
def test_channels_of_a_mask_in_any_place(tmp_path: Path, axis: int, options: dict, scale: int) -> None:
    labels = np.zeros((7, 12, 14), np.uint8)
    labels[2:5, 3:9, 3:9], labels[3, 4:7, 4:7], labels[3, 5, 5] = 2, 1, 3
    hot = np.stack([labels == value for value in range(4)], axis).astype(np.uint8) * np.uint8(scale)
    tifffile.imwrite(tmp_path / "x_mask.tif", hot, **options)
    (mask,) = tiff.open_case(tmp_path / "x_mask.tif").masks
    np.testing.assert_array_equal(mask.labels, labels)
