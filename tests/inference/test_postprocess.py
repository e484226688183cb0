from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage
from skimage import measure as skmeasure
from skimage import morphology

from napari_tumorseg.geometry import Grid
from napari_tumorseg.inference.postprocess import PostSettings, postprocess
from napari_tumorseg.regions import CONVENTIONS, region_mask

BINARY, B15, B24, MSD = (CONVENTIONS[name] for name in ("binary", "brats-2015", "brats-2024", "msd"))
THICK = (3.0, 1.0, 0.7)


def grid(shape, spacing=(1.0, 1.0, 1.0)):
    return Grid(tuple(shape), np.diag([*spacing, 1.0])[[2, 1, 0, 3]], "mm" if spacing else "unknown")


def unknown(shape):
    return Grid(tuple(shape), np.eye(4)[[2, 1, 0, 3]], "unknown")


def run(labels, convention=BINARY, spacing=(1.0, 1.0, 1.0), brain=None, levels=None, **settings):
    """Post-process and check what must hold whatever is done."""
    before = labels.copy()
    box, wanted = grid(labels.shape, spacing), PostSettings(**settings)
    out, notes = postprocess(labels, box, convention, wanted, brain, levels=levels)
    assert np.array_equal(labels, before)
    assert not np.shares_memory(out, labels)
    assert out.dtype == labels.dtype
    strangers = [v for v in range(1, 256) if not any(v in m for m in convention.regions.values())]
    kept = np.isin(labels, strangers)
    assert np.array_equal(np.isin(out, strangers), kept)
    if labels.any():
        outside = np.ones(labels.shape, dtype=bool)
        outside[ndimage.find_objects((labels > 0).astype(int))[0]] = False
        assert not out[outside].any()
    return out, notes


def blobs(seed, shape=(9, 12, 14), share=0.45):
    rng = np.random.default_rng(seed)
    return (ndimage.gaussian_filter(rng.random(shape), 1) > np.quantile(rng.random(9), share)).astype(
        np.uint8
    )


def noise(seed, shape=(7, 9, 10), share=0.3):
    return (np.random.default_rng(seed).random(shape) < share).astype(np.uint8)


def ball(radius, spacing):
    half = [int(radius / s + 1e-6) for s in spacing]
    index = np.stack(np.meshgrid(*[np.arange(-h, h + 1) for h in half], indexing="ij"), axis=-1)
    return np.linalg.norm(index * spacing, axis=-1) <= radius + 1e-6


def oracle_opening(mask, radius, spacing):
    kernel = ball(radius, spacing)
    return ndimage.binary_dilation(ndimage.binary_erosion(mask, kernel, border_value=1), kernel)


def oracle_closing(mask, radius, spacing):
    wide = np.pad(mask, 12)
    kernel = ball(radius, spacing)
    closed = ndimage.binary_erosion(ndimage.binary_dilation(wide, kernel), kernel)
    return closed[(slice(12, -12),) * 3]


def test_nothing_asked_nothing_changed():
    labels = noise(0)
    out, notes = run(labels)
    assert np.array_equal(out, labels)
    assert notes == ()


def test_an_empty_mask_stays_empty():
    labels = np.zeros((4, 5, 6), np.uint8)
    out, notes = run(
        labels, min_component_mm3=5, fill_holes=True, closing_mm=2, opening_mm=2, largest_only=True
    )
    assert not out.any()
    assert notes == ()


@pytest.mark.parametrize("step", ["opening", "closing"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), THICK, (0.5, 2.0, 1.0)])
@pytest.mark.parametrize("radius", [1.0, 2.1, 3.0, 4.5])
@pytest.mark.parametrize("make", [blobs, noise])
def test_opening_and_closing_against_scipy_on_the_whole_volume(step, spacing, radius, make):
    oracle = oracle_opening if step == "opening" else oracle_closing
    for seed in range(4):
        labels = make(seed)
        out, notes = run(labels, spacing=spacing, **{f"{step}_mm": radius})
        assert np.array_equal(out > 0, oracle(labels > 0, radius, spacing))
        again, _ = run(out, spacing=spacing, **{f"{step}_mm": radius})
        assert np.array_equal(again, out)
        assert notes == ()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), THICK])
