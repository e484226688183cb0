from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer

from napari_tumorseg.errors import ChoiceNeededError, InputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Role, Segmentation
from napari_tumorseg.viewer.layers.edits import EDITS_KEY, Edits
from napari_tumorseg.viewer.layers.from_layers import grid_of, state_spacing, to_image, to_segmentation
from napari_tumorseg.viewer.layers.inputs import groups_of, members_of
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.to_layers import case_layers, labels_layer
from tests.viewer.conftest import case, grid, image


def mask_layer(labels=None, convention="brats-2021", on=None, provenance=None, **more) -> Labels:
    on = on or grid()
    labels = np.zeros(on.shape, np.uint8) if labels is None else labels
    provenance = provenance or {"model": "m"}
    made = labels_layer(Segmentation(labels, on, CONVENTIONS[convention], "case", None, provenance), **more)
    layer = Layer.create(*made)
    assert isinstance(layer, Labels)
    return layer


def test_a_mask_comes_back_on_its_own_grid():
    on = Grid.from_file((6, 5, 4), np.diag([1.0, 2, 3, 1]))
    labels = np.random.default_rng(0).choice([0, 1, 2, 4], on.shape).astype(np.uint8)
    back = to_segmentation(mask_layer(labels.copy(), on=on))
    assert back.grid is on
    assert back.convention.name == "brats-2021"
    np.testing.assert_array_equal(back.labels, labels)


def test_corrections_are_told_apart_from_the_models_result():
    layer = mask_layer(model=True)
    assert to_segmentation(layer).provenance == {"model": "m", "corrected_by_hand": False}
    layer.data_setitem((np.array([1]), np.array([1]), np.array([1])), 2)
    assert to_segmentation(layer).provenance["corrected_by_hand"] is True
    layer.undo()
    assert to_segmentation(layer).provenance["corrected_by_hand"] is False


def test_numbers_of_the_mask_before_an_edit_are_no_longer_called_its_own():
    layer = mask_layer(provenance={"measurements": {"rows": []}})
    assert to_segmentation(layer).provenance == {"measurements": {"rows": []}}
    layer.metadata[EDITS_KEY] = Edits()
    layer.metadata[EDITS_KEY].note("brush")
    told = to_segmentation(layer).provenance
    assert told["measurements_before_correction"] == {"rows": []} and "measurements" not in told


def test_a_label_outside_the_convention_is_refused_by_name():
    layer = mask_layer()
    layer.data_setitem((np.array([1]), np.array([1]), np.array([1])), 7)
    with pytest.raises(InputError, match=r"\[7\].*brats-2021"):
        to_segmentation(layer)


def test_a_layer_drawn_over_a_scan_gets_the_scans_exact_grid():
    viewer = ViewerModel()
    for data in case_layers(case())[0]:
        viewer.add_layer(Layer.create(*data))
    scan = viewer.layers[0]
    drawn = viewer.add_labels(np.zeros(scan.data.shape, int), scale=scan.scale, translate=scan.translate)
    drawn.data[1, 2, 3] = 1
    found = to_segmentation(drawn, viewer.layers)
    assert found.grid is origin_of(scan).grid
    assert found.name == "case"
    assert found.convention.name == "binary"


def test_labels_of_several_schemes_need_a_choice():
    layer = Labels(np.array([[[1, 2, 3]]]))
    with pytest.raises(ChoiceNeededError):
        to_segmentation(layer)
    assert to_segmentation(layer, convention=CONVENTIONS["msd"]).convention.name == "msd"


@pytest.mark.parametrize("value", [-1, 300])
def test_labels_that_are_no_bytes_are_refused(value):
    with pytest.raises(InputError, match="0 to 255"):
        to_segmentation(Labels(np.array([[[0, value]]])))


def test_a_foreign_layer_lies_as_it_is_shown():
    layer = Image(np.zeros((4, 5, 6)), scale=(3, 2, 1), translate=(30, 20, 10), units="mm")
    found = grid_of(layer)
    assert found.unit == "mm"
    assert found.spacing == (3, 2, 1)
    np.testing.assert_allclose(found.origin_spl, (30, 20, 10))


