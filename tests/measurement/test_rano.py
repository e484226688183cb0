from __future__ import annotations

import json
import time

import numpy as np
import pytest

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.io import read_mask
from napari_tumorseg.measurement.bidimensional import bidimensional_diameters
from napari_tumorseg.measurement.rano import Rano, rano, warn_of_angle, with_ends
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation


def segmentation(boxes, spacing=(1.0, 1.0, 1.0), convention="brats-2023", shape=(8, 40, 50)):
    labels = np.zeros(shape, np.uint8)
    for value, *sides in boxes:
        labels[tuple(slice(*side) for side in sides)] = value
    return Segmentation(labels, Grid.from_codes(shape, "SPL", spacing), CONVENTIONS[convention], "case 1")


# enhancing tumour 12 x 16 on slices 2 to 4, in oedema; a second, smaller one
BOXES = [
    (2, (1, 6), (4, 30), (4, 40)),
    (3, (2, 5), (10, 22), (8, 24)),
    (3, (4, 6), (10, 13), (30, 34)),
]


def test_a_box_by_hand():
    found = rano(segmentation(BOXES))
    assert found.region == "ET"
    assert [lesion.number for lesion in found.lesions] == [1, 2]
    first, second = found.lesions
    assert first.longest.length_mm == pytest.approx(20)
    assert first.perpendicular.length_mm == pytest.approx(15)
    assert first.product_mm2 == pytest.approx(300)
    assert first.angle_degrees == pytest.approx(90)
    assert first.voxels == 3 * 12 * 16
    assert first.slice_index in (2, 3, 4)
    assert first.measurable and not first.reason
    assert second.longest.length_mm == pytest.approx(5)
    assert second.measurable is False
    assert second.reason == (
        "the longest diameter is 5.0 mm, less than 10 mm; "
        "the perpendicular diameter is 3.8 mm, less than 10 mm"
    )
    assert found.sum_of_products_mm2 == pytest.approx(300)
    assert found.sum_of_all_products_mm2 == pytest.approx(300 + 5 * 3.75)


def test_ends_are_edges_of_voxels():
    line = rano(segmentation(BOXES)).lesions[0].longest
    assert {line.start[1], line.end[1]} == {9.5, 21.5}
    assert {line.start[2], line.end[2]} == {7.5, 23.5}
    assert line.start[0] == line.end[0]


def test_ends_in_mm_are_right_anterior_superior():
    seg = segmentation(BOXES, spacing=(3.0, 0.5, 2.0))
    for lesion in rano(seg).lesions:
        for line in (lesion.longest, lesion.perpendicular):
            assert np.allclose(line.start_mm, seg.grid.to_world(line.start))
            apart = np.linalg.norm(np.subtract(line.end_mm, line.start_mm))
            assert apart == pytest.approx(line.length_mm)
    # X runs to the left, which is negative in RAS
    assert rano(seg).lesions[0].longest.start_mm[0] < 0


def test_the_slice_spacing_plays_no_part_in_lengths():
    thin, thick = rano(segmentation(BOXES)), rano(segmentation(BOXES, spacing=(5.0, 1.0, 1.0)))
    assert thin.lesions[0].product_mm2 == pytest.approx(thick.lesions[0].product_mm2)


def test_thick_slices_are_not_measurable_and_five_mm_are_not_thick():
    assert rano(segmentation(BOXES, spacing=(5.0000001, 1, 1))).lesions[0].measurable
    found = rano(segmentation(BOXES, spacing=(5.5, 1, 1)))
    assert found.lesions[0].measurable is False
    assert found.lesions[0].reason == "the slices are 5.5 mm thick, more than 5 mm"
    assert found.notes == ("none of the ET lesions is measurable",)
    assert found.sum_of_products_mm2 == 0
    assert found.sum_of_all_products_mm2 > 0


def test_the_slice_with_the_largest_product_is_taken():
    boxes = [(3, (1, 2), (5, 35), (5, 8)), (3, (2, 3), (5, 25), (5, 25)), (3, (3, 4), (5, 24), (5, 25))]
    lesion = rano(segmentation(boxes)).lesions[0]
    assert lesion.slice_index == 2  # a longer line is on slice 1
    assert lesion.product_mm2 == pytest.approx(800)


def test_every_slice_is_looked_at_as_brute_force_does():
    rng = np.random.default_rng(4)
    seg = segmentation([], shape=(5, 12, 12), spacing=(1.0, 0.8, 1.3))
    seg.labels[:, 2:10, 2:10] = 3 * (rng.random((5, 8, 8)) < 0.8)
    found = rano(seg)
    assert len(found.lesions) == 1
    best = max(bidimensional_diameters(plane > 0, np.diag([0.8, 1.3])).product for plane in seg.labels)
    assert found.lesions[0].product_mm2 == pytest.approx(best)


def test_lesions_that_touch_at_a_corner_are_one():
    boxes = [(3, (1, 2), (5, 10), (5, 10)), (3, (2, 3), (10, 14), (10, 14))]
    assert len(rano(segmentation(boxes)).lesions) == 1
    boxes = [(3, (1, 2), (5, 10), (5, 10)), (3, (3, 4), (10, 14), (10, 14))]
    assert len(rano(segmentation(boxes)).lesions) == 2


