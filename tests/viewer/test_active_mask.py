from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_tumorseg.edit import change_to, count_all
from napari_tumorseg.errors import InputError
from napari_tumorseg.measurement.volumes import listed
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Role, Segmentation
from napari_tumorseg.viewer.layers.inputs import Inputs
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.to_layers import case_layers, labels_layer
from napari_tumorseg.viewer.state.active_mask import ActiveMask
from tests.viewer.conftest import NEEDS_SCREEN, case, grid

pytestmark = NEEDS_SCREEN  # a QObject wants an application

BOX = (slice(1, 3), slice(1, 3), slice(2, 5))


@pytest.fixture
def viewer(qapp):
    return ViewerModel()


@pytest.fixture
def active_mask(viewer):
    return ActiveMask(viewer.layers, Inputs())


def mask(viewer, on=None, convention="brats-2021", **more) -> Labels:
    on = on or grid()
    seg = Segmentation(np.zeros(on.shape, np.uint8), on, CONVENTIONS[convention], "case")
    data, arguments, _ = labels_layer(seg, name="mask", **more)
    return viewer.add_layer(Labels(data, **arguments))


def seen(active_mask) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    active_mask.edited.connect(lambda _, change, action: found.append((action, change.voxels)))
    return found


def fill(active_mask, label=1, action="fill between") -> bool:
    labels = active_mask.labels()
    return active_mask.apply(change_to(labels, BOX, np.full((2, 2, 3), label)), action)


def test_every_way_to_edit_is_seen_once_and_named(viewer, active_mask):
    layer = mask(viewer)
    active_mask.activate(layer)
    found = seen(active_mask)
    layer.mode = "paint"
    layer.brush_size = 1
    layer.paint((1, 2, 3), 1)
    layer.undo()
    layer.redo()
    layer.mode = "erase"
    layer.paint((1, 2, 3), 0)
    layer.mode = "fill"
    layer.fill((1, 2, 3), 2)
    layer.mode = "polygon"
    layer.paint_polygon([(2, 0, 0), (2, 0, 4), (2, 4, 4)], 4)
    layer.mode = "pan_zoom"
    layer.data = np.ones(layer.data.shape, np.uint8)
    layer.data[0] = 2
    layer.refresh()
    names = [name for name, _ in found]
    assert names == ["paint", "undo", "redo", "erase", "fill", "polygon", "edit", "edit"]
    assert all(voxels for _, voxels in found)
    np.testing.assert_array_equal(active_mask.counts.labels, layer.data)
    assert active_mask.mask.edits.edit_counts.actions["paint"] == 1
    assert active_mask.mask.edits.edit_counts.total == 8


def test_moving_to_another_slice_is_no_edit(viewer, active_mask):
    active_mask.activate(mask(viewer))
    found = seen(active_mask)
    viewer.dims.set_current_step(0, 3)
    assert not found and not active_mask.mask.edits.unsaved


def test_a_change_of_a_tool_is_one_step(viewer, active_mask):
    layer = mask(viewer)
    active_mask.activate(layer)
    found = seen(active_mask)
    assert fill(active_mask)
    assert not fill(active_mask)
    assert np.count_nonzero(layer.data) == 12
    layer.undo()
    assert not layer.data.any()
    layer.redo()
    assert found == [("fill between", 12), ("undo", 12), ("redo", 12)]
    layer.editable = False
    with pytest.raises(InputError, match="cannot be edited"):
        fill(active_mask, 2)


@pytest.mark.parametrize("dtype", [np.uint8, int])
def test_a_drawn_layer_of_any_axes_is_canonical_in_hand(viewer, active_mask, dtype):
    layer = viewer.add_labels(np.zeros((5, 6, 4), dtype), name="drawn")
    layer.affine = np.array([[0, 0, 2, 0], [-1, 0, 0, 4], [0, 1, 0, 0], [0, 0, 0, 1]], float)
    active_mask.activate(layer)
    assert fill(active_mask)
    np.testing.assert_array_equal(active_mask.labels(), active_mask.counts.labels)
    inside = np.argwhere(layer.data)
    world = [layer.data_to_world(tuple(p)) for p in inside]
    box = {(z, y, x) for z in (1, 2) for y in (1, 2) for x in (2, 3, 4)}
    assert {active_mask.index_of(p) for p in world} == box
    for index in box:
        assert active_mask.index_of(active_mask.position_of(index)) == index
    np.testing.assert_array_equal(active_mask.segmentation().labels > 0, active_mask.labels() > 0)


def test_a_picture_is_a_slice(viewer, active_mask):
    layer = viewer.add_labels(np.zeros((6, 7), np.uint8), name="picture")
    active_mask.activate(layer)
    assert active_mask.labels().shape == (1, 6, 7)
    assert active_mask.apply(
        change_to(active_mask.labels(), (slice(0, 1), slice(2, 4), slice(1, 2)), [[[1], [1]]]), "x"
    )
    assert np.argwhere(layer.data).tolist() == [[2, 1], [3, 1]]
    assert active_mask.index_of((2, 1)) == (0, 2, 1)
    assert active_mask.index_of((60, 1)) is None