def test_a_foreign_layer_with_a_negative_scale_is_turned_without_being_moved():
    values = np.arange(24.0).reshape(2, 3, 4)
    layer = Image(values, scale=(1, 1, -2), translate=(0, 0, 5), units="mm")
    made = to_image(layer, Role.FLAIR)
    np.testing.assert_array_equal(made.data, values[..., ::-1])
    np.testing.assert_allclose(made.grid.origin_spl, layer.data_to_world((0, 0, 3)))
    np.testing.assert_array_equal(made.grid.to_file_order(made.data), values)


def test_lengths_are_converted_to_mm():
    assert grid_of(Image(np.zeros((2, 3, 4)), scale=(500, 500, 500), units="um")).spacing == (0.5, 0.5, 0.5)


def test_without_a_unit_the_voxel_size_is_unknown():
    assert grid_of(Image(np.zeros((2, 3, 4)))).unit == "unknown"


def test_a_picture_is_a_volume_of_one_slice_of_unknown_thickness():
    made = to_image(Image(np.zeros((7, 8)), units="mm"), Role.FLAIR)
    assert made.data.shape == (1, 7, 8)
    assert made.grid.unit == "unknown"


def test_a_colour_picture_is_its_brightness():
    picture = np.zeros((7, 8, 4), np.uint8)
    picture[..., :3] = (30, 60, 90)
    made = to_image(Image(picture, rgb=True), Role.FLAIR)
    assert made.data.shape == (1, 7, 8)
    assert np.all(made.data == 60)


def test_more_than_three_axes_are_refused():
    with pytest.raises(InputError, match="4 axes"):
        grid_of(Image(np.zeros((2, 2, 3, 4))))


def test_a_stated_spacing_moves_images_and_masks_alike():
    on = grid(unit="unknown", spacing=(1, 1, 1))
    shown = Layer.create(*case_layers(case(image("x", Role.FLAIR, on)))[0][0])
    mask = mask_layer(on=on)
    state_spacing([shown, mask, Labels(np.zeros((2, 2), int))], (5, 0.9, 0.8))
    for layer in (shown, mask):
        np.testing.assert_allclose(layer.scale, (5, 0.9, 0.8))
        assert [str(u) for u in layer.units] == ["millimeter"] * 3
    found = to_segmentation(mask)
    assert found.grid.unit == "mm"
    assert found.grid.spacing == pytest.approx((5, 0.9, 0.8))


def test_a_stated_spacing_takes_masks_along_that_lie_on_the_scan():
    one, other = (case(image(n, Role.FLAIR, grid(unit="unknown", spacing=(1, 1, 1))), name=n) for n in "ab")
    (shown,), (beside,) = ([Layer.create(*x) for x in case_layers(c)[0]] for c in (one, other))
    made = mask_layer(on=grid(unit="unknown", spacing=(1, 1, 1)))  # of a file of its own
    drawn = Labels(np.zeros((4, 5, 6), np.uint8), scale=shown.scale, translate=shown.translate)
    across = Labels(np.zeros((4, 5, 6), np.uint8), translate=(1, 0, 0))
    layers = [beside, shown, made, drawn, across]
    groups = groups_of(layers)
    members = members_of(next(g for g in groups if g.layers == (shown,)), layers)
    assert members == [shown, made, drawn]  # the case opened last
    assert members_of(next(g for g in groups if g.layers == (beside,)), layers) == [beside]
    state_spacing(members, (5, 0.9, 0.8))
    for layer in members:
        np.testing.assert_allclose(layer.scale, (5, 0.9, 0.8))
        assert grid_of(layer).spacing_mm == pytest.approx((5, 0.9, 0.8))
    np.testing.assert_allclose(across.scale, (1, 1, 1))


def test_a_spacing_that_is_none_is_refused():
    with pytest.raises(InputError, match="positive"):
        state_spacing([mask_layer()], (0, 1, 1))
