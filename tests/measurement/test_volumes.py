from __future__ import annotations

import json
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import regionprops

from napari_tumorseg.geometry import Grid
from napari_tumorseg.measurement import Measurements, RegionStats, longest_diameter, measure
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def lps(shape, spacing=(1.0, 1.0, 1.0)):
    """Return a grid whose first voxel is at the origin, X to the left, Y to the back, Z up."""
    return Grid.from_codes(shape, "SPL", spacing)


def case(labels, grid=None, convention="brats-2015"):
    return Segmentation(labels, grid or lps(labels.shape), CONVENTIONS[convention], "case 1")


def small():
    labels = np.zeros((5, 6, 8), np.uint8)
    labels[1:3, 2:4, 1:6] = 2
    labels[1, 2, 2:4] = 1
    labels[2, 3, 3] = 4
    labels[4, 5, 7] = 4
    return labels


def test_counts_by_hand():
    found = measure(case(small(), lps((5, 6, 8), (2.0, 1.0, 0.5))))
    assert [(r.name, r.kind) for r in found.rows] == [
        ("NCR", "label"),
        ("ED", "label"),
        ("NET", "label"),
        ("WT", "region"),
        ("TC", "region"),
        ("ET", "region"),
    ]
    assert [r.voxels for r in found.rows] == [2, 17, 0, 21, 4, 2]
    assert found.voxel_volume_mm3 == pytest.approx(1.0)
    assert found.row("WT").volume_ml == pytest.approx(0.021)
    assert found.row("WT").components == 2
    assert found.row("TC").components == 2
    assert found.row("WT").slices == (1, 4)
    assert found.row("NCR").slices == (1, 1)
    assert found.row("TC").labels == (1, 3, 4)
    assert (found.case, found.convention, found.unit) == ("case 1", "brats-2015", "mm")
    assert found.spacing_mm == (2.0, 1.0, 0.5)


def test_places_by_hand():
    row = measure(case(small(), lps((5, 6, 8), (2.0, 1.0, 0.5)))).row("NCR")
    # voxels (1, 2, 2) and (1, 2, 3): R = -0.5 x, A = -y, S = 2 z
    assert row.centroid_mm == pytest.approx((-1.25, -2.0, 2.0))
    assert row.box_mm[0] == pytest.approx((-1.75, -2.5, 1.0))
    assert row.box_mm[1] == pytest.approx((-0.75, -1.5, 3.0))
    assert row.longest_diameter_mm == pytest.approx(np.hypot(2, 0.5))  # top of one, bottom of the other


def test_an_empty_row():
    row = measure(case(small())).row("NET")
    assert row == RegionStats("NET", "label", "non-enhancing tumour", (3,), 0, 0.0, 0, None, None, None, None)


def test_an_empty_mask():
    found = measure(case(np.zeros((3, 4, 5), np.uint8)))
    assert len(found.rows) == 6
    assert all(r.voxels == r.components == 0 and r.volume_ml == 0 for r in found.rows)


def test_a_label_that_is_a_region_is_listed_once():
    labels = (small() > 0).astype(np.uint8)
    found = measure(case(labels, convention="binary"))
    assert [(r.name, r.kind, r.labels, r.voxels) for r in found.rows] == [("WT", "region", (1,), 21)]
    for convention in CONVENTIONS.values():
        rows = measure(case(np.zeros((2, 2, 2), np.uint8), convention=convention.name)).rows
        names = [r.name for r in rows]
        assert len(set(names)) == len(names)
        assert len({r.labels for r in rows}) == len(rows)
        assert {v for r in rows for v in r.labels} == convention.values


def test_the_resection_cavity_is_in_no_region():
    labels = np.zeros((3, 3, 3), np.uint8)
    labels[0, 0, 0], labels[2, 2, 2] = 4, 2
    found = measure(case(labels, convention="brats-2024"))
    assert found.row("RC").voxels == 1
    assert found.row("WT").voxels == 1


def test_unknown_units_leave_voxels_only():
    found = measure(case(small(), Grid.from_codes((5, 6, 8), "SPL")))
    row = found.row("WT")
    assert (row.voxels, row.components, row.slices) == (21, 2, (1, 4))
    assert row.volume_ml is row.centroid_mm is row.box_mm is row.longest_diameter_mm is None
    assert found.voxel_volume_mm3 is found.spacing_mm is None
    assert found.unit == "unknown"


