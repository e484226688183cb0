import numpy as np
import pytest

from napari_tumorseg.edit.clicks import Click
from napari_tumorseg.errors import InputError
from napari_tumorseg.evaluation.clicks_simulation import (
    ROBOTS,
    dice_by_clicks,
    largest_error,
    next_click,
    oracle_disc,
)

SHAPE = (4, 20, 24)


def block(z, y, x):
    found = np.zeros(SHAPE, dtype=bool)
    found[z, y, x] = True
    return found


REFERENCE = block(slice(1, 3), slice(4, 13), slice(5, 14))


def test_the_largest_error_within_a_slice_is_found():
    mask = REFERENCE & ~block(2, slice(4, 9), slice(5, 10)) | block(1, slice(15, 18), slice(1, 4))
    error = largest_error(mask, REFERENCE)
    assert (error.index, error.missing) == (2, True)
    assert error.centre == (2, 6, 7)


def test_parts_that_touch_at_corners_are_two():
    mask = REFERENCE | block(0, slice(0, 2), slice(0, 2)) | block(0, slice(2, 4), slice(2, 4))
    assert np.count_nonzero(largest_error(mask, REFERENCE).depth) == 4


def test_nothing_wrong_needs_no_click():
    assert largest_error(REFERENCE, REFERENCE) is None
    assert next_click(REFERENCE, REFERENCE) is None


@pytest.mark.parametrize("robot", ROBOTS)
def test_every_robot_clicks_in_the_error(robot):
    mask = REFERENCE | block(0, slice(2, 5), slice(2, 18))
    click = next_click(mask, REFERENCE, robot, np.random.default_rng(3))
    assert not click.adds
    assert all(mask[v] and not REFERENCE[v] for v in click.voxels)


def test_a_scribble_runs_along_the_longer_side():
    mask = REFERENCE | block(0, slice(2, 5), slice(2, 18))
    voxels = np.array(next_click(mask, REFERENCE, "scribble").voxels)
    assert set(voxels[:, 1]) == {3}
    assert np.ptp(voxels[:, 2]) >= 13


def test_an_unknown_robot_is_refused():
    with pytest.raises(InputError, match="centre, noisy, scribble"):
        next_click(REFERENCE, ~REFERENCE, "blind")


def test_the_oracle_takes_the_best_disc():
    mask = np.zeros(SHAPE, dtype=bool)
    rows, columns = np.ogrid[:20, :24]
    reference = mask.copy()
    reference[2] = np.hypot(rows - 9, columns - 10) <= 5.4
    found = oracle_disc(mask, Click(((2, 9, 10),)), (), reference)
    np.testing.assert_array_equal(found, reference)


def test_the_oracle_never_makes_it_worse():
    mask = REFERENCE & ~block(2, slice(4, 9), slice(5, 10))
    found = dice_by_clicks(mask, REFERENCE, oracle_disc, clicks=4)
    assert found == sorted(found) and len(found) == 5 and found[-1] > found[0]
