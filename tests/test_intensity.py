"""Background, range and normalised intensities, on volumes of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.intensity import (
    DARKEST,
    background_value,
    looks_stripped,
    normalise_intensity,
)
from tests.builders import DATA, head


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


def test_a_scan_z_scored_inside_the_brain_is_stripped() -> None:
    """Background 0 in the middle of the tissue's values: nothing is dim, all is masked."""
    data = np.zeros((10, 30, 30), dtype=np.float32)
    data[2:8, 8:22, 8:22] = np.random.default_rng(0).normal(size=(6, 14, 14))
    assert looks_stripped(data)
    noisy = data + np.random.default_rng(2).normal(0, 0.05, data.shape).astype(np.float32)
    assert not looks_stripped(noisy)


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


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (20.0, 0.0), (1.0, 700.0), (0.01, -3.0)])
def test_normalised_intensities_do_not_depend_on_scale_and_offset(scale: float, offset: float) -> None:
    data = np.zeros((3, 8, 8), np.float32)
    data[:, 2:6, 2:6] = np.linspace(50, 100, 16).reshape(4, 4)
    found = normalise_intensity(data * scale + offset)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found > 0, data > 0)
    assert found[data > 0].min() == pytest.approx(DARKEST) and found.max() == pytest.approx(1)
    np.testing.assert_allclose(found, normalise_intensity(data), atol=1e-4)


def test_what_is_no_number_is_normalised_to_background() -> None:
    data = np.full((3, 8, 8), 10, np.float32)
    data[:, 2:6, 2:6] = np.linspace(50, 100, 16).reshape(4, 4)
    data[1, 3, 3], data[0, 0, 0], data[1, 0, 3] = np.nan, np.nan, np.inf
    found = normalise_intensity(data)
    assert found[1, 3, 3] == found[0, 0, 0] == found[1, 0, 3] == 0
    assert np.count_nonzero(found) == 3 * 16 - 1


def test_tissue_darker_than_the_background_is_tissue_after_z_scoring() -> None:
    data = np.zeros((3, 8, 8), np.float32)
    data[:, 2:6, 2:6] = np.linspace(-2, 2, 16).reshape(4, 4)
    np.testing.assert_array_equal(normalise_intensity(data) > 0, data != 0)


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_a_constant_volume_has_no_tissue(value: float) -> None:
    assert not normalise_intensity(np.full((3, 8, 8), value, np.float32)).any()
