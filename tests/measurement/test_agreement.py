from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from napari_tumorseg.errors import GeometryError, InputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.measurement import Confusion, agreement
from napari_tumorseg.measurement.comparison import image_diagonal
from napari_tumorseg.measurement.surface_distance import hd95, nsd, surface_distances
from napari_tumorseg.regions import CONVENTIONS, convert
from napari_tumorseg.scan import Segmentation
from tests.measurement.masks import EMPTY, PAIRS, SHAPE, SPACINGS, ball, box, each, grid

ALL = PAIRS | EMPTY
RATIOS = ("dice", "iou", "accuracy", "precision", "sensitivity", "specificity", "f1")
IN_MM = ("hd95_mm", "nsd_1mm", "nsd_2mm", "volume_error_ml")


def case(labels, where=None, convention="binary", name="case 1"):
    labels = np.asarray(labels, np.uint8)
    return Segmentation(labels, where or grid(labels.shape), CONVENTIONS[convention], name)


def whole(seg, ref, spacing=(1.0, 1.0, 1.0)):
    where = grid(seg.shape, spacing)
    return agreement(case(seg, where), case(ref, where)).row("WT")


def brute(seg, ref):
    """Ratios from voxels counted one by one, the conventions for empty masks spelled out."""
    counted = dict.fromkeys(((0, 0), (0, 1), (1, 0), (1, 1)), 0)
    for pair in zip(seg.ravel().astype(int), ref.ravel().astype(int), strict=True):
        counted[pair] += 1
    tn, fn, fp, tp = (counted[pair] for pair in ((0, 0), (0, 1), (1, 0), (1, 1)))
    if tp + fp + fn == 0:
        return dict.fromkeys(RATIOS, 1.0)
    precision = tp / (tp + fp) if tp + fp else 0.0
    sensitivity = tp / (tp + fn) if tp + fn else 0.0
    total = precision + sensitivity
    return {
        "dice": 2 * tp / (2 * tp + fp + fn),
        "iou": tp / (tp + fp + fn),
        "accuracy": (tp + tn) / seg.size,
        "precision": precision,
        "sensitivity": sensitivity,
        "specificity": tn / (tn + fp) if tn + fp else 1.0,
        "f1": 2 * precision * sensitivity / total if total else 0.0,
    }


def surface_points(mask, affine):
    """Voxels of a mask with a face that shows, one by one."""
    padded = np.pad(mask, 1)
    shows = np.zeros_like(mask)
    for z, y, x in np.argwhere(mask):
        near = padded[z : z + 3, y : y + 3, x : x + 3]
        shows[z, y, x] = not near[ndimage.generate_binary_structure(3, 1)].all()
    return np.argwhere(shows) @ affine[:3, :3].T


@pytest.mark.parametrize(("seg", "ref"), **each(ALL))
def test_ratios_equal_counting(seg, ref):
    row = whole(seg, ref)
    assert {name: getattr(row, name) for name in RATIOS} == pytest.approx(brute(seg, ref))
    assert (row.voxels, row.reference_voxels) == (seg.sum(), ref.sum())


@pytest.mark.parametrize(("seg", "ref"), **each(PAIRS))
def test_overlap_equals_medpy_and_monai(seg, ref):
    row = whole(seg, ref)
    assert row.dice == pytest.approx(pytest.importorskip("medpy.metric.binary").dc(seg, ref))
    metrics, (ours, theirs) = monai_masks(seg, ref)
    assert row.dice == pytest.approx(metrics.compute_dice(ours, theirs).item())
    assert row.iou == pytest.approx(metrics.compute_iou(ours, theirs).item())


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(("seg", "ref"), **each(PAIRS))
def test_surfaces_equal_monai(seg, ref, spacing):
    row = whole(seg, ref, spacing)
    metrics, masks = monai_masks(seg, ref)
    expected = metrics.compute_hausdorff_distance(*masks, percentile=95, spacing=list(spacing))
    assert row.hd95_mm == pytest.approx(expected.item(), rel=1e-5)
    for tolerance, found in ((1.0, row.nsd_1mm), (2.0, row.nsd_2mm)):
        expected = metrics.compute_surface_dice(*masks, [tolerance], spacing=list(spacing))
        assert found == pytest.approx(expected.item(), abs=1e-6)


