"""Cases found in folders of data sets: one list of names for every layout, each of which can be opened."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest

from napari_tumorseg import io
from napari_tumorseg.errors import ChoiceNeededError, InputError
from napari_tumorseg.io.dataset import DataSet
from napari_tumorseg.io.discovery import find_cases
from napari_tumorseg.io.nifti_groups import source_of
from tests.nifti_files import labels_like, save_nifti

SHAPE = (8, 9, 10)
RNG = np.random.default_rng(5)


def image(path: Path, *more: int) -> Path:
    save_nifti(path, RNG.integers(20, 900, (*SHAPE, *more)).astype(np.int16))
    return path


def labels(path: Path) -> Path:
    save_nifti(path, labels_like(SHAPE, (0, 1, 2, 3)))
    return path


def roles(path: Path, case: str | None = None) -> dict[str, str]:
    return {i.name: str(i.role) for i in io.open_case(path, case).images}


def masks(path: Path, case: str | None = None) -> list[str]:
    return [mask.name for mask in io.open_case(path, case).masks]


def slices(folder: Path, *volumes: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for volume in volumes:
        for number in (9, 10):
            with h5py.File(folder / f"{volume}_slice_{number}.h5", "w") as file:
                file["image"] = np.full((10, 12, 4), number, np.float32) + np.arange(4)
                file["mask"] = np.zeros((10, 12, 3), np.uint8)


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["volume_2", "BraTS2020_training_data/content/data/volume_2"])
def test_a_nest_of_folders_around_many_files_is_no_part_of_their_names(tmp_path: Path, wanted: str) -> None:
    slices(tmp_path / "BraTS2020_training_data" / "content" / "data", "volume_1", "volume_2", "volume_10")
    assert io.list_cases(tmp_path) == ["volume_1", "volume_2", "volume_10"]
    case = io.open_case(tmp_path, wanted.rsplit("/", 1)[-1])
    assert case.name == "volume_2"
    assert [float(v) for v in case.images[0].data[:, 0, 0]] == [9, 10]


def test_every_name_that_is_listed_opens_and_so_do_its_short_forms(tmp_path: Path) -> None:
    for folder, patient in (("HGG", "A"), ("HGG", "B"), ("LGG", "C"), ("LGG", "A")):
        image(tmp_path / folder / patient / f"{folder}_{patient}_flair.nii.gz")
    names = io.list_cases(tmp_path)
    assert names == ["HGG/A", "HGG/B", "LGG/A", "LGG/C"]
    for name in names:
        assert io.open_case(tmp_path, name).name == name.replace("/", "_")
    assert io.open_case(tmp_path, "HGG_B").name == io.open_case(tmp_path, "B").name == "HGG_B"
    with pytest.raises(ChoiceNeededError, match="2 cases called A") as raised:
        io.open_case(tmp_path, "A")
    assert raised.value.options == ("HGG/A", "LGG/A")
    data = DataSet.find([tmp_path])
    assert [case.name for case in data.named(["LGG_C", "HGG/A", "B"]).cases] == ["LGG_C", "HGG_A", "HGG_B"]
    with pytest.raises(ChoiceNeededError, match="2 cases called A"):
        data.named(["A"])
    with pytest.raises(InputError, match="no case D"):
        data.named(["D"])


def test_flat_folders_side_by_side_keep_their_names_apart(tmp_path: Path) -> None:
    for site in ("one", "two"):
        slices(tmp_path / site, "volume_1", "volume_2")
    assert io.list_cases(tmp_path) == [f"{s}/volume_{n}" for s in ("one", "two") for n in (1, 2)]
    assert io.open_case(tmp_path, "two/volume_1").name == "two_volume_1"
    assert [case.name for case in DataSet.find([tmp_path]).cases][:2] == ["one_volume_1", "one_volume_2"]


def test_links_in_circles(tmp_path: Path) -> None:
    image(tmp_path / "A" / "flair.nii")
    (tmp_path / "A2").mkdir()
    (tmp_path / "A2" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "A2" / "self").symlink_to(tmp_path / "A2", target_is_directory=True)
    assert io.list_cases(tmp_path) == ["A"]
    assert io.open_case(tmp_path).name == "A"


def test_a_link_to_a_case_elsewhere_is_followed(tmp_path: Path) -> None:
    image(tmp_path / "store" / "x" / "flair.nii")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "P1").symlink_to(tmp_path / "store" / "x", target_is_directory=True)
    assert io.list_cases(tmp_path / "study") == ["P1"]


def test_one_volume_of_many_is_opened_without_a_look_at_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices(tmp_path, *(f"volume_{n}" for n in range(1, 6)))
    (tmp_path / "volume_5_slice_9.h5").write_bytes(b"damaged")
    opened: list[str] = []
    real = h5py.File
    monkeypatch.setattr(
        h5py, "File", lambda path, *a, **k: (opened.append(Path(path).name), real(path, *a, **k))[1]
    )
    assert io.open_case(tmp_path, "volume_1").name == "volume_1"
    assert {name.split("_slice_")[0] for name in opened} <= {"volume_1"}


def test_nothing_but_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(InputError, match="holds no file that can be read"):
        find_cases(tmp_path)


# --- nnU-Net -----------------------------------------------------------------------------------

CHANNELS = {"0": "T1", "1": "T1ce", "2": "T2", "3": "FLAIR"}


@pytest.mark.parametrize("key", ["channel_names", "modality"])
def test_nnunet_task(tmp_path: Path, key: str) -> None:
    task = tmp_path / "Dataset001_BrainTumour"
    for number in (1, 2):
        for channel in range(4):
            image(task / "imagesTr" / f"BRATS_{number:03d}_{channel:04d}.nii.gz")
        labels(task / "labelsTr" / f"BRATS_{number:03d}.nii.gz")
    (task / "dataset.json").write_text(json.dumps({key: CHANNELS}))
    for path in (task, task / "imagesTr"):
        assert io.list_cases(path) == ["BRATS_001", "BRATS_002"]
        assert list(roles(path, "BRATS_002").values()) == ["t1", "t1c", "t2", "flair"]
        assert masks(path, "BRATS_002") == ["BRATS_002"]
    assert roles(task / "imagesTr" / "BRATS_001_0003.nii.gz") == {"BRATS_001_0003": "flair"}
    loaded = DataSet.find([task]).cases[0].load()
    assert {str(role) for role in loaded[0].roles} == {"t1", "t1c", "t2", "flair"}
    assert loaded[1].labels.any()


def test_nnunet_images_without_a_description(tmp_path: Path) -> None:
    for channel in range(2):
        image(tmp_path / "imagesTs" / f"P1_{channel:04d}.nii.gz")
    assert io.list_cases(tmp_path) == ["P1"]
    assert roles(tmp_path) == {"P1_0000": "other", "P1_0001": "other"}


def test_nnunet_input_folder_with_its_description_beside(tmp_path: Path) -> None:
    for name in ("P1", "P2"):
        for channel in (0, 3):
            image(tmp_path / f"{name}_{channel:04d}.nii.gz")
    (tmp_path / "dataset.json").write_text(json.dumps({"channel_names": CHANNELS}))
    assert io.list_cases(tmp_path) == ["P1", "P2"]
    assert roles(tmp_path, "P2") == {"P2_0000": "t1", "P2_0003": "flair"}


# --- a folder for each sequence ----------------------------------------------------------------


def test_each_sequence_in_its_folder(tmp_path: Path) -> None:
    for patient in ("EGD-0001", "EGD-0002"):
        for number, word in enumerate(("T1", "T1GD", "T2", "FLAIR"), 1):
            image(tmp_path / patient / f"{number}_{word}" / "NIFTI" / f"{word}.nii.gz")
        labels(tmp_path / patient / "5_MASK" / "NIFTI" / "MASK.nii.gz")
    assert io.list_cases(tmp_path) == ["EGD-0001", "EGD-0002"]
    assert roles(tmp_path, "EGD-0002") == {"T1": "t1", "T1GD": "t1c", "T2": "t2", "FLAIR": "flair"}
    assert masks(tmp_path / "EGD-0001") == ["MASK"]


def test_the_folder_names_the_sequence_where_the_file_does_not(tmp_path: Path) -> None:
    for word in ("AX_T1_POST_GAD", "Sag FLAIR"):
        image(tmp_path / "P7" / word / "image.nii")
    assert roles(tmp_path) == {"AX_T1_POST_GAD": "t1c", "Sag FLAIR": "flair"}


def test_a_clear_folder_wins_over_a_contested_file(tmp_path: Path) -> None:
    for word in ("flair", "t1", "t1c"):
        image(tmp_path / "P9" / word / "P9_post.nii.gz")
    assert io.list_cases(tmp_path) == ["P9"]
    assert sorted(roles(tmp_path).values()) == ["flair", "t1", "t1c"]


def test_the_only_image_of_a_folder_is_what_the_folder_says(tmp_path: Path) -> None:
    image(tmp_path / "P9" / "t1" / "P9_t1_post.nii.gz")
    image(tmp_path / "P9" / "flair" / "P9_flair_post.nii.gz")
    assert sorted(roles(tmp_path).values()) == ["flair", "t1"]


def test_two_images_of_a_folder_are_distinguished_by_their_own_names(tmp_path: Path) -> None:
    paths = [image(tmp_path / "P8" / "t1" / f"{word}.nii.gz") for word in ("T1", "T1_post")]
    assert [source_of(path, tmp_path / "P8").name for path in paths] == ["T1", "T1_post"]


def test_a_mere_mask_in_a_folder_of_brain_masks(tmp_path: Path) -> None:
    for number, word in enumerate(("T1", "FLAIR"), 1):
        image(tmp_path / "EGD-0001" / f"{number}_{word}" / "NIFTI" / f"{word}.nii.gz")
    save_nifti(tmp_path / "EGD-0001" / "5_BRAINMASK" / "NIFTI" / "MASK.nii.gz", labels_like(SHAPE, (0, 1)))
    labels(tmp_path / "EGD-0001" / "6_MASK" / "NIFTI" / "MASK.nii.gz")
    assert io.open_case(tmp_path).brain_mask is not None
    assert masks(tmp_path) == ["MASK"]


def test_a_seg_of_a_brain_image_in_a_folder_named_like_a_file(tmp_path: Path) -> None:
    image(tmp_path / "P7" / "P7_flair.nii" / "00000057_brain_flair.nii")
    labels(tmp_path / "P7" / "P7_seg.nii" / "00000057_brain_flair_seg.nii")
    assert masks(tmp_path) == ["00000057_brain_flair_seg"]


def test_sequence_folders_of_several_patients(tmp_path: Path) -> None:
    for word in ("flair", "t1ce"):
        for patient in ("P1", "P2"):
            image(tmp_path / word / f"{patient}.nii.gz")
    labels(tmp_path / "seg" / "P1.nii.gz")
    assert io.list_cases(tmp_path) == ["P1", "P2"]
    assert sorted(roles(tmp_path, "P1").values()) == ["flair", "t1c"]
    assert len(masks(tmp_path, "P1")) == 1 and not masks(tmp_path, "P2")


def test_times_called_t1_and_t2_are_two_cases(tmp_path: Path) -> None:
    for time in ("T1", "T2"):
        for word in ("flair", "t1c"):
            image(tmp_path / time / f"{word}.nii")
    assert io.list_cases(tmp_path) == ["T1", "T2"]


def test_folders_named_like_files(tmp_path: Path) -> None:
    case = tmp_path / "BraTS2021_00000"
    image(case / "BraTS2021_00000_flair.nii" / "00000057_brain_flair.nii")
    image(case / "BraTS2021_00000_t1ce.nii" / "00000057_brain_t1ce.nii")
    labels(case / "BraTS2021_00000_seg.nii" / "00000057_final_seg.nii")
    image(case / "BraTS2021_00000_t2.nii" / "scan.nii")
    assert io.list_cases(tmp_path) == ["BraTS2021_00000"]
    assert sorted(roles(case).values()) == ["flair", "t1c", "t2"]
    assert masks(case) == ["00000057_final_seg"]


# --- BIDS --------------------------------------------------------------------------------------


def bids(root: Path) -> Path:
    for subject, session in (("01", "pre"), ("01", "post"), ("02", "pre")):
        stem = f"sub-{subject}_ses-{session}"
        anatomy = root / f"sub-{subject}" / f"ses-{session}" / "anat"
        for suffix in ("FLAIR", "T1w", "ce-gd_T1w"):
            image(anatomy / f"{stem}_{suffix}.nii.gz")
        image(anatomy.parent / "dwi" / f"{stem}_dwi.nii.gz", 20)
        derived = root / "derivatives" / "experts" / f"sub-{subject}" / f"ses-{session}" / "anat"
        labels(derived / f"{stem}_label-lesion_mask.nii.gz")
        labels(derived / f"{stem}_space-MNI152_label-lesion_mask.nii.gz")
        image(derived / f"{stem}_desc-preproc_T1w.nii.gz")
    return root


def test_bids_sessions_with_masks_among_the_derivatives(tmp_path: Path) -> None:
    root = bids(tmp_path / "ds")
    assert io.list_cases(root) == ["sub-01_ses-post", "sub-01_ses-pre", "sub-02_ses-pre"]
    stem = "sub-01_ses-post"
    for path in (root, root / "sub-01", root / "sub-01" / "ses-post"):
        found = io.open_case(path, stem)
        assert {i.name.removeprefix(stem): str(i.role) for i in found.images} == {
            "_FLAIR": "flair", "_T1w": "t1", "_ce-gd_T1w": "t1c",
        }  # fmt: skip
        assert [m.name for m in found.masks] == [f"{stem}_label-lesion_mask"]
        assert found.time_point == "post"
    assert {case.patient for case in DataSet.find([root]).cases} == {"sub-01", "sub-02"}


def test_bids_without_sessions(tmp_path: Path) -> None:
    image(tmp_path / "sub-A" / "anat" / "sub-A_FLAIR.nii.gz")
    image(tmp_path / "sub-A" / "anat" / "sub-A_T1w.nii.gz")
    (tmp_path / "derivatives").mkdir()
    assert io.list_cases(tmp_path) == ["sub-A"]
    assert sorted(roles(tmp_path).values()) == ["flair", "t1"]


def test_the_anatomy_folder_of_a_session(tmp_path: Path) -> None:
    anatomy = bids(tmp_path) / "sub-02" / "ses-pre" / "anat"
    assert io.list_cases(anatomy) == ["sub-02_ses-pre"]
    assert masks(anatomy) == ["sub-02_ses-pre_label-lesion_mask"]


def test_a_folder_of_images_and_one_of_masks(tmp_path: Path) -> None:
    for patient in ("P1", "P2"):
        image(tmp_path / "images" / f"{patient}.nii.gz")
    labels(tmp_path / "labels" / "P1.nii.gz")
    assert io.list_cases(tmp_path) == ["P1", "P2"]
    assert roles(tmp_path, "P2") == {"P2": "other"} and not masks(tmp_path, "P2")
    assert masks(tmp_path, "P1") == ["P1"]
    assert DataSet.find([tmp_path]).cases[0].load("brats-2023")[1].labels.any()


# --- one patient stays one case ----------------------------------------------------------------


@pytest.mark.parametrize(
    "stems",
    [
        ("FLAIR_4", "T1_5", "T1_6", "T1_POST_9"),
        ("3_T1", "4_FLAIR", "5_T1_post", "6_T1_post"),
        ("P1_FLAIR", "P1_T1", "P1_T1_WO_CONTRAST_7"),
        ("AX_T1_20190101_5", "AX_T1_20190101_6", "AX_FLAIR_20190101_7"),
    ],
)
def test_two_series_of_one_sequence_are_no_two_patients(tmp_path: Path, stems: tuple[str, ...]) -> None:
    for stem in stems:
        image(tmp_path / "patient" / f"{stem}.nii.gz")
    assert io.list_cases(tmp_path / "patient") == ["patient"]
    with pytest.raises(ChoiceNeededError, match="2 images that look like"):
        io.read(tmp_path / "patient")


def test_patients_of_whom_some_lack_a_sequence(tmp_path: Path) -> None:
    for stem in ("P1_flair", "P1_t1ce", "P2_t1ce", "P2_t2", "P3_flair"):
        image(tmp_path / f"{stem}.nii.gz")
    assert io.list_cases(tmp_path) == ["P1", "P2", "P3"]


def test_pre_and_post_before_the_sequence_are_times(tmp_path: Path) -> None:
    for time in ("pre", "post"):
        for word in ("FLAIR", "T1"):
            image(tmp_path / f"P1_{time}_{word}.nii.gz")
    assert io.list_cases(tmp_path) == ["P1_post", "P1_pre"]
    assert sorted(roles(tmp_path, "P1_post").values()) == ["flair", "t1"]


# --- copies and extras -------------------------------------------------------------------------


def test_the_plain_image_wins_over_its_processed_copy(tmp_path: Path) -> None:
    for word in ("FLAIR", "T1", "T1c"):
        image(tmp_path / "U-4" / f"U-4_{word}.nii.gz")
        image(tmp_path / "U-4" / f"U-4_{word}_bias.nii.gz")
    case = io.open_case(tmp_path)
    assert {i.name for i in case.images if str(i.role) == "other"} == {
        "U-4_FLAIR_bias", "U-4_T1_bias", "U-4_T1c_bias",
    }  # fmt: skip
    assert "U-4_T1_bias is not used: it is a processed copy of U-4_T1" in case.warnings
    assert case.scan().roles.keys() == {"t1", "t1c", "flair"}


@pytest.mark.parametrize(
    ("used", "left", "others"),
    [
        ("T1_reg", "T1", ("FLAIR",)),
        ("T1", "T1_brain", ("FLAIR",)),
        ("T1_brain", "T1", ("FLAIR_brain",)),
        ("T1_brain", "T1", ()),
        ("T1", "T1_MNI", ("FLAIR",)),
        ("T1_bet_reg", "T1", ("FLAIR_bet",)),
        ("T1", "T1_norm", ("FLAIR",)),
    ],
)
def test_of_an_image_and_its_copy_the_better_suited_one_is_used(
    tmp_path: Path, used: str, left: str, others: tuple[str, ...]
) -> None:
    for name in (used, left, *others):
        image(tmp_path / "P9" / f"{name}.nii.gz")
    case = io.open_case(tmp_path)
    assert [i.name for i in case.images if str(i.role) == "t1"] == [used]
    assert any(w.startswith(f"{left} is not used") for w in case.warnings)


def test_a_difference_is_no_second_image(tmp_path: Path) -> None:
    for name in ("T1", "T1c", "T1c_minus_T1"):
        image(tmp_path / "P9" / f"{name}.nii.gz")
    assert roles(tmp_path) == {"T1": "t1", "T1c": "t1c", "T1c_minus_T1": "other"}


def test_a_numbered_mask_is_one_by_its_labels(tmp_path: Path) -> None:
    image(tmp_path / "P1" / "flair.nii.gz")
    labels(tmp_path / "P1" / "lesion_1_flair.nii.gz")
    assert roles(tmp_path) == {"flair": "flair"}
    assert masks(tmp_path) == ["lesion_1_flair"]


def test_a_registered_copy_is_used_though_its_original_has_another_grid(tmp_path: Path) -> None:
    for name in ("T1_reg", "FLAIR"):
        image(tmp_path / "P9" / f"{name}.nii.gz")
    save_nifti(tmp_path / "P9" / "T1.nii.gz", RNG.integers(20, 900, (5, 6, 7)).astype(np.int16))
    scan = io.open_case(tmp_path).scan()
    assert scan.roles.keys() == {"t1", "flair"}
    assert scan.grid.shape == SHAPE[::-1]


def test_numbered_tumours_are_patients(tmp_path: Path) -> None:
    for number in ("01", "02"):
        image(tmp_path / f"tumor_{number}_flair.nii.gz")
        labels(tmp_path / f"tumor_{number}_seg.nii.gz")
    assert io.list_cases(tmp_path) == ["tumor_01", "tumor_02"]
    assert roles(tmp_path, "tumor_02") == {"tumor_02_flair": "flair"}
    assert masks(tmp_path, "tumor_02") == ["tumor_02_seg"]


@pytest.mark.parametrize("patients", [1, 2])
def test_a_file_beside_its_packed_self(tmp_path: Path, patients: int) -> None:
    for n in range(patients):
        for word in ("flair", "t1c"):
            packed = image(tmp_path / f"P{n}_{word}.nii.gz")
            nib.save(nib.load(packed), tmp_path / f"P{n}_{word}.nii")
    assert len(io.list_cases(tmp_path)) == patients
    case = io.open_case(tmp_path, io.list_cases(tmp_path)[-1])
    assert len(case.images) == 2
    assert any("holds the same as" in warning for warning in case.warnings)
    assert case.scan().roles.keys() == {"flair", "t1c"}


def test_a_file_beside_another_of_its_name_is_asked_about(tmp_path: Path) -> None:
    image(tmp_path / "flair.nii")
    image(tmp_path / "flair.nii.gz")
    with pytest.raises(ChoiceNeededError, match="2 images that look like"):
        io.read(tmp_path)


def colours(path: Path) -> None:
    voxels = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)


def series(path: Path) -> None:
    save_nifti(path, np.zeros((20, 20, 20, 40), np.int16))


def short_series(path: Path) -> None:
    image(path, 6)


def damaged(path: Path) -> None:
    image(path)
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (series, "T1_DCE_perfusion"),
        (series, "T1_dynamic"),
        (series, "T1_post_4D"),  # by its name as good a T1c as the other
        (short_series, "DCE"),
        (colours, "colFA"),
        (colours, "FLAIR_fused"),
        (damaged, "T2star"),
        (damaged, "ADC"),
        (damaged, "T1c_bias"),
    ],
)
def test_an_extra_does_not_block_a_patient(tmp_path: Path, make: object, name: str) -> None:
    image(tmp_path / "FLAIR.nii.gz")
    image(tmp_path / "T1c.nii.gz")
    make(tmp_path / f"{name}.nii.gz")  # type: ignore[operator]
    case = io.open_case(tmp_path)
    assert [i.name for i in case.images] == ["FLAIR", "T1c"]
    assert any(name in warning and "left out" in warning for warning in case.warnings)
    assert case.scan().roles.keys() == {"flair", "t1c"}


def test_an_image_of_two_volumes_keeps_its_role(tmp_path: Path) -> None:
    image(tmp_path / "sub-01_FLAIR.nii.gz", 2)
    image(tmp_path / "sub-01_ce-gd_T1w.nii.gz")
    case = io.open_case(tmp_path)
    assert {i.name: str(i.role) for i in case.images} == {
        "sub-01_FLAIR": "flair", "sub-01_ce-gd_T1w": "t1c",
    }  # fmt: skip
    stored = nib.load(tmp_path / "sub-01_FLAIR.nii.gz").get_fdata()[..., 0]
    np.testing.assert_array_equal(np.sort(case.images[0].data, axis=None), np.sort(stored, axis=None))
    assert "sub-01_FLAIR.nii.gz holds 2 volumes; the first one is used" in case.warnings


def test_tissue_maps_of_fast_are_no_tumours(tmp_path: Path) -> None:
    image(tmp_path / "T1.nii.gz")
    image(tmp_path / "FLAIR.nii.gz")
    for part in ("seg", "pveseg"):
        labels(tmp_path / f"T1_{part}.nii.gz")
    case = io.open_case(tmp_path)
    assert not case.masks
    assert {i.name: str(i.role) for i in case.images if str(i.role) != "other"} == {
        "T1": "t1",
        "FLAIR": "flair",
    }
    shutil.move(tmp_path / "T1_pveseg.nii.gz", tmp_path / "tumour.nii.gz")
    assert len(io.open_case(tmp_path).masks) == 2


def test_a_contested_word_is_kept_with_the_image(tmp_path: Path) -> None:
    image(tmp_path / "FLAIR.nii.gz")
    image(tmp_path / "AXT1POST.nii.gz")
    case = io.open_case(tmp_path)
    assert {i.name: i.role_note for i in case.images} == {
        "AXT1POST": "T1c because of `post` alone", "FLAIR": "",
    }  # fmt: skip
    assert any("AXT1POST is taken as T1c because of `post` alone" in w for w in case.scan().warnings)
    case = case.with_roles({"AXT1POST": case.images[1].role})
    assert not case.images[0].role_note


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs links to many files")
def test_many_slices_are_listed_by_name_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slices(tmp_path / "one", "volume_1")
    first = tmp_path / "one" / "volume_1_slice_9.h5"
    (tmp_path / "many").mkdir()
    for number in range(3000):
        os.link(first, tmp_path / "many" / f"volume_{number // 150}_slice_{number % 150}.h5")
    stats = 0
    real = Path.stat

    def counted(path: Path, **options: bool) -> os.stat_result:
        nonlocal stats
        stats += 1
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", counted)
    assert len(io.list_cases(tmp_path / "many")) == 20
    assert stats < 50
