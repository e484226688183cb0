"""Models of other programs, added in the panel and run on the sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_tumorseg.viewer.readers import read_layers
from tests.importing.keras_nets import L, keras
from tests.importing.test_smp import Unet
from tests.viewer.conftest import NEEDS_SCREEN
from tests.viewer.test_window import add

pytestmark = NEEDS_SCREEN


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the user's models lie in a folder of the test's, which does not exist yet."""
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def bright(limit: float) -> object:
    """Return a small U-Net of Keras that takes for tumour what is brighter than `limit` around a pixel."""
    x = start = L.Input((64, 64, 1))
    skip = L.Conv2D(1, 3, padding="same", activation="relu", name="blur")(x)
    x = L.Conv2DTranspose(1, 2, strides=2, padding="same", name="up")(L.MaxPooling2D()(skip))
    x = L.Conv2D(1, 1, activation="sigmoid", name="head")(L.concatenate([x, skip]))
    model = keras.Model(start, x)
    model.get_layer("blur").set_weights([np.full((3, 3, 1, 1), 1 / 9), np.zeros(1)])
    model.get_layer("up").set_weights([np.zeros((2, 2, 1, 1)), np.zeros(1)])
    head = np.zeros((1, 1, 2, 1))
    head[0, 0, 1, 0] = 40
    model.get_layer("head").set_weights([head, np.full(1, -40 * limit)])
    return model


def test_a_keras_file_is_added_asked_about_and_run(open_panel, brats, wait, tmp_path, folder):
    path = tmp_path / "bright.keras"
    bright(0.75).save(path)
    viewer, panel = open_panel(show=True)
    add(viewer, read_layers(str(brats)))
    dialog = panel.model.open_import()
    dialog.path.setText(str(path))
    dialog.start()
    wait(lambda: "does not state" in dialog.note.value)
    assert "the modality of each input channel" in dialog.note.value
    assert dialog.fields.of["roles"].isVisible()
    assert not dialog.fields.of["activation"].isVisible()
    assert not folder.exists()

    dialog.fields.of["roles"].setText("flair")
    dialog.fields.of["plane"].setCurrentText("axial")
    dialog.fields.of["normalisation"].setCurrentText("minmax-volume")
    dialog.start()
    wait(lambda: not dialog.isVisible())
    assert "bright" in panel.model.chooser.choices
    assert panel.model.model.name == "bright"
    assert panel.model.model.card.origin.certificate.largest_difference < 1e-5

    wait(lambda: panel.runs.segment.enabled)
    panel.segment()
    layer = panel.segment_page.run.layer
    wait(lambda: not panel.is_running)
    assert layer in viewer.layers
    wait(lambda: panel.results.rows and panel.results_layer is layer)
    assert np.asarray(layer.data).sum() == panel.results.rows[0].voxels > 0


def test_a_file_that_cannot_be_imported_is_a_sentence(new_panel, wait, tmp_path):
    _, panel = new_panel()
    path = tmp_path / "code.keras"
    start = L.Input((8, 8, 1))
    keras.Model(start, L.Lambda(lambda x: x * 2)(start)).save(path)
    dialog = panel.model.open_import()
    dialog.start()
    assert dialog.note.value == "Choose a file or a folder first."
    dialog.path.setText(str(path))
    dialog.start()
    wait(lambda: "Lambda" in dialog.note.value)
    assert str(tmp_path) not in dialog.note.value
    dialog.reject()


def test_an_answer_that_is_none(new_panel):
    _, panel = new_panel()
    dialog = panel.model.open_import()
    dialog.path.setText("model.h5")
    dialog.fields.of["roles"].setText("pet")
    dialog.start()
    assert "roles" in dialog.note.value
    dialog.reject()


def test_weights_of_pytorch_are_added_and_run(new_panel, brats, wait, tmp_path, folder):
    torch.manual_seed(1)
    torch.save(Unet(1, 1).state_dict(), tmp_path / "net.pt")
    viewer, panel = new_panel()
    add(viewer, read_layers(str(brats)))
    dialog = panel.model.open_import()
    dialog.path.setText(str(tmp_path / "net.pt"))
    dialog.fields.like.setCurrentText("egwaoje2026")
    dialog.start()
    wait(lambda: not dialog.isVisible())
    assert panel.model.model.card.network.architecture == "graph"
    wait(lambda: panel.runs.segment.enabled)
    panel.segment()
    layer = panel.segment_page.run.layer
    wait(lambda: not panel.is_running)
    wait(lambda: panel.results.rows and panel.results_layer is layer)
    assert np.count_nonzero(layer.data) == panel.results.rows[0].voxels
