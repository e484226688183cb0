from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as PILImage
from PIL import ImageDraw

from napari_tumorseg.errors import GeometryError, InputError, OutputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.report import overlay
from napari_tumorseg.report.montage import _dashes, _outlines
from napari_tumorseg.report.overlay_image import _shortened
from napari_tumorseg.report.slices import spread
from napari_tumorseg.scan import Image, Role, Scan, Segmentation

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def scan(shape=(12, 40, 40), spacing=(1.0, 1.0, 1.0), background=0.0, **more):
    """Return a head: a bright block with a margin of air, on noise that is a little textured."""
    data = np.full(shape, background, np.float32)
    inner = tuple(slice(n // 10, n - n // 10) for n in shape[1:])
    tissue = np.random.default_rng(0).normal(100, 5, (shape[0], *(s.stop - s.start for s in inner)))
    data[(slice(None), *inner)] = tissue
    grid = Grid.from_codes(shape, "SPL", spacing)
    return Scan("case 1", (Image("fla", Role.FLAIR, data, grid), Image("t1c", Role.T1C, -data, grid)), **more)


def mask(of, value=1, box=(slice(3, 9), slice(10, 20), slice(25, 33)), convention="binary"):
    labels = np.zeros(of.grid.shape, np.uint8)
    labels[box] = value
    return Segmentation(labels, of.grid, CONVENTIONS[convention], "mask")


def empty(of):
    return mask(of, 0)


@pytest.fixture
def texts(monkeypatch):
    """All that is written on a picture."""
    found = []
    draw = ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw,
        "text",
        lambda self, xy, text, *a, **k: (found.append(text), draw(self, xy, text, *a, **k)),
    )
    return found


def coloured(picture):
    """Return where a picture is not grey."""
    pixels = np.asarray(picture).astype(int)
    return pixels.max(axis=-1) - pixels.min(axis=-1) > 60


def test_it_says_what_is_shown(texts):
    case = scan()
    picture = overlay(case, mask(case))
    assert picture.mode == "RGB"
    assert "Research use only, not for diagnosis." in texts
    assert "case 1" in texts
    assert "FLAIR, axial slices seen from the feet" in texts
    assert "WT whole tumour 0.480 mL" in texts
    assert [t for t in texts if t.startswith("slice")] == [f"slice {z}" for z in range(3, 9)]
    assert {"L", "R", "A", "P"} <= set(texts)


def test_the_patients_left_is_on_the_right_and_anterior_on_top(texts):
    case = scan()
    # X runs to the left, Y to the back: the tumour is on the left, in front
    seg = mask(case, box=(slice(5, 6), slice(6, 14), slice(26, 34)))
    hit = np.argwhere(coloured(overlay(case, seg, slices=[5]))[80:900])
    picture = overlay(case, seg, slices=[5])
    assert hit[:, 0].mean() < 450
    assert hit[:, 1].mean() > picture.width / 2
    assert texts.index("R") < texts.index("L")


def test_the_sides_are_those_of_the_patient_whatever_the_file_order():
    shape = (40, 40, 12)
    grid = Grid.from_codes(shape, "RAS", (1, 1, 1))
    data = np.full(shape, 100, np.float32) + np.random.default_rng(0).normal(0, 5, shape)
    data[:4] = data[-4:] = data[:, :4] = data[:, -4:] = 0
    labels = np.zeros(shape, np.uint8)
    labels[6:14, 26:34, 5] = 1  # in RAS: left, anterior
    view = grid.file_layout.axis_order
    case = Scan("x", (Image("fla", Role.FLAIR, view.apply(data), grid),))
    picture = overlay(case, Segmentation(view.apply(labels), grid, CONVENTIONS["binary"]))
    hit = np.argwhere(coloured(picture)[80:900])
    assert hit[:, 0].mean() < 450
    assert hit[:, 1].mean() > picture.width / 2


def test_pixels_have_the_aspect_of_the_voxels():
    seen = {}
    for spacing in ((3.0, 1.0, 1.0), (3.0, 2.0, 1.0), (1.0, 1.0, 2.5)):
        case = scan(spacing=spacing)
        seg = mask(case, box=(slice(5, 6), slice(15, 25), slice(15, 25)))
        found = coloured(overlay(case, seg, slices=[5]))[80:-120]
        rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
        seen[spacing] = np.ptp(rows) / np.ptp(columns)
    assert seen[3.0, 1.0, 1.0] == pytest.approx(1, abs=0.03)
    assert seen[3.0, 2.0, 1.0] == pytest.approx(2, abs=0.06)
    assert seen[1.0, 1.0, 2.5] == pytest.approx(0.4, abs=0.02)


def test_the_outline_lies_on_the_edge_of_the_voxels():
    where = np.zeros((10, 10), bool)
    where[2:5, 6:8] = True
    (line,) = _outlines(where, (100, 200))
    points = np.array(line)
    assert points.min(axis=0) == pytest.approx((60, 40))
    assert points.max(axis=0) == pytest.approx((80, 100))
    assert list(_outlines(np.zeros((3, 3), bool), (9, 9))) == []


def test_an_outline_at_the_edge_is_closed():
    (line,) = _outlines(np.ones((2, 2), bool), (20, 20))
    assert line[0] == line[-1]


def test_dashes_cover_a_share_of_the_line():
    line = [(0.0, 0.0), (10.0, 0.0), (10.0, 80.0)]
    parts = [np.array(part) for part in _dashes(line)]
    drawn = sum(np.linalg.norm(np.diff(p, axis=0), axis=1).sum() for p in parts)
    assert drawn == pytest.approx(21 + 21 + 18)
    assert len(parts) == 3
    assert any((p == (10.0, 0.0)).all(axis=1).any() for p in parts)


def test_slices_are_spread_and_hold_the_largest():
    assert spread(4, 7, 5) == [4, 5, 6, 7]
    assert spread(0, 89, 45) == [5, 15, 25, 35, 45, 55, 65, 75, 85]
    for best in range(10, 100):
        indices = spread(10, 99, best)
        assert best in indices
        assert indices == sorted(set(indices))


def test_chosen_slices_and_channel(texts):
    case = scan()
    overlay(case, mask(case), slices=[11, 0], channel="t1c")
    assert [t for t in texts if t.startswith("slice")] == ["slice 11", "slice 0"]
    assert "T1c, axial slices seen from the feet" in texts


@pytest.mark.parametrize("wanted", [[12], [-1], []])
def test_slices_that_are_not_there(wanted):
    case = scan()
    with pytest.raises(InputError, match="0 to 11"):
        overlay(case, mask(case), slices=wanted)


def test_a_channel_that_is_not_there():
    case = scan()
    with pytest.raises(InputError, match="no image 't2'"):
        overlay(case, mask(case), channel="t2")


def test_no_tumour_is_said_and_the_head_is_shown(texts):
    case = scan()
    assert not coloured(overlay(case, empty(case))).all()
    assert "no tumour found" in texts
    assert sum(t.startswith("slice") for t in texts) == 9


def test_unknown_units_show_voxels(texts):
    case = scan(spacing=None)
    overlay(case, mask(case))
    assert "WT whole tumour 480 voxels" in texts
    assert any("voxel size unknown" in t for t in texts)


def test_labels_and_regions_in_the_legend(texts):
    case = scan()
    seg = mask(case, 2, convention="brats-2024")
    seg.labels[5, 12:16, 27:30] = 4
    seg.labels[6, 12:16, 27:30] = 3
    overlay(case, seg)
    assert "RC resection cavity 0.012 mL" in texts
    assert "ET enhancing tumour 0.012 mL" in texts
    assert "WT 0.468 mL" in texts
    assert not any(t.startswith("NETC") for t in texts)


def test_a_reference_is_dashed_and_named(texts):
    case = scan()
    reference = mask(case, box=(slice(0, 2), slice(5, 35), slice(5, 20)))
    plain = np.asarray(overlay(case, mask(case), slices=[1]))
    both = np.asarray(overlay(case, mask(case), slices=[1], reference=reference))
    assert "reference WT 0.900 mL" in texts
    changed = (plain[:900] != both[:900]).any(axis=-1)
    assert (both[:900][changed] > 150).mean() > 0.5
    overlay(case, mask(case), reference=reference)
    assert "slice 0" in texts and "slice 8" in texts


def test_air_is_black_in_scans_with_scores(texts):
    case = scan(background=100.0)
    picture = np.asarray(overlay(case, empty(case), slices=[5]))
    assert (picture[100, 20:30] == 0).all()


@pytest.mark.parametrize("fill", [7.0, np.nan])
def test_a_constant_or_broken_image_is_drawn_black(fill):
    case = scan()
    data = np.full(case.grid.shape, fill, np.float32)
    case = Scan("x", (Image("fla", Role.FLAIR, data, case.grid),))
    picture = overlay(case, mask(case))
    assert coloured(picture).any()


def test_a_few_broken_voxels_do_no_harm():
    case = scan()
    before = np.asarray(overlay(case, mask(case), slices=[5])).copy()
    case.reference.data[2, :3, :3] = (np.nan, np.inf, -np.inf)
    assert np.array_equal(before, np.asarray(overlay(case, mask(case), slices=[5])))


def test_a_brain_mask_sets_the_window():
    case = scan()
    brain = np.zeros(case.grid.shape, bool)
    brain[:, 10:30, 10:30] = True
    case.reference.data[:, 4:8, 4:36] = 5000  # fat
    dark = np.asarray(overlay(case, empty(case), slices=[5]))
    case = Scan("case 1", case.images, brain)
    bright = np.asarray(overlay(case, empty(case), slices=[5]))
    assert bright.shape == dark.shape  # the bright fat does not make the brain air
    middle = (slice(400, 500), slice(400, 500))
    assert bright[middle].mean() > dark[middle].mean() + 50


def test_a_mask_on_another_grid_is_refused():
    case, other = scan(), scan(spacing=(2.0, 1.0, 1.0))
    with pytest.raises(GeometryError, match="grid of case 1"):
        overlay(case, mask(other))
    with pytest.raises(GeometryError):
        overlay(case, mask(case), reference=mask(scan((12, 41, 40))))


@pytest.mark.parametrize("ending", [".png", ".JPG", ".webp"])
def test_it_is_written(tmp_path, ending):
    case = scan()
    path = tmp_path / f"a b{ending}"
    picture = overlay(case, mask(case), path)
    with PILImage.open(path) as read:
        assert read.size == picture.size
    if ending == ".png":
        assert np.array_equal(np.asarray(PILImage.open(path)), np.asarray(picture))
    with pytest.raises(OutputError, match="exists already"):
        overlay(case, mask(case), path)
    overlay(case, mask(case), path, overwrite=True)
    assert list(tmp_path.iterdir()) == [path]


def test_no_file_where_the_ending_is_no_pictures(tmp_path):
    case = scan()
    with pytest.raises(OutputError, match=r"a\.png"):
        overlay(case, mask(case), tmp_path / "a.nii")
    assert not list(tmp_path.iterdir())


def test_inputs_are_not_changed():
    case = scan()
    seg = mask(case)
    before = case.reference.data.copy(), seg.labels.copy()
    overlay(case, seg, reference=mask(case))
    assert np.array_equal(case.reference.data, before[0])
    assert np.array_equal(seg.labels, before[1])


def test_long_names_are_cut_in_the_middle():
    assert _shortened("short", 20, 400) == "short"
    cut = _shortened("a" * 50 + "b" * 50, 20, 300)
    assert cut.startswith("a") and cut.endswith("b") and "..." in cut


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real scans in {DATA}")
def test_a_real_case(texts):
    folder = DATA / "brats" / "brats_2013_pat0001_1"
    file = nib.load(folder / "Flair_subtrMeanDivStd.nii.gz")
    grid = Grid.from_file(file.shape, file.affine)
    data = grid.file_layout.axis_order.apply(np.asarray(file.dataobj))
    labels = np.rint(np.asarray(nib.load(folder / "OTMultiClass.nii.gz").dataobj)).astype(np.uint8)
    seg = Segmentation(grid.file_layout.axis_order.apply(labels), grid, CONVENTIONS["brats-2015"])
    picture = overlay(Scan("pat0001", (Image("flair", Role.FLAIR, data, grid),)), seg)
    assert picture.width > 900
    assert "WT 111.7 mL" in texts
    hit = np.argwhere(coloured(picture)[100:1300])
    assert (
        np.bincount(hit[:, 1] * 6 // picture.width, minlength=6)[[1, 3, 5]].sum() < len(hit) / 4
    )  # on the right