def oblique(shear):
    angle = 0.3
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    skew = np.array([[1, shear, 0], [0, 1, shear / 3], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ skew @ np.array([[0, 0, -0.8], [0, -1.5, 0], [4, 0, 0]])
    matrix[:3, 3] = (10, 20, -30)
    return matrix


@pytest.mark.parametrize("shear", [0.0, 0.7])
def test_oblique_and_sheared_grids(shear):
    labels = (np.random.default_rng(0).random((5, 6, 7)) < 0.2).astype(np.uint8)
    grid = Grid(labels.shape, oblique(shear))
    row = measure(case(labels, grid, "binary")).row("WT")
    # shear leaves the volume of a voxel as it is, though its edges grow longer
    assert row.volume_ml == pytest.approx(labels.sum() * 0.8 * 1.5 * 4 / 1000)
    if shear:
        assert np.prod(grid.spacing) > 0.8 * 1.5 * 4 * 1.05
    indices = np.argwhere(labels)
    assert row.centroid_mm == pytest.approx(tuple(grid.to_world(indices).mean(axis=0)))
    corners = np.stack(np.meshgrid(*[(-0.5, 0.5)] * 3), axis=-1).reshape(-1, 3)
    world = grid.to_world(indices[:, None] + corners).reshape(-1, 3)
    assert row.box_mm[0] == pytest.approx(tuple(world.min(axis=0)))
    assert row.box_mm[1] == pytest.approx(tuple(world.max(axis=0)))
    assert row.longest_diameter_mm == pytest.approx(longest_diameter(labels > 0, grid.affine))


def test_against_skimage():
    labels = np.random.default_rng(1).integers(0, 5, (6, 9, 10)).astype(np.uint8)
    labels[0] = labels[:, -1] = 0
    found = measure(case(labels))
    (props,) = regionprops((labels > 0).astype(int))
    row = found.row("WT")
    assert row.voxels == props.area
    z, y, x = props.centroid
    assert row.centroid_mm == pytest.approx((-x, -y, z))
    low, high = np.array(props.bbox[:3]), np.array(props.bbox[3:]) - 1
    assert row.slices == (low[0], high[0])
    assert row.box_mm[0] == pytest.approx((-high[2] - 0.5, -high[1] - 0.5, low[0] - 0.5))
    for name, members in (("NCR", [1]), ("TC", [1, 3, 4])):
        wanted = ndimage.label(np.isin(labels, members), np.ones((3, 3, 3)))[1]
        assert found.row(name).components == wanted


def test_flips_of_the_file_change_no_measurement():
    labels = small()
    spl, ras = lps(labels.shape, (2, 1, 0.5)), Grid.from_codes((8, 6, 5), "RAS", (0.5, 1, 2))
    one, other = measure(case(labels, spl)), measure(case(labels, ras))
    assert one == other


def test_a_view_is_measured_like_a_copy():
    labels = np.asfortranarray(small())[::-1]
    assert measure(case(labels)) == measure(case(labels.copy()))


def test_to_dict_survives_json():
    for grid in (None, Grid.from_codes((5, 6, 8), "SPL")):
        plain = measure(case(small(), grid)).to_dict()
        assert plain["format"] == 1
        assert json.loads(json.dumps(plain, allow_nan=False)) == plain
        assert set(plain) == {
            "format",
            "case",
            "scheme",
            "unit",
            "voxel_volume_mm3",
            "spacing_mm",
            "rows",
        }


def test_a_row_that_is_not_there():
    with pytest.raises(KeyError):
        Measurements("", "binary", "mm", 1.0, (1, 1, 1), ()).row("WT")


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real scans in {DATA}")
def test_a_real_tumour_in_well_under_a_second():
    file = nib.load(DATA / "brats" / "brats_2013_pat0001_1" / "OTMultiClass.nii.gz")
    grid = Grid.from_file(file.shape, file.affine)
    labels = grid.file_layout.axis_order.apply(np.rint(np.asarray(file.dataobj)).astype(np.uint8))
    start = time.perf_counter()
    found = measure(case(labels, grid))
    assert time.perf_counter() - start < 2  # some 0.07 s; slow machines are not what is tested
    assert found.row("WT").voxels == np.count_nonzero(labels)
    assert found.row("WT").volume_ml == pytest.approx(111.724)
    assert found.row("WT").longest_diameter_mm == pytest.approx(99.885, abs=1e-3)
