from __future__ import annotations

import builtins
import json

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from napari_tumorseg.errors import GeometryError, InputError, TumorSegError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.io import read
from napari_tumorseg.measurement.registration import Rigid, apply_transform, register
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Image, Role, Scan, Segmentation

CENTRE = np.array([-60.0, -70.0, 60.0])


def rigid_matrix(yaw=0.0, roll=0.0, pitch=0.0, shift=(0.0, 0.0, 0.0), centre=CENTRE):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("zyx", [yaw, roll, pitch], degrees=True).as_matrix()
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre + shift
    return matrix


def head(grid, motion):
    """Return a textured head with a lesion, drawn where a motion puts it."""
    points = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))
    back = np.linalg.inv(motion)
    own = points @ back[:3, :3].T + back[:3, 3] - CENTRE
    radius = (own[..., 0] / 50) ** 2 + (own[..., 1] / 62) ** 2 + ((own[..., 2] - own[..., 0] / 6) / 48) ** 2
    texture = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(60, 60, 60)), 3)
    values = 100 + 900 * ndimage.map_coordinates(texture, np.moveaxis(own / 2.5 + 30, -1, 0), order=1)
    lesion = ((own - (20, 10, 5)) ** 2).sum(axis=-1) < 14**2
    data = np.where(radius < 1, np.where(lesion, 260, values), 0)
    return data.astype(np.float32), (3 * lesion).astype(np.uint8)


def scan_of(data, grid, role=Role.FLAIR, case="case"):
    return Scan(case, (Image(str(role), role, data, grid),))


FIXED = Grid.from_codes((40, 70, 60), "SPL", (3.0, 2.0, 2.0))
MOVING = Grid.from_codes((60, 56, 48), "SPL", (2.0, 2.5, 2.5))


def error_mm(found, wanted):
    """Return by how much points of the head are misplaced at most."""
    points = CENTRE + 45 * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 3**0.5
    return np.abs(points @ (found - wanted)[:3, :3].T + (found - wanted)[:3, 3]).max()


@pytest.mark.parametrize(
    ("angles", "shift"),
    [((0, 0, 0), (0, 0, 0)), ((8, -4, 5), (6, -5, 4)), ((-12, 6, 0), (-12, 8, 10))],
)
def test_a_known_motion_is_found(angles, shift):
    motion = rigid_matrix(*angles, shift)
    fixed, labels = head(FIXED, np.eye(4))
    moving, moved = head(MOVING, np.linalg.inv(motion))
    found = register(scan_of(fixed, FIXED), scan_of(moving, MOVING))
    assert error_mm(found.matrix, motion) < 1.0
    assert np.allclose(found.matrix[:3, :3] @ found.matrix[:3, :3].T, np.eye(3), atol=1e-6)
    wanted = Rotation.from_matrix(motion[:3, :3]).magnitude()
    assert found.rotation_degrees == pytest.approx(np.degrees(wanted), abs=1)
    assert not found.approved
    assert found.metric_after >= found.metric_before - 0.02
    assert found.preview.data.shape == FIXED.shape
    brain = fixed > 0
    assert np.corrcoef(found.preview.data[brain], fixed[brain])[0, 1] > 0.9
    seg = Segmentation(moved, MOVING, CONVENTIONS["brats-2023"], "later")
    ours = apply_transform(found, seg)
    assert ours.grid is FIXED
    both = np.count_nonzero((ours.labels > 0) & (labels > 0))
    assert 2 * both / (np.count_nonzero(ours.labels) + np.count_nonzero(labels)) > 0.9


def test_it_is_the_same_every_time():
    fixed, moving = head(FIXED, np.eye(4))[0], head(MOVING, rigid_matrix(3, 2, 1))[0]
    found = [register(scan_of(fixed, FIXED), scan_of(moving, MOVING)).matrix for _ in range(2)]
    assert np.allclose(*found, atol=1e-3)


