"""Masks of every kind of values become labels, or are refused with their values."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.errors import InputError
from napari_tumorseg.io.label_arrays import decode_mask
from napari_tumorseg.regions import CONVENTIONS

LABELS = np.zeros((4, 6, 6), np.uint8)
LABELS[1, 1:5, 1:5] = 2
LABELS[1, 2:4, 2:4] = 1
LABELS[1, 2, 2:4] = 3
WT, TC, ET = LABELS > 0, (LABELS == 1) | (LABELS == 3), LABELS == 3


def decoded(values: list[float], dtype: str = "f4") -> list[int]:
    return decode_mask(np.array(values, dtype), "x").labels.tolist()


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0, 1, 2, 4], [0, 1, 2, 4]),
        ([0, 0.999, 2.004], [0, 1, 2]),
        ([np.nan, 1, 4], [0, 1, 4]),
        ([np.nan, 0.0, np.nan], [0, 0, 0]),
        ([0, 255], [0, 1]),
        ([0, 0.5], [0, 1]),
        ([0, 1 / 255], [0, 1]),  # a {0, 1} mask with a slope
        ([0, 17], [0, 1]),
        ([0, 1000], [0, 1]),
        ([0, 4], [0, 4]),  # a mask of enhancing tumour alone
        ([-0.0, 3], [0, 3]),
        ([0, 1, 255], [0, 1, 255]),  # 255 is no soft edge of 1
        ([0, 10, 20], [0, 10, 20]),  # perhaps of a convention of the user's own
        ([5, 5], [1, 1]),
    ],
)
def test_values_of_masks(values: list[float], labels: list[int]) -> None:
    assert decoded(values) == labels


@pytest.mark.parametrize("dtype", ["u1", ">i2", "i4", "u8", "f8", "f2"])
def test_the_type_does_not_matter(dtype: str) -> None:
    found = decode_mask(np.array([[0, 255], [255, 0]], dtype)[::-1], "x").labels
    assert found.tolist() == [[1, 0], [0, 1]]
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous


def test_the_number_of_a_single_label_is_kept() -> None:
    assert decode_mask(np.array([0, 10, 10]), "x").value == 10
    assert decode_mask(np.array([0, 4, 4]), "x").value == 0


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0, 60, 128, 255, 255], [0, 0, 1, 1, 1]),
        ([0.0, 0.2, 0.7, 1.0, 1.0], [0, 0, 1, 1, 1]),
        ([0, 30000, 40000, 65535, 65535], [0, 0, 1, 1, 1]),
    ],
)
def test_soft_edges_are_cut_at_half(values: list[float], labels: list[int]) -> None:
    found = decode_mask(np.array(values), "x")
    assert found.labels.tolist() == labels
    assert "cut at half" in found.notes[0]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ([0, 1, 1.5, 2, 3.5, 4], "1.5"),  # interpolated labels
        ([-1, 0, 1], "-1"),
        ([0, 1, np.inf], "inf"),
        (np.linspace(0, 900, 300), "900"),
        (np.arange(100), "99"),  # a parcellation
        ([0, 0.1, 0.2, 0.3], "0.3"),  # nothing is surely tumour
        ([0, 0.001, 0.002], "0.002"),
    ],
)
def test_other_values_are_named(values: list[float], named: str) -> None:
    with pytest.raises(InputError, match=r"the_mask\.nii holds no labels") as raised:
        decode_mask(np.array(values), "the_mask.nii")
    assert named in str(raised.value)


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("scale", [1, 255, 0.5])
def test_one_hot_channels_with_and_without_background(axis: int, scale: float) -> None:
    hot = [(v == LABELS) * np.float32(scale) for v in range(4)]
    for channels in (hot, hot[1:]):
        found = decode_mask(np.stack(channels, axis), "x", axis)
        np.testing.assert_array_equal(found.labels, LABELS)
        assert found.convention is None


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("order", [(TC, WT, ET), (WT, TC, ET), (ET, TC, WT), (~WT, WT, TC, ET)])
def test_nested_regions_in_any_order(axis: int, order: tuple[np.ndarray, ...]) -> None:
    found = decode_mask(np.stack(order, axis).astype(np.uint8), "x", axis)
    assert found.convention is CONVENTIONS["brats-2023"]
    np.testing.assert_array_equal(found.labels, LABELS)
    assert "whole tumour" in found.notes[0]


def test_the_classes_of_a_softmax() -> None:
    soft = np.full((4, *LABELS.shape), 0.2, np.float32)  # the winner has 0.4: less than half
    np.put_along_axis(soft, LABELS[None].astype(int), 0.4, axis=0)
    np.testing.assert_array_equal(decode_mask(soft, "x", 0).labels, LABELS)


def test_the_same_mask_in_each_channel() -> None:
    found = decode_mask(np.stack([LABELS] * 3, -1), "x", -1)
    np.testing.assert_array_equal(found.labels, LABELS)


@pytest.mark.parametrize(
    ("channels", "why"),
    [
        ((WT, TC), "overlap"),
        ((WT, TC, np.roll(ET, 2, 1)), "overlap"),
        ((LABELS, WT), "not one-hot"),
    ],
)
def test_channels_that_are_neither(channels: tuple[np.ndarray, ...], why: str) -> None:
    with pytest.raises(InputError, match=why):
        decode_mask(np.stack(channels).astype(np.uint8), "x", 0)


# --- channels that can be read in two ways -------------------------------------------------------

NOTHING = np.zeros_like(WT)


@pytest.mark.parametrize("dtype", ["u1", "f4", "?"])
@pytest.mark.parametrize(
    "channels",
    [
        (NOTHING, NOTHING, WT),  # regions in the order ET, TC, WT of a tumour without a core
        (WT, NOTHING, NOTHING),
        (~WT, WT, NOTHING, NOTHING),
    ],
)
def test_one_filled_channel_of_three_is_no_class_and_no_region(
    channels: tuple[np.ndarray, ...], dtype: str
) -> None:
    with pytest.raises(InputError, match=r"regions .* or classes"):
        decode_mask(np.stack(channels).astype(dtype), "x", 0)


def test_one_filled_class_of_a_layout_that_is_known() -> None:
    found = decode_mask(np.stack([NOTHING, WT, NOTHING]).astype("u1"), "x", 0, are_classes=True)
    np.testing.assert_array_equal(found.labels, 2 * WT)


def test_three_equal_channels_of_ones_are_regions() -> None:
    found = decode_mask(np.stack([ET] * 3).astype("u1"), "x", 0)
    np.testing.assert_array_equal(found.labels, 3 * ET)
    assert found.convention is CONVENTIONS["brats-2023"]
    assert "equal" in found.notes[0]


def test_a_grey_picture_in_three_colours_is_one_mask() -> None:
    found = decode_mask(np.stack([ET * np.uint8(255)] * 3), "x", 0)
    np.testing.assert_array_equal(found.labels, ET)
    assert found.convention is None


def test_regions_without_an_enhancing_part() -> None:
    found = decode_mask(np.stack([NOTHING, ET, WT]).astype("u1"), "x", 0)
    np.testing.assert_array_equal(found.labels, np.where(ET, 1, 2 * WT))


def test_empty_channels_are_an_empty_mask() -> None:
    assert not decode_mask(np.stack([NOTHING] * 3).astype("u1"), "x", 0).labels.any()


@pytest.mark.parametrize("soft", [False, True])
def test_the_background_may_be_the_last_channel(soft: bool) -> None:
    hot = np.stack([*(v == LABELS for v in (1, 2, 3)), LABELS == 0]).astype("f4")
    values = hot * 0.6 + 0.1 if soft else hot
    found = decode_mask(values, "x", 0)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert "last one was read as the background" in found.notes[0]


def test_a_background_in_the_middle_is_refused() -> None:
    hot = np.stack([v == LABELS for v in (1, 0, 2, 3)]).astype("u1")
    with pytest.raises(InputError, match="background in channel 2 of 4"):
        decode_mask(hot, "x", 0)


def test_a_background_that_is_not_clear_is_refused() -> None:
    quarters = np.repeat(np.eye(4, dtype="u1"), 2, axis=1)[:, None, :]
    with pytest.raises(InputError, match="none of them is clearly the background"):
        decode_mask(quarters, "x", 0)


def test_a_small_background_is_known_by_the_border() -> None:
    labels = np.zeros((11, 11, 11), np.uint8)
    labels[1:-1, 1:-1, 1:-1] = 1  # more than half of all voxels
    hot = np.stack([labels == 1, labels == 0]).astype("u1")
    np.testing.assert_array_equal(decode_mask(hot, "x", 0).labels, labels)


@pytest.mark.parametrize("first", [0, 1])
def test_a_note_says_that_channels_were_read_as_classes(first: int) -> None:
    hot = np.stack([v == LABELS for v in range(first, 4)]).astype("u1")
    (note,) = decode_mask(hot, "x", 0).notes
    assert "read as classes, the labels 1 to 3 in their order" in note
    assert ("the first one was read as the background" in note) == (first == 0)


# --- labels at another scale ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "scale",
    [(0, 85, 170, 255), (0, 1 / 3, 2 / 3, 1), (0, 1000, 2000, 3000), (0, 0.25, 0.5, 1), (0, 40, 200, 255)],
)
def test_scaled_labels_are_not_soft_edges(scale: tuple[float, ...]) -> None:
    labels = np.zeros((3, 20, 20), np.uint8)
    labels[1, 2:18, 2:18] = 1
    labels[1, 6:14, 6:14] = 2
    labels[1, 8:12, 8:12] = 3
    values = np.array(scale, "f4")[labels]
    with pytest.raises(InputError, match="labels at another scale") as raised:
        decode_mask(values, "x")
    assert f"{scale[1]:g}, {scale[2]:g}" in str(raised.value)


@pytest.mark.parametrize("dtype", ["u1", "f4"])
def test_scaled_labels_side_by_side_are_not_soft_edges(dtype: str) -> None:
    with pytest.raises(InputError, match="labels at another scale"):
        decode_mask(np.array([[0, 85], [170, 255]], dtype), "x")


@pytest.mark.parametrize("edge", [(0.5,), (64 / 255, 128 / 255, 191 / 255)])
def test_few_values_next_to_full_ones_are_soft_edges(edge: tuple[float, ...]) -> None:
    values = np.zeros((1, 8, 8))
    values[0, 2:6, 2:6] = 1
    values[0, 1, 2:6] = np.resize(edge, 4)
    assert "cut at half" in decode_mask(values, "x").notes[0]
