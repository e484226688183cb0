"""Strokes in a window that is shown, where napari draws each of them: what is counted of them, and how."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_tumorseg.inference.stored_probabilities import StoredProbabilities
from napari_tumorseg.session import journal_folder, recover
from napari_tumorseg.viewer.layers.edits import edits_of
from napari_tumorseg.viewer.layers.origin import PROBABILITIES_KEY
from napari_tumorseg.viewer.widgets import ask
from tests.builders import card_of
from tests.viewer.conftest import NEEDS_SCREEN
from tests.viewer.studies import head_case, mask_on, show_case
from tests.viewer.test_correct_window import stroke

pytestmark = NEEDS_SCREEN


@pytest.fixture
def drawn(open_panel, wait, monkeypatch):
    """A mask with probabilities in hand, in a window that has drawn it."""
    monkeypatch.setattr(ask, "window", lambda: None)
    viewer, panel = open_panel(show=True)
    one = head_case()
    (mine,) = show_case(viewer, one, mask_on(one))
    box = tuple(slice(0, n) for n in mine.data.shape)
    output = card_of(output={"names": ["WT"], "labels": [2], "scheme": "brats-2023"}).output
    ramp = np.broadcast_to(np.linspace(0, 255, 48).astype(np.uint8), mine.data.shape)
    mine.metadata[PROBABILITIES_KEY] = StoredProbabilities(
        {"WT": ramp}, box, mine.metadata["tumorseg"].grid, output
    )
    viewer.layers.selection.active = None
    panel.active_mask.activate(None)
    viewer.layers.selection.active = mine
    viewer.dims.set_current_step(0, 3)
    viewer.screenshot(canvas_only=True, flash=False)
    told = []
    panel.active_mask.edited.connect(lambda _, change, action: told.append(action))
    at = SimpleNamespace(viewer=viewer, panel=panel, layer=mine, told=told, page=panel.correct)
    at.pause = lambda: wait(lambda: not panel.correct.guard.is_waiting)
    at.settle = lambda: wait(lambda: not panel.correct.is_busy)
    return at


def counted(at) -> dict[str, int]:
    return dict(edits_of(at.layer).edit_counts.actions)


def test_a_stroke_is_one_edit_of_its_name_and_so_is_its_undo(drawn):
    stroke(drawn, 2, (3, 5, 4), (3, 5, 6), (3, 5, 8), (3, 5, 10))
    drawn.layer.undo()
    drawn.layer.redo()
    assert drawn.told == ["paint", "undo", "redo"]
    assert counted(drawn) == {"paint": 1, "undo": 1, "redo": 1}


def test_a_stroke_that_is_held_to_a_rule_is_counted_once(drawn):
    drawn.page.labels.ticks[3].setChecked(True)
    stroke(drawn, 2, (3, 18, 20), (3, 18, 44))
    assert (drawn.layer.data[3, 18] == 3).any() and len(drawn.told) > 1
    assert counted(drawn) == {"paint": 1}
    drawn.layer.undo()
    assert counted(drawn) == {"paint": 1, "undo": 1}


def test_a_slider_that_is_moved_is_counted_once_in_the_journal_too(drawn):
    for value in (0.6, 0.7, 0.8):
        drawn.page.uncertainty.threshold.slider.setValue(value)
        drawn.settle()
    drawn.page.uncertainty.threshold.control.commit()
    assert counted(drawn) == {"threshold": 1} and len(drawn.told) == 5
    drawn.panel.safety.autosave.journals.flush()
    (journal,) = journal_folder().glob("*.journal")
    found = recover(journal)
    assert found.edit_counts.actions == {"threshold": 1} and [name for name, _ in found.actions] == [
        "threshold"
    ]
    np.testing.assert_array_equal(found.labels, drawn.layer.data)