def test_opening_equals_thresholded_distances(spacing):
    labels = np.zeros((12, 20, 20), np.uint8)
    labels[2:10, 3:17, 3:17] = blobs(3, (8, 14, 14))
    out, _ = run(labels, spacing=spacing, opening_mm=2)
    inside = ndimage.distance_transform_edt(labels, sampling=spacing) > 2
    near = ndimage.distance_transform_edt(~inside, sampling=spacing) <= 2
    assert np.array_equal(out > 0, near if inside.any() else inside)


def test_opening_cuts_a_thin_bridge_and_keeps_the_bodies():
    labels = np.zeros((7, 9, 21), np.uint8)
    labels[1:6, 2:7, 1:6] = labels[1:6, 2:7, 15:20] = 1
    labels[3, 4, 6:15] = 1
    out, _ = run(labels, opening_mm=1)
    assert not out[:, :, 7:14].any()
    assert ndimage.label(out)[1] == 2


def test_opening_is_in_mm_not_voxels():
    plate = np.zeros((5, 9, 9), np.uint8)
    plate[2, 2:7, 2:7] = 1
    assert not run(plate, spacing=(1, 1, 1), opening_mm=1)[0].any()
    # a slice 5 mm thick: a ball of 1 mm reaches no other slice
    thick, _ = run(plate, spacing=(5, 1, 1), opening_mm=1)
    assert thick.sum() == 25 - 4
    assert thick[2, 2, 2] == 0


def test_opening_does_not_eat_into_a_tumour_cut_off_by_the_volume():
    labels = np.zeros((6, 9, 9), np.uint8)
    labels[:3, 2:7, 2:7] = 1
    out, _ = run(labels, opening_mm=1)
    assert out[0, 4, 4] and out[0, 2, 4]


def test_closing_does_not_fill_the_gap_to_the_edge_of_the_volume():
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[2:7, 2:7, 2:7] = 1
    out, _ = run(labels, closing_mm=3)
    assert np.array_equal(out, labels)


def test_closing_closes_a_gap():
    labels = np.ones((5, 5, 11), np.uint8)
    labels = np.pad(labels, 4)
    labels[:, :, 9] = 0
    out, _ = run(labels, closing_mm=2)
    assert out[6, 6, 9] == 1
    assert out[0].sum() == 0


def test_a_radius_below_the_voxel_is_told():
    labels = noise(1)
    out, notes = run(labels, spacing=(5, 2, 2), opening_mm=1.5, closing_mm=1)
    assert np.array_equal(out, labels)
    assert len(notes) == 2
    assert "opening_mm 1.5" in notes[0]


def test_a_radius_of_just_one_voxel_is_not_lost_to_rounding():
    labels = np.zeros((5, 5, 7), np.uint8)
    labels[2, 2, 1:6] = 1
    out, notes = run(labels, spacing=(0.1 * 3, 0.1 * 3, 0.1 * 3), opening_mm=0.3)
    assert not out.any()
    assert notes == ()


@pytest.mark.parametrize("seed", range(6))
def test_holes_against_scipy_on_the_whole_volume(seed):
    labels = noise(seed, share=0.7)
    out, _ = run(labels, fill_holes=True)
    assert np.array_equal(out > 0, ndimage.binary_fill_holes(labels))
    assert np.array_equal(run(out, fill_holes=True)[0], out)


def test_holes_are_closed_to_faces_only_and_open_at_the_border():
    labels = np.zeros((7, 7, 7), np.uint8)
    labels[1:6, 1:6, 1:6] = 1
    labels[3, 3, 3] = 0
    assert run(labels, fill_holes=True)[0][3, 3, 3] == 1
    # connected to the outside by an edge only: still a hole, since background is 6-connected
    labels[2, 2, 3] = labels[1, 1, 3] = 0
    labels[2, 3, 3] = 0
    assert run(labels, fill_holes=True)[0][2, 2, 3] == 1
    at_border = np.ones((3, 3, 3), np.uint8)
    at_border[0, 1, 1] = 0
    assert run(at_border, fill_holes=True)[0][0, 1, 1] == 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("smallest", [1.0, 2.1, 6.3, 8.4, 30.0])
def test_small_components_against_skimage(seed, smallest):
    labels = noise(seed, share=0.08)
    out, _ = run(labels, spacing=THICK, min_component_mm3=smallest)
    voxels = int(np.ceil(smallest / 2.1 - 1e-6))
    parts = skmeasure.label(labels, connectivity=3)
    wanted = np.isin(parts, [r.label for r in skmeasure.regionprops(parts) if r.area >= voxels])
    assert np.array_equal(out > 0, wanted)


