"""What counts as tissue, on scans of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.inference.foreground import (
    background_value,
    brain_of,
    foreground,
    looks_stripped,
    scan_is_stripped,
)
from napari_tumorseg.models.card import Foreground
from tests.builders import DATA, head, make_scan

DIFFERS = Foreground()
BRIGHT = Foreground(rule="fraction-of-max", fraction=0.1)


def test_background_is_the_median_of_the_corners() -> None:
    data = head(background=-5.0)
    data[0, 0, 0] = 99
    assert background_value(data) == -5


def test_background_is_a_value_that_occurs() -> None:
    """Half of the corners one, half the other: their mean would make every voxel differ."""
    data = np.zeros((2, 2, 2), dtype=np.uint8)
    data[1] = 1
    assert background_value(data) == 0


def test_background_of_what_is_no_number() -> None:
    data = np.full((3, 3, 3), np.nan, dtype=np.float32)
    assert background_value(data) == 0
    data[0, 0, 0] = -2
    assert background_value(data) == -2


@pytest.mark.parametrize("background", [0.0, -5.3, 7.0])
def test_foreground_differs_from_the_background_not_from_zero(background: float) -> None:
    """A z-scored scan: tissue on both sides of the background, which is not the minimum."""
    data = np.full((3, 4, 4), background, dtype=np.float32)
    data[1, 1:3, 1:3] = background - 0.5, background + 0.5
    found = foreground(data, DIFFERS, background_value(data), float(data.max()))
    np.testing.assert_array_equal(found, data != np.float32(background))
    assert found.sum() == 4
    bright = foreground(data, BRIGHT, background, float(data.max()))
    if background:  # the background is not near zero, so a share of the maximum would mean nothing
        np.testing.assert_array_equal(bright, found)


def test_what_is_no_number_is_no_tissue() -> None:
    data = np.array([[[0, 1, np.nan, np.inf]]], dtype=np.float32)
    assert foreground(data, DIFFERS, 0.0, 1.0).tolist() == [[[False, True, False, True]]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_tolerance_holds_for_every_type(dtype: type) -> None:
    data = np.array([0, 1, 2, 3, 4], dtype=dtype)
    assert foreground(data, Foreground(tolerance=2), 0.0, 4.0).tolist() == [False] * 3 + [True] * 2
    assert foreground(data, DIFFERS, 0.0, 4.0).tolist() == [False] + [True] * 4


def test_a_share_of_the_maximum() -> None:
    data = np.array([0, 10, 11, 100], dtype=np.uint8)
    assert foreground(data, BRIGHT, 0.0, 100.0).tolist() == [False, False, True, True]
    negative = np.array([0, -3, -9], dtype=np.int16)
    assert foreground(negative, BRIGHT, 0.0, 0.0).tolist() == [False, True, True]


@pytest.mark.parametrize("value", [0, 7, -3])
def test_a_constant_image_has_no_tissue(value: int) -> None:
    data = np.full((4, 5, 6), value, dtype=np.int16)
    for rule in (DIFFERS, BRIGHT):
        assert not foreground(data, rule, background_value(data), float(data.max())).any()
    assert not looks_stripped(data)


def test_a_given_brain_mask_goes_first() -> None:
    brain = np.zeros((6, 40, 48), dtype=bool)
    brain[2] = True
    scan = make_scan({"flair": head()}, brain=brain)
    assert brain_of(scan) is brain


def test_the_brain_of_a_stripped_scan_is_its_foreground() -> None:
    data = head(background=-5.0)
    found = brain_of(make_scan({"flair": data}))
    assert found is not None
    np.testing.assert_array_equal(found, data != -5)


def test_a_scan_with_noise_in_air_has_no_brain() -> None:
    data = head() + np.random.default_rng(0).uniform(1, 8, (6, 40, 48)).astype(np.float32)
    scan = make_scan({"flair": data})
    assert not scan_is_stripped(scan)
    assert brain_of(scan) is None


@pytest.mark.skipif(not DATA.is_dir(), reason="the real scans are not here")
@pytest.mark.parametrize(
    ("path", "stripped"),
    [
        ("brats/brats_2013_pat0004_1/Flair_subtrMeanDivStd.nii.gz", True),
        ("brats/BraTS-GLI-00001-000/BraTS-GLI-00001-000-t2f.nii.gz", True),
        ("negatives/chris_t1.nii.gz", False),
    ],
)
def test_real_scans(path: str, stripped: bool) -> None:
    import nibabel as nib

    data = np.asarray(nib.load(DATA / path).dataobj)
    assert looks_stripped(data.transpose(2, 1, 0)) is stripped
