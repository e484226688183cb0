"""HDF5: every layout voxel by voxel, real patches, hostile files, round trips. Oracle: h5py."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_tumorseg.errors import ChoiceNeededError, InputError, OutputError, TooLargeError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.io import hdf5
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Role, Segmentation

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
H, W = 10, 12


def ramp(*shape: int) -> np.ndarray:
    """Return an array in which every voxel differs, so that any wrong axis or flip shows."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def save(path: Path, **datasets: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return path


def stamp(path: Path, name: str, **attributes: object) -> Path:
    with h5py.File(path, "r+") as file:
        file[name].attrs.update(attributes)
    return path


def notes_of(case: object) -> str:
    return " | ".join(case.warnings)  # type: ignore[attr-defined]


# --- Kaggle BraTS slices ---------------------------------------------------------------------


def save_slices(folder: Path, numbers: list[int], channels: str | None = None, flair: int = 3) -> np.ndarray:
    """Save slices of volume 7 with oedema that is bright in two channels; return (S, X, Y, 4)."""
    rng = np.random.default_rng(0)
    volume = rng.uniform(0.5, 1, (len(numbers), H, W, 4)).astype(np.float64)
    volume[:, 0, :, :] = 0
    bright = (0, 3) if flair == 0 else (2, 3)
    volume[:, 4:6, 4:6, bright] += 5
    masks = np.zeros((len(numbers), H, W, 3), np.uint8)
    masks[:, 4:6, 4:6, 1] = 1
    masks[:, 7, 2, 0] = 1
    masks[:, 8, 9, 2] = 1
    for number, image, mask in zip(numbers, volume, masks, strict=True):
        path = save(folder / f"volume_7_slice_{number}.h5", image=image, mask=mask)
        if channels:
            stamp(path, "image", channels=channels)
    return volume


def test_brats_slices_are_stacked_in_numeric_order_and_oriented(tmp_path: Path) -> None:
    volume = save_slices(tmp_path, [8, 9, 10, 11], "t1,t1c,t2,flair")
    assert hdf5.list_cases(tmp_path) == ["volume_7"]
    case = hdf5.open_case(tmp_path)
    assert case.layout == "BraTS HDF5 slices"
    assert [i.role for i in case.images] == [Role.T1, Role.T1C, Role.T2, Role.FLAIR]
    assert case.images[0].data.shape == (4, W, H)  # (Z, Y, X)
    assert case.images[0].data.dtype == np.float32
    # file axes are (slice, X, Y)
    assert case.images[3].data[2, 5, 3] == np.float32(volume[2, 3, 5, 3])
    assert case.images[0].grid.unit == "unknown"
    mask = case.masks[0]
    assert mask.convention is CONVENTIONS["brats-2021"]
    assert (mask.labels[1, 2, 7], mask.labels[1, 4, 5], mask.labels[1, 9, 8]) == (1, 2, 4)
    assert not case.warnings


@pytest.mark.parametrize(("flair", "first"), [(0, Role.FLAIR), (3, Role.T1)])
def test_brats_channel_order_is_found_by_the_oedema(tmp_path: Path, flair: int, first: Role) -> None:
    save_slices(tmp_path, [1, 2], flair=flair)
    case = hdf5.open_case(tmp_path)
    assert case.images[0].role is first
    assert case.images[flair].role is Role.FLAIR
    assert "order of the channels is not stored" in notes_of(case)


def test_brats_channel_order_without_a_mask_is_an_assumption(tmp_path: Path) -> None:
    save(tmp_path / "volume_1_slice_3.h5", image=np.random.default_rng(1).random((H, W, 4)))
    case = hdf5.open_case(tmp_path / "volume_1_slice_3.h5")
    assert [i.role for i in case.images] == [Role.T1, Role.T1C, Role.T2, Role.FLAIR]
    assert "order of the channels is not stored" in notes_of(case)
    assert not case.masks