def test_a_component_of_exactly_the_smallest_volume_stays():
    labels = np.zeros((3, 3, 9), np.uint8)
    labels[1, 1, 1:4] = 1
    labels[1, 1, 6:8] = 1
    out, _ = run(labels, spacing=(0.1, 1, 1), min_component_mm3=0.3)
    assert out.sum() == 3


def test_diagonal_voxels_are_one_component():
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[1, 1, 1] = labels[2, 2, 2] = 1
    assert run(labels, min_component_mm3=2)[0].sum() == 2


@pytest.mark.parametrize("seed", range(4))
def test_largest_only_against_skimage(seed):
    labels = noise(seed, share=0.1)
    out, _ = run(labels, largest_only=True)
    parts = skmeasure.label(labels, connectivity=3)
    sizes = np.bincount(parts.ravel())[1:]
    assert np.array_equal(out > 0, parts == sizes.argmax() + 1)
    assert np.array_equal(run(out, largest_only=True)[0], out)


def test_the_first_of_equal_components_is_kept():
    labels = np.zeros((3, 3, 9), np.uint8)
    labels[1, 1, 1:3] = labels[1, 1, 6:8] = 1
    out, _ = run(labels, largest_only=True)
    assert np.flatnonzero(out[1, 1]).tolist() == [1, 2]


def test_the_largest_component_is_the_one_with_most_probability():
    labels, levels = np.zeros((3, 3, 12), np.uint8), np.zeros((3, 3, 12), np.uint8)
    labels[1, 1, 1:6] = labels[1, 1, 8:11] = 1
    levels[1, 1, 1:6], levels[1, 1, 8:11] = 100, 200  # 500 against 600
    out, _ = run(labels, largest_only=True, levels=levels)
    assert np.flatnonzero(out[1, 1]).tolist() == [8, 9, 10]
    levels[1, 1, 1] = 220
    out, _ = run(labels, largest_only=True, levels=levels)
    assert np.flatnonzero(out[1, 1]).tolist() == [1, 2, 3, 4, 5]


def test_largest_only_keeps_all_that_the_largest_tumour_holds():
    labels = np.zeros((3, 3, 20), np.uint8)
    labels[1, 1, 1:12] = 2
    labels[1, 1, [2, 3, 6, 7, 8]] = 4
    labels[1, 1, 14:18] = 4
    out, _ = run(labels, B15, largest_only=True)
    assert out[1, 1].tolist() == [0, 2, 4, 4, 2, 2, 4, 4, 4, 2, 2, 2, *[0] * 8]


def test_what_an_inner_region_loses_falls_to_the_one_around_it():
    labels = np.zeros((3, 3, 20), np.uint8)
    labels[1, 1, 1:19] = 2
    labels[1, 1, 3:9] = 1
    labels[1, 1, 4] = 4  # enhancing, too small: becomes necrosis
    labels[1, 1, 6:9] = 4
    labels[1, 1, 12:14] = 4  # a core too small: becomes oedema
    out, _ = run(labels, B15, min_component_mm3=3)
    assert out[1, 1].tolist() == [0, 2, 2, 1, 1, 1, 4, 4, 4, *[2] * 10, 0]


def test_what_the_whole_tumour_loses_takes_its_inner_regions_along():
    labels = np.zeros((3, 3, 12), np.uint8)
    labels[1, 1, 1:3] = (4, 1)
    labels[1, 1, 6:10] = (2, 4, 4, 4)
    out, _ = run(labels, B15, min_component_mm3=3)
    assert out[1, 1].tolist() == [0, 0, 0, 0, 0, 0, 2, 4, 4, 4, 0, 0]


