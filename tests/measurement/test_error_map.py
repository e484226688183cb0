from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from napari_tumorseg.errors import GeometryError, InputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.measurement import agreement
from napari_tumorseg.measurement.error_map import AGREEMENT_COLOURS, AGREEMENT_NAMES, agreement_map
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


# Machado, Oliveira and Fernandes 2009: how linear RGB looks without red, green or blue cones
VISION = {
    "normal": np.eye(3),
    "protan": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deutan": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritan": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def difference(one: str, other: str, vision: str = "normal") -> float:
    """CIEDE2000 between two colours as people with this vision see them."""
    pair = []
    for colour in (one, other):
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        seen = np.clip(np.array(VISION[vision]) @ linear, 0, 1)
        pair.append(rgb2lab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)))
    return float(deltaE_ciede2000(*pair))


def test_no_agreement_can_be_taken_for_a_label():
    labels = {label.colour for convention in CONVENTIONS.values() for label in convention.labels}
    assert len(labels) >= 6
    for colour in AGREEMENT_COLOURS.values():
        assert min(difference(colour, label) for label in labels) >= 20


@pytest.mark.parametrize("vision", VISION)
def test_colour_blind_people_can_tell_agreement_from_difference(vision):
    pairs = combinations(AGREEMENT_COLOURS.values(), 2)
    assert min(difference(*pair, vision) for pair in pairs) >= 20


def test_what_cannot_be_laid_over():
    ours = segmentation(random(1, [0, 1]))
    with pytest.raises(GeometryError, match="same places"):
        agreement_map(ours, segmentation(random(1, [0, 1]), spacing=(1.0, 1.0, 2.0)))
    with pytest.raises(InputError, match="has no region 'ET'; it has WT"):
        agreement_map(ours, segmentation(random(1, [0, 1]), "binary"), "ET")
