from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import SimpleITK
from scipy import ndimage
from scipy.spatial.transform import Rotation

from napari_tumorseg.geometry import Grid
from napari_tumorseg.io import read
from napari_tumorseg.measurement.midline import Midline, find_midline
from napari_tumorseg.scan import Image, Role, Scan

SHAPE, SPACING = (40, 96, 80), (4.0, 2.0, 2.0)


def scan_of(data, grid):
    return Scan("case", (Image("flair", Role.FLAIR, data, grid),))


@cache
def texture(seed=0):
    """Smooth random tissue, twice as wide as needed, that is symmetric to its own x = 0."""
    half = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(60, 60, 60)), 2.5)
    return 150 + 600 * half


def head(grid, rotation, shift, tumour=False):
    """An ellipsoid symmetric to a known plane: x = 0 of its own coordinates (mm)."""
    indices = np.moveaxis(np.indices(grid.shape), 0, -1)
    own = (grid.to_world(indices) - shift) @ rotation.as_matrix()  # R^-1 applied to rows
    radius = (own[..., 0] / 58) ** 2 + (own[..., 1] / 75) ** 2 + ((own[..., 2] - own[..., 1] / 9) / 62) ** 2
    folded = np.stack([np.abs(own[..., 0]), own[..., 1] + 80, own[..., 2] + 80]) / 2.8
    data = np.where(radius < 1, ndimage.map_coordinates(texture(), folded, order=1), 0)
    if tumour:
        lesion = ((own - (30, 15, 10)) ** 2).sum(axis=-1) < 20**2
        data[lesion & (radius < 1)] = 600
    return data.astype(np.float32)


def grid_of(shape=SHAPE, spacing=SPACING):
    grid = Grid.from_codes(shape, "SPL", spacing)
    affine = grid.affine.copy()
    affine[:3, 3] -= grid.to_world((np.array(shape) - 1) / 2)  # the middle at the origin
    return replace(grid, affine=affine)


def apart(found, normal, point):
    """Return the angle in degrees to a plane, and the distance in mm of a point of it."""
    cosine = abs(np.dot(found.normal, normal))
    return np.degrees(np.arccos(min(cosine, 1))), abs(found.distance(point))


@pytest.mark.parametrize("tumour", [False, True])
@pytest.mark.parametrize(
    ("yaw", "roll", "pitch", "shift"),
    [(0, 0, 0, (0, 0, 0)), (10, 0, 0, (5, 2, 0)), (-14, 8, 5, (-9, 4, 3)), (6, -18, -8, (3, -5, 6))],
)
def test_a_known_plane_comes_back(yaw, roll, pitch, shift, tumour):
    rotation = Rotation.from_euler("zyx", [yaw, roll, pitch], degrees=True)
    grid = grid_of()
    found = find_midline(scan_of(head(grid, rotation, np.array(shift), tumour), grid))
    angle, distance = apart(found, rotation.as_matrix()[:, 0], shift)
    assert angle < 1.0
    assert distance < 0.8
    assert found.confident
    assert not found.notes
    assert found.normal[0] < -0.8  # towards the left


def test_scale_offset_sign_and_nan_play_no_part():
    grid = grid_of()
    rotation = Rotation.from_euler("zyx", [10, -6, 0], degrees=True)
    data = head(grid, rotation, np.zeros(3))
    brain = data > 0
    z_scored = np.where(brain, (data - data[brain].mean()) / data[brain].std(), 0).astype(np.float32)
    holes = data.copy()
    holes[20, 40:44, 40:44] = np.nan
    for other in (3 * data - 1000, z_scored, holes, data.astype(np.int16)):
        found = find_midline(scan_of(other, grid))
        angle, distance = apart(found, rotation.as_matrix()[:, 0], (0, 0, 0))
        assert angle < 1.0
        assert distance < 0.8


def test_a_ball_has_no_midline():
    grid = grid_of()
    places = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))
    ball = np.where((places**2).sum(axis=-1) < 60**2, 100, 0).astype(np.float32)
    found = find_midline(scan_of(ball, grid))
    assert not found.confident
    assert "not to be trusted" in found.notes[0]


def test_noise_has_no_midline():
    grid = grid_of()
    data = np.random.default_rng(1).random(grid.shape).astype(np.float32)
    data[0], data[-1] = 0, 0
    found = find_midline(scan_of(data, grid))
    assert not found.confident


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_an_image_that_shows_nothing(value):
    grid = grid_of((6, 20, 20))
    found = find_midline(scan_of(np.full(grid.shape, value, np.float32), grid))
    assert not found.confident
    assert "shows nothing" in found.notes[0]


def test_a_single_slice():
    grid = grid_of((1, 96, 80))
    rotation = Rotation.from_euler("z", 12, degrees=True)
    found = find_midline(scan_of(head(grid, rotation, np.array([4, 0, 0])), grid))
    assert found.roll_degrees == 0
    assert "too few slices" in found.notes[0]
    angle, distance = apart(found, rotation.as_matrix()[:, 0], (4, 0, 0))
    assert angle < 1.5
    assert distance < 1.5


