from __future__ import annotations

import json

import numpy as np
import pytest

from napari_tumorseg.errors import GeometryError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.measurement.laterality import laterality
from napari_tumorseg.measurement.midline import Midline
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation

SHAPE = (6, 20, 40)


def segmentation(*boxes, spacing=(2.0, 1.0, 1.5), convention="brats-2023"):
    labels = np.zeros(SHAPE, np.uint8)
    for value, columns in boxes:
        labels[2:4, 5:10, slice(*columns)] = value
    return Segmentation(labels, Grid.from_codes(SHAPE, "SPL", spacing), CONVENTIONS[convention], "case")


def plane(at, unit="mm", confident=True, normal=(-1.0, 0.0, 0.0)):
    """Return the plane at this R coordinate."""
    return Midline(normal, -at, unit, 0.9, confident)


# X runs to the left from R = 0, so the column x lies at R = -1.5 x
MIDDLE = plane(-1.5 * 19.5)


def test_left_right_and_both():
    seg = segmentation((2, (25, 30)), (3, (5, 10)))
    found = {row.name: row for row in laterality(seg, MIDDLE)}
    assert list(found) == ["ED", "WT", "TC", "ET"]
    assert found["ED"].side == "left"
    assert found["ED"].left_percent == 100
    assert found["ET"].side == "right"
    assert found["ET"].right_percent == 100
    assert found["WT"].side == "crosses"
    assert found["WT"].left_percent == pytest.approx(50)


def test_distances_are_in_mm_with_the_left_positive():
    found = {row.name: row for row in laterality(segmentation((2, (25, 30)), (3, (5, 10))), MIDDLE)}
    assert found["ED"].centroid_mm == pytest.approx(1.5 * (27 - 19.5))
    assert found["ET"].centroid_mm == pytest.approx(1.5 * (7 - 19.5))


def test_a_plane_that_is_turned():
    # at 45 degrees between left and back, through the voxel (.., 7, 20)
    normal = np.array([-1.0, -1.0, 0.0]) / np.sqrt(2)
    seg = segmentation((3, (18, 23)), spacing=(1.0, 1.0, 1.0))
    centre = seg.grid.to_world((0, 7, 20))
    found = laterality(seg, Midline(tuple(normal), float(centre @ normal), "mm", 1.0, True))
    assert found[0].left_percent == pytest.approx(50)  # voxels on the plane count half
    assert found[0].centroid_mm == pytest.approx(0, abs=1e-9)


def test_a_few_voxels_beyond_do_not_count_as_crossing():
    found = laterality(segmentation((3, (1, 21))), MIDDLE)[0]
    assert found.left_percent == pytest.approx(5)
    assert found.side == "crosses"
    found = laterality(segmentation((3, (0, 21))), MIDDLE)[0]
    assert found.left_percent < 5
    assert found.side == "right"


def test_words():
    rows = {row.name: row.words for row in laterality(segmentation((2, (25, 35)), (3, (15, 20))), MIDDLE)}
    assert rows["ED"] == "ED lies on the patient's left; its centre is 15.0 mm to the left of the plane"
    assert rows["ET"] == "ET lies on the patient's right; its centre is 3.8 mm to the right of the plane"
    assert rows["WT"] == (
        "WT crosses the mid-sagittal plane: 67 % on the patient's left, 33 % on the right; "
        "its centre is 8.8 mm to the left of the plane"
    )
    unsure = laterality(segmentation((3, (15, 20))), plane(-29.25, confident=False))
    assert unsure[0].words.endswith("(uncertain: the plane is not to be trusted)")


def test_unknown_voxel_size_has_sides_but_no_mm():
    found = laterality(segmentation((3, (25, 30)), spacing=None), plane(-19.5, "unknown", False))[0]
    assert found.side == "left"
    assert found.centroid_mm is None
    assert "mm" not in found.words


def test_units_that_differ():
    with pytest.raises(GeometryError, match="not in one unit"):
        laterality(segmentation((3, (25, 30))), plane(0, "unknown"))


def test_nothing_there_and_json():
    assert laterality(segmentation(), MIDDLE) == ()
    content = laterality(segmentation((3, (25, 30))), MIDDLE)[0].to_dict()
    assert json.loads(json.dumps(content)) == content