@pytest.mark.parametrize(
    ("convention", "oedema", "core", "enhancing"), [(B15, 2, 1, 4), (MSD, 1, 2, 3), (B24, 2, 1, 3)]
)
def test_a_hole_is_filled_with_the_tissue_of_the_region_that_has_it(convention, oedema, core, enhancing):
    labels = np.zeros((9, 9, 12), np.uint8)
    labels[1:8, 1:8, 1:11] = oedema
    labels[2, 2, 2] = 0
    labels[2:7, 2:7, 4:9] = core
    labels[4, 4, 6] = 0
    labels[3, 3, 5] = oedema
    out, _ = run(labels, convention, fill_holes=True)
    assert out[2, 2, 2] == oedema
    assert out[4, 4, 6] == core
    assert out[3, 3, 5] == core
    # a shell of enhancing tumour keeps its necrosis
    labels[2:7, 2:7, 4:9] = enhancing
    labels[3:6, 3:6, 5:8] = core
    out, _ = run(labels, convention, fill_holes=True)
    assert (out == core).sum() == 27


def test_closing_relabels_only_what_was_outside_the_region():
    labels = np.zeros((7, 7, 13), np.uint8)
    labels[1:6, 1:6, 1:12] = 2
    labels[2:5, 2:5, 2:6] = 4
    labels[2:5, 2:5, 7:11] = 3
    out, _ = run(labels, B15, closing_mm=1.5)
    assert out[3, 3, 6] == 1  # oedema between two parts of the core
    assert np.array_equal(out == 4, labels == 4)
    assert np.array_equal(out == 3, labels == 3)


def test_the_resection_cavity_is_left_as_it_is():
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[1:8, 1:8, 1:8] = 2
    labels[3:6, 3:6, 3:6] = 4
    labels[0, 0, 0] = 4
    out, _ = run(
        labels, B24, fill_holes=True, closing_mm=3, opening_mm=1, min_component_mm3=9, largest_only=True
    )
    assert np.array_equal(out == 4, labels == 4)
    assert (out[1:8, 1:8, 1:8] == 2).sum() > 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("convention", [B15, B24, MSD])
def test_inner_regions_stay_inside_outer_ones(seed, convention):
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.random((10, 14, 15)), 1.2)
    labels = np.digitize(field, np.quantile(field, [0.5, 0.65, 0.8, 0.9])).astype(np.uint8)
    labels = np.where(np.isin(labels, list(convention.values)), labels, 0).astype(np.uint8)
    brain = ndimage.gaussian_filter(rng.random(labels.shape), 2) > 0.45
    settings = {"opening_mm": 1.5, "closing_mm": 2, "fill_holes": True, "min_component_mm3": 12}
    out, _ = run(labels, convention, THICK, brain, inside_brain=True, **settings)
    masks = [region_mask(out, members) for members in convention.regions.values()]
    for outer, inner in pairwise(masks):
        assert not (inner & ~outer).any()
    assert not (masks[0] & ~brain).any()


@pytest.mark.parametrize("seed", range(3))
def test_the_whole_tumour_against_a_chain_of_full_volume_steps(seed):
    labels = np.zeros((12, 16, 17), np.uint8)
    labels[2:-1, 1:-3, 3:-2] = blobs(seed, (9, 12, 12))
    out, _ = run(labels, B15, opening_mm=1, closing_mm=2, fill_holes=True, min_component_mm3=20)
    wanted = oracle_closing(oracle_opening(labels > 0, 1, (1, 1, 1)), 2, (1, 1, 1))
    wanted = ndimage.binary_fill_holes(wanted)
    parts = skmeasure.label(wanted, connectivity=3)
    kept = [r.label for r in skmeasure.regionprops(parts) if r.area >= 20]
    assert np.array_equal(out > 0, np.isin(parts, kept))


def test_skimage_opens_a_binary_mask_alike():
    labels = np.zeros((12, 14, 15), np.uint8)
    labels[2:-2, 2:-2, 2:-2] = blobs(7, (8, 10, 11))
    out, _ = run(labels, opening_mm=2)
    assert np.array_equal(out > 0, morphology.opening(labels > 0, morphology.ball(2)))


def test_outside_the_brain():
    labels = np.ones((3, 4, 5), np.uint8)
    brain = np.zeros((3, 4, 5), np.uint8)
    brain[1] = 1
    out, notes = run(labels, brain=brain, inside_brain=True)
    assert out[1].all() and out.sum() == 20
    assert notes == ()


def test_inside_brain_without_a_brain_is_told():
    labels = noise(2)
    out, notes = run(labels, inside_brain=True)
    assert np.array_equal(out, labels)
    assert notes == ("there is no brain mask, so inside_brain had no effect",)
    out, notes = run(labels, inside_brain=True, brain=np.zeros(labels.shape, bool))
    assert np.array_equal(out, labels)
    assert "empty" in notes[0]


