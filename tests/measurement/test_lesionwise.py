from __future__ import annotations

import json
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_tumorseg.errors import GeometryError
from napari_tumorseg.measurement import LESION_RULES, Confusion, lesion_wise
from napari_tumorseg.measurement.surface_distance import element_areas, weighted_hd95
from tests.measurement.masks import EMPTY, PAIRS, SHAPE, SPACINGS, ball, box, each, grid, noise

FULL = np.ones((3, 3, 3))
IMAGE = (40, 50, 50)
LARGE = ball((20, 15, 15), 8, IMAGE)
SECOND = ball((20, 40, 40), 5, IMAGE)
SMALL = ball((20, 40, 15), 2, IMAGE)
FAR = box((0, 1), (49, 50), (0, 1), shape=IMAGE)
NONE = np.zeros(IMAGE, bool)


@pytest.fixture(scope="module")
def surface_distance():
    """Return surface-distance, which uses a name that NumPy 2 lacks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "Inf", np.inf, raising=False)
        yield pytest.importorskip("surface_distance")


def oracle_hd95(package, seg, ref, spacing):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = package.metrics.compute_surface_distances(ref, seg, spacing)
    return package.metrics.compute_robust_hausdorff(found, 95)


def test_sizes():
    assert SMALL.sum() == 33
    assert min(LARGE.sum(), SECOND.sum()) > 50


# the table of conventions: rules, (segmentation, reference), whole Dice and HD95, lesion-wise ones
@pytest.mark.parametrize(
    ("rules", "seg", "ref", "whole", "lesions"),
    [
        ("GLI", NONE, NONE, (1, 0), (1, 0)),
        ("GLI", FAR, NONE, (0, 374), (0, 374)),
        ("GLI", LARGE | FAR, LARGE, (pytest.approx(1, abs=1e-3), 0), (0.5, 187)),
        (
            "GLI",
            LARGE,
            LARGE | SECOND,
            (pytest.approx(0.8912, abs=1e-4), pytest.approx(29.9, abs=0.01)),
            (0.5, 187),
        ),
        ("GLI", NONE, SMALL, (0, 374), (1, 0)),
        ("MET", NONE, SMALL, (0, 374), (0, 374)),
    ],
    ids=[
        "both empty",
        "one voxel",
        "perfect plus one far voxel",
        "one of two missed",
        "33 voxels",
        "33, MET",
    ],
)
def test_golden_table(rules, seg, ref, whole, lesions):
    found = lesion_wise(seg, ref, grid(IMAGE), **LESION_RULES[rules])
    assert (found.whole_dice, found.whole_hd95_mm) == whole
    assert (found.dice, found.hd95_mm) == lesions


def test_found_and_missed():
    found = lesion_wise(LARGE | FAR, LARGE | SECOND | SMALL, grid(IMAGE))
    assert (found.found, found.missed, found.false_positives) == (1, 1, 1)
    assert [lesion.voxels for lesion in found.lesions] == [LARGE.sum(), SECOND.sum(), SMALL.sum()]
    assert [lesion.found_voxels for lesion in found.lesions] == [LARGE.sum(), 0, 0]
    assert [lesion.kept for lesion in found.lesions] == [True, True, False]
    assert [lesion.hd95_mm for lesion in found.lesions] == [0, 374, 374]
    assert found.dice == pytest.approx(1 / 3)


def test_what_touches_a_lesion_too_small_to_count_is_no_false_positive():
    found = lesion_wise(LARGE | np.roll(SMALL, 1, 0), LARGE | SMALL, grid(IMAGE))
    assert (found.dice, found.false_positives) == (1, 0)


@pytest.mark.parametrize(("gap", "number"), [(6, 1), (7, 2)])
def test_pieces_that_the_dilation_joins_are_one_lesion(gap, number):
    # two dilations by 3 meet, 26-connected, over up to 6 voxels
    pair = [box((5, 10), (5, 10), (start, start + 5), shape=IMAGE) for start in (5, 10 + gap)]
    found = lesion_wise(pair[0], pair[0] | pair[1], grid(IMAGE))
    assert len(found.lesions) == number
    assert found.dice == pytest.approx(2 / 3 if number == 1 else 1 / 2)


@pytest.mark.parametrize(("steps", "touches"), [((0, 0, 3), True), ((0, 0, 4), False), ((3, 3, 3), False)])
def test_a_component_is_matched_where_it_touches_the_dilation(steps, touches):
    # 18-connected: three steps reach no corner that is three voxels away on every axis
    ref = box((5, 10), (5, 10), (5, 10), shape=IMAGE)
    start = tuple(9 + step for step in steps)
    found = lesion_wise(box(*((s, s + 4) for s in start), shape=IMAGE), ref, grid(IMAGE))
    assert (found.false_positives == 0) is touches


def test_a_component_can_belong_to_two_lesions():
    ref = LARGE | SECOND
    found = lesion_wise(np.ones(IMAGE, bool), ref, grid(IMAGE))
    assert [lesion.components for lesion in found.lesions] == [1, 1]
    assert found.dice == pytest.approx(
        np.mean([Confusion.of(np.ones(IMAGE, bool), part).dice for part in (LARGE, SECOND)])
    )


def test_without_dilation_components_must_overlap():
    ref = box((5, 10), (5, 10), (5, 10), shape=IMAGE)
    beside = box((5, 10), (5, 10), (10, 15), shape=IMAGE)
    assert lesion_wise(beside, ref, grid(IMAGE), dilation=0).false_positives == 1
    assert lesion_wise(beside, ref, grid(IMAGE), dilation=1).false_positives == 0


@pytest.mark.parametrize("spacing", SPACINGS)
def test_areas_of_surface_elements(surface_distance, spacing):
    tables = surface_distance.lookup_tables
    expected = tables.create_table_neighbour_code_to_surface_area(spacing)
    corners = [(code >> np.arange(8) & 1).reshape(2, 2, 2) for code in range(256)]
    order = [int((c * tables.ENCODE_NEIGHBOURHOOD_3D_KERNEL).sum()) for c in corners]
    assert element_areas(np.diag((*spacing, 1.0))) == pytest.approx(expected[order])


def test_area_of_a_plane_under_shear():
    sheared = np.array([[2.0, 0.0, 0.7, 0], [0.0, 3.0, 0.0, 0], [0.0, 0.0, 1.5, 0], [0, 0, 0, 1]])
    # the four corners at z = 0 filled: a parallelogram of the steps along y and x
    area = np.linalg.norm(np.cross(sheared[:3, 1], sheared[:3, 2]))
    assert element_areas(sheared)[0b00001111] == pytest.approx(area)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(("seg", "ref"), **each(PAIRS))
def test_weighted_hd95_equals_surface_distance(surface_distance, seg, ref, spacing):
    expected = oracle_hd95(surface_distance, seg, ref, spacing)
    assert weighted_hd95(seg, ref, grid(spacing=spacing).affine) == pytest.approx(expected)


def challenge(package, seg, ref, spacing, dilation, min_voxels):
    """Score as the challenge says, with whole images and no shortcut."""
    around = ndimage.generate_binary_structure(3, 2)
    predicted, count = ndimage.label(seg, FULL)
    joined, number = ndimage.label(ndimage.binary_dilation(ref, around, dilation), FULL)
    matched, dices, distances = set(), [], []
    for index in range(1, number + 1):
        lesion = ref & (joined == index)
        parts = set(predicted[ndimage.binary_dilation(lesion, around, dilation)]) - {0}
        matched |= parts
        if lesion.sum() <= min_voxels:
            continue
        found = np.isin(predicted, list(parts))
        dices.append(2 * (found & lesion).sum() / (found.sum() + lesion.sum()))
        distances.append(oracle_hd95(package, found, lesion, spacing) if parts else 374.0)
    wrong = count - len(matched)
    total = len(dices) + wrong
    if not total:
        return 1.0, 0.0
    return sum(dices) / total, (sum(distances) + 374.0 * wrong) / total


@pytest.mark.parametrize(("dilation", "min_voxels"), [(3, 50), (1, 50), (1, 2)])
@pytest.mark.parametrize(("seg", "ref"), **each(PAIRS | EMPTY))
def test_scores_equal_the_challenge(surface_distance, seg, ref, dilation, min_voxels):
    spacing = (2.0, 1.0, 0.75)
    expected = challenge(surface_distance, seg, ref, spacing, dilation, min_voxels)
    found = lesion_wise(seg, ref, grid(spacing=spacing), dilation, min_voxels)
    assert (found.dice, found.hd95_mm) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(20))
def test_scores_equal_the_challenge_on_many_small_lesions(surface_distance, seed):
    seg, ref = noise(seed, 0.04, 0.8), noise(seed + 100, 0.03, 0.8)
    spacing = (1.0, 1.0, 1.0)
    seg |= ref & noise(seed + 200, 0.5, 2)
    expected = challenge(surface_distance, seg, ref, spacing, 1, 2)
    found = lesion_wise(seg, ref, grid(), **LESION_RULES["MET"])
    assert (found.dice, found.hd95_mm) == pytest.approx(expected)
    assert found.found + found.missed == sum(lesion.kept for lesion in found.lesions)


def test_unknown_voxel_size():
    where = replace(grid(IMAGE), unit="unknown")
    for seg in (NONE, FAR, LARGE):
        found = lesion_wise(seg, LARGE | SMALL, where)
        assert found.hd95_mm is found.whole_hd95_mm is None
        assert all(lesion.hd95_mm is None for lesion in found.lesions)
        assert found.dice == lesion_wise(seg, LARGE | SMALL, grid(IMAGE)).dice


def test_masks_that_are_not_on_the_grid_are_refused():
    with pytest.raises(GeometryError, match="not both on a grid"):
        lesion_wise(NONE, np.zeros(SHAPE, bool), grid(IMAGE))


def test_flags_and_json():
    for flag, (seg, ref) in EMPTY.items():
        found = lesion_wise(seg, ref, grid())
        assert found.flags == (flag,)
        assert json.loads(json.dumps(found.to_dict(), allow_nan=False)) == found.to_dict()
    found = lesion_wise(LARGE | FAR, LARGE | SECOND, grid(IMAGE)).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["found"], found["missed"]) == (1, 1)


def test_the_penalty_can_be_set():
    found = lesion_wise(NONE, LARGE, grid(IMAGE), penalty_mm=100)
    assert (found.hd95_mm, found.whole_hd95_mm, found.lesions[0].hd95_mm) == (100, 100, 100)


def test_a_brats_case_takes_no_time():
    shape = (155, 240, 240)
    ref = ball((70, 120, 100), 38, shape) | ball((100, 60, 150), 6, shape)
    seg = ball((73, 120, 97), 38, shape) | ball((40, 200, 60), 4, shape)
    lesion_wise(seg, ref, grid(shape))
    start = time.perf_counter()
    found = lesion_wise(seg, ref, grid(shape))
    assert time.perf_counter() - start < 5
    assert (found.found, found.missed, found.false_positives) == (1, 1, 1)
