from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_tumorseg.errors import GeometryError, InputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.measurement import measure
from napari_tumorseg.measurement.change import change
from napari_tumorseg.measurement.rano import rano
from napari_tumorseg.measurement.registration import Rigid
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation

SHAPE = (12, 40, 48)


def segmentation(*boxes, spacing=(2.0, 1.0, 1.0), convention="brats-2023", shape=SHAPE, name="case"):
    labels = np.zeros(shape, np.uint8)
    for value, *sides in boxes:
        labels[tuple(slice(*side) for side in sides)] = value
    return Segmentation(labels, Grid.from_codes(shape, "SPL", spacing), CONVENTIONS[convention], name)


BEFORE = segmentation(
    (2, (2, 8), (5, 25), (5, 25)),
    (3, (3, 6), (8, 20), (8, 20)),
    (3, (9, 11), (30, 34), (40, 44)),
    name="first",
)
AFTER = segmentation(
    (2, (2, 8), (5, 25), (5, 25)),
    (3, (3, 7), (8, 22), (8, 20)),
    (3, (9, 11), (5, 9), (30, 34)),
    name="second",
)


def same(before, after):
    return Rigid.same_space(before.grid, after.grid)


def test_volumes_without_a_registration():
    found = change(BEFORE, AFTER)
    assert [row.name for row in found.rows] == ["NCR", "ED", "WT", "TC", "ET"]
    old, new = measure(BEFORE), measure(AFTER)
    for row in found.rows:
        assert row.before_ml == pytest.approx(old.row(row.name).volume_ml)
        assert row.after_ml == pytest.approx(new.row(row.name).volume_ml)
        assert row.change_ml == pytest.approx(row.after_ml - row.before_ml)
    enhancing = found.row("ET")
    assert enhancing.change_ml == pytest.approx((4 * 14 * 12 - 3 * 12 * 12) * 2 / 1000)
    assert enhancing.change_percent == pytest.approx(100 * 240 / (432 + 32))
    assert found.lesions is found.registration is found.product is None
    assert found.count("new") is None
    assert "no registration was approved" in found.notes[0]
    with pytest.raises(KeyError):
        found.row("XY")


def test_nothing_before():
    found = change(segmentation(), AFTER)
    assert found.row("ET").change_percent is None
    assert found.row("ET").change_ml == found.row("ET").after_ml
    assert found.row("NCR").change_percent == 0


def test_grids_that_differ_count_in_ml():
    coarse = segmentation((3, (3, 6), (4, 10), (4, 10)), spacing=(2.0, 2.0, 2.0), shape=(12, 20, 24))
    fine = segmentation((3, (3, 6), (8, 20), (8, 20)))
    row = change(coarse, fine).row("ET")
    assert row.voxels_after == 4 * row.voxels_before
    assert row.change_ml == pytest.approx(0)


def test_schemes_that_differ_share_regions_but_no_labels():
    later = segmentation((4, (3, 7), (8, 22), (8, 20)), convention="brats-2021")
    assert [row.name for row in change(BEFORE, later).rows] == ["WT", "TC", "ET"]
    binary = segmentation((1, (3, 7), (8, 22), (8, 20)), convention="binary")
    found = change(BEFORE, binary)
    assert [row.name for row in found.rows] == ["WT"]
    assert found.region == "WT"


def test_unknown_voxel_size():
    found = change(BEFORE, segmentation((3, (3, 7), (8, 22), (8, 20)), spacing=None))
    assert found.row("ET").change_ml is found.row("ET").change_percent is None
    assert found.row("ET").before_ml is not None
    assert "voxel size is unknown" in found.notes[0]
    before, after = (replace(x, grid=Grid.from_codes(SHAPE, "SPL")) for x in (BEFORE, AFTER))
    lesions = change(before, after, rigid=same(before, after)).lesions
    assert [(x.status, x.before_ml) for x in lesions] == [
        ("matched", None),
        ("vanished", None),
        ("new", None),
    ]


