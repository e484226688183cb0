"""The model again: what it leaves alone, and where its result goes."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.layers import Layer

import napari_tumorseg.inference as inference
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.layers.to_layers import labels_layer
from tests.viewer import test_correct_window as window
from tests.viewer.conftest import NEEDS_SCREEN, grid
from tests.viewer.test_correct_window import (
    SHAPE,
    SPACING,
    assert_one_step,
    model_says,
    point_at,
    press,
    start,
    stroke,
)

pytestmark = NEEDS_SCREEN
nobody_looks, at_work, with_model, ran = (
    window.nobody_looks, window.at_work, window.with_model, window.ran,
)  # fmt: skip


def test_a_kept_component_stays(with_model):
    point_at(with_model, 3, 7, 7)
    press(with_model, "lock")
    press(with_model, "rerun_slice")
    after = start()
    after[3] = model_says()[3]
    after[3, 4:12, 4:12] = start()[3, 4:12, 4:12]
    assert_one_step(with_model, start(), after)


@pytest.mark.parametrize("protected", [{3}, {2, 3}])
def test_protected_labels_stay(with_model, protected):
    for label in protected:
        with_model.page.labels.ticks[label].setChecked(True)
    press(with_model, "rerun_slice")
    after = start()
    after[3] = np.where(np.isin(start()[3], list(protected)), start()[3], model_says()[3])
    assert (after[3] != model_says()[3]).any()
    assert_one_step(with_model, start(), after)


def test_what_a_threshold_changed_is_no_correction(ran):
    """The model again, corrections kept: what a threshold changed is the model's, what was painted is not."""
    given = np.array(ran.layer.data)
    slider, rethreshold = ran.page.uncertainty.threshold.slider, ran.page.uncertainty.threshold.control
    slider.setValue(0.8)
    ran.settle()
    rethreshold.commit()
    stroke(ran, 3, (3, 12, 12), size=3)
    moved = np.array(ran.layer.data)
    assert (moved[3] != given[3]).sum() > (moved[3] == 3).sum() > 0
    ran.page.rerun.keep.value = True
    press(ran, "rerun_slice")
    expected = moved.copy()
    expected[3] = np.where(moved[3] == 3, 3, given[3])
    np.testing.assert_array_equal(ran.layer.data, expected)


@pytest.fixture
def held_up(with_model, monkeypatch):
    """A run on slice 3 that goes on when `go_on` is called."""
    gate, run = threading.Event(), inference.run

    def waiting(*args):
        assert gate.wait(60)
        return (yield from run(*args))

    monkeypatch.setattr(inference, "run", waiting)
    with_model.go_on = gate.set
    with_model.page.rerun.slice.click()
    yield with_model
    gate.set()


def test_the_result_goes_to_its_mask_if_another_is_selected_meanwhile(held_up):
    at = held_up
    seg = Segmentation(start(), grid(SHAPE, SPACING), CONVENTIONS["brats-2023"], "case")
    other = at.viewer.add_layer(Layer.create(*labels_layer(seg, name="other")))
    assert at.panel.active_mask.layer is other
    at.go_on()
    at.settle()
    assert at.layer.name in at.page.status.value and "changed" in at.page.status.value
    np.testing.assert_array_equal(other.data, start())
    assert at.panel.active_mask.layer is other
    at.viewer.layers.selection.active = at.layer
    after = start()
    after[3] = model_says()[3]
    np.testing.assert_array_equal(at.layer.data, after)
    at.layer.undo()
    np.testing.assert_array_equal(at.layer.data, start())


def test_a_mask_that_is_gone_is_told_of(held_up):
    held_up.viewer.layers.remove(held_up.layer)
    held_up.go_on()
    held_up.settle()
    assert "was removed" in held_up.page.status.value