def monai_masks(seg, ref):
    torch, metrics = pytest.importorskip("torch"), pytest.importorskip("monai.metrics")
    # one channel, taken as background otherwise
    masks = [torch.as_tensor(np.stack([~m, m])[None].astype(np.float32)) for m in (seg, ref)]

    class Foreground:
        def __getattr__(self, name):
            options = {"include_background": False}
            return lambda *args, **more: getattr(metrics, name)(*args, **more, **options)

    return Foreground(), masks


@pytest.mark.parametrize(("seg", "ref"), **each(PAIRS))
def test_surface_distances_in_a_sheared_turned_grid(seg, ref):
    affine = np.array([[0.3, 0.8, 0.1, 4], [1.9, -0.2, 0.5, 5], [0, 0.3, -1.1, 6], [0, 0, 0, 1]])
    to_ref, to_seg = surface_distances(seg, ref, affine)
    table = cdist(surface_points(seg, affine), surface_points(ref, affine))
    assert to_ref == pytest.approx(table.min(axis=1))
    assert to_seg == pytest.approx(table.min(axis=0))


def test_hd95_is_the_larger_direction_not_the_pool():
    near, far = np.zeros(100), np.full(10, 8.0)
    assert hd95((near, far)) == hd95((far, near)) == 8.0
    assert hd95((np.arange(101.0), near)) == 95.0


def test_nsd_forgives_rounding_in_a_header_and_no_more():
    distances = np.array([0.0, 1.0000001]), np.array([1.001])
    assert nsd(distances, 1) == pytest.approx(2 / 3)


def test_turning_the_grid_changes_nothing():
    seg, ref = PAIRS["blobs"]
    angle, spacing = 0.3, (1.0, 1.0, 1.0)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    straight = grid(SHAPE, spacing)
    turned = Grid(SHAPE, (turn @ straight.affine).astype(np.float32).astype(float))
    one = agreement(case(seg, straight), case(ref, straight)).row("WT")
    other = agreement(case(seg, turned), case(ref, turned)).row("WT")
    assert other.nsd_1mm == one.nsd_1mm
    assert other.hd95_mm == pytest.approx(one.hd95_mm)


@pytest.mark.parametrize("flag", EMPTY)
def test_empty_masks(flag):
    row = whole(*EMPTY[flag], (2.0, 1.0, 0.5))
    right = 1.0 if flag == "both empty" else 0.0
    assert row.flags == (flag,)
    assert (row.dice, row.iou, row.f1, row.precision, row.sensitivity) == (right,) * 5
    assert (row.nsd_1mm, row.nsd_2mm) == (right, right)
    diagonal = math.hypot(14 * 2, 17 * 1, 19 * 0.5)
    assert row.hd95_mm == (0.0 if flag == "both empty" else pytest.approx(diagonal))


def test_volume_error():
    more = whole(box((1, 5), (1, 6), (1, 11)), box((1, 5), (1, 6), (1, 5)), (2.0, 1.0, 0.5))
    assert more.volume_error_ml == pytest.approx(0.12)
    assert more.volume_error_percent == pytest.approx(150.0)
    assert more.flags == ()
    less = whole(*EMPTY["segmentation empty"])
    assert less.volume_error_percent == -100.0
    assert less.volume_error_ml == -less.reference_voxels / 1000
    assert whole(*EMPTY["both empty"]).volume_error_percent == 0.0
    assert whole(*EMPTY["reference empty"]).volume_error_percent is None


# the table of conventions: (segmentation, reference, Dice, HD95)
FAR = box((0, 1), (0, 1), (0, 1), shape=(30, 40, 40))
LARGE = ball((15, 20, 20), 9, shape=(30, 40, 40))
NONE = np.zeros((30, 40, 40), bool)
SMALL = ball((15, 20, 20), 2, shape=(30, 40, 40))