def test_products():
    found = change(BEFORE, AFTER, diameters=(rano(BEFORE), rano(AFTER)))
    assert found.product.region == "ET"
    assert found.product.before_mm2 == rano(BEFORE).sum_of_products_mm2
    assert found.product.change_mm2 == pytest.approx(found.product.after_mm2 - found.product.before_mm2)
    assert found.product.change_percent == pytest.approx(
        100 * found.product.change_mm2 / found.product.before_mm2
    )
    found = change(BEFORE, AFTER, diameters=(rano(BEFORE, "WT"), rano(AFTER)))
    assert found.product is None
    assert "not compared" in found.notes[0]


def test_new_vanished_and_matched():
    found = change(BEFORE, AFTER, rigid=same(BEFORE, AFTER))
    assert [(x.status, x.before, x.after) for x in found.lesions] == [
        ("matched", (1,), (1,)),
        ("vanished", (2,), ()),
        ("new", (), (2,)),
    ]
    assert found.lesions[0].before_ml == pytest.approx(0.864)
    assert found.lesions[1].after_ml == 0
    assert [found.count(s) for s in ("new", "vanished", "matched")] == [1, 1, 1]
    assert found.registration["approved"]
    assert not found.notes


def test_lesions_that_merge_or_split_are_one_entry():
    two = segmentation((3, (3, 6), (5, 10), (5, 10)), (3, (3, 6), (5, 10), (12, 18)))
    one = segmentation((3, (3, 6), (5, 10), (5, 18)))
    for before, after, wanted in ((two, one, ((1, 2), (1,))), (one, two, ((1,), (1, 2)))):
        lesions = change(before, after, rigid=same(before, after)).lesions
        assert [(x.status, (x.before, x.after)) for x in lesions] == [("matched", wanted)]


def test_lesions_are_matched_after_the_motion():
    later = segmentation((3, (3, 6), (8, 20), (28, 40)), (3, (9, 11), (30, 34), (20, 24)))
    motion = np.eye(4)
    motion[:3, 3] = (20, 0, 0)  # twenty mm to the right: towards lower x
    moved = Rigid(motion, BEFORE.grid, later.grid, approved=True)
    found = change(BEFORE, later, rigid=moved)
    assert [x.status for x in found.lesions] == ["matched", "vanished", "new"]
    still = change(BEFORE, later, rigid=same(BEFORE, later))
    assert [x.status for x in still.lesions] == ["vanished", "vanished", "new", "new"]


def test_a_lesion_between_the_voxels_of_a_coarser_grid():
    fine = segmentation((3, (2, 3), (9, 10), (9, 10)))
    coarse = segmentation((3, (0, 2), (1, 4), (1, 4)), spacing=(4.0, 4.0, 4.0), shape=(6, 10, 12))
    for before, after in ((fine, coarse), (coarse, fine)):
        assert [x.status for x in change(before, after, rigid=same(before, after)).lesions] == ["matched"]


def test_a_registration_that_was_not_approved():
    found = change(BEFORE, AFTER, rigid=Rigid(np.eye(4), BEFORE.grid, AFTER.grid))
    assert found.lesions is None
    assert "no registration was approved" in found.notes[0]


def test_a_registration_of_other_scans():
    other = Grid.from_codes((5, 5, 5), "SPL", (1.0, 1.0, 1.0))
    with pytest.raises(GeometryError, match="not one of second to first"):
        change(BEFORE, AFTER, rigid=Rigid.same_space(BEFORE.grid, other))


def test_regions_that_are_asked_for():
    assert change(BEFORE, AFTER).region == "ET"
    assert change(BEFORE, AFTER, region="WT").region == "WT"
    assert change(BEFORE, segmentation()).region == "WT"
    with pytest.raises(InputError, match="has no region 'XY'"):
        change(BEFORE, AFTER, region="XY")


def test_empty_masks():
    found = change(segmentation(), segmentation(), rigid=same(BEFORE, AFTER))
    assert found.lesions == ()
    found = change(segmentation(), AFTER, rigid=same(BEFORE, AFTER), region="ET")
    assert [x.status for x in found.lesions] == ["new", "new"]


def test_it_goes_through_json():
    for rigid in (None, same(BEFORE, AFTER)):
        found = change(BEFORE, AFTER, rigid=rigid, diameters=(rano(BEFORE), rano(AFTER)))
        content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert content == found.to_dict()
        assert content["format"] == 1
