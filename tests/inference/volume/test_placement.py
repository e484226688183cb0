"""Places and weights of windows, against MONAI's."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.inference.volume.placement import starts, weights
from napari_tumorseg.models.windows import Windows


def windows(**fields: object) -> Windows:
    return Windows.model_validate({"patch": [8, 8, 8], **fields})


@pytest.mark.parametrize("length", [8, 9, 15, 20, 31])
@pytest.mark.parametrize("overlap", [0, 0.25, 0.5, 0.8])
def test_regular_places_are_monais(length: int, overlap: float) -> None:
    utils = pytest.importorskip("monai.data.utils")
    step = 8 if length == 8 else max(1, int(8 * (1 - overlap)))
    expected = [one[0].start for one in utils.dense_patch_slices((length,), (8,), (step,))]
    assert starts(length, 8, windows(overlap=overlap, placement="regular")) == expected


@pytest.mark.parametrize(
    ("length", "overlap", "expected"),
    [(8, 0.5, [0]), (9, 0.5, [0, 1]), (14, 0.5, [0, 3, 6]), (16, 0, [0, 8]), (110, 0.5, [*range(0, 103, 4)])],
)
def test_even_places_are_at_equal_distances(length: int, overlap: float, expected: list[int]) -> None:
    found = starts(length, 8, windows(overlap=overlap, placement="even"))
    if length == 110:
        steps = np.diff(found)
        assert steps.min() >= 3
        assert steps.max() <= 4
        assert (found[0], found[-1], len(found)) == (0, 102, 27)
    else:
        assert found == expected


def test_gaussian_weights_are_monais() -> None:
    utils = pytest.importorskip("monai.data.utils")
    patch = (6, 9, 16)
    expected = utils.compute_importance_map(patch, mode="gaussian", sigma_scale=0.125).clamp(min=1e-3)
    found = weights(windows(patch=patch, weights="gaussian"))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)


def test_weights_about_a_voxel_peak_there_and_are_never_zero() -> None:
    found = weights(windows(patch=[1, 8, 32], weights="gaussian-voxel"))
    assert found.shape == (1, 8, 32)
    assert np.unravel_index(found.argmax(), found.shape) == (0, 4, 16)
    assert found.max() == 1
    assert found.min() > 0
    assert found[0, 4, 15] == pytest.approx(found[0, 4, 17])


def test_constant_weights() -> None:
    assert (weights(windows(weights="constant")) == 1).all()
