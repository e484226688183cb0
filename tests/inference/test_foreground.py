"""Foreground by each rule of a card, on scans of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.inference.foreground import foreground
from napari_tumorseg.intensity import IntensityRange, looks_stripped
from napari_tumorseg.models.card import Foreground

DIFFERS = Foreground()
BRIGHT = Foreground(rule="fraction-of-max", fraction=0.1)


@pytest.mark.parametrize("background", [0.0, -5.3, 7.0])
def test_foreground_differs_from_the_background_not_from_zero(background: float) -> None:
    """A z-scored scan: tissue on both sides of the background, which is not the minimum."""
    data = np.full((3, 4, 4), background, dtype=np.float32)
    data[1, 1:3, 1:3] = background - 0.5, background + 0.5
    intensity_range = IntensityRange.of(data)
    assert intensity_range.tissue_on_both_sides
    found = foreground(data, DIFFERS, intensity_range)
    np.testing.assert_array_equal(found, data != np.float32(background))
    assert found.sum() == 4
    # a share of the maximum would mean nothing here
    np.testing.assert_array_equal(foreground(data, BRIGHT, intensity_range), found)


@pytest.mark.parametrize(("scale", "offset"), [(1, 100), (0.02, -3.5), (7, -40)])
def test_a_share_of_the_maximum_does_not_depend_on_offset_and_scale(scale: float, offset: float) -> None:
    data = np.random.default_rng(1).integers(0, 200, (4, 9, 9)).astype(np.float32)
    data[[0, -1]] = 0
    plain = foreground(data, BRIGHT, IntensityRange.of(data))
    assert 0 < plain.sum() < data.size / 2
    moved = (data * scale + offset).astype(np.float32)
    np.testing.assert_array_equal(foreground(moved, BRIGHT, IntensityRange.of(moved)), plain)


def test_a_spike_is_not_the_maximum() -> None:
    data = np.random.default_rng(1).integers(0, 200, (20, 20, 20)).astype(np.int16)
    data[[0, -1]] = 0
    spiked = data.copy()
    spiked[5, 5, 5] = 30_000
    one, other = (foreground(d, BRIGHT, IntensityRange.of(d)) for d in (data, spiked))
    assert np.count_nonzero(one != other) < 0.02 * data.size
    assert other.sum() > 0.8 * one.sum()


def test_what_is_no_number_is_no_tissue() -> None:
    data = np.array([[[0, 1, np.nan, np.inf]]], dtype=np.float32)
    assert foreground(data, DIFFERS, IntensityRange(0, 0, 1, 1)).tolist() == [[[False, True, False, True]]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_tolerance_holds_for_every_type(dtype: type) -> None:
    data = np.array([0, 1, 2, 3, 4], dtype=dtype)
    assert (
        foreground(data, Foreground(tolerance=2), IntensityRange(0, 0, 4, 4)).tolist()
        == [False] * 3 + [True] * 2
    )
    assert foreground(data, DIFFERS, IntensityRange(0, 0, 4, 4)).tolist() == [False] + [True] * 4


def test_a_share_of_the_maximum() -> None:
    data = np.array([0, 10, 11, 100], dtype=np.uint8)
    assert foreground(data, BRIGHT, IntensityRange(0, 0, 100, 100)).tolist() == [False, False, True, True]
    negative = np.array([0, -3, -9], dtype=np.int16)
    assert foreground(negative, BRIGHT, IntensityRange(0, -9, 0, 0)).tolist() == [False, True, True]


@pytest.mark.parametrize("value", [0, 7, -3])
def test_a_constant_image_has_no_tissue(value: int) -> None:
    data = np.full((4, 5, 6), value, dtype=np.int16)
    for rule in (DIFFERS, BRIGHT):
        assert not foreground(data, rule, IntensityRange.of(data)).any()
    assert not looks_stripped(data)