def test_whole_tumour_where_nothing_enhances():
    found = rano(segmentation(BOXES[:1]))
    assert found.region == "WT"
    assert found.notes == ("there is no enhancing tumour, so WT was measured",)
    found = rano(segmentation([(1, (1, 6), (4, 30), (4, 40))], convention="binary"))
    assert found.region == "WT"
    assert "have no enhancing tumour" in found.notes[0]


def test_a_region_that_is_asked_for():
    assert rano(segmentation(BOXES), "WT").region == "WT"
    with pytest.raises(InputError, match="has no region 'XY'; it has WT, TC, ET"):
        rano(segmentation(BOXES), "XY")


def test_nothing_to_measure():
    found = rano(segmentation([]))
    assert found.lesions == ()
    assert found.notes[-1] == "there is no WT to measure"
    assert found.sum_of_products_mm2 == 0


def test_unknown_spacing_gives_lines_but_no_lengths():
    found = rano(segmentation(BOXES, spacing=None))
    lesion = found.lesions[0]
    assert lesion.longest.length_mm is lesion.product_mm2 is lesion.measurable is None
    assert lesion.longest.start_mm is lesion.angle_degrees is found.sum_of_products_mm2 is None
    assert "voxel size is unknown" in lesion.reason
    assert any("voxel size is unknown" in note for note in found.notes)
    assert lesion.longest.start[1] in (9.5, 21.5)


def test_it_goes_through_json():
    for spacing in ((1.0, 1.0, 1.0), None):
        found = rano(segmentation(BOXES, spacing=spacing))
        content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert Rano.from_dict(content) == found
        assert content["sum_of_products_mm2"] == found.sum_of_products_mm2


@pytest.mark.parametrize("change", [{"format": 9}, {"lesions": [1]}, {"lesions": [{"number": 1}]}])
def test_what_is_no_such_json(change):
    with pytest.raises(InputError):
        Rano.from_dict({**rano(segmentation(BOXES)).to_dict(), **change})
    with pytest.raises(InputError):
        Rano.from_dict({})


def test_ends_that_were_moved():
    seg = segmentation(BOXES, spacing=(1.0, 2.0, 3.0))
    found = rano(seg)
    index = found.lesions[0].slice_index
    new = with_ends(found, 1, seg.grid, longest=((index, 10, 10), (index, 10, 12)))
    lesion = new.lesions[0]
    assert lesion.edited and not new.lesions[1].edited
    assert lesion.longest.length_mm == pytest.approx(6)
    assert lesion.perpendicular == found.lesions[0].perpendicular
    assert lesion.product_mm2 == pytest.approx(6 * lesion.perpendicular.length_mm)
    assert lesion.measurable is False
    assert new.lesions[1] == found.lesions[1]
    assert new.sum_of_products_mm2 == 0


def test_lines_that_are_no_longer_perpendicular_are_noted():
    seg = segmentation(BOXES)
    found = rano(seg)
    assert warn_of_angle(found.lesions[0]) == ""
    lines = {"longest": ((3, 10, 10), (3, 10, 30)), "perpendicular": ((3, 8, 10), (3, 28, 30))}
    lesion = with_ends(found, 1, seg.grid, **lines).lesions[0]
    assert lesion.angle_degrees == pytest.approx(45)
    assert warn_of_angle(lesion) == "the lines of lesion 1 meet at 45.0 degrees, not at a right angle"


def test_ends_on_another_slice():
    seg = segmentation(BOXES)
    found = rano(seg)
    index = found.lesions[0].slice_index
    with pytest.raises(InputError, match="one axial slice"):
        with_ends(found, 1, seg.grid, longest=((index, 10, 10), (index + 1, 10, 12)))
    lines = {"longest": ((5, 10, 10), (5, 10, 30)), "perpendicular": ((5, 8, 10), (5.2, 28, 10))}
    moved = with_ends(found, 1, seg.grid, **lines).lesions[0]
    assert moved.slice_index == 5
    assert moved.perpendicular.end[0] == 5
    with pytest.raises(InputError, match="no slice 9"):
        with_ends(found, 1, seg.grid, longest=((9, 1, 1), (9, 2, 2)), perpendicular=((9, 1, 1), (9, 2, 2)))
    with pytest.raises(InputError, match="no lesion 7"):
        with_ends(found, 7, seg.grid)
    with pytest.raises(InputError, match="three numbers"):
        with_ends(found, 1, seg.grid, longest=((index, np.nan, 10), (index, 10, 12)))


def test_a_line_of_no_length_is_no_error():
    seg = segmentation(BOXES)
    index = rano(seg).lesions[0].slice_index
    lesion = with_ends(rano(seg), 1, seg.grid, longest=((index, 10, 10), (index, 10, 10))).lesions[0]
    assert lesion.longest.length_mm == 0
    assert lesion.angle_degrees is None


def test_real_cases(shared_data):
    for case in sorted((shared_data / "brats").glob("brats_2013*")):
        seg = read_mask(case / "OTMultiClass.nii.gz", "brats-2015")
        start = time.process_time()
        found = rano(seg)
        assert time.process_time() - start < 1.5  # 0.1 to 0.4 s on an idle machine
        first = found.lesions[0]
        assert first.measurable
        # a plane cannot hold more than the whole box
        inside = np.argwhere(seg.labels[first.slice_index] == 4)
        assert first.longest.length_mm <= np.linalg.norm(np.ptp(inside, axis=0) + 1)