def test_a_brain_mask_is_not_used_unless_asked_for():
    labels = noise(2)
    out, _ = run(labels, brain=np.zeros(labels.shape, bool), min_component_mm3=1)
    assert np.array_equal(out, labels)


def test_unknown_units_leave_out_what_is_in_mm():
    labels = np.zeros((5, 5, 12), np.uint8)
    labels[1:4, 1:4, 1:4] = 1
    labels[2, 2, 2] = 0
    labels[2, 2, 8] = 1
    settings = PostSettings(min_component_mm3=9, closing_mm=1, opening_mm=1)
    out, notes = postprocess(labels, unknown(labels.shape), BINARY, settings)
    assert np.array_equal(out, labels)
    assert notes == (
        "the voxel size is unknown, so opening_mm, closing_mm and min_component_mm3 had no effect; "
        "state a spacing",
    )
    settings = PostSettings(min_component_mm3=9, fill_holes=True, largest_only=True)
    out, notes = postprocess(labels, unknown(labels.shape), BINARY, settings)
    assert out.sum() == 27
    assert len(notes) == 1


def test_a_read_only_flipped_view_is_fine():
    labels = np.asfortranarray(noise(4))[:, ::-1]
    labels.flags.writeable = False
    out, _ = postprocess(labels, grid(labels.shape), BINARY, PostSettings(min_component_mm3=3))
    again, _ = run(np.ascontiguousarray(labels), min_component_mm3=3)
    assert np.array_equal(out, again)


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_settings_must_make_sense(bad):
    with pytest.raises(ValueError, match="closing_mm"):
        PostSettings(closing_mm=bad)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="is not on a grid"):
        postprocess(np.zeros((2, 2, 2), np.uint8), grid((2, 2, 3)), BINARY, PostSettings())


def test_parts_that_the_model_is_nowhere_sure_of_go() -> None:
    labels = np.zeros((4, 10, 10), dtype=np.uint8)
    labels[1, 1:4, 1:4] = 1
    labels[1, 6:9, 6:9] = 1
    certain = np.zeros(labels.shape, dtype=bool)
    certain[1, 1:3, 1:3] = True  # 4 voxels in the one
    certain[1, 6, 6:9] = True  # 3 in the other
    certain[3, 9, 9] = True  # outside both
    grid = Grid.from_codes(labels.shape, spacing=None)
    for least, kept in ((0, 18), (3, 18), (4, 9), (5, 0)):
        found, notes = postprocess(
            labels, grid, CONVENTIONS["binary"], PostSettings(min_confident_voxels=least), certain=certain
        )
        assert found.sum() == kept and not notes
    found, notes = postprocess(labels, grid, CONVENTIONS["binary"], PostSettings(min_confident_voxels=5))
    assert found.sum() == 18 and "min_confident_voxels had no effect" in notes[0]


def test_small_sure_part_stays_where_a_large_doubtful_one_goes() -> None:
    labels = np.zeros((12, 30, 30), dtype=np.uint8)
    levels = np.full(labels.shape, 20, dtype=np.uint8)
    small, large = np.s_[1:7, 1:6, 1:6], np.s_[1:11, 10:28, 10:28]
    labels[small] = labels[large] = 1
    levels[small], levels[large] = 250, 150
    settings = PostSettings(min_evidence=2.0)
    found, notes = postprocess(labels, grid(labels.shape), BINARY, settings, levels=levels)
    assert found[small].all() and not found[large].any() and not notes
    kept, notes = postprocess(labels, grid(labels.shape), BINARY, settings)
    assert np.array_equal(kept, labels) and "min_evidence had no effect" in notes[0]


def test_evidence_of_a_core_does_not_keep_or_remove_it_on_its_own() -> None:
    convention = CONVENTIONS["brats-2023"]
    labels = np.zeros((8, 12, 12), dtype=np.uint8)
    labels[1:7, 1:11, 1:11], labels[3:5, 4:6, 4:6] = 2, 3
    levels = np.full(labels.shape, 250, dtype=np.uint8)
    levels[labels == 3] = 130
    settings = PostSettings(min_evidence=3.5)
    found, _ = postprocess(labels, grid(labels.shape), convention, settings, levels=levels)
    assert np.array_equal(found, labels)