def test_unknown_voxel_size():
    known = grid_of(spacing=(2.0, 2.0, 2.0))
    rotation = Rotation.from_euler("z", -9, degrees=True)
    data = head(known, rotation, np.zeros(3))
    found = find_midline(scan_of(data, Grid.from_codes(SHAPE, "SPL")))
    assert found.unit == "unknown"
    assert not found.confident
    assert "voxel size is unknown" in found.notes[0]
    assert np.degrees(np.arccos(abs(np.dot(found.normal, rotation.as_matrix()[:, 0])))) < 1.5


def test_the_trace_on_a_slice_lies_in_the_plane():
    grid = grid_of()
    normal = -Rotation.from_euler("zyx", [14, -8, 0], degrees=True).as_matrix()[:, 0]
    plane = Midline(tuple(normal), 3.0, "mm", 1.0, True)
    for index in (0, 17, 39):
        ends = plane.trace(grid, index)
        assert np.allclose(plane.distance_of_voxels(np.array(ends), grid), 0, atol=1e-9)
        assert ends[0][0] == ends[1][0] == index
        for _, y, x in ends:
            assert np.isclose(y, (-0.5, 95.5)).any() or np.isclose(x, (-0.5, 79.5)).any()
    assert replace(plane, offset=500.0).trace(grid, 3) is None


def test_yaw_and_roll():
    for yaw, roll in ((0, 0), (12, 0), (0, -7), (9, 5)):
        a, b = np.radians([yaw, roll])
        normal = -np.array([np.cos(a) * np.cos(b), np.sin(a) * np.cos(b), np.sin(b)])
        plane = Midline(tuple(normal), 0.0, "mm", 1.0, True)
        assert plane.yaw_degrees == pytest.approx(yaw)
        assert plane.roll_degrees == pytest.approx(roll)


def test_it_goes_into_json():
    grid = grid_of((6, 20, 20))
    content = find_midline(scan_of(np.zeros(grid.shape, np.float32), grid)).to_dict()
    assert json.loads(json.dumps(content, allow_nan=False)) == content


def turned(image, yaw, roll, pitch, shift):
    """Resample an image with SimpleITK after a rigid motion in RAS; return it and the motion."""
    matrix = Rotation.from_euler("zyx", [yaw, roll, pitch], degrees=True).as_matrix()
    grid = image.grid
    centre = grid.to_world((np.array(grid.shape) - 1) / 2)
    # SimpleITK's world is LPS, its arrays are (z, y, x) as well
    lps = np.diag([-1.0, -1.0, 1.0])
    source = SimpleITK.GetImageFromArray(np.ascontiguousarray(image.data, dtype=np.float32))
    source.SetSpacing(grid.spacing[::-1])
    columns = (lps @ grid.affine[:3, :3] / grid.spacing)[:, ::-1]
    source.SetDirection(columns.ravel())
    source.SetOrigin(lps @ grid.affine[:3, 3])
    motion = SimpleITK.AffineTransform(3)
    motion.SetMatrix((lps @ matrix @ lps).ravel())
    motion.SetCenter(lps @ centre)
    motion.SetTranslation(lps @ np.array(shift, float))
    background = float(np.median(image.data[np.ix_(*[(0, n - 1) for n in grid.shape])]))
    moved = SimpleITK.Resample(source, source, motion.GetInverse(), SimpleITK.sitkLinear, background)
    return SimpleITK.GetArrayFromImage(moved), matrix, centre, np.array(shift, float)


@pytest.mark.parametrize(
    "name", ["BraTS-GLI-00001-000", "brats_2013_pat0004_1", "brats_2013_pat0005_1", "TCGA-DU-7294"]
)
def test_a_real_scan_that_was_turned(shared_data, name):
    folder = shared_data / "brats" / name
    folder = folder / "brain_extracted" if "TCGA" in name else folder
    image = read(folder).reference
    before = find_midline(scan_of(image.data, image.grid))
    assert before.confident
    assert abs(before.yaw_degrees) < 8  # registered to an atlas
    assert abs(before.roll_degrees) < 8
    for yaw, roll, pitch, shift in ((8, -5, 4, (6, 3, -4)), (-15, 10, 0, (-10, 0, 5))):
        data, matrix, centre, by = turned(image, yaw, roll, pitch, shift)
        after = find_midline(scan_of(data, image.grid))
        # a point of the plane near the middle, and where it went
        point = centre - before.distance(centre) * np.array(before.normal)
        angle, distance = apart(after, matrix @ before.normal, matrix @ (point - centre) + centre + by)
        assert angle < 1.5
        assert distance < 1.0
        assert after.confident


def test_only_the_brain_counts_where_it_is_known():
    """A scalp that is far from symmetric does not pull the plane."""
    grid = grid_of()
    rotation, shift = Rotation.from_euler("zyx", [6, 0, 0], degrees=True), np.array([4.0, 0, 0])
    brain = head(grid, rotation, shift)
    indices = np.moveaxis(np.indices(grid.shape), 0, -1)
    r, a, _ = np.moveaxis(grid.to_world(indices), -1, 0)
    with_scalp = np.where((brain == 0) & (r > 40) & (a > -60), 500, brain).astype(np.float32)
    known = replace(scan_of(with_scalp, grid), brain_mask=brain > 0)
    angle, distance = apart(find_midline(known), rotation.as_matrix()[:, 0], shift)
    assert angle < 1.0
    assert distance < 0.8
    unknown = find_midline(scan_of(with_scalp, grid))
    assert apart(unknown, rotation.as_matrix()[:, 0], shift)[1] > 1
