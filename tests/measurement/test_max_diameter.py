from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import QhullError
from scipy.spatial.distance import pdist
from skimage.measure import marching_cubes

from napari_tumorseg.measurement import max_diameter
from napari_tumorseg.measurement.max_diameter import face_centres, longest_diameter


def affine(spacing=(1, 1, 1), shear=0.0, turn=0.0):
    matrix = np.eye(4)
    c, s = np.cos(turn), np.sin(turn)
    turned = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    skew = np.eye(3)
    skew[0, 1], skew[1, 2] = shear, shear / 2
    matrix[:3, :3] = turned @ skew @ np.diag(spacing)
    matrix[:3, 3] = (5, -7, 11)
    return matrix


AFFINES = [
    affine(),
    affine((5.5, 0.9, 0.45)),
    affine((1, 2, 3), turn=0.4),
    affine((2, 1, 1), shear=0.6, turn=1.0),
    affine((1, 1, -1)),
]


def brute(mask, matrix):
    """Longest distance between any two vertices of marching cubes in one component."""
    parts, count = ndimage.label(mask, np.ones((3, 3, 3)))
    longest = 0.0
    for index in range(1, count + 1):
        vertices = marching_cubes(np.pad(parts == index, 1).astype(float), 0.5)[0] - 1
        longest = max(longest, pdist(vertices @ matrix[:3, :3].T).max())
    return longest


def test_a_row_of_ten_voxels_is_ten_mm_long():
    row = np.zeros((3, 3, 12), bool)
    row[1, 1, 1:11] = True
    assert longest_diameter(row, np.eye(4)) == pytest.approx(10.0)
    assert longest_diameter(row[1:2, 1:2, 1:11], np.eye(4)) == pytest.approx(10.0)
    assert longest_diameter(np.moveaxis(row, 2, 0), affine((0.5, 1, 1))) == pytest.approx(5.0)


def test_one_voxel():
    assert longest_diameter(np.ones((1, 1, 1), bool), np.eye(4)) == pytest.approx(1.0)
    assert longest_diameter(np.ones((1, 1, 1), bool), affine((4, 1, 2))) == pytest.approx(4.0)


def test_an_empty_mask_has_none():
    assert longest_diameter(np.zeros((3, 3, 3), bool), np.eye(4)) is None


def test_a_ball_of_radius_twelve():
    z, y, x = np.indices((27, 27, 27)) - 13
    assert longest_diameter(z**2 + y**2 + x**2 <= 144, np.eye(4)) == pytest.approx(25, abs=0.1)


@pytest.mark.parametrize("matrix", AFFINES)
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_noise_against_marching_cubes(matrix, share, seed):
    mask = np.random.default_rng(seed).random((6, 8, 9)) < share
    assert longest_diameter(mask, matrix) == pytest.approx(brute(mask, matrix), rel=1e-6)


@pytest.mark.parametrize("matrix", AFFINES)
def test_a_smooth_body_against_marching_cubes(matrix):
    field = ndimage.gaussian_filter(np.random.default_rng(5).random((12, 13, 14)), 2)
    mask = field > np.quantile(field, 0.6)
    assert longest_diameter(mask, matrix) == pytest.approx(brute(mask, matrix), rel=1e-6)


@pytest.mark.parametrize("matrix", AFFINES)
def test_one_slice(matrix):
    mask = np.zeros((3, 7, 8), bool)
    mask[1] = np.random.default_rng(1).random((7, 8)) < 0.6
    assert longest_diameter(mask, matrix) == pytest.approx(brute(mask, matrix), rel=1e-6)


def test_two_components_are_not_taken_for_one():
    mask = np.zeros((3, 3, 30), bool)
    mask[1, 1, 1:4] = mask[1, 1, 20:27] = True
    assert longest_diameter(mask, np.eye(4)) == pytest.approx(7.0)


def test_the_component_with_the_widest_box_need_not_be_the_longest():
    mask = np.zeros((12, 30, 30), bool)
    mask[0, :10, :10] = np.eye(10, dtype=bool)
    mask[0, 9, :10] = True
    mask[6, 20, 5:19] = True  # 14 long, its box is narrower than the other's diagonal
    assert longest_diameter(mask, np.eye(4)) == pytest.approx(brute(mask, np.eye(4)))


def test_the_place_of_the_grid_plays_no_part():
    mask = np.random.default_rng(2).random((5, 5, 5)) < 0.4
    far = affine((2, 1, 1), shear=0.3)
    near = far.copy()
    near[:3, 3] = 0
    assert longest_diameter(mask, far) == longest_diameter(mask, near)


def test_face_centres_are_ends_of_lines():
    points = face_centres(np.ones((1, 1, 3), bool))
    assert sorted(map(tuple, points)) == sorted(
        [(0, 0, -0.5), (0, 0, 2.5)]
        + [(z, 0, x) for z in (-0.5, 0.5) for x in range(3)]
        + [(0, y, x) for y in (-0.5, 0.5) for x in range(3)]
    )


def test_without_a_hull_all_pairs_are_compared(monkeypatch):
    def fail(points):
        raise QhullError("flat")

    mask = np.random.default_rng(3).random((5, 12, 12)) < 0.5
    wanted = longest_diameter(mask, AFFINES[3])
    monkeypatch.setattr(max_diameter, "ConvexHull", fail)
    assert longest_diameter(mask, AFFINES[3]) == pytest.approx(wanted)
