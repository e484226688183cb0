import numpy as np
import pytest
from skimage.graph import MCP_Geometric

from napari_tumorseg.edit import ANY
from napari_tumorseg.edit.clicks import Click, Evidence, refine
from napari_tumorseg.edit.clicks.evidence import apparent_steps
from napari_tumorseg.edit.clicks.features import NAMES, describe
from napari_tumorseg.edit.clicks.geodesic import geodesic_distance
from napari_tumorseg.edit.clicks.logistic import fit_logistic
from napari_tumorseg.edit.clicks.network import shipped_network
from napari_tumorseg.edit.clicks.scene import Scene, neighbourhood
from napari_tumorseg.errors import InputError

SHAPE = (24, 64, 64)
STEPS = (3.0, 1.0, 1.0)
CENTRE = np.array([12, 32, 32])


def ball(centre, radius, shape=SHAPE):
    grid = np.indices(shape).reshape(3, -1).T
    distance = np.linalg.norm((grid - centre) * STEPS, axis=1)
    return (distance <= radius).reshape(shape)


TUMOUR = ball(CENTRE, 14)
NEAR_BY = ball((12, 32, 56), 5)


@pytest.fixture(scope="module")
def image():
    noise = np.random.default_rng(0).normal(0, 8, SHAPE)
    head = ball(CENTRE, 33)
    return np.where(head, 100 + 90 * TUMOUR + 90 * NEAR_BY + noise, 0).astype(np.float32)


@pytest.fixture(scope="module")
def evidence(image):
    return Evidence.of([image], STEPS)


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def after(labels, change):
    found = labels.copy()
    if change is not None:
        change.apply(found)
    return found


def half():
    """The tumour without its part to one side."""
    labels = TUMOUR.astype(np.uint8)
    labels[:, :, 32:] = 0
    return labels


class TestGeodesic:
    def test_matches_shortest_paths_along_the_axes(self):
        cost = np.random.default_rng(1).uniform(0.1, 3, (5, 9, 8)).astype(np.float32)
        start = np.zeros(cost.shape, dtype=bool)
        start[2, 4, 3] = True
        found = geodesic_distance(start, STEPS, cost, rounds=8)
        oracle = MCP_Geometric(cost, fully_connected=False, sampling=STEPS).find_costs([(2, 4, 3)])[0]
        np.testing.assert_allclose(found, oracle, rtol=1e-4)

    def test_without_a_cost_is_the_city_block_distance(self):
        start = np.zeros((4, 6, 5), dtype=bool)
        start[1, 2, 3] = True
        z, y, x = np.indices(start.shape)
        expected = 3 * abs(z - 1) + abs(y - 2) + abs(x - 3)
        np.testing.assert_array_equal(geodesic_distance(start, STEPS, rounds=1), expected)

    def test_stops_at_the_limit(self):
        start = np.zeros((1, 1, 9), dtype=bool)
        start[0, 0, 0] = True
        assert geodesic_distance(start, STEPS, most=4)[0, 0].tolist() == [0, 1, 2, 3, 4, 4, 4, 4, 4]


def test_logistic_regression_is_at_its_optimum():
    random = np.random.default_rng(2)
    x = np.column_stack([random.normal(size=(300, 2)), np.ones(300)])
    y = (x @ [2, -1, 0.5] + random.logistic(size=300) > 0).astype(float)
    w = random.uniform(0.5, 2, 300)
    found = fit_logistic(x, y, w, penalty=0.7)
    p = 1 / (1 + np.exp(-x @ found))
    np.testing.assert_allclose(x.T @ (w * (y - p)) - 0.7 * found, 0, atol=1e-3)


class TestEvidence:
    def test_scales_do_not_depend_on_the_units_of_the_image(self, image):
        box = (slice(5, 20), slice(10, 50), slice(10, 50))
        plain = Evidence.of([image], STEPS).images(box)[0]
        other = Evidence.of([image * 7], STEPS).images(box)[0]
        np.testing.assert_allclose(plain, other, atol=1e-4)

    def test_numbers_that_are_none_count_as_the_median(self, image):
        holed = image.copy()
        holed[12, 32, 32] = np.nan
        box = (slice(12, 13), slice(32, 33), slice(32, 33))
        assert Evidence.of([holed], STEPS).images(box)[0].item() == 0

    def test_probabilities_outside_their_box_are_least(self, image):
        levels = np.full((2, 3, 4), 255, dtype=np.uint8)
        box = (slice(4, 6), slice(5, 8), slice(6, 10))
        found = Evidence.of([image], STEPS, levels, box).log_odds((slice(3, 6), slice(5, 8), slice(6, 10)))
        assert found[0].max() == pytest.approx(-6.21, abs=0.01)
        assert found[1:].min() == pytest.approx(6.21, abs=0.01)

    def test_step_between_slices_is_judged_by_the_image(self):
        rows = np.cumsum(np.random.default_rng(3).normal(size=(40, 40, 400)), axis=2)
        thick = np.stack([rows[0, :, 4 * i : 4 * i + 40] for i in range(20)])  # each slice 4 pixels on
        assert apparent_steps(thick)[0] == pytest.approx(4, abs=0.2)
        thick[0, 0, 0] = np.nan  # as registration leaves outside the field of view
        assert apparent_steps(thick)[0] == pytest.approx(4, abs=0.3)

    def test_images_of_several_shapes_are_refused(self, image):
        with pytest.raises(InputError, match="on one grid"):
            Evidence.of([image, image[1:]])

    def test_without_an_image_says_what_to_open(self):
        with pytest.raises(InputError, match="need the scan"):
            Evidence.of([])


