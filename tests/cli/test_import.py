"""``tumorseg import``: options, questions and what is written."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from napari_tumorseg.models.unet import UNet
from tests.cli.conftest import Run
from tests.importing.test_monai_bundle import config, own_state, small, write_bundle
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


def with_windows(tumorseg: Run, folder: Path, *options: object) -> dict[str, Any]:
    """Import a bundle whose axes are X, Y, Z and return its windows."""
    bundle = write_bundle(folder / "net", own_state(), config(small()))
    done = tumorseg("import", bundle, "-o", folder / "ours", *options)
    assert done.code == 0, done.err
    table = tomllib.loads((folder / "ours" / "net.toml").read_text(encoding="utf-8"))["input"]
    assert "spacing" not in table["size"]
    return dict(table["windows"])


def test_the_spacing_of_a_volume_is_that_of_its_windows(tumorseg: Run, tmp_path: Path) -> None:
    assert "spacing" not in with_windows(tumorseg, tmp_path / "0")
    windows = with_windows(tumorseg, tmp_path / "3", "--spacing", "3,1.5,2")
    assert (windows["axes"], windows["spacing"]) == (["L", "P", "S"], [2, 1.5, 3])
    assert with_windows(tumorseg, tmp_path / "1", "--spacing", "2")["spacing"] == [2, 2, 2]


def test_the_spacing_of_slices_is_that_of_their_pixels(tumorseg: Run, tmp_path: Path) -> None:
    options = ("--like", "ragab2025", "--spacing", "1.5", "-o", tmp_path / "out")
    assert tumorseg("import", two_channels(tmp_path / "net.pt"), *options).code == 0
    table = tomllib.loads((tmp_path / "out" / "net.toml").read_text(encoding="utf-8"))["input"]
    assert (table["size"]["spacing"], table["size"]["canvas"]) == (1.5, [128, 128])


def test_numbers_too_few_or_too_many_are_a_sentence(tumorseg: Run, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", own_state(), config(small()))
    done = tumorseg("import", bundle, "-o", tmp_path / "out", "--spacing", "1,2")
    assert done.code != 0
    assert "the spacing of a volume is one number in mm or three, Z,Y,X, but 1,2 is stated" in done.err
    slices = two_channels(tmp_path / "net.pt")
    done = tumorseg("import", slices, "-o", tmp_path / "out", "--like", "ragab2025", "--spacing", "1,2,3")
    assert "a network of slices has one spacing in mm, but 1,2,3 is stated" in done.err
    assert not (tmp_path / "out").exists()
