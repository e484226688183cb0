"""Voxel sizes that the user states hold for their own case only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Layer

from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Role, Segmentation
from napari_tumorseg.viewer.layers.from_layers import grid_of, state_spacing
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.to_layers import case_layers, labels_layer
from napari_tumorseg.viewer.state.stated_spacing import StatedSpacing
from tests.viewer.conftest import case, grid, image

SIZE = (6.0, 0.9, 0.9)


@pytest.fixture
def viewer() -> Iterator[ViewerModel]:
    """A viewer with the images of patient a, whose voxel size was stated."""
    model = ViewerModel()
    stated = StatedSpacing(model.layers)
    add_images(model, "a")
    state_spacing(list(model.layers), SIZE)
    yield model
    stated.detach()


def add_images(viewer: ViewerModel, name: str, shape: tuple[int, int, int] = (4, 5, 6)) -> str:
    """Add an image without a voxel size and return its group."""
    on = grid(shape, unit="unknown", spacing=(1, 1, 1))
    one = case(image(f"{name}_flair", Role.FLAIR, on), name=name)
    for data in case_layers(one)[0]:
        viewer.add_layer(Layer.create(*data))
    return origin_of(viewer.layers[-1]).group


def add_mask(viewer: ViewerModel, group: str = "") -> Labels:
    on = grid(unit="unknown", spacing=(1, 1, 1))
    seg = Segmentation(np.zeros(on.shape, np.uint8), on, CONVENTIONS["binary"], "mask")
    layer = Layer.create(*labels_layer(seg, group=group))
    assert isinstance(layer, Labels)
    viewer.add_layer(layer)
    return layer


def test_it_holds_for_a_mask_on_the_only_case(viewer):
    assert grid_of(add_mask(viewer)).spacing_mm == pytest.approx(SIZE)


def test_it_does_not_hold_for_the_mask_of_another_patient(viewer):
    group = add_images(viewer, "b")
    mask = add_mask(viewer, group)
    assert grid_of(viewer.layers[1]).unit == "unknown"
    assert grid_of(mask).unit == "unknown"
    np.testing.assert_allclose(mask.scale, (1, 1, 1))


def test_it_does_not_hold_for_a_mask_that_may_be_of_either_case(viewer):
    add_images(viewer, "b")
    assert grid_of(add_mask(viewer)).unit == "unknown"


def test_images_of_its_own_keep_a_mask_apart_also_where_they_have_another_shape(viewer):
    group = add_images(viewer, "b", (2, 5, 6))
    assert grid_of(add_mask(viewer, group)).unit == "unknown"
    assert grid_of(add_mask(viewer)).spacing_mm == pytest.approx(SIZE)