def test_a_missing_slice_is_left_empty_and_noted(tmp_path: Path) -> None:
    volume = save_slices(tmp_path, [1, 2, 4], "t1,t1c,t2,flair")
    case = hdf5.open_case(tmp_path)
    data = case.images[0].data
    assert data.shape[0] == 4
    assert not data[2].any()
    assert data[3, 5, 3] == np.float32(volume[2, 3, 5, 0])
    assert "1 slice(s) are missing (number 3)" in notes_of(case)


def test_few_slices_far_apart_are_put_together(tmp_path: Path) -> None:
    save_slices(tmp_path, [1, 900_000_000], "t1,t1c,t2,flair")
    case = hdf5.open_case(tmp_path)
    assert case.images[0].data.shape[0] == 2
    assert "one behind the other" in notes_of(case)


def test_a_single_brats_slice_is_a_volume_of_one(tmp_path: Path) -> None:
    save_slices(tmp_path, [5, 6])
    case = hdf5.open_case(tmp_path / "volume_7_slice_6.h5")
    assert case.name == "volume_7_slice_6"
    assert case.images[0].data.shape == (1, W, H)


def test_slices_of_different_shapes_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "volume_1_slice_1.h5", image=np.ones((H, W, 4)), mask=np.zeros((H, W, 3)))
    save(tmp_path / "volume_1_slice_2.h5", image=np.ones((H, H, 4)), mask=np.zeros((H, H, 3)))
    with pytest.raises(InputError, match=r"slice_2\.h5 is \(10, 10\)"):
        hdf5.open_case(tmp_path)


def test_several_volumes_need_a_choice(tmp_path: Path) -> None:
    for volume in (2, 10):
        save(tmp_path / f"volume_{volume}_slice_1.h5", image=np.ones((H, W, 4)), mask=np.zeros((H, W, 3)))
    assert hdf5.list_cases(tmp_path) == ["volume_2", "volume_10"]
    with pytest.raises(ChoiceNeededError, match="2 cases"):
        hdf5.open_case(tmp_path)
    assert hdf5.open_case(tmp_path, "volume_10").name == "volume_10"


def test_a_slice_without_mask_is_noted(tmp_path: Path) -> None:
    save_slices(tmp_path, [1, 2], "t1,t1c,t2,flair")
    with h5py.File(tmp_path / "volume_7_slice_2.h5", "r+") as file:
        del file["mask"]
    case = hdf5.open_case(tmp_path)
    assert case.masks[0].labels[0].any()
    assert not case.masks[0].labels[1].any()
    assert "1 slice(s) have no mask" in notes_of(case)


# --- MSD patches -----------------------------------------------------------------------------


def test_msd_patch(tmp_path: Path) -> None:
    x = np.stack([ramp(9, 10, 11) + 10_000 * c for c in range(4)]).astype(np.float64)
    classes = np.zeros((9, 10, 11), int)
    classes[1, 2, 3], classes[4, 5, 6], classes[7, 8, 9] = 1, 2, 3
    path = save(tmp_path / "BRATS_1.nii.gz_1.h5", x=x, y=np.eye(4)[classes])
    case = hdf5.open_case(path)
    assert case.layout == "MSD patch"
    assert [i.role for i in case.images] == [Role.FLAIR, Role.T1, Role.T1C, Role.T2]
    data = case.images[2].data
    assert data.dtype == np.float32
    assert data.shape == (11, 10, 9)
    # X, Y run right and anterior, so both are flipped: canonical runs left and back
    assert data[3, 10 - 1 - 2, 9 - 1 - 1] == x[2, 1, 2, 3]
    assert case.masks[0].convention is CONVENTIONS["msd"]
    assert case.masks[0].labels[3, 7, 7] == 1
    assert case.masks[0].labels[9, 1, 1] == 3
    assert case.images[0].grid.unit == "unknown"