class TestRefine:
    def test_a_click_adds_what_is_missing_in_all_slices(self, evidence):
        labels = half()
        click = Click(((12, 32, 38),))
        found = after(labels, refine(labels, evidence, click)) > 0
        assert dice(found, TUMOUR) > 0.93 > dice(labels > 0, TUMOUR) + 0.2
        assert found[9, 32, 38] and found[15, 32, 38]
        assert not (found & NEAR_BY).any()

    def test_a_click_removes_what_is_too_much(self, evidence):
        labels = (TUMOUR | NEAR_BY).astype(np.uint8)
        found = after(labels, refine(labels, evidence, Click(((12, 32, 56),), adds=False))) > 0
        assert not found[12, 32, 56]
        assert np.count_nonzero(found & NEAR_BY) < 0.3 * np.count_nonzero(NEAR_BY)
        assert np.count_nonzero(found & TUMOUR) > 0.97 * np.count_nonzero(TUMOUR)

    def test_from_nothing_a_click_and_a_stroke_give_a_mask(self, evidence):
        labels = np.zeros(SHAPE, dtype=np.uint8)
        labels = after(labels, refine(labels, evidence, Click(((12, 32, 32),))))
        assert labels.any()
        stroke = tuple((12, 32, x) for x in range(22, 43))
        labels = after(labels, refine(labels, evidence, Click(stroke), [Click(((12, 32, 32),))]))
        assert dice(labels > 0, TUMOUR) > 0.75

    def test_a_box_changes_nothing_outside_of_it(self, evidence):
        labels = np.zeros(SHAPE, dtype=np.uint8)
        found = after(labels, refine(labels, evidence, Click(((12, 17, 17), (12, 47, 47)), is_box=True))) > 0
        assert dice(found, TUMOUR) > 0.6
        assert found.any(axis=(1, 2)).sum() > 3
        assert not found[:, :, 48:].any() and not found[:, :17].any() and not found[:6].any()

    def test_the_labels_are_not_modified(self, evidence):
        labels = half()
        before = labels.copy()
        refine(labels, evidence, Click(((12, 32, 38),)))
        np.testing.assert_array_equal(labels, before)

    def test_protected_labels_and_locked_voxels_stay(self, evidence):
        labels = half()
        labels[12, 28:37, 36:41] = 4
        locked = np.zeros(SHAPE, dtype=bool)
        locked[13, :32] = True
        click = Click(((12, 32, 34),), label=1)
        found = after(labels, refine(labels, evidence, click, protected={4}, locked=locked))
        assert (found[labels == 4] == 4).all()
        np.testing.assert_array_equal(found[13, :32], labels[13, :32])
        assert (found[12] != labels[12]).any() and (found[14] != labels[14]).any()

    def test_voxels_of_earlier_clicks_stay_as_they_said(self, evidence):
        labels = half()
        earlier = [Click(((12, 32, 41),), adds=False)]
        found = after(labels, refine(labels, evidence, Click(((12, 32, 36),)), earlier))
        assert found[12, 32, 36] and not found[12, 32, 41]

    def test_every_voxel_of_a_scribble_counts_and_stays(self, evidence):
        labels = half()
        stroke = Click(tuple((12, y, 50) for y in range(20, 45)))  # healthy tissue
        at = tuple(np.array(stroke.voxels).T)
        found = after(labels, refine(labels, evidence, stroke))
        assert (found[at] == 1).all()
        removes = Click(((12, 33, 52),), adds=False)
        found = after(found, refine(found, evidence, Click(((12, 33, 52),)), [stroke]))
        again = after(found, refine(found, evidence, removes, [stroke]))
        assert again[12, 33, 52] == 0 and (again[at] == 1).all()

    def test_a_voxel_clicked_for_another_label_stays(self, evidence):
        labels = half()
        labels[12, 32, 38] = 4
        earlier = [Click(((12, 32, 38),), label=4)]
        found = after(labels, refine(labels, evidence, Click(((12, 32, 36),)), earlier))
        assert found[12, 32, 38] == 4 and found[12, 32, 40] == 1
        found = after(labels, refine(labels, evidence, Click(((12, 32, 38),)), earlier))
        assert found[12, 32, 38] == 1  # clicked again

    def test_a_part_that_is_removed_becomes_nothing_that_was_ruled_out(self, evidence):
        labels = TUMOUR.astype(np.uint8) * 2
        labels[ball(CENTRE, 4)] = 4
        ruled_out = [Click(((12, 32, 33),), adds=False, label=2)]
        found = after(
            labels, refine(labels, evidence, Click(((12, 32, 32),), adds=False, label=4), ruled_out)
        )
        assert found[12, 32, 32] == 2 and found[12, 32, 33] != 2

    def test_clicks_on_other_labels_do_not_bind(self, evidence):
        labels = half()
        earlier = [Click(((12, 32, 36),), adds=False, label=2)]
        found = after(labels, refine(labels, evidence, Click(((12, 32, 36),)), earlier))
        assert found[12, 32, 36] == 1

    def test_a_region_is_added_with_its_label_and_removed_whole(self, evidence):
        labels = half()
        labels[:, :, 25:32][labels[:, :, 25:32] > 0] = 4
        found = after(labels, refine(labels, evidence, Click(((12, 32, 38),), label=2, region=ANY)))
        assert set(np.unique(found[:, :, 32:])) == {0, 2}
        np.testing.assert_array_equal(found[labels > 0], labels[labels > 0])
        removed = after(labels, refine(labels, evidence, Click(((12, 32, 29),), adds=False, region=ANY)))
        assert removed[12, 32, 29] == 0 and labels[12, 32, 29] == 4

    def test_a_part_that_is_removed_becomes_what_lies_around_it(self, evidence):
        labels = TUMOUR.astype(np.uint8) * 2
        labels[ball(CENTRE, 4)] = 4
        found = after(labels, refine(labels, evidence, Click(((12, 32, 32),), adds=False, label=4)))
        assert found[12, 32, 32] == 2
        assert (found > 0).sum() == (labels > 0).sum()

    def test_slice_only_changes_one_slice(self, evidence):
        labels = half()
        change = refine(labels, evidence, Click(((12, 32, 38),)), across=0)
        assert change.box[0] == slice(12, 13)
        change = refine(labels, evidence, Click(((12, 32, 38),)), across=1)
        assert change.box[1] == slice(32, 33) and change.box[0] != slice(12, 13)

    @pytest.mark.parametrize("box", [False, True])
    def test_a_stroke_or_box_through_slices_is_answered_in_its_own_plane(self, evidence, box):
        labels = half()
        voxels = ((9, 32, 34), (15, 32, 42)) if box else tuple((z, 32, 38) for z in range(14, 9, -1))
        change = refine(labels, evidence, Click(voxels, is_box=box), across=1)
        assert change.box[1] == slice(32, 33) and after(labels, change)[12, 32, 38] == 1
        through = refine(labels, evidence, Click(voxels, is_box=box), across=0)
        assert through.box[0].start >= min(z for z, _, _ in voxels)

    def test_nothing_to_change_is_none(self, evidence):
        assert refine(TUMOUR.astype(np.uint8), evidence, Click(((12, 32, 32),))) is None

    def test_the_same_click_gives_the_same_mask(self, evidence):
        labels = half()
        one, other = (after(labels, refine(labels, evidence, Click(((12, 32, 38),)))) for _ in range(2))
        np.testing.assert_array_equal(one, other)

    def test_a_single_slice_will_do(self, image):
        flat = Evidence.of([image[12:13]])
        labels = half()[12:13]
        found = after(labels, refine(labels, flat, Click(((0, 32, 38),)))) > 0
        assert dice(found, TUMOUR[12:13]) > dice(labels > 0, TUMOUR[12:13])

    def test_a_constant_image_fails_in_no_way(self):
        flat = Evidence.of([np.zeros(SHAPE)], STEPS)
        change = refine(half(), flat, Click(((12, 32, 38),)))
        assert change is not None and change.voxels

    def test_a_click_outside_is_refused(self, evidence):
        with pytest.raises(InputError, match="lies outside the mask"):
            refine(half(), evidence, Click(((12, 32, 64),)))

    def test_images_of_another_shape_are_refused(self, evidence):
        with pytest.raises(InputError, match="choose a scan on their grid"):
            refine(half()[1:], evidence, Click(((1, 1, 1),)))


class TestClick:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"voxels": ()}, "no voxel"),
            ({"voxels": ((1, 2, 3),), "is_box": True}, "two corners"),
            ({"voxels": ((1, 2, 3),), "label": 0}, "1 to 255"),
        ],
    )
    def test_nonsense_is_refused(self, arguments, words):
        with pytest.raises(InputError, match=words):
            Click(**arguments)

    def test_points_of_a_stroke_are_spread_over_it(self):
        points = Click(tuple((0, 0, x) for x in range(100))).points(most=5)
        assert points[:, 2].tolist() == [0, 24, 49, 74, 99]


def test_a_description_has_a_number_for_every_name(evidence):
    labels, click = half(), Click(((12, 32, 38),))
    box = neighbourhood(click, evidence)
    scene = Scene.around(evidence, labels[box] > 0, box, click, [])
    places = np.flatnonzero(~scene.inside)[::50]
    found = describe(scene, places)
    assert found.shape == (len(places), len(NAMES))
    assert np.isfinite(found).all()
    assert shipped_network().layers[0][0].shape[0] == len(NAMES)
