"""``tumorseg export``: a model as ONNX, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from napari_tumorseg.io import read_mask
from tests.builders import card_of, save_model, threshold_net
from tests.cli.conftest import Run


def test_a_model_is_exported_and_run(tumorseg: Run, tmp_path: Path, case: Path, lesion: Any) -> None:
    model = save_model(tmp_path, threshold_net([0], [300.0]), card_of())
    done = tumorseg("export", model.weights, tmp_path / "out.onnx")
    assert done.code == 0, done.err
    assert "differ by at most" in done.out and "Research use only" in done.out and not done.err
    done = tumorseg("segment", case, "--model", tmp_path / "out.onnx", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    mask = read_mask(tmp_path / "out" / "P-01_seg.nii.gz", "binary")
    np.testing.assert_array_equal(mask.labels > 0, lesion)


def test_a_file_is_replaced_only_on_request(tumorseg: Run, tmp_path: Path) -> None:
    model = save_model(tmp_path, threshold_net([0], [300.0]), card_of())
    (tmp_path / "out.onnx").write_text("mine")
    done = tumorseg("export", model.weights, tmp_path / "out.onnx")
    assert done.code == 6 and "--overwrite" in done.err and (tmp_path / "out.onnx").read_text() == "mine"
    assert tumorseg("export", model.weights, tmp_path / "out.onnx", "--overwrite").code == 0
