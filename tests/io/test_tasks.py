"""Tasks of MSD and nnU-Net: labels by their description, files of any ending, results among the images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_tumorseg import io
from napari_tumorseg.errors import ChoiceNeededError
from tests.nifti_files import SHAPE, asymmetric, labels_like, save_nifti


def task(root: Path, ending: str = ".nii.gz", label_ending: str = "", **description: object) -> Path:
    """Write a task of one training case and one test case, with two channels each."""
    folder = root / "Dataset050_Tumour"
    for images, case in (("imagesTr", "A_001"), ("imagesTs", "A_002")):
        for channel in range(2):
            save_nifti(folder / images / f"{case}_{channel:04d}{ending}", asymmetric())
    save_nifti(folder / "labelsTr" / f"A_001{label_ending or ending}", labels_like(SHAPE, (0, 1, 2, 3)))
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def test_a_description_may_begin_with_the_mark_of_windows_editors(tmp_path: Path) -> None:
    folder = task(tmp_path, labels={"background": 0, "NCR": 1, "ED": 2, "ET": 3})
    text = (folder / "dataset.json").read_text()
    (folder / "dataset.json").write_text(text, encoding="utf-8-sig")
    assert io.read_mask(folder / "labelsTr" / "A_001.nii.gz").convention.name == "brats-2023"


@pytest.mark.parametrize(
    ("labels", "convention"),
    [
        ({"background": 0, "NCR": 1, "ED": 2, "ET": 3}, "brats-2023"),
        ({"background": 0, "necrotic_core": 1, "peritumoral edema": 2, "enhancing-tumor": 3}, "brats-2023"),
        ({"background": 0, "edema": 1, "non-enhancing tumor": 2, "enhancing tumour": 3}, "msd"),
        ({"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"}, "msd"),
        ({"background": 0, "WT": [1, 2, 3], "TC": [2, 3], "ET": [3]}, "msd"),
        ({"background": 0, "whole tumor": [1, 2, 3], "tumor core": [1, 3], "enhancing": 3}, "brats-2023"),
        ({"background": 0, "NETC": 1, "SNFH": 2, "ET": 3, "RC": 4}, "brats-2024"),
        ({"background": 0, "NCR": 1, "ED": 2, "NET": 3, "ET": 4}, "brats-2015"),
        ({"background": 0, "ET": 1, "NET": 2, "cyst": 3, "oedema": 4}, "brats-ped"),
        ({"background": 0, "ET": 1, "ED": 2, "NCR": 3}, None),  # an order of no convention
        ({"background": 0, "a": 1, "b": 2, "c": 3}, None),
        ({"background": 0, "WT": [1, 2], "a": [2, 3], "ET": 3}, None),
        ({"background": 0, "NCR": "x", "ED": None}, None),
        ([1, 2], None),
        (None, None),
    ],
)
def test_the_labels_of_a_task_mean_what_its_description_says(
    tmp_path: Path, labels: object, convention: str | None
) -> None:
    folder = task(tmp_path, labels=labels)
    (mask,) = io.open_case(folder, "A_001").masks
    assert (mask.convention.name if mask.convention else None) == convention
    label = folder / "labelsTr" / "A_001.nii.gz"
    if convention is None:
        with pytest.raises(ChoiceNeededError):
            io.read_mask(label)
    else:
        assert io.read_mask(label).convention.name == convention


def test_a_description_outweighs_the_names_of_the_msd(tmp_path: Path) -> None:
    label = tmp_path / "labelsTr" / "BRATS_001.nii.gz"
    save_nifti(label, labels_like(SHAPE, (0, 1, 2, 3)))
    assert io.read_mask(label).convention.name == "msd"
    labels = {"background": 0, "NCR": 1, "ED": 2, "ET": 3}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    assert io.read_mask(label).convention.name == "brats-2023"


@pytest.mark.parametrize(
    ("ending", "label_ending"), [(".nii", ".nii"), (".nii", ".nii.gz"), (".nii.gz", ".nii"), (".nii", ".mgz")]
)
@pytest.mark.parametrize("is_stated", [False, True])
def test_labels_of_any_ending(tmp_path: Path, ending: str, label_ending: str, is_stated: bool) -> None:
    stated = {"file_ending": ending} if is_stated else {}
    folder = task(tmp_path, ending, label_ending, labels={"NCR": 1, "ED": 2, "ET": 3}, **stated)
    (mask,) = io.open_case(folder, "A_001").masks
    np.testing.assert_array_equal(np.unique(mask.labels), [0, 1, 2, 3])


def test_a_result_among_the_images_belongs_to_its_case(tmp_path: Path) -> None:
    folder = task(tmp_path, channel_names={"0": "T1", "1": "FLAIR"})
    save_nifti(folder / "imagesTs" / "A_002_seg.nii.gz", labels_like(SHAPE, (0, 1)))
    save_nifti(folder / "imagesTs" / "A_002_prob_WT.nii.gz", asymmetric().astype("f4"))
    for path in (folder, folder / "imagesTs"):
        assert io.list_cases(path) == (["A_001", "A_002"] if path == folder else ["A_002"])
        case = io.open_case(path, "A_002")
        assert [str(image.role) for image in case.images] == ["t1", "flair"]
        assert [mask.name for mask in case.masks] == ["A_002_seg"]


def test_a_foreign_image_is_a_case_of_its_own(tmp_path: Path) -> None:
    folder = task(tmp_path)
    save_nifti(folder / "imagesTr" / "localiser.nii.gz", asymmetric())
    assert io.list_cases(folder) == ["A_001", "localiser", "A_002"]


def test_cases_of_one_name_are_distinguished_by_their_folders(tmp_path: Path) -> None:
    folder = task(tmp_path)
    save_nifti(folder / "imagesTs" / "A_001_0000.nii.gz", asymmetric())
    assert io.list_cases(folder) == ["A_001", "imagesTs/A_001", "A_002"]
    assert len(io.open_case(folder, "imagesTs/A_001").images) == 1
