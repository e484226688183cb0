from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Layer

from napari_tumorseg.geometry import Grid
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Role, Segmentation
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.to_layers import case_layers, contrast_limits, labels_layer, placement
from tests.viewer.conftest import case, grid, image

AFFINES = {
    "LPS": np.diag([-1.0, -2.0, 3.0, 1.0]),
    "RAS": np.diag([1.0, 2.0, 3.0, 1.0]),
    # files of sagittal slices: the slice axis runs right to left
    "sagittal": np.array([[0, 0, 4.0, 10], [1.0, 0, 0, -7], [0, -1.5, 0, 3], [0, 0, 0, 1]]),
}


def layers_of(case_) -> list[Layer]:
    return [Layer.create(*data) for data in case_layers(case_)[0]]


@pytest.mark.parametrize("name", AFFINES)
def test_voxels_are_shown_where_they_lie_in_the_body(name):
    on = Grid.from_file((5, 6, 7), AFFINES[name])
    layer = layers_of(case(image("x_flair", Role.FLAIR, on)))[0]
    assert np.all(np.asarray(layer.scale) > 0)
    for index in [(0, 0, 0), tuple(np.array(on.shape) - 1), (1, 2, 3)]:
        right, anterior, superior = on.to_world(index)
        np.testing.assert_allclose(layer.data_to_world(index), (superior, -anterior, -right), atol=1e-9)


def test_an_oblique_scan_is_shown_upright_at_its_own_spacing():
    angle = np.radians(17)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-0.9, -0.9, 5.5])
    on = Grid.from_file((8, 9, 4), affine)
    place = placement(on)
    np.testing.assert_allclose(place["scale"], (5.5, 0.9, 0.9))
    origin = origin_of(layers_of(case(image("x_flair", Role.FLAIR, on)))[0])
    assert origin is not None and origin.grid is on  # the exact affine is kept


def test_units_are_mm_or_pixel():
    mm = layers_of(case())[0]
    assert [str(u) for u in mm.units] == ["millimeter"] * 3
    assert mm.axis_labels == ("z", "y", "x")
    unknown = layers_of(case(image("x", Role.FLAIR, grid(unit="unknown"))))[0]
    assert [str(u) for u in unknown.units] == ["pixel"] * 3


def test_image_and_mask_keep_a_viewer_in_mm():
    viewer = ViewerModel()
    on = grid()
    seg = Segmentation(np.zeros(on.shape, np.uint8), on, CONVENTIONS["binary"], "case")
    for data in [*case_layers(case())[0], labels_layer(seg)]:
        viewer.add_layer(Layer.create(*data))
    assert all(str(u) == "millimeter" for layer in viewer.layers for u in layer.units)
    world = [layer.extent.world for layer in viewer.layers]
    for other in world[1:]:
        np.testing.assert_allclose(other, world[0])


def test_flair_is_visible_and_lowest():
    shown = layers_of(case(image("a_t1", Role.T1), image("a_t2f", Role.FLAIR), name="a"))
    assert [(layer.name, layer.visible) for layer in shown] == [("a flair", True), ("a t1", False)]


def test_a_channel_of_unknown_role_keeps_its_own_name():
    assert layers_of(case(image("mystery", Role.OTHER)))[0].name == "case mystery"
    assert layers_of(case(image("case-mystery", Role.OTHER)))[0].name == "case-mystery"


def test_a_tilted_channel_is_resampled_and_says_so():
    angle = np.radians(5)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = grid().affine.copy()
    affine[:3, :3] = turn @ affine[:3, :3]
    tilted = Grid.from_file((5, 5, 6), affine)
    layers, notes = case_layers(case(image("f", Role.FLAIR), image("t", Role.T1C, tilted)))
    second = Layer.create(*layers[1])
    assert len(notes) == 1 and "tilted" in notes[0]
    origin = origin_of(second)
    assert origin is not None and "resampled" in origin.note
    np.testing.assert_allclose(second.translate, Layer.create(*layers[0]).translate)


def test_a_channel_that_does_not_fit_is_left_out_with_a_sentence():
    far = image("t1c", Role.T1C, grid(shape=(5, 5, 6), origin=(500, 0, 0)))
    layers, notes = case_layers(case(image("flair", Role.FLAIR), far))
    assert len(layers) == 1
    assert "left out" in notes[0] and "overlap" in notes[0]


def test_a_brain_mask_becomes_a_hidden_layer_of_that_role():
    brain = replace(image("brainmask", Role.BRAIN_MASK), data=np.ones((4, 5, 6), np.uint8))
    layers = layers_of(case(image("flair", Role.FLAIR), brain_mask=brain))
    assert [layer.visible for layer in layers] == [True, False]
    assert origin_of(layers[1]).role is Role.BRAIN_MASK


def test_a_mask_has_the_colours_and_names_of_its_convention():
    on = grid()
    labels = np.zeros(on.shape, np.uint8)
    labels[1, 2, 3] = 4
    convention = CONVENTIONS["brats-2021"]
    data, arguments, kind = labels_layer(Segmentation(labels, on, convention, "case"))
    layer = Layer.create(data, arguments, kind)
    assert isinstance(layer, Labels)
    for label in convention.labels:
        wanted = [int(label.colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        np.testing.assert_allclose(layer.get_color(label.value)[:3], wanted, atol=0.01)
    assert layer.colormap.color_dict[0][3] == 0
    assert layer.colormap.color_dict[None][3] == 1  # a label outside the convention is seen
    features = layer.features.set_index("index")
    assert features.loc[4, "label"] == "ET"
    assert features.loc[2, "name"] == "oedema"
    assert layer.data.dtype == np.uint8


def test_the_layer_does_not_share_an_array_that_cannot_be_painted_on():
    frozen = np.zeros((4, 5, 6), np.uint8)
    frozen.setflags(write=False)
    data, _, _ = labels_layer(Segmentation(frozen, grid(), CONVENTIONS["binary"]))
    data[0, 0, 0] = 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.full((2, 8, 8), 7.0), (7, 8)),
        (np.full((2, 8, 8), np.nan), None),
        (np.zeros((2, 8, 8), np.uint8), (0, 1)),
    ],
)
def test_contrast_limits_of_odd_images_are_still_limits(values, expected):
    low, high = contrast_limits(values)
    if expected is not None:
        assert (low, high) == expected
    else:
        assert np.isfinite([low, high]).all()
    assert low < high


def test_contrast_limits_leave_the_background_out():
    values = np.zeros((3, 20, 20), np.float32)
    values[:, 5:15, 5:15] = np.linspace(50, 100, 300).reshape(3, 10, 10)
    low, high = contrast_limits(values)
    assert low == 0
    assert 98 < high <= 100