@pytest.mark.parametrize(
    ("seg", "ref", "dice", "distance"),
    [
        (NONE, NONE, 1, 0),
        (FAR, NONE, 0, math.hypot(30, 40, 40)),
        (LARGE | FAR, LARGE, pytest.approx(1, abs=1e-3), 0),
        (NONE, SMALL, 0, math.hypot(30, 40, 40)),
    ],
    ids=["both empty", "one predicted voxel", "perfect plus one far voxel", "a 33-voxel lesion, missed"],
)
def test_golden_table(seg, ref, dice, distance):
    row = whole(seg, ref)
    assert row.dice == dice
    assert row.hd95_mm == pytest.approx(distance)


def test_the_diagonal_of_a_brats_image_is_about_the_penalty():
    assert image_diagonal(grid((155, 240, 240))) == pytest.approx(373.13, abs=0.01)


def test_unknown_voxel_size():
    where = Grid.from_codes(SHAPE, "SPL")
    for seg, ref in ALL.values():
        row = agreement(case(seg, where), case(ref, where)).row("WT")
        assert [getattr(row, name) for name in IN_MM] == [None] * 4
        assert row.dice == Confusion.of(seg, ref).dice
    assert agreement(case(seg, where), case(ref, where)).unit == "unknown"


def test_one_unknown_voxel_size_is_enough():
    where = grid()
    found = agreement(case(PAIRS["blobs"][0], replace(where, unit="unknown")), case(PAIRS["blobs"][1], where))
    assert found.unit == "unknown"
    assert found.row("WT").hd95_mm is None


@pytest.mark.parametrize("other", [grid((14, 17, 20)), grid(spacing=(1.0, 1.0, 1.1))])
def test_another_grid_is_refused(other):
    with pytest.raises(GeometryError, match=r"mine .* cannot be compared to the reference theirs"):
        agreement(case(np.zeros(SHAPE), name="mine"), case(np.zeros(other.shape), other, name="theirs"))


def labelled(seed, values):
    return np.random.default_rng(seed).choice([0, *values], SHAPE).astype(np.uint8)


def names(found):
    return [(row.name, row.kind) for row in found.rows]


def test_rows_of_equal_conventions():
    ours, theirs = labelled(1, (1, 2, 3)), labelled(2, (1, 2, 3))
    found = agreement(
        case(ours, convention="brats-2023"), case(theirs, convention="brats-2023", name="truth")
    )
    assert names(found) == [
        ("NCR", "label"),
        ("ED", "label"),
        ("WT", "region"),
        ("TC", "region"),
        ("ET", "region"),
    ]
    assert (found.case, found.reference, found.label_convention) == ("case 1", "truth", "brats-2023")
    assert found.row("ED").dice == Confusion.of(ours == 2, theirs == 2).dice
    assert found.row("ED").title == "oedema"
    assert found.row("TC").dice == Confusion.of(np.isin(ours, (1, 3)), np.isin(theirs, (1, 3))).dice
    assert found.row("ET").dice == Confusion.of(ours == 3, theirs == 3).dice
    with pytest.raises(KeyError):
        found.row("NET")


@pytest.mark.parametrize("turned", [False, True])
def test_labels_are_compared_in_the_coarser_convention(turned):
    masks = [
        case(labelled(1, (1, 2, 3, 4)), convention="brats-2015"),
        case(labelled(2, (1, 2, 3)), convention="msd"),
    ]
    seg, ref = masks[::-1] if turned else masks
    found = agreement(seg, ref)
    assert names(found)[:2] == [("ED", "label"), ("NET", "label")]
    core = np.isin(masks[0].labels, (1, 3)), masks[1].labels == 2
    assert found.label_convention == "msd"
    assert found.row("NET").dice == Confusion.of(*(core[::-1] if turned else core)).dice