def test_the_images_of_the_case_are_found(viewer, active_mask):
    for data in case_layers(case())[0]:
        viewer.add_image(data[0], **data[1])
    group = origin_of(viewer.layers[0]).group
    active_mask.activate(mask(viewer, group=group))
    assert set(active_mask.scan().roles) == {Role.FLAIR, Role.T1C}
    alone = mask(viewer)  # opened by itself, on the same grid
    active_mask.activate(alone)
    assert active_mask.scan().case == "case"
    active_mask.activate(mask(viewer, grid(spacing=(9, 9, 9))))
    assert active_mask.scan() is None


def test_a_label_that_the_convention_lacks_is_counted_beside_the_others(viewer, active_mask):
    layer = mask(viewer)
    active_mask.activate(layer)
    layer.data[0, 0, 0] = 1
    layer.refresh()
    fill(active_mask, 3)
    assert active_mask.counts.voxels("label 3") == 12 and active_mask.counts.voxels("WT") == 1
    assert active_mask.mask.remark == "Label 3 is not in brats-2021."
    layer.undo()
    assert not active_mask.mask.remark and active_mask.counts.voxels("WT") == 1


def test_a_drawn_layer_gets_its_convention_from_what_is_painted(viewer, active_mask):
    layer = viewer.add_labels(np.zeros((4, 5, 6), np.uint8))
    active_mask.activate(layer)
    assert active_mask.convention.name == "binary"
    layer.data = np.full((4, 5, 6), 2, np.uint8)
    assert active_mask.convention is None and "several conventions" in active_mask.mask.remark
    assert active_mask.counts.voxels("label 2") == 120
    layer.data = np.ones((4, 5, 6), np.uint8)
    assert active_mask.counts.voxels("WT") == 120


def test_another_shape_begins_anew(viewer, active_mask):
    layer = viewer.add_labels(np.zeros((4, 5, 6), np.uint8))
    active_mask.activate(layer)
    first = active_mask.mask
    layer.data = np.ones((3, 3, 3), np.uint8)
    assert active_mask.mask is not first and active_mask.labels().shape == (3, 3, 3)
    assert not active_mask.mask.edits.unsaved


def test_a_mask_is_followed_when_another_is_in_hand(viewer, active_mask):
    one, other = mask(viewer), mask(viewer)
    active_mask.activate(one)
    active_mask.activate(other)
    shown: list[object] = []
    active_mask.changed.connect(lambda layer, _: shown.append(layer))
    one.data = np.ones(one.data.shape, np.uint8)
    assert not shown and [m.edits.unsaved for m in active_mask.tracked_masks] == [True, False]
    viewer.layers.remove(other)
    assert active_mask.layer is None


def test_counts_follow_a_long_random_session(viewer, active_mask):
    rng = np.random.default_rng(3)
    layer = mask(viewer, grid((9, 40, 40)), "brats-2024")
    active_mask.activate(layer)
    layer.n_edit_dimensions = 3
    for _ in range(150):
        step = rng.integers(6)
        if step == 0:
            layer.undo()
        elif step == 1:
            layer.redo()
        elif step == 2:
            layer.fill(rng.integers((9, 40, 40)), int(rng.integers(5)))
        else:
            layer.brush_size = int(rng.integers(1, 9))
            layer.paint(rng.integers((9, 40, 40)), int(rng.integers(5)))
        groups = {name: members for name, _, _, members in listed(active_mask.convention)}
        assert active_mask.counts.counts() == count_all(layer.data, groups)


def test_edits_in_the_place_of_another_are_counted_once(viewer, active_mask):
    layer = mask(viewer)
    active_mask.activate(layer)
    found = seen(active_mask)
    assert fill(active_mask)
    with active_mask.replacing():
        layer.undo()
        assert fill(active_mask, 2)
    assert [name for name, _ in found] == ["fill between", "", ""]
    assert active_mask.mask.edits.edit_counts.actions == {"fill between": 1}
    layer.undo()
    layer.redo()
    assert active_mask.mask.edits.edit_counts.actions == {"fill between": 1, "undo": 1, "redo": 1}
    np.testing.assert_array_equal(active_mask.counts.labels, layer.data)


@pytest.mark.parametrize("values", [(257, 258), (-1, 1)])
def test_labels_beyond_255_are_refused_by_their_number(viewer, active_mask, values):
    data = np.zeros((4, 8, 8), np.int32)
    data[1, 2, 2], data[1, 3, 3] = values
    told: list[str] = []
    active_mask.refused.connect(lambda _, why: told.append(why))
    active_mask.activate(viewer.add_labels(data, name="big"))
    assert active_mask.layer is None and told == ["the layer big holds labels outside 0 to 255"]
