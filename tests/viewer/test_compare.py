"""A person on the page Compare, in a real window."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from napari.layers import Layer
from qtpy.QtCore import Qt

from napari_tumorseg.io import write_mask
from napari_tumorseg.measurement import agreement, rano
from napari_tumorseg.measurement.error_map import AGREEMENT_COLOURS, BOTH, ONLY_A, ONLY_B
from napari_tumorseg.regions import region_mask
from napari_tumorseg.scan import Role
from napari_tumorseg.viewer.compare.reference_section import STALE
from napari_tumorseg.viewer.layers.origin import is_view, origin_of
from napari_tumorseg.viewer.layers.to_layers import labels_layer
from tests.viewer.conftest import NEEDS_SCREEN
from tests.viewer.studies import head_case, mask_on, show_case

pytestmark = NEEDS_SCREEN


def numbers(table):
    rows = table.texts()
    across = range(table.columnCount())
    heads = [table.model().headerData(c, Qt.Orientation.Horizontal) for c in across]
    return {row[0]: dict(zip(heads[1:], row[1:], strict=True)) for row in rows}


@pytest.fixture
def compared(new_panel, wait):
    """A mask in hand and a reference, compared."""
    viewer, panel = new_panel()
    one = head_case()
    seg, reference = mask_on(one), mask_on(one, shift=2)
    mine, theirs = show_case(viewer, one, seg, reference)
    viewer.layers.selection.active = mine
    section = panel.compare.reference
    section.chooser.choose(theirs)
    section.compare.click()
    wait(lambda: section.found is not None)
    return viewer, panel, seg, reference, mine, theirs


# ---- a reference


def test_the_numbers_are_those_of_the_measure_and_of_monai(compared):
    from monai.metrics import compute_hausdorff_distance, compute_iou, get_confusion_matrix

    _, panel, seg, reference, *_ = compared
    section = panel.compare.reference
    assert section.found == replace(agreement(seg, reference))
    shown = numbers(section.table)
    for region, members in seg.convention.regions.items():
        pair = [region_mask(x.labels, members)[None, None] for x in (seg, reference)]
        one, other = (torch.from_numpy(x.astype(np.float32)) for x in pair)
        tp, fp, tn, fn = (float(v) for v in get_confusion_matrix(one, other, True)[0, 0])
        assert shown["Dice"][region] == f"{2 * tp / (2 * tp + fp + fn):.3f}"
        assert shown["IoU"][region] == f"{float(compute_iou(one, other)):.3f}"
        assert shown["Accuracy"][region] == f"{(tp + tn) / (tp + fp + tn + fn):.3f}"
        assert shown["Precision"][region] == f"{tp / (tp + fp):.3f}"
        assert shown["Sensitivity"][region] == f"{tp / (tp + fn):.3f}"
        assert shown["Specificity"][region] == f"{tn / (tn + fp):.3f}"
        far = compute_hausdorff_distance(one, other, True, percentile=95, spacing=(2.0, 1.0, 1.0))
        assert shown["HD95 (mm)"][region] == f"{float(far):.1f}"
        assert shown["Error (mL)"][region] == f"{(fp - fn) * 2 / 1000:+.2f}"


def test_a_true_mask_is_loaded_from_a_file_hidden_and_compared(new_panel, wait, tmp_path):
    viewer, panel = new_panel()
    one = head_case()
    seg, reference = mask_on(one), mask_on(one, shift=3)
    (mine,) = show_case(viewer, one, seg)
    viewer.layers.selection.active = mine
    path = write_mask(reference, tmp_path / "truth.nii.gz")[0]
    section = panel.compare.reference
    section.open_file(path)
    wait(lambda: section.found is not None)
    assert section.found.row("WT").dice == agreement(seg, reference).row("WT").dice
    loaded = section.chooser.layer
    assert loaded.name == "truth.nii.gz (reference)" and not loaded.visible
    np.testing.assert_array_equal(loaded.data, reference.labels)
    assert viewer.layers.selection.active is mine and panel.active_mask.layer is mine


def test_a_reference_elsewhere_is_told_in_a_sentence(new_panel, wait, tmp_path, complaints):
    viewer, panel = new_panel()
    one = head_case()
    (mine,) = show_case(viewer, one, mask_on(one))
    viewer.layers.selection.active = mine
    other = mask_on(head_case(spacing=(3.0, 1.0, 1.0)))
    panel.compare.reference.open_file(write_mask(other, tmp_path / "other.nii.gz")[0])
    wait(lambda: bool(complaints))
    assert "do not have the same voxels at the same places" in complaints[0]
    assert panel.compare.reference.found is None


def test_the_overlay_is_right_and_touches_no_other_layer(compared):
    viewer, panel, seg, reference, mine, theirs = compared
    before = {layer: (layer.visible, np.array(layer.data)) for layer in viewer.layers}
    section = panel.compare.reference
    section.view.region.setCurrentText("TC")
    section.view.button.click()
    (layer,) = (x for x in viewer.layers if is_view(x))
    a, b = (region_mask(x.labels, x.convention.regions["TC"]) for x in (seg, reference))
    np.testing.assert_array_equal(layer.data == BOTH, a & b)
    np.testing.assert_array_equal(layer.data == ONLY_A, a & ~b)
    np.testing.assert_array_equal(layer.data == ONLY_B, b & ~a)
    assert layer.name == f"agreement TC: {mine.name} with {theirs.name}"
    for other, (visible, data) in before.items():
        assert other.visible == visible
        np.testing.assert_array_equal(other.data, data)
    assert panel.active_mask.layer is mine
    section.view.region.setCurrentText("WT")
    (layer,) = (x for x in viewer.layers if is_view(x))  # the earlier one is replaced
    assert layer.name.startswith("agreement WT") and panel.active_mask.layer is mine


def test_the_masks_step_back_while_the_overlay_is_shown(compared, wait):
    viewer, panel, _, _, mine, theirs = compared
    view, presets = panel.compare.reference.view, panel.compare.presets
    mine.opacity, theirs.opacity = 0.6, 0.8
    view.button.click()
    assert mine.opacity <= 0.2 and theirs.opacity <= 0.2
    view.region.setCurrentText("TC")
    assert mine.opacity <= 0.2
    view.button.click()
    assert (mine.opacity, theirs.opacity) == (0.6, 0.8)
    view.button.click()
    theirs.opacity = 0.4  # by the user, who wants to see it
    viewer.layers.remove(next(x for x in viewer.layers if is_view(x)))
    assert (mine.opacity, theirs.opacity) == (0.6, 0.4)
    presets.contours.click()
    view.button.click()
    presets.back.click()
    assert mine.opacity <= 0.2
    view.button.click()
    assert mine.opacity == 0.6


def test_no_agreement_looks_like_a_label_of_the_brats_colours():
    from napari_tumorseg.viewer.layers.colours import _AS_BRATS
    from tests.measurement.test_error_map import difference

    for colour in AGREEMENT_COLOURS.values():
        assert min(difference(colour, label) for label in _AS_BRATS.values()) >= 20


def test_the_only_other_mask_is_the_reference(new_panel, wait, complaints):
    viewer, panel = new_panel()
    one = head_case()
    mine, theirs = show_case(viewer, one, mask_on(one), mask_on(one, shift=2))
    viewer.layers.selection.active = mine
    section = panel.compare.reference
    section.compare.click()
    wait(lambda: section.found is not None)
    assert section.chooser.layer is theirs and not complaints
    data = labels_layer(mask_on(one, shift=3), name="third", case=one.name, group=origin_of(mine).group)
    viewer.add_layer(Layer.create(*data))
    viewer.layers.selection.active = mine
    section.chooser.choose(None)
    section.compare.click()
    assert "Choose a reference" in complaints[-1]


def test_the_overlay_goes_with_a_second_press(compared, wait):
    viewer, panel, *_, theirs = compared
    section = panel.compare.reference
    assert section.view.button.text() == "Show agreement" and section.view.legend.isHidden()
    section.view.button.click()
    assert section.view.button.text() == "Hide agreement" and not section.view.legend.isHidden()
    section.view.button.click()
    assert not any(is_view(x) for x in viewer.layers)
    assert section.view.button.text() == "Show agreement" and section.view.legend.isHidden()
    section.view.button.click()
    viewer.layers.remove(next(x for x in viewer.layers if is_view(x)))  # in napari's own list
    assert section.view.button.text() == "Show agreement" and section.view.legend.isHidden()
    section.view.button.click()
    viewer.layers.selection.active = theirs  # what is compared with is not in hand any more
    wait(lambda: section.found is None)
    assert not any(is_view(x) for x in viewer.layers) and section.view.button.text() == "Show agreement"


def test_the_overlay_follows_a_new_comparison(compared, wait):
    viewer, panel, _, _, mine, _ = compared
    section = panel.compare.reference
    section.view.region.setCurrentText("TC")
    section.view.button.click()
    mine.brush_size = 3
    mine.paint((3, 5, 5), 3)
    before = next(x for x in viewer.layers if is_view(x))
    section.found = None
    section.compare.click()
    wait(lambda: section.found is not None)
    (layer,) = (x for x in viewer.layers if is_view(x))
    assert layer is not before and layer.data[3, 5, 5] == ONLY_A
    assert section.view.region.currentText() == "TC" and section.view.button.text() == "Hide agreement"


def test_no_two_buttons_measure_the_same_by_name(compared):
    page = compared[1].compare
    assert page.diameters.measure.text() == "Measure diameters"
    assert page.intensities.measure.text() == "Measure intensities"


def test_numbers_that_are_out_of_date_say_so_and_go_with_the_mask(compared, wait):
    viewer, panel, _, _, mine, theirs = compared
    section = panel.compare.reference
    mine.brush_size = 3
    mine.paint((3, 5, 5), 2)
    wait(lambda: section.note.value == STALE)
    viewer.layers.selection.active = theirs
    wait(lambda: section.found is None)
    assert section.table.isHidden()


def test_a_mask_is_not_compared_with_itself(new_panel, complaints):
    viewer, panel = new_panel()
    one = head_case()
    (mine,) = show_case(viewer, one, mask_on(one))
    viewer.layers.selection.active = mine
    section = panel.compare.reference
    section.compare.click()
    section.chooser.choose(mine)
    section.compare.click()
    assert "Choose a reference" in complaints[0] and "is the active mask itself" in complaints[1]


# ---- time points


@pytest.fixture
def two_times(new_panel):
    viewer, panel = new_panel()
    early, late = head_case("early"), head_case("late")
    first = mask_on(early)
    second = mask_on(late)
    second.labels[:, 8:12] = 0
    second.labels[1:3, 4:8, 10:14] = 3  # a new lesion
    (a,) = show_case(viewer, early, first)
    (b,) = show_case(viewer, late, second)
    times = panel.compare.times
    times.before.choose(a)
    times.after.choose(b)
    return viewer, panel, times, first, second


def test_two_times_are_compared_by_the_chosen_outline(two_times, wait):
    _, panel, times, first, second = two_times
    chooser = panel.compare.diameters.outline
    chooser.setCurrentIndex(chooser.findData("with-necrosis"))
    times.compare.click()
    wait(lambda: times.found is not None)
    products = [rano(seg, outline="with-necrosis").sum_of_products_mm2 for seg in (first, second)]
    assert [times.found.product.before_mm2, times.found.product.after_mm2] == products
    assert "enhancing tumour with the necrosis it encloses" in times.more.value


def test_volumes_and_products_of_two_times_are_plain_numbers(two_times, wait):
    _, _, times, first, second = two_times
    times.compare.click()
    wait(lambda: times.found is not None)
    row = times.found.row("WT")
    counts = [int((x.labels > 0).sum()) for x in (first, second)]
    assert (row.voxels_before, row.voxels_after) == tuple(counts)
    shown = {cells[0]: cells[1:] for cells in times.table.texts()}["WT"]
    change = (counts[1] - counts[0]) * 2 / 1000
    assert shown == [
        f"{counts[0] * 2 / 1000:.2f}",
        f"{counts[1] * 2 / 1000:.2f}",
        f"{change:+.2f}",
        f"{100 * (counts[1] - counts[0]) / counts[0]:+.1f}",
    ]
    assert times.found.lesions is None and "no registration was approved" in times.more.value.lower()
    for verdict in ("response", "progress", "stable"):
        assert verdict not in times.more.value.replace("no response is derived", "").lower()


def test_lesions_are_matched_once_the_user_says_that_the_scans_are_aligned(two_times, wait):
    _, _, times, *_ = two_times
    times.aligned.click()
    wait(lambda: times.found is not None)
    assert (times.found.count("new"), times.found.count("matched"), times.found.count("vanished")) == (
        1,
        1,
        0,
    )
    assert [row[0].split(":")[0] for row in times.lesions.texts()] == ["matched", "new"]


@pytest.mark.slow
def test_a_registration_counts_only_after_it_was_seen_and_approved(two_times, wait):
    pytest.importorskip("SimpleITK")
    viewer, panel, times, *_ = two_times
    layers, group = list(viewer.layers), panel.inputs.group.key
    times.register.click()
    wait(lambda: times._offered is not None)
    assert sum(is_view(x) for x in viewer.layers) == 2 and not times.approve.isHidden()
    assert panel.inputs.group.key == group  # the preview is no case of its own
    assert times.found is None
    times.reject.click()
    assert list(viewer.layers) == layers and times.approve.isHidden() is not None
    times.register.click()
    wait(lambda: times._offered is not None)
    times.approve.click()
    wait(lambda: times.found is not None)
    assert times.found.registration["approved"] and times.found.count("new") == 1
    assert list(viewer.layers) == layers


# ---- what is out of date


@pytest.fixture
def all_measured(new_panel, wait):
    """Everything that the page can measure of the active mask, with a second mask of the case."""
    viewer, panel = new_panel()
    one = head_case("one", spacing=(3.0, 1.0, 1.0), unit="unknown")
    theirs, mine = show_case(viewer, one, mask_on(one), mask_on(one, shift=2))
    viewer.layers.selection.active = mine
    page = panel.compare
    page.times.before.choose(theirs)
    page.times.after.choose(mine)
    page.reference.chooser.choose(theirs)

    def measure() -> None:
        for section in (page.times, page.reference, page.diameters, page.intensities):
            section.run()
        wait(lambda: not any(is_at_work(page)))

    measure()
    assert has_all(page.content())
    return SimpleNamespace(viewer=viewer, panel=panel, page=page, mine=mine, theirs=theirs, measure=measure)


def is_at_work(page) -> list[bool]:
    return [x._work.is_busy for x in (page.times, page.reference, page.diameters, page.intensities)]


def has_all(found) -> bool:
    return all(x is not None for x in (found.rano, found.midline, found.agreement, found.change))


def test_what_is_saved_is_of_the_mask_as_it_is(all_measured):
    at = all_measured
    at.mine.paint((3, 5, 5), 2)
    found = at.page.content()
    assert found.change is None and found.agreement is None and found.rano is None
    at.mine.undo()
    assert has_all(at.page.content())  # it is as it was measured
    at.theirs.data[3, 5, 5] = 2  # by a script, which tells nobody
    found = at.page.content()
    assert found.change is None and found.agreement is None and found.rano is not None


def test_a_file_that_cannot_be_read_makes_nothing_fresh(all_measured, wait, complaints, tmp_path):
    at = all_measured
    at.mine.paint((3, 5, 5), 2)
    assert at.page.reference.note.value == STALE
    at.page.reference.open_file(tmp_path / "none.nii.gz")
    wait(lambda: bool(complaints))
    assert at.page.reference.note.value == STALE and at.page.content().agreement is None


def test_an_edit_while_it_is_measured_makes_it_out_of_date(all_measured, wait):
    at = all_measured
    page = at.page
    for section in (page.times, page.reference, page.diameters, page.intensities):
        section.run()
    at.mine.paint((3, 5, 5), 2)
    wait(lambda: not any(is_at_work(page)))
    for section in (page.times, page.reference, page.diameters, page.intensities):
        assert "has changed since" in section.note.value
    found = page.content()
    assert found.change is None and found.agreement is None and found.rano is None


@pytest.mark.slow
def test_another_voxel_size_leaves_no_number_and_no_line_of_the_one_before(all_measured):
    at = all_measured
    drawn = at.viewer.add_labels(np.zeros(at.mine.data.shape, np.uint8), name="drawn", scale=at.mine.scale)
    drawn.translate, drawn.units = at.mine.translate, at.mine.units
    at.viewer.layers.selection.active = at.mine
    at.measure()
    at.page.diameters.plane.click()
    at.page.reference.view.button.click()
    at.panel.correct.corrector.toggle_lock((3, 18, 35))
    at.page.presets.preset.side_by_side()
    at.panel.state_spacing((5.0, 2.0, 2.0))
    found = at.page.content()
    assert found.seg.grid.spacing_mm == (5.0, 2.0, 2.0)
    assert (found.rano, found.midline, found.agreement, found.change) == (None,) * 4
    assert at.page.diameters.table.isHidden() and at.page.times.table.isHidden()
    assert [layer.name for layer in at.viewer.layers if is_view(layer)] == ["locked"]
    for layer in at.viewer.layers:
        np.testing.assert_allclose(layer.scale, (5, 2, 2))
    (ring,) = (layer for layer in at.viewer.layers if is_view(layer))
    seed = at.panel.active_mask.mask.edits.locked[0]
    np.testing.assert_allclose(ring.data_to_world(ring.data[0]), at.mine.data_to_world(seed))
    at.viewer.layers.selection.active = drawn
    assert (
        at.panel.active_mask.grid().spacing_mm == (5.0, 2.0, 2.0) and at.panel.active_mask.scan() is not None
    )
    at.viewer.layers.selection.active = at.mine
    at.measure()
    before = at.page.content().rano.lesions[0].longest.length_mm
    at.mine.scale = (5.0, 1.0, 1.0)
    assert before and at.page.content().rano is None and at.page.content().midline is None


# ---- roles


def test_a_mask_has_the_images_of_its_own_case_in_the_roles_that_the_user_chose(new_panel):
    viewer, panel = new_panel()
    layers = []
    for name in ("early", "late"):
        one = head_case(name)
        (layer,) = show_case(viewer, one, mask_on(one))
        layers.append(layer)
    for layer in (x for x in viewer.layers if x.name.endswith("t1c")):
        panel.inputs.inputs.choose(layer, Role.T2)
    for layer in layers:  # both lie on the same voxels
        scan = panel.compare._context.scan_of(layer)
        assert set(scan.roles) == {Role.FLAIR, Role.T2} and scan.case == layer.name.split()[0]


# ---- intensities


def test_intensities_of_every_region_and_channel_are_drawn(new_panel, wait):
    viewer, panel = new_panel(show=True)
    one = head_case()
    (mine,) = show_case(viewer, one, mask_on(one))
    viewer.layers.selection.active = mine
    section = panel.compare.intensities
    section.measure.click()
    wait(lambda: bool(section.found))
    names = [section.channel.itemText(i) for i in range(section.channel.count())]
    assert names == ["case_flair", "case_t1c"]
    tips = section.plot.toolTip().splitlines()
    assert [tip.split(":")[0] for tip in tips] == ["NCR", "ED", "WT", "TC", "ET", "rest"]
    section.channel.setCurrentText("case_t1c")
    shown = {cells[0]: cells[1:] for cells in section.table.texts()}
    data = 2 * one.images[0].data[np.isin(mine.data, (1, 3))]
    assert shown["TC"] == [f"{v:.4g}" for v in np.percentile(data.astype(float), (1, 25, 50, 75, 99))]
    picture = section.plot.grab().toImage()
    assert len({picture.pixel(x, y) for x in range(picture.width()) for y in range(picture.height())}) > 8
