"""Diameters as lines on the slice, moved by hand, in a real window."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_tumorseg.measurement import find_midline, laterality, measure, rano
from napari_tumorseg.viewer.compare.midline_layer import KIND as MIDLINE
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.views import views
from tests.viewer.conftest import NEEDS_SCREEN
from tests.viewer.studies import head_case, mask_on, show_case

pytestmark = NEEDS_SCREEN


@pytest.fixture
def measured(new_panel, wait):
    viewer, panel = new_panel()
    one = head_case()
    seg = mask_on(one)
    (mine,) = show_case(viewer, one, seg)
    viewer.layers.selection.active = mine
    section = panel.compare.diameters
    section.measure.click()
    wait(lambda: section.found is not None)
    return SimpleNamespace(viewer=viewer, panel=panel, section=section, seg=seg, mine=mine)


def test_numbers_are_those_of_the_measure(measured):
    expected = rano(measured.seg)
    assert measured.section.found.rano == expected and len(expected.lesions) == 1
    lesion = expected.lesions[0]
    assert measured.section.table.texts() == [
        [
            "1",
            str(lesion.slice_index),
            f"{lesion.longest.length_mm:.1f}",
            f"{lesion.perpendicular.length_mm:.1f}",
            f"{lesion.product_mm2:.0f}",
            "yes",
        ]
    ]
    longest = measure(measured.seg).row("WT").longest_diameter_mm
    assert f"WT {longest:.1f} mm" in measured.section.more.value
    sides = laterality(measured.seg, find_midline(measured.panel.active_mask.scan()))
    assert next(s for s in sides if s.name == "WT").words in measured.section.sides.value
    assert "patient's left" in measured.section.sides.value  # high x is the patient's left


def test_the_lines_lie_where_the_voxels_are(measured):
    layer = measured.section.lines.layer
    lesion = measured.section.found.rano.lesions[0]
    np.testing.assert_allclose(layer.data[0], [lesion.longest.start, lesion.longest.end])
    np.testing.assert_allclose(layer.scale, measured.mine.scale)
    np.testing.assert_allclose(layer.translate, measured.mine.translate)
    # the viewer turns to the slice
    index = measured.mine.world_to_data(measured.viewer.dims.point)[0]
    assert round(index) == lesion.slice_index
    assert (
        measured.panel.active_mask.layer is measured.mine
        and measured.viewer.layers.selection.active is measured.mine
    )


def test_the_lengths_of_a_lesion_do_not_overlap(measured):
    """One text holds both: napari puts the texts of crossing lines on top of each other."""
    layer, lesion = measured.section.lines.layer, measured.section.found.rano.lesions[0]
    texts = [text for text in layer.text.values if text]
    lengths = lesion.longest.length_mm, lesion.perpendicular.length_mm
    assert texts == [f"{lengths[0]:.1f} × {lengths[1]:.1f} mm"]


def test_the_columns_tell_the_diameters_apart(measured):
    heads = measured.section.table.as_text().splitlines()[0].split("\t")
    assert heads == ["ET lesion", "slice", "longest mm", "across mm", "product mm²", "meas."]


def test_dragging_an_end_updates_the_numbers(measured):
    from napari.utils._test_utils import read_only_mouse_event
    from napari.utils.interactions import (
        mouse_move_callbacks,
        mouse_press_callbacks,
        mouse_release_callbacks,
    )

    measured.section.move_ends.click()
    layer = measured.section.lines.layer
    assert measured.viewer.layers.selection.active is layer and layer.mode == "direct"
    assert measured.panel.active_mask.layer is measured.mine
    before = measured.section.found.rano.lesions[0]
    z, y, x = before.longest.end
    layer.selected_data = {0}

    def event(kind, place):
        return read_only_mouse_event(
            type=kind,
            is_dragging=kind == "mouse_move",
            position=tuple(layer.data_to_world(place)),
            view_direction=None,
            dims_displayed=[1, 2],
            modifiers=[],
        )

    mouse_press_callbacks(layer, event("mouse_press", (z, y, x)))
    mouse_move_callbacks(layer, event("mouse_move", (z, y + 3, x)))
    mouse_release_callbacks(layer, event("mouse_release", (z, y + 3, x)))
    after = measured.section.found.rano.lesions[0]
    assert after.edited and not before.edited
    a = np.array(after.longest.start) - np.array(after.longest.end)
    assert after.longest.length_mm == pytest.approx(np.hypot(a[1], a[2]))
    assert after.longest.length_mm != pytest.approx(before.longest.length_mm)
    assert after.perpendicular == before.perpendicular
    assert measured.section.table.texts()[0][0] == "1 (moved)"
    assert measured.section.table.texts()[0][2] == f"{after.longest.length_mm:.1f}"
    assert layer.features["length"][0] == f"{after.longest.length_mm:.1f} mm"
    assert layer.text.values[0].startswith(f"{after.longest.length_mm:.1f} ×")


def test_lines_cannot_leave_their_slice_nor_be_removed(measured, complaints):
    layer, before = measured.section.lines.layer, measured.section.found.rano
    lines = [np.array(x) for x in layer.data]
    other = lines[0] + [1, 0, 0]
    layer.data = [other, lines[1]]
    assert "one axial slice" in complaints[0]
    np.testing.assert_allclose(layer.data[0], lines[0])
    assert measured.section.found.rano == before


def test_the_midline_is_a_line_on_every_slice_and_goes(measured):
    measured.section.plane.click()
    (layer,) = views(measured.viewer, MIDLINE)
    plane = measured.section.found.midline
    assert len(layer.data) == measured.seg.grid.shape[0]
    for line in layer.data:
        np.testing.assert_allclose(plane.distance_of_voxels(np.array(line), measured.seg.grid), 0, atol=1e-6)
    measured.section.plane.click()
    assert not views(measured.viewer, MIDLINE)


def test_small_lesions_say_why_they_are_not_measurable(new_panel, wait):
    viewer, panel = new_panel()
    one = head_case()
    seg = mask_on(one)
    seg.labels[...] = 0
    seg.labels[3, 10:14, 20:25] = 3
    (mine,) = show_case(viewer, one, seg)
    viewer.layers.selection.active = mine
    section = panel.compare.diameters
    section.measure.click()
    wait(lambda: section.found is not None)
    assert section.table.texts()[0][-1] == "no"
    assert "is not measurable: the longest diameter is" in section.more.value


def test_without_a_voxel_size_there_are_no_lengths(new_panel, wait):
    viewer, panel = new_panel()
    one = head_case(unit="unknown")
    (mine,) = show_case(viewer, one, mask_on(one))
    viewer.layers.selection.active = mine
    section = panel.compare.diameters
    section.measure.click()
    wait(lambda: section.found is not None)
    assert section.table.texts()[0][2:] == ["—", "—", "—", "—"]
    assert "voxel size is unknown" in section.more.value


def test_removing_the_mask_takes_its_lines_along(measured, wait):
    assert origin_of(measured.mine) is not None
    measured.viewer.layers.remove(measured.mine)
    wait(lambda: measured.section.found is None)
    assert not views(measured.viewer)


def test_the_outline_is_chosen_and_named(measured, wait):
    section = measured.section
    before = section.found
    assert "Outline: enhancing tumour only" in section.more.value
    section.outline.setCurrentIndex(section.outline.findData("with-necrosis"))
    section.outline.activated.emit(section.outline.currentIndex())
    wait(lambda: section.found is not before)
    assert section.found.rano == rano(measured.seg, outline="with-necrosis")
    assert section.found.rano.lesions[0].product_mm2 > before.rano.lesions[0].product_mm2
    assert "Outline: enhancing tumour with the necrosis it encloses" in section.more.value


def test_the_chosen_outline_is_that_of_the_export(measured):
    section = measured.section
    section.outline.setCurrentIndex(section.outline.findData("with-necrosis"))
    assert measured.panel.compare.content().outline == "with-necrosis"
