"""``tumorseg import``: options, questions and what is written."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import torch

from napari_tumorseg.models.unet import UNet
from tests.cli.conftest import Run
from tests.models.test_store import dconv_checkpoint


def two_channels(path: Path) -> Path:
    torch.save(UNet(2, 4, [4, 8], 16).state_dict(), path)
    return path


def test_import_shows_and_lists_the_model(tumorseg: Run, tmp_path: Path) -> None:
    done = tumorseg("import", dconv_checkpoint(tmp_path / "best.pth"), "--name", "mine")
    assert done.code == 0, done.err
    assert "mine" in done.out
    assert "Imported from best.pth" in done.out
    assert "Research use only" in done.out
    assert "warning: best.pth: inputs and normalisation are assumed" in done.err
    assert "mine" in tumorseg("models").out


def test_questions_name_their_options(tumorseg: Run, tmp_path: Path) -> None:
    done = tumorseg("import", two_channels(tmp_path / "net.pt"))
    assert done.code == 4
    assert len(done.err.splitlines()) == 1
    for option in ("--roles", "--plane", "--normalisation", "--activation", "--outputs", "--like"):
        assert option in done.err
    assert "ragab2025" in done.err


def test_options_answer_them(tumorseg: Run, tmp_path: Path) -> None:
    path = two_channels(tmp_path / "net.pt")
    options = ["--roles", "flair,t1c", "--plane", "axial", "--normalisation", "zscore-brain", "--size", "64"]
    done = tumorseg(
        "import", path, *options, "--activation", "softmax", "--labels", "brats-2021", "-o", tmp_path / "out"
    )
    assert done.code == 0, done.err
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["net.safetensors", "net.toml"]


def test_wrong_values_are_refused(tumorseg: Run, tmp_path: Path) -> None:
    path = two_channels(tmp_path / "net.pt")
    assert "roles" in tumorseg("import", path, "--roles", "pet").err
    assert "plane" in tumorseg("import", path, "--plane", "tilted").err
    assert "ROWSxCOLUMNS" in tumorseg("import", path, "--size", "big").err
    assert "spacing" in tumorseg("import", path, "--spacing", "a").err


def test_weights_without_their_network_name_the_option(tumorseg: Run, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "net.weights.h5", "w") as file:
        file["layers/conv2d/vars/0"] = np.ones((1, 1, 1, 1), np.float32)
    done = tumorseg("import", tmp_path / "net.weights.h5")
    assert done.code == 4
    assert "does not state the network that its weights belong to; name the system with --like" in done.err
