"""BioImage.IO packages of both formats around one network: what exceeds a limit of z-scores."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

yaml = pytest.importorskip("yaml")

from tests.onnx_files import save, threshold_model  # noqa: E402

LIMIT = 1.5
SIDE = 32

ZSCORE = {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel", "y", "x"]}}


def arrays() -> tuple[Any, Any]:
    """Return an image of one channel, and its probabilities."""
    image = np.random.default_rng(0).normal(100, 20, (1, 1, SIDE, SIDE)).astype(np.float32)
    scores = (image - image.mean()) / (image.std() + 1e-6)
    return image, (1 / (1 + np.exp(LIMIT - scores))).astype(np.float32)


def description_05(**changes: Any) -> dict[str, Any]:
    """Return a description of format 0.5; `changes` replace entries."""

    def side(name: str) -> dict[str, Any]:
        return {
            "type": "space",
            "id": name,
            "size": {"min": 16, "step": 1},
            "unit": "millimeter",
            "scale": 1.0,
        }

    def result(name: str) -> dict[str, Any]:
        return {"type": "space", "id": name, "size": {"tensor_id": "raw", "axis_id": name}}

    batch = {"type": "batch"}
    return {
        "type": "model",
        "format_version": "0.5.4",
        "name": "Tiny network",
        "description": "Finds what is bright.",
        "license": "CC-BY-4.0",
        "cite": [{"text": "A paper", "doi": "10.1000/182"}],
        "inputs": [
            {
                "id": "raw",
                "axes": [batch, {"type": "channel", "channel_names": ["flair"]}, side("y"), side("x")],
                "test_tensor": {"source": "in.npy"},
                "preprocessing": [ZSCORE, {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}],
            }
        ],
        "outputs": [
            {
                "id": "mask",
                "axes": [batch, {"type": "channel", "channel_names": ["wt"]}, result("y"), result("x")],
                "test_tensor": {"source": "out.npy"},
                "postprocessing": [{"id": "sigmoid"}],
            }
        ],
        "weights": {"onnx": {"source": "net.onnx", "opset_version": 17}},
        **changes,
    }


def description_04(**changes: Any) -> dict[str, Any]:
    """Return a description of format 0.4; `changes` replace entries."""
    zscore = {"name": "zero_mean_unit_variance", "kwargs": {"mode": "per_sample", "axes": "yx"}}
    return {
        "type": "model",
        "format_version": "0.4.10",
        "name": "Tiny network",
        "license": "MIT",
        "inputs": [{"name": "raw", "axes": "bcyx", "shape": [1, 1, SIDE, SIDE], "preprocessing": [zscore]}],
        "outputs": [{"name": "mask", "axes": "bcyx", "postprocessing": [{"name": "sigmoid"}]}],
        "test_inputs": ["in.npy"],
        "test_outputs": ["out.npy"],
        "weights": {"onnx": {"source": "net.onnx", "opset_version": 17}},
        **changes,
    }


def write(folder: Path, description: Any, network: bool = True) -> Path:
    """Write a package as a folder; a text is written as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    if network:
        save(threshold_model(LIMIT), folder / "net.onnx")
    for name, values in zip(("in.npy", "out.npy"), arrays(), strict=True):
        np.save(folder / name, values)
    text = description if isinstance(description, str) else yaml.safe_dump(description, sort_keys=False)
    (folder / "rdf.yaml").write_text(text, encoding="utf-8")
    return folder


def zipped(folder: Path) -> Path:
    """Return a package as a zip archive beside its folder."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    return path


def sha256(path: Path) -> str:
    """Return the hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
