"""Registration by SimpleITK, and its check."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_tumorseg.geometry import Affine
from napari_tumorseg.io.simpleitk import matrix_of, simpleitk, transform_of
from napari_tumorseg.preparation import Head, SimpleITKRegistration, align
from napari_tumorseg.preparation.agreement import agreement, similarities
from napari_tumorseg.scan import Role
from tests.preparation.phantom import BRAIN, grid_of, head, inside, motion
from tests.preparation.tools import KnownMotion


def fixed_head() -> Head:
    return Head(head(Role.FLAIR, grid_of()), inside(BRAIN, grid_of()))


def moving_head(moved: Affine) -> Head:
    grid = grid_of((6, 3, 3), (4, 0, 2))
    return Head(head(Role.T1C, grid, moved), inside(BRAIN, grid, moved))


def errors(found: Affine, moved: Affine) -> tuple[float, float]:
    """Return degrees and mm (at the centre of the head) between a motion and the inverse of another."""
    rest = found @ moved
    angle = np.degrees(Rotation.from_matrix(rest[:3, :3]).magnitude())
    return float(angle), float(np.linalg.norm(rest[:3, 3]))


@pytest.mark.parametrize(
    ("degrees", "shift"), [((0, 0, 0), (0, 0, 0)), ((12, -5, 8), (10, -12, 12)), ((-20, 0, 0), (0, 40, 0))]
)
def test_a_known_motion_is_found(degrees: tuple[float, ...], shift: tuple[float, ...]) -> None:
    moved = motion(degrees, shift)
    found = align(fixed_head(), moving_head(moved), SimpleITKRegistration())
    assert found.problem == ""
    angle, distance = errors(found.motion, moved)
    assert angle < 1
    assert distance < 1
    assert found.after.overlap is not None and found.after.overlap > 0.95
    assert found.after.similarity >= found.before.similarity - 1e-3


def test_the_result_is_the_same_each_time() -> None:
    moved = motion((5, 0, 0), (0, 8, 0))
    tool = SimpleITKRegistration(sampled=0.02)
    first, second = (tool.motion(fixed_head(), moving_head(moved)) for _ in range(2))
    np.testing.assert_allclose(first, second, rtol=0, atol=1e-9)


def test_a_wrong_result_is_recognised() -> None:
    wrong = KnownMotion({Role.T1C: motion((0, 35, 0), (30, 0, 0))})
    found = align(fixed_head(), moving_head(motion((0, 0, 0), (0, 45, 0))), wrong)
    assert "overlap by only" in found.problem


def test_a_motion_that_no_head_makes_is_recognised() -> None:
    found = align(fixed_head(), moving_head(np.eye(4)), KnownMotion({Role.T1C: motion((0, 0, 180))}))
    assert found.problem == "" and found.degrees == 0  # it is no better than the file's own position
    upside_down = moving_head(motion((0, 0, 180)))
    found = align(fixed_head(), upside_down, KnownMotion({Role.T1C: motion((0, 0, 180))}))
    assert "not plausible" in found.problem


def test_the_position_of_the_file_is_kept_where_nothing_is_better() -> None:
    found = align(fixed_head(), moving_head(np.eye(4)), KnownMotion({Role.T1C: motion((0, 0, 0), (9, 0, 0))}))
    np.testing.assert_array_equal(found.motion, np.eye(4))
    assert "was kept" in found.words()


def test_a_slab_of_little_brain_is_not_trusted() -> None:
    whole = moving_head(np.eye(4))
    assert whole.brain is not None
    grid = replace(whole.image.grid, shape=(12, *whole.image.grid.shape[1:]))
    slab = Head(replace(whole.image, data=whole.image.data[:12], grid=grid), whole.brain[:12])
    found = align(fixed_head(), slab, KnownMotion())
    assert "it shows only" in found.problem


def slab_of(whole: Head, slices: slice) -> Head:
    """Return some slices of a head."""
    assert whole.brain is not None
    grid = whole.image.grid
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_world((slices.start, 0, 0))
    data = whole.image.data[slices]
    cut = replace(grid, shape=data.shape, affine=affine)
    return Head(replace(whole.image, data=data, grid=cut), whole.brain[slices])


@pytest.mark.parametrize("shift", [(0, 0, 8), (0, 0, -8), (7, 0, 0), (0, -8, 0)])
@pytest.mark.parametrize("slices", [slice(0, 33), slice(8, 26)], ids=["whole", "slab"])
def test_a_result_that_is_wrong_by_7_or_8_mm_is_recognised(slices: slice, shift: tuple[float, ...]) -> None:
    """The brains overlap by more than 0.9 all the same."""
    moving = slab_of(moving_head(motion((0, 0, 0), shift)), slices)
    found = align(fixed_head(), moving, KnownMotion())
    assert found.after.overlap is not None and found.after.overlap > 0.9
    assert "fits the reference better when it is moved on by" in found.problem
    back = align(fixed_head(), moving, KnownMotion({Role.T1C: motion(shift=-np.asarray(shift))}))
    assert back.problem == ""


def test_a_result_that_is_turned_wrong_is_recognised() -> None:
    found = align(fixed_head(), moving_head(motion((8, 0, 0))), KnownMotion())
    assert found.after.overlap is not None and found.after.overlap > 0.9
    assert "fits the reference better when it is turned on by 6 degrees" in found.problem


def test_similarities_before_and_after_are_of_the_same_voxels() -> None:
    """A slab that is moved out of the brain shows less of it, which says nothing of how it fits."""
    moving = slab_of(moving_head(np.eye(4)), slice(8, 26))
    out = motion(shift=(0, 0, 30))
    found = align(fixed_head(), moving, KnownMotion({Role.T1C: out}))
    (stay, _), common = similarities(fixed_head(), moving, (np.eye(4), out))
    assert 0.25 < common < found.before.coverage - 0.1
    assert found.before.similarity == stay != agreement(fixed_head(), moving, np.eye(4)).similarity
    np.testing.assert_array_equal(found.motion, np.eye(4))


def test_transforms_and_matrices() -> None:
    matrix = motion((10, 20, 30), (1, 2, 3))
    made = transform_of(simpleitk("a test", "native"), matrix, np.array([5.0, -7.0, 9.0]))
    np.testing.assert_allclose(matrix_of(made), matrix, atol=1e-9)
