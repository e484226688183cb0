"""The answer about the skull of a scan holds for that scan alone."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from napari.layers import Image

from napari_tumorseg.intensity import looks_stripped
from napari_tumorseg.viewer.layers import skull
from napari_tumorseg.viewer.layers.skull import SkullKnowledge
from tests.viewer.conftest import NEEDS_SCREEN

pytestmark = NEEDS_SCREEN  # a QObject wants an application

SHAPE = (20, 100, 100)


def volume(stripped: bool) -> np.ndarray:
    data = np.zeros(SHAPE, np.float32) if stripped else np.full(SHAPE, 5, np.float32)
    data[5:15, 30:70, 30:70] = 100
    data[0, 0, 0] = 0
    if not stripped:
        data[:, 0, 0] = 0
        data[:, -1] = data[:, :, -1] = 0
    assert looks_stripped(data) == stripped
    return data


@pytest.fixture
def knowledge(qapp):
    return SkullKnowledge()


@pytest.mark.slow
def test_no_verdict_is_passed_on_to_another_scan(knowledge):
    for turn in range(6):  # memory is used again as soon as a scan goes
        data = volume(stripped=turn % 2 == 0)
        layer = Image(data)
        assert knowledge.is_stripped(layer, data) == (turn % 2 == 0)
        del layer, data
        gc.collect()
    layer = Image(volume(stripped=True))
    assert knowledge.is_stripped(layer, layer.data)
    layer.data = volume(stripped=False)
    assert knowledge.is_stripped(layer, layer.data) is False


def test_a_large_scan_is_looked_at_once_and_in_the_background(knowledge, wait, monkeypatch):
    import threading

    looked: list[bool] = []

    def look(data):
        looked.append(threading.current_thread() is threading.main_thread())
        return looks_stripped(data)

    monkeypatch.setattr(skull, "_AT_ONCE", 10)
    monkeypatch.setattr(skull, "looks_stripped", look)
    told: list[int] = []
    knowledge.known.connect(lambda: told.append(1))
    layer = Image(volume(stripped=True))
    assert knowledge.is_stripped(layer, layer.data) is None
    assert knowledge.is_stripped(layer, layer.data) is None
    wait(lambda: bool(told))
    assert knowledge.is_stripped(layer, layer.data) is True
    assert looked == [False] and told == [1]


def test_no_model_is_chosen_before_it_is_known(new_panel, wait, monkeypatch):
    from tests.viewer.test_window import add_case

    monkeypatch.setattr(skull, "_AT_ONCE", 10)
    _, panel = new_panel()
    add_case(panel._viewer)
    assert panel.problem == "Looking at the scan…" and not panel.runs.segment.enabled
    wait(lambda: panel.runs.segment.enabled)
    assert panel.model.model is not None and not panel.problem
