"""Arranging the view, and back to how it was."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels, Surface

from napari_tumorseg.inference.stored_probabilities import StoredProbabilities
from napari_tumorseg.regions import region_mask
from napari_tumorseg.scan import Role
from napari_tumorseg.viewer.compare.arrangements import KIND
from napari_tumorseg.viewer.compare.surfaces import find_surfaces
from napari_tumorseg.viewer.layers.origin import PROBABILITIES_KEY
from napari_tumorseg.viewer.layers.views import views
from tests.builders import card_of
from tests.viewer.conftest import NEEDS_SCREEN
from tests.viewer.studies import head_case, mask_on, show_case


def state(viewer):
    layers = [
        (x, x.name, x.visible, x.opacity, x.blending, getattr(x, "contour", None)) for x in viewer.layers
    ]
    grid, camera = viewer.canvas.grid, viewer.scene.camera
    rest = (grid.enabled, grid.stride, grid.shape, viewer.dims.ndisplay, tuple(viewer.dims.order))
    return layers, rest, camera.orientation, viewer.layers.selection.active


@pytest.fixture
def shown(new_panel):
    viewer, panel = new_panel(show=True)
    one = head_case()
    (mine,) = show_case(viewer, one, mask_on(one))
    own = viewer.add_image(np.zeros((8, 40, 48)), name="my own", visible=True)
    viewer.layers.selection.active = mine
    return viewer, panel.compare.presets, mine, own


@NEEDS_SCREEN
def test_side_by_side_has_a_cell_for_each_image_with_the_mask_over_it(shown):
    viewer, section, mine, own = shown
    before = state(viewer)
    section.grid.click()
    grid = viewer.canvas.grid
    cells = [
        [viewer.layers[i] for i in indices if viewer.layers[i].visible]
        for _, indices in grid.iter_viewboxes(viewer.layers)
    ]
    cells = [cell for cell in cells if cell]
    assert grid.enabled and len(cells) == 2
    for cell in cells:
        assert sorted(type(x).__name__ for x in cell) == ["Image", "Labels"]
        labels = next(x for x in cell if isinstance(x, Labels))
        assert np.shares_memory(labels.data, mine.data)
    assert not own.visible and viewer.layers.selection.active is mine
    section.back.click()
    assert state(viewer) == before


@NEEDS_SCREEN
def test_an_edit_is_seen_in_all_cells(shown):
    viewer, section, mine, _ = shown
    section.grid.click()
    (copy,) = views(viewer, KIND)
    refreshed = []
    copy.events.set_data.connect(lambda event: refreshed.append(1))
    mine.paint((3, 5, 5), 2)
    assert refreshed and copy.data[3, 5, 5] == 2 and not copy.editable
    mine.data = np.zeros_like(mine.data)
    assert not copy.data.any()
    mine.contour = 2
    assert copy.contour == 2


@NEEDS_SCREEN
def test_an_arrangement_ends_when_a_layer_comes(shown, wait):
    viewer, section, *_ = shown
    before = state(viewer)
    section.grid.click()
    new = viewer.add_image(np.ones((8, 40, 48)), name="new")
    wait(lambda: not section.preset.is_active)
    layers, *rest = state(viewer)
    assert [x for x in layers if x[0] is not new] == before[0] and new.visible
    assert rest[0] == before[1]


@NEEDS_SCREEN
def test_contours_and_back(shown):
    viewer, section, mine, _ = shown
    before = state(viewer)
    section.contours.click()
    assert mine.contour == 1
    section.filled.click()
    assert mine.contour == 0
    section.contours.click()
    section.back.click()
    assert state(viewer) == before and not section.back.isEnabled()


@NEEDS_SCREEN
def test_planes_turn_and_come_back(shown):
    viewer, section, *_ = shown
    before = state(viewer)
    orders = []
    for _ in range(3):
        section.plane.click()
        orders.append(tuple(viewer.dims.order))
    assert orders == [(1, 0, 2), (2, 0, 1), (0, 1, 2)]
    section.plane.click()
    section.back.click()
    assert state(viewer) == before


def visible(viewer):
    return {layer: layer.visible for layer in viewer.layers}


@NEEDS_SCREEN
@pytest.mark.parametrize("by", ["next plane", "napari's own button"])
def test_from_surfaces_to_slices_all_is_shown_as_before(shown, wait, by):
    viewer, section, mine, _ = shown
    before, contour = visible(viewer), mine.contour
    section.surfaces.click()
    wait(lambda: section.preset.name == "surfaces")
    if by == "next plane":
        section.plane.click()
        assert tuple(viewer.dims.order) == (1, 0, 2) and section.note.value == "Shown: coronal."
    else:
        viewer.dims.ndisplay = 2
        wait(lambda: not section.preset.is_active)
        assert tuple(viewer.dims.order) == (0, 1, 2)
    assert viewer.dims.ndisplay == 2
    assert visible(viewer) == before and mine.contour == contour
    section.back.click()
    assert tuple(viewer.dims.order) == (0, 1, 2) and visible(viewer) == before


@NEEDS_SCREEN
def test_probability_is_made_where_no_map_was_asked_for(shown):
    viewer, section, mine, _ = shown
    on = mine.metadata["tumorseg"].grid
    box = (slice(2, 6), slice(0, 40), slice(0, 48))
    maps = {name: np.full((4, 40, 48), value, np.uint8) for name, value in (("WT", 200), ("TC", 100))}
    output = card_of(output={"names": ["WT", "TC"], "labels": [2, 1], "scheme": "brats-2023"}).output
    mine.metadata[PROBABILITIES_KEY] = StoredProbabilities(maps, box, on, output)
    before = state(viewer)
    section.probability.click()
    (layer,) = views(viewer, KIND)
    np.testing.assert_array_equal(layer.data, maps["WT"])
    np.testing.assert_allclose(layer.data_to_world((0, 0, 0)), mine.data_to_world((2, 0, 0)))
    assert not mine.visible and section.note.value == "Shown: probability."
    section.probability.click()
    assert len(views(viewer, KIND)) == 1  # pressed twice, there is one
    section.back.click()
    assert state(viewer) == before


@NEEDS_SCREEN
def test_surfaces_are_shown_with_the_patients_left_on_the_right_seen_from_in_front(shown, wait):
    viewer, section, *_ = shown
    before = state(viewer)
    section.surfaces.click()
    wait(lambda: section.preset.name == "surfaces")
    made = [x for x in viewer.layers if isinstance(x, Surface)]
    assert [x.name for x in made] == ["ET surface", "TC surface", "WT surface", "head surface"]
    assert viewer.dims.ndisplay == 3
    assert not any(x.visible for x in viewer.layers if isinstance(x, Image | Labels))
    for layer in made[1:]:
        layer.visible = False
    viewer.scene.camera.set_view_direction((0, 1, 0), (1, 0, 0))
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3]
    seen = np.argwhere(picture.sum(axis=-1) > 60)
    made[0].visible, made[-1].visible = False, True
    head = viewer.screenshot(canvas_only=True, flash=False)[..., :3].sum(axis=-1)
    middle = np.argwhere(head > 20).mean(axis=0)
    assert seen[:, 1].mean() > middle[1] + 5  # the lesion of the patient's left
    section.back.click()
    assert state(viewer) == before


@NEEDS_SCREEN
def test_without_probabilities_or_a_mask_there_is_a_sentence(new_panel, complaints):
    viewer, panel = new_panel()
    show_case(viewer, head_case())
    panel.compare.presets.probability.click()
    panel.compare.presets.surfaces.click()
    assert "no probabilities" in complaints[0] and "No mask is selected" in complaints[1]


def test_surfaces_enclose_their_regions():
    one = head_case()
    seg = mask_on(one)
    found = {x.name: x for x in find_surfaces(seg, one.scan())}
    for region, members in seg.convention.regions.items():
        where = np.argwhere(region_mask(seg.labels, members))
        surface = found[f"{region} surface"]
        np.testing.assert_allclose(surface.vertices.min(axis=0), where.min(axis=0) - 0.5, atol=0.6)
        np.testing.assert_allclose(surface.vertices.max(axis=0), where.max(axis=0) + 0.5, atol=0.6)
    assert found["head surface"].vertices[:, 2].max() < 48


def test_a_single_voxel_has_a_surface_and_nothing_has_none():
    one = head_case()
    seg = mask_on(one)
    seg.labels[...] = 0
    assert find_surfaces(seg) == []
    seg.labels[3, 20, 20] = 3
    assert [x.name for x in find_surfaces(seg)] == ["ET surface", "TC surface", "WT surface"]


@pytest.fixture
def two_masks(new_panel):
    viewer, panel = new_panel(show=True)
    one = head_case()
    first, second = show_case(viewer, one, mask_on(one), mask_on(one, shift=2))
    viewer.layers.selection.active = first
    viewer.dims.set_current_step(0, 1)
    return viewer, panel, first, second


@NEEDS_SCREEN
def test_the_cells_show_one_mask_until_another_is_selected(two_masks, wait):
    viewer, panel, first, second = two_masks
    section = panel.compare.presets
    before = visible(viewer)
    section.grid.click()
    (copy,) = views(viewer, KIND)
    viewer.layers.selection.active = second
    second.paint((3, 5, 5), 2)  # before there is time to leave the arrangement
    assert copy.data is first.data
    wait(lambda: not section.preset.is_active)
    assert visible(viewer) == before and not views(viewer, KIND)
    assert viewer.layers.selection.active is second and panel.active_mask.layer is second


@NEEDS_SCREEN
def test_an_arrangement_that_ends_leaves_the_slice(two_masks, wait):
    viewer, panel, *_ = two_masks
    section = panel.compare.presets
    section.grid.click()
    viewer.dims.set_current_step(0, 4)
    panel.correct.corrector.toggle_lock((4, 18, 35))
    wait(lambda: not section.preset.is_active)
    assert viewer.dims.current_step[0] == 4 and not viewer.canvas.grid.enabled
    section.grid.click()
    viewer.dims.set_current_step(0, 5)
    section.back.click()
    assert viewer.dims.current_step[0] == 5


@NEEDS_SCREEN
def test_what_is_shown_is_told(shown):
    _, section, *_ = shown
    for button, told in ((section.contours, "contours"), (section.filled, "filled masks")):
        button.click()
        assert section.note.value == f"Shown: {told}."
    section.grid.click()
    section.contours.click()
    assert section.note.value == "Shown: side by side."


@NEEDS_SCREEN
def test_side_by_side_goes_by_the_roles_that_the_user_chose(new_panel, complaints):
    viewer, panel = new_panel()
    one = head_case()
    (mine,) = show_case(viewer, one, mask_on(one))
    panel.inputs.inputs.choose(viewer.layers[1], Role.BRAIN_MASK)
    panel.compare.presets.grid.click()
    assert "no two images" in complaints[0] and mine.visible