def test_regions_do_not_depend_on_the_convention():
    ours, theirs = labelled(1, (1, 2, 4)), labelled(2, (1, 2, 4))
    same = agreement(case(ours, convention="brats-2021"), case(theirs, convention="brats-2021"))
    as_msd = convert(theirs, CONVENTIONS["brats-2021"], CONVENTIONS["msd"])
    mixed = agreement(case(ours, convention="brats-2021"), case(as_msd, convention="msd"))
    assert mixed.rows[-3:] == same.rows[-3:]


def test_a_convention_that_states_more_is_kept_where_the_other_cannot_hold_it():
    # there is no cavity in BraTS 2023, whether or not this mask has one
    found = agreement(
        case(labelled(1, (1, 2)), convention="brats-2024"), case(labelled(2, ()), convention="brats-2023")
    )
    assert names(found)[2] == ("RC", "label")
    assert found.row("RC").flags == ("both empty",)


@pytest.mark.parametrize("convention", ["brats-2024", "brats-2015"])
def test_a_binary_mask_states_the_whole_tumour_only(convention):
    ours, theirs = labelled(1, (1,)), labelled(2, (1, 2, 3, 4))
    found = agreement(case(ours), case(theirs, convention=convention))
    assert names(found) == [("WT", "region")]
    members = CONVENTIONS[convention].regions["WT"]
    assert found.row("WT").dice == Confusion.of(ours == 1, np.isin(theirs, members)).dice


@pytest.mark.parametrize("convention", ["msd", "brats-2023", "brats-2015"])
def test_a_label_that_its_convention_has_not_is_refused(convention):
    with pytest.raises(InputError, match="case 1 holds the label 4, which msd has not"):
        agreement(case(labelled(1, (1, 4)), convention="msd"), case(labelled(2, (1,)), convention=convention))


def test_cutting_out_changes_nothing():
    seg, ref = (np.pad(m, ((3, 9), (20, 1), (0, 7))) for m in PAIRS["several pieces"])
    one, other = whole(seg, ref, (2.0, 1.0, 0.5)), whole(*PAIRS["several pieces"], (2.0, 1.0, 0.5))
    depends_on_the_image = ("accuracy", "specificity")
    assert all(v == getattr(other, k) for k, v in asdict(one).items() if k not in depends_on_the_image)
    assert one.specificity == pytest.approx(brute(seg, ref)["specificity"])


def test_json():
    for seg, ref in ALL.values():
        found = agreement(case(seg), case(ref)).to_dict()
        assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["format"] == 1
    assert found["rows"][0]["flags"] == ["reference empty"]


def test_masks_are_left_alone():
    ours, theirs = labelled(1, (1, 2, 4)), labelled(2, (1, 2, 4))
    before = ours.copy(), theirs.copy()
    ours.flags.writeable = theirs.flags.writeable = False
    agreement(case(ours, convention="brats-2021"), case(theirs, convention="brats-2015"))
    np.testing.assert_array_equal(ours, before[0])
    np.testing.assert_array_equal(theirs, before[1])


def test_confusion_of_slices_and_of_nothing():
    assert Confusion.of(np.eye(3, dtype=bool), np.ones((3, 3), bool)) == Confusion(3, 0, 6, 0)
    nothing = Confusion.of(np.zeros((0, 3), bool), np.zeros((0, 3), bool))
    assert (nothing.accuracy, nothing.specificity, nothing.dice) == (1.0, 1.0, 1.0)


def test_a_brats_case_takes_no_time():
    shape = (155, 240, 240)
    labels = np.zeros((2, *shape), np.uint8)
    for part, shift in enumerate((0, 3)):
        for value, radius in ((2, 38), (1, 25), (3, 20)):
            labels[part][ball((70 + shift, 120, 100 - shift), radius, shape)] = value
    seg, ref = (case(part, grid(shape), "brats-2023") for part in labels)
    agreement(seg, ref)
    start = time.perf_counter()
    agreement(seg, ref)
    assert time.perf_counter() - start < 5
