from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.errors import GeometryError, InputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.measure import agreement
from napari_tumorseg.measure.error_map import AGREEMENT_COLOURS, AGREEMENT_NAMES, agreement_map
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation

SHAPE = (4, 6, 8)


def segmentation(labels, convention="brats-2023", spacing=(1.0, 1.0, 1.0)):
    labels = np.asarray(labels, np.uint8)
    return Segmentation(
        labels, Grid.from_codes(labels.shape, "SPL", spacing), CONVENTIONS[convention], "case"
    )


def random(seed, values):
    return np.random.default_rng(seed).choice(values, SHAPE)


def test_every_case_by_hand():
    ours, theirs = segmentation([[[0, 2, 2, 0]]]), segmentation([[[0, 1, 0, 3]]])
    found = agreement_map(ours, theirs)
    assert found.dtype == np.uint8
    assert found.tolist() == [[[0, 1, 2, 3]]]


@pytest.mark.parametrize("region", ["WT", "TC", "ET"])
def test_counts_are_those_of_the_scores(region):
    ours = segmentation(random(1, [0, 0, 1, 2, 4]), "brats-2021")
    theirs = segmentation(random(2, [0, 0, 1, 2, 3]), "brats-2023")
    found = np.bincount(agreement_map(ours, theirs, region).ravel(), minlength=4)
    row = agreement(ours, theirs).row(region)
    assert row.voxels == found[1] + found[2]
    assert row.reference_voxels == found[1] + found[3]
    assert row.iou == pytest.approx(found[1] / found[1:].sum())


def test_names_and_colours_go_together():
    assert set(AGREEMENT_NAMES) == set(AGREEMENT_COLOURS) == {1, 2, 3}
    assert len(set(AGREEMENT_COLOURS.values())) == 3


def test_what_cannot_be_laid_over():
    ours = segmentation(random(1, [0, 1]))
    with pytest.raises(GeometryError, match="same places"):
        agreement_map(ours, segmentation(random(1, [0, 1]), spacing=(1.0, 1.0, 2.0)))
    with pytest.raises(InputError, match="has no region 'ET'; it has WT"):
        agreement_map(ours, segmentation(random(1, [0, 1]), "binary"), "ET")
