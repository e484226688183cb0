"""Evidence of components against a plain loop over their voxels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, special

from napari_tumorseg.geometry import Grid
from napari_tumorseg.inference.evidence import component_evidence, tumour_levels, voxels_of
from tests.builders import card_of


def by_hand(levels: np.ndarray, voxels: int) -> float:
    odds = special.logit(np.clip(levels / 255, 0.002, 0.998))
    surest = np.sort(np.maximum(odds, 0))[::-1][:voxels]
    return float(surest.sum() / voxels)


@pytest.mark.parametrize("voxels", [1, 7, 1000])
def test_evidence_is_the_mean_log_odds_of_the_surest_voxels(voxels: int) -> None:
    rng = np.random.default_rng(3)
    parts, count = ndimage.label(rng.random((9, 16, 16)) < 0.12)
    levels = rng.integers(0, 256, parts.shape).astype(np.uint8)
    found = component_evidence(parts, levels, voxels)
    wanted = [by_hand(levels[parts == part], voxels) for part in range(1, count + 1)]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_no_component_has_no_evidence() -> None:
    nothing = np.zeros((2, 3, 3), dtype=int)
    assert component_evidence(nothing, nothing.astype(np.uint8), 5.0).shape == (0,)


@pytest.mark.parametrize(
    ("spacing", "voxels"), [((1, 1, 1), 100), ((5, 1, 1), 20), (None, 100), ((9, 9, 9), 1)]
)
def test_a_tenth_of_a_millilitre_is_as_many_voxels_as_fit(
    spacing: tuple[int, ...] | None, voxels: int
) -> None:
    assert voxels_of(Grid.from_codes((4, 4, 4), spacing=spacing)) == pytest.approx(voxels)


def test_classes_add_up_where_regions_do_not() -> None:
    chances = np.array([[100], [90], [65]], dtype=np.uint8)
    nested = card_of(output={"names": ("WT", "TC", "ET"), "labels": (2, 1, 3), "scheme": "brats-2023"}).output
    classes = nested.model_copy(update={"activation": "softmax", "labels": (0, 1, 2)})
    assert tumour_levels(chances, nested) == [100]
    assert tumour_levels(chances, classes) == [155]
