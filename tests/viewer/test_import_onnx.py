"""ONNX files and BioImage.IO packages, added in the panel and run on the sample."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from napari_tumorseg.viewer.readers import read_layers
from tests.importing.bioimageio_packages import description_05, write
from tests.onnx_files import save, threshold_model
from tests.viewer.test_window import add


@pytest.mark.parametrize("kind", ["onnx", "bioimageio"])
def test_it_is_added_and_run(kind, new_panel, brats, wait, tmp_path, monkeypatch):
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    if kind == "onnx":
        path = save(threshold_model(0.5), tmp_path / "net.onnx")
    else:
        path = write(tmp_path / "net", description_05())
    viewer, panel = new_panel()
    add(viewer, read_layers(str(brats)))
    dialog = panel.model.open_import()
    dialog.path.setText(str(path))
    dialog.fields.like.setCurrentText("egwaoje2026")
    dialog.start()
    wait(lambda: not dialog.isVisible())
    assert panel.model.model.card.origin.kind == kind
    wait(lambda: panel.runs.segment.enabled)
    panel.segment()
    layer = panel.segment_page.run.layer
    wait(lambda: not panel.is_running)
    wait(lambda: panel.results.rows and panel.results_layer is layer)
    assert np.count_nonzero(layer.data) == panel.results.rows[0].voxels > 0