def test_apply_with_a_motion_by_whole_voxels():
    grid = Grid.from_codes((4, 5, 6), "SPL", (2.0, 1.0, 1.0))
    labels = np.zeros(grid.shape, np.uint8)
    labels[1, 2, 3], labels[0, 0, 0] = 3, 1
    motion = np.eye(4)
    motion[:3, 3] = (-2, 0, 2)  # two voxels to the left, one up
    seg = Segmentation(labels, grid, CONVENTIONS["brats-2023"], "later")
    found = apply_transform(Rigid(motion, grid, grid), seg)
    wanted = np.zeros(grid.shape, np.uint8)
    wanted[2, 2, 5], wanted[1, 0, 2] = 3, 1
    assert np.array_equal(found.labels, wanted)
    assert found.labels.dtype == np.uint8
    assert found.provenance["registration"]["shift_mm"] == pytest.approx(np.sqrt(8))


def test_no_motion_changes_nothing():
    labels = np.random.default_rng(0).integers(0, 4, FIXED.shape).astype(np.uint8)
    seg = Segmentation(labels, FIXED, CONVENTIONS["brats-2023"], "later")
    same = Rigid.same_space(FIXED, FIXED)
    assert same.approved
    assert np.array_equal(apply_transform(same, seg).labels, labels)
    assert same.rotation_degrees == same.shift_mm == 0


def test_a_segmentation_on_another_grid():
    seg = Segmentation(np.zeros(FIXED.shape, np.uint8), FIXED, CONVENTIONS["brats-2023"], "later")
    with pytest.raises(GeometryError, match="scan that was moved"):
        apply_transform(Rigid(np.eye(4), FIXED, MOVING), seg)


def test_one_modality_is_compared_where_both_have_it():
    data = head(FIXED, np.eye(4))[0]
    fixed = Scan("a", (Image("f", Role.FLAIR, 300 - data, FIXED), Image("t", Role.T1C, data, FIXED)))
    assert register(fixed, scan_of(data, FIXED, Role.T1C)).channel == "t1c with t1c"


def test_unknown_spacing():
    data = np.zeros((20, 20, 20), np.float32)
    scan = scan_of(data, Grid.from_codes(data.shape, "SPL"), case="lgg")
    with pytest.raises(GeometryError, match="lgg cannot be registered: its voxel size is unknown"):
        register(scan, scan)


def test_images_that_cannot_be_registered():
    grid = Grid.from_codes((20, 20, 20), "SPL", (2.0, 2.0, 2.0))
    blank = scan_of(np.zeros(grid.shape, np.float32), grid, case="blank")
    with pytest.raises(TumorSegError, match="blank could not be registered to blank: "):
        register(blank, blank)
    affine = grid.affine.copy()
    affine[0, 1] = 0.5
    sheared = scan_of(np.ones(grid.shape, np.float32), Grid(grid.shape, affine, "mm"))
    with pytest.raises(InputError, match="right angles"):
        register(sheared, sheared)


def test_without_the_extra(monkeypatch):
    real = builtins.__import__

    def fail(name, *args, **more):
        if name == "SimpleITK":
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", fail)
    data = np.zeros((20, 20, 20), np.float32)
    scan = scan_of(data, Grid.from_codes(data.shape, "SPL", (1.0, 1.0, 1.0)))
    with pytest.raises(TumorSegError, match=r'pip install "\.\[registration\]"'):
        register(scan, scan)


def test_it_goes_into_json():
    content = Rigid(rigid_matrix(3), FIXED, MOVING, 0.1, 0.4, channel="t1 with t1").approve().to_dict()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["approved"] is True


@pytest.mark.slow
def test_a_real_scan(shared_data):
    image = read(shared_data / "brats" / "brats_2013_pat0004_1").reference
    grid = image.grid
    centre = grid.to_world((np.array(grid.shape) - 1) / 2)
    motion = rigid_matrix(7, -4, 3, (8, -6, 5), centre)
    # what is to be found lies where the inverse puts it
    steps = np.linalg.inv(grid.affine) @ motion @ grid.affine
    data = ndimage.affine_transform(np.asarray(image.data, np.float32), steps[:3, :3], steps[:3, 3], order=1)
    found = register(scan_of(image.data, grid), scan_of(data, grid))
    points = centre + 50 * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 3**0.5
    off = points @ (found.matrix - motion)[:3, :3].T + (found.matrix - motion)[:3, 3]
    assert np.linalg.norm(off, axis=1).max() < 0.5
    assert found.metric_after > found.metric_before
