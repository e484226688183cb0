"""A folder of pictures beside a folder of their masks. Oracle: the arrays that were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from napari_tumorseg import io
from napari_tumorseg.io.dataset import DataSet, UnlabelledError

H, W = 24, 30


def picture(path: Path, number: int = 0) -> np.ndarray:
    """Write a grey ramp that no other number has, and return what a reader decodes from it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = ((np.arange(H * W).reshape(H, W) + 7 * number) % 200).astype(np.uint8)
    Pillow.fromarray(values).save(path)
    return np.asarray(Pillow.open(path))


def mask(path: Path, row: int, value: int = 255) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((H, W), np.uint8)
    values[row : row + 6, 4:11] = value
    Pillow.fromarray(values).save(path)
    return values > 0


def test_each_picture_has_the_mask_of_its_name(tmp_path: Path) -> None:
    images = [picture(tmp_path / "images" / f"p{n}_t1.jpg", n) for n in (2, 10)]
    masks = [mask(tmp_path / "masks" / f"p{n}_t1.png", n) for n in (2, 10)]
    data = DataSet.find([tmp_path])
    assert [case.name for case in data.cases] == ["p2_t1", "p10_t1"]
    for case, image, tumour in zip(data.cases, images, masks, strict=True):
        scan, reference = case.load()
        np.testing.assert_array_equal(scan.images[0].data, image[None])
        np.testing.assert_array_equal(reference.labels, tumour[None])
        assert reference.convention.name == "binary"
        assert scan.layout == "pictures and masks"


def test_train_and_test_folders_lead_the_names(tmp_path: Path) -> None:
    for part in ("test", "train"):
        picture(tmp_path / part / "images" / "a.png")
        picture(tmp_path / part / "images" / "b.png")
        mask(tmp_path / part / "masks" / "a.png", 3)
    assert io.list_cases(tmp_path) == ["test/a", "test/b", "train/a", "train/b"]
    assert io.open_case(tmp_path, "train/a").name == "train_a"


@pytest.mark.parametrize(
    ("image", "of_mask"),
    [
        ("img_7.jpg", "7_mask.png"),
        ("7.jpg", "mask_7.png"),
        ("7.png", "7_seg.png"),
        ("IMG_7.JPG", "7_MASK.PNG"),
    ],
)
def test_words_for_images_and_masks_do_not_count(tmp_path: Path, image: str, of_mask: str) -> None:
    picture(tmp_path / "Images" / image)
    expected = mask(tmp_path / "Masks" / of_mask, 5)
    (case,) = DataSet.find([tmp_path]).cases
    np.testing.assert_array_equal(case.load()[1].labels[0], expected)


def test_a_mask_that_two_pictures_could_have_is_left_out(tmp_path: Path) -> None:
    for name in ("img_7.png", "scan_7.png", "8.png"):
        picture(tmp_path / "images" / name)
    for name in ("7_mask.png", "8.png"):
        mask(tmp_path / "masks" / name, 2)
    masks = {case.name: len(case.open().masks) for case in DataSet.find([tmp_path]).cases}
    assert masks == {"8": 1, "img_7": 0, "scan_7": 0}


def test_a_picture_without_a_mask_says_so(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    picture(tmp_path / "images" / "b.png")
    mask(tmp_path / "masks" / "a.png", 1)
    cases = {case.name: case for case in DataSet.find([tmp_path]).cases}
    with pytest.raises(UnlabelledError, match="b has no reference mask"):
        cases["b"].load()


def test_an_empty_mask_means_no_tumour(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    mask(tmp_path / "masks" / "a.png", 1, value=0)
    (case,) = DataSet.find([tmp_path]).cases
    reference = case.load()[1]
    assert not reference.labels.any() and reference.convention.name == "binary"


def test_a_mask_of_another_size_is_left_out_with_a_warning(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    (tmp_path / "masks").mkdir()
    Pillow.fromarray(np.full((9, 9), 255, np.uint8)).save(tmp_path / "masks" / "a.png")
    case = io.open_case(tmp_path, "a")
    assert len(case.images) == 1 and not case.masks
    assert "a.png has shape (9, 9), its picture (24, 30)" in case.warnings[0]


def test_values_that_compression_left_beside_an_edge(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    expected = mask(tmp_path / "masks" / "a.png", 6)
    values = np.where(expected, 255, 0).astype(np.uint8)
    values[5, 2:13], values[4, 3:12], values[8:11, 2] = 4, 9, 2  # ringing, two pixels wide
    values[7, 5], values[8, 6] = 248, 253
    Pillow.fromarray(values).save(tmp_path / "masks" / "a.png")
    np.testing.assert_array_equal(io.open_case(tmp_path, "a").masks[0].labels[0], expected)


def test_labels_at_another_scale_are_still_refused(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    mask(tmp_path / "masks" / "a.png", 6)
    values = np.zeros((H, W), np.uint8)
    values[2:8, 2:8], values[2:8, 12:20] = 255, 85
    Pillow.fromarray(values).save(tmp_path / "masks" / "a.png")
    assert "labels at another scale" in io.open_case(tmp_path, "a").warnings[0]
