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