@pytest.mark.skipif(not (SHARED / "hdf5").is_dir(), reason="the shared scans are not here")
def test_real_msd_patches() -> None:
    path = sorted((SHARED / "hdf5").glob("*.h5"))[0]
    case = hdf5.open_case(path)
    with h5py.File(path) as file:
        x, y = file["x"][:], file["y"][:]
    assert case.scan().grid.shape == (16, 160, 160)
    for image, values in zip(case.images, x, strict=True):
        np.testing.assert_array_equal(image.grid.to_file_order(image.data), values.astype(np.float32))
    np.testing.assert_array_equal(case.images[0].grid.to_file_order(case.masks[0].labels), y.argmax(-1))
    assert case.masks[0].segmentation().convention.name == "msd"
    with pytest.raises(ChoiceNeededError, match="3 cases"):
        hdf5.open_case(path.parent)


# --- MATLAB ----------------------------------------------------------------------------------


def save_figshare(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Save a slice as MATLAB does: column by column; return what MATLAB shows (row, column)."""
    picture = ramp(H, W).astype(np.int16)
    mask = np.zeros((H, W), np.uint8)
    mask[2, 9] = 1
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("cjdata")
        group["image"], group["tumorMask"] = picture.T, mask.T
        group["label"], group["PID"] = np.ones((1, 1)), np.array([[ord(c)] for c in "100360"], np.uint16)
        group["tumorBorder"] = np.ones((1, 30))
        group.create_dataset("references", shape=(H, W), dtype=h5py.ref_dtype)
    return picture, mask


def test_figshare_slice_is_transposed_back(tmp_path: Path) -> None:
    picture, mask = save_figshare(tmp_path / "1.mat")
    case = hdf5.open_case(tmp_path / "1.mat")
    assert case.name == "1"
    assert case.images[0].role is Role.T1C
    np.testing.assert_array_equal(case.images[0].data, picture[None])
    np.testing.assert_array_equal(case.masks[0].labels, mask[None])
    assert case.masks[0].convention is CONVENTIONS["binary"]
    assert "100360" not in repr(case)


# --- image and mask, stacks ------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(H, W), (H, W, 1)])
def test_image_and_mask_in_one_file(tmp_path: Path, shape: tuple[int, ...]) -> None:
    picture = ramp(*shape)
    mask = np.zeros(shape, np.uint8)
    mask[2, 9] = 255
    case = hdf5.open_case(save(tmp_path / "12.h5", image=picture, mask=mask))
    assert case.layout == "HDF5 image and mask"
    np.testing.assert_array_equal(case.images[0].data, picture.reshape(1, H, W))
    assert case.masks[0].labels[0, 2, 9] == 1
    assert case.masks[0].labels.sum() == 1


def test_image_of_equal_channels_is_one(tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", image=np.repeat(ramp(H, W)[..., None], 3, axis=2), mask=np.eye(H, W))
    case = hdf5.open_case(path)
    assert len(case.images) == 1


def test_a_volume_is_slices_rows_columns(tmp_path: Path) -> None:
    picture = ramp(14, H, W)
    case = hdf5.open_case(save(tmp_path / "a.h5", image=picture, mask=(picture > 5).astype(np.uint8)))
    np.testing.assert_array_equal(case.images[0].data, picture)
    assert "its orientation is not stored" in notes_of(case)


def test_a_volume_whose_last_axis_is_the_odd_one_is_x_y_z(tmp_path: Path) -> None:
    picture = ramp(H, H, 14)
    case = hdf5.open_case(save(tmp_path / "a.h5", image=picture))
    np.testing.assert_array_equal(case.images[0].data, picture.T)


def test_three_slices_with_an_equal_mask_are_slices(tmp_path: Path) -> None:
    picture = ramp(3, H, W)
    case = hdf5.open_case(save(tmp_path / "a.h5", image=picture, mask=(picture > 9).astype(np.uint8)))
    np.testing.assert_array_equal(case.images[0].data, picture)
    assert case.masks[0].labels.shape == (3, H, W)


def test_axes_orientation_and_spacing_attributes_are_believed(tmp_path: Path) -> None:
    picture = ramp(9, 10, 11)
    path = stamp(save(tmp_path / "a.h5", image=picture), "image", orientation="RAS", spacing=[1.0, 2.0, 5.0])
    image = hdf5.open_case(path).images[0]
    np.testing.assert_array_equal(image.data, picture.T[:, ::-1, ::-1])
    assert image.grid.spacing_mm == (5.0, 2.0, 1.0)
    path = stamp(save(tmp_path / "b.h5", image=ramp(3, 9, 10)), "image", axes="CXY")
    case = hdf5.open_case(path)
    assert len(case.images) == 3
    np.testing.assert_array_equal(case.images[1].data[0], ramp(3, 9, 10)[1].T)


def test_micrometres_and_bad_spacing(tmp_path: Path) -> None:
    path = stamp(
        save(tmp_path / "a.h5", image=ramp(9, H, W)), "image", element_size_um=[5000.0, 500.0, 400.0]
    )
    assert hdf5.open_case(path).images[0].grid.spacing_mm == (5.0, 0.5, 0.4)
    path = stamp(save(tmp_path / "b.h5", image=ramp(9, H, W)), "image", spacing=[0.0, 1.0, np.nan])
    case = hdf5.open_case(path)
    assert case.images[0].grid.unit == "unknown"
    assert "is not valid" in notes_of(case)


def test_stacks_in_two_files_find_each_other(tmp_path: Path) -> None:
    pictures = ramp(20, H, W)
    masks = np.zeros((20, H, W), np.uint8)
    masks[17, 3, 4] = 1
    image_file = save(tmp_path / "train_images.h5", images=pictures)
    mask_file = save(tmp_path / "train_masks.h5", masks=masks)
    save(tmp_path / "other.h5", image=ramp(H, W))
    assert hdf5.list_cases(tmp_path) == ["other", "train_images"]
    for path in (image_file, mask_file):
        case = hdf5.open_case(path)
        np.testing.assert_array_equal(case.images[0].data, pictures)
        assert case.masks[0].labels[17, 3, 4] == 1
        assert case.masks[0].grid is case.images[0].grid
    assert case.layout == "HDF5 stack of slices"
    assert "20 images in one stack" in notes_of(case)
    assert case.images[0].grid.unit == "unknown"


def test_the_only_other_file_of_equal_shape_is_the_partner(tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", data=ramp(20, H, W))
    save(tmp_path / "b.h5", truth=(ramp(20, H, W) > 9).astype(np.uint8))
    assert hdf5.open_case(path).masks[0].labels.sum() == 20 * H * W - 10
    save(tmp_path / "b.h5", truth=(ramp(19, H, W) > 9).astype(np.uint8))
    assert not hdf5.open_case(path).masks


# --- generic ---------------------------------------------------------------------------------


def test_a_dataset_for_each_modality(tmp_path: Path) -> None:
    pictures = {"t1": ramp(9, H, W), "t1ce": ramp(9, H, W) + 1, "flair": ramp(9, H, W) + 2}
    case = hdf5.open_case(save(tmp_path / "a.h5", **pictures, seg=(ramp(9, H, W) > 5).astype(np.int64)))
    assert {i.role for i in case.images} == {Role.T1, Role.T1C, Role.FLAIR}
    assert len(case.masks) == 1


def test_groups_are_cases(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i in range(2):
            file[f"patient{i}/image"] = ramp(H, W) + i
            file[f"patient{i}/mask"] = np.eye(H, W)
    assert hdf5.list_cases(tmp_path / "a.h5") == ["patient0", "patient1"]
    case = hdf5.open_case(tmp_path / "a.h5", "patient1")
    assert case.images[0].data[0, 0, 0] == 1
    assert case.masks[0].labels.sum() == H


def test_ambiguous_datasets_need_a_choice(tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", first=ramp(H, W), second=ramp(H, W) + 1)
    with pytest.raises(ChoiceNeededError, match="first, second") as error:
        hdf5.open_case(path)
    assert error.value.options == ("first", "second")
    for case in (hdf5.open_case(path, "second"), hdf5.open_case(path, dataset="second")):
        assert case.images[0].data[0, 0, 0] == 1


def test_channels_without_names_have_no_roles(tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", data=ramp(2, 9, H, W))
    case = hdf5.open_case(path)
    assert [i.role for i in case.images] == [Role.OTHER] * 2
    np.testing.assert_array_equal(case.images[1].data, ramp(2, 9, H, W)[1])
    assert "modality of its 2 channels is not stored" in notes_of(case)


def test_one_hot_mask_of_a_volume(tmp_path: Path) -> None:
    classes = np.zeros((9, H, W), int)
    classes[1, 2, 3], classes[4, 5, 6] = 1, 2
    path = save(tmp_path / "a.h5", image=ramp(9, H, W), label=np.eye(3, dtype=np.uint8)[classes])
    np.testing.assert_array_equal(hdf5.open_case(path).masks[0].labels, classes)


def test_a_bad_mask_is_left_out(tmp_path: Path) -> None:
    case = hdf5.open_case(save(tmp_path / "a.h5", image=ramp(9, H, W), mask=ramp(9, H, W) / 7))
    assert not case.masks
    assert "the mask is left out" in notes_of(case)


def test_nan_voxels_are_kept_and_noted(tmp_path: Path) -> None:
    picture = ramp(9, H, W)
    picture[0, 0, 0] = np.nan
    case = hdf5.open_case(save(tmp_path / "a.h5", image=picture))
    assert np.isnan(case.images[0].data[0, 0, 0])
    assert "1 voxel(s) that are NaN" in notes_of(case)


# --- hostile ---------------------------------------------------------------------------------


def test_forty_terabytes_in_a_small_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("image", shape=(10_000, 1_000_000, 1000), dtype="f4", chunks=(1, 100, 1000))
    assert (tmp_path / "a.h5").stat().st_size < 5000
    with pytest.raises(TooLargeError, match=r"a\.h5"):
        hdf5.open_case(tmp_path / "a.h5")


def test_a_giant_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset(
            "image",
            shape=(H, W),
            maxshape=(None, None),
            dtype="f8",
            chunks=(30_000, 17_800),
            compression="gzip",
        )
    monkeypatch.setenv("TUMORSEG_MAX_GIB", "1")
    with pytest.raises(TooLargeError, match=r"a\.h5"):
        hdf5.open_case(tmp_path / "a.h5")


def test_external_storage_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(range(256)) * 4)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("image", shape=(32, 32), dtype="u1", external=[(str(secret), 0, 1024)])
    with pytest.raises(InputError, match="values lie in another file"):
        hdf5.open_case(tmp_path / "a.h5")


def test_virtual_datasets_are_not_read(tmp_path: Path) -> None:
    save(tmp_path / "b.h5", image=ramp(H, W))
    layout = h5py.VirtualLayout((H, W), "f4")
    layout[:] = h5py.VirtualSource(tmp_path / "b.h5", "image", shape=(H, W))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("image", layout)
    with pytest.raises(InputError, match="put together from other files"):
        hdf5.open_case(tmp_path / "a.h5")


def test_links_are_not_followed(tmp_path: Path) -> None:
    save(tmp_path / "b.h5", image=ramp(H, W))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["outside"] = h5py.ExternalLink(str(tmp_path / "b.h5"), "image")
        file["nowhere"] = h5py.SoftLink("/nowhere")
        file["loop"] = h5py.SoftLink("/loop")
        file["group/up"] = h5py.SoftLink("/group")
        file["group/hard"] = file["group"]  # a cycle of hard links
    with pytest.raises(InputError, match="holds no image"):
        hdf5.open_case(tmp_path / "a.h5")


def test_truncated_and_foreign_files(tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", image=np.random.default_rng(0).random((40, 40, 40)))
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(InputError, match=r"a\.h5 cannot be read: it is truncated"):
        hdf5.open_case(path)
    path.write_bytes(b"no such thing")
    with pytest.raises(InputError, match="no HDF5 file"):
        hdf5.list_cases(path)
    with pytest.raises(InputError, match="is not there"):
        hdf5.open_case(tmp_path / "none.h5")


def test_a_damaged_chunk(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("image", data=ramp(40, 40), chunks=(40, 40), compression="gzip")
        offset = data.id.get_chunk_info(0).byte_offset
    with (tmp_path / "a.h5").open("r+b") as raw:
        raw.seek(offset)
        raw.write(b"\xff" * 50)
    with pytest.raises(InputError, match="damaged"):
        hdf5.open_case(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.ones((H, W), complex), "complex"),
        (np.full((H, W), b"text"), "no numbers"),
        (np.ones(30), "holds no image"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, values: np.ndarray, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        hdf5.open_case(save(tmp_path / "a.h5", image=values))


def test_a_file_without_anything(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no image"):
        hdf5.open_case(save(tmp_path / "a.h5"))


# --- writing ---------------------------------------------------------------------------------


def labels(shape: tuple[int, ...]) -> np.ndarray:
    found = np.zeros(shape, np.uint8)
    found[1, 2, 3], found[0, 4, 5] = 4, 2
    return found


GRIDS = {
    "RAS with spacing": Grid.from_codes((9, 10, 11), "RAS", (1.0, 0.9, 5.0)),
    "unknown unit": Grid.from_codes((9, 10, 11), "SLP"),
    "oblique": Grid.from_file(
        (9, 10, 11), np.array([[0.9, 0.1, 0, 5], [-0.1, 0.9, 0.2, -7], [0, -0.2, 4, 30], [0, 0, 0, 1]])
    ),
    "no file layout": Grid((9, 10, 11), np.diag([1.0, 2.0, 3.0, 1.0]) @ np.eye(4)[[2, 1, 0, 3]]),
}


@pytest.mark.parametrize("name", GRIDS)
def test_round_trip(tmp_path: Path, name: str) -> None:
    grid = GRIDS[name]
    seg = Segmentation(labels(grid.shape), grid, CONVENTIONS["brats-2021"], "case")
    path = tmp_path / "case_seg.h5"
    hdf5.write_mask(seg, path)
    found = hdf5.open_case(path)
    assert not found.images
    mask = found.masks[0]
    assert mask.name == "case_seg"
    assert mask.convention is CONVENTIONS["brats-2021"]
    if name != "no file layout":
        np.testing.assert_array_equal(mask.labels, seg.labels)
        np.testing.assert_allclose(mask.grid.affine, grid.affine)
        assert mask.grid.unit == grid.unit
    with h5py.File(path) as file:
        data = file["mask"]
        np.testing.assert_array_equal(data[:], grid.to_file_order(seg.labels))
        assert data.dtype == np.uint8
        assert ("spacing_mm" in data.attrs) is (grid.unit == "mm")
        assert '"4": "ET' in data.attrs["labels"]


def test_a_mask_written_for_a_patch_equals_it_index_for_index(tmp_path: Path) -> None:
    x = np.zeros((4, 9, 10, 11))
    y = np.eye(4)[np.zeros((9, 10, 11), int)]
    y[1, 2, 3] = [0, 0, 1, 0]
    case = hdf5.open_case(save(tmp_path / "a.h5", x=x, y=y))
    hdf5.write_mask(case.masks[0].segmentation(), tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5") as file:
        np.testing.assert_array_equal(file["mask"][:], y.argmax(-1))
        assert file["mask"].attrs["orientation"] == "RAS"


def test_writing_never_replaces_unasked(tmp_path: Path) -> None:
    seg = Segmentation(labels((9, 10, 11)), Grid.from_codes((9, 10, 11)), CONVENTIONS["brats-2021"])
    hdf5.write_mask(seg, tmp_path / "a.h5")
    with pytest.raises(OutputError, match="exists already"):
        hdf5.write_mask(seg, tmp_path / "a.h5")
    hdf5.write_mask(seg, tmp_path / "a.h5", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_a_heap_in_a_circle_does_not_hang(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["data"] = ramp(4, H, W)
        file["data"].attrs["axes"] = "ZYX"
    assert hdf5.open_case(path).images[0].data.shape == (4, H, W)
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    place = heap + 16
    while content[place]:  # object 0 is the free block
        place += 16 + -(-int.from_bytes(content[place + 8 : place + 16], "little") // 8) * 8
    content[place + 8 : place + 16] = bytes(8)
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        hdf5.open_case(path)
