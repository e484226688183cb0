from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.inference import segment
from napari_tumorseg.io import read
from napari_tumorseg.models import get_model, list_models
from napari_tumorseg.training import export, fit
from napari_tumorseg.training.recipe import Recipe
from tests.training.conftest import tiny

QUIET = fit.Machine(device="cpu", progress=False)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "tiny.safetensors")


def assert_equal_weights(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_learns_and_leaves_everything_behind(lgg: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    recipe = tiny(
        fit={"epochs": 12, "monitor": "val_dice"},
        network={"arguments": {"widths": [8, 16], "bottleneck": 16}},
    )
    model = fit.train(recipe, [lgg], run, machine=QUIET)
    rows = list(csv.DictReader((run / "log" / "metrics.csv").open()))
    assert [int(r["epoch"]) for r in rows] == list(range(12))
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert max(float(r["val_dice"]) for r in rows) > 0.8
    assert float(rows[0]["slices_per_s"]) > 0 and 0 <= float(rows[0]["waiting"]) <= 1
    for name in ("recipe.toml", "split.json", "run.json", "first_batches.png", "checkpoints/best.ckpt"):
        assert (run / name).is_file(), name
    split = json.loads((run / "split.json").read_text())
    assert [len(split[p]) for p in ("train", "validation", "test")] == [4, 2, 2]
    assert sorted(model.card.about.trained_on) == sorted(split["train"] + split["validation"])
    unseen = read(lgg, case=split["test"][0])
    found = segment(unseen, model)
    assert found.labels[1:4].any() and not found.labels[0].any()
    bright = unseen.images[0].data == 200
    both = (found.labels[bright] > 0).sum()
    assert 2 * both / (bright.sum() + (found.labels > 0).sum()) > 0.7


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fit": {"ema": 0.9}},
        {"schedule": {"kind": "one-cycle"}, "data": {"without_tumour": 0.5}},
        {"schedule": {"kind": "one-cycle"}, "optimiser": {"name": "muon", "lr": 0.05}},
        {"schedule": {"kind": "plateau", "patience": 1}, "optimiser": {"name": "nadam", "clip_norm": 1.0}},
    ],
    ids=["plain", "ema", "one-cycle", "muon", "plateau"],
)
def test_resume_in_mid_epoch_gives_the_same_weights(
    lgg: Path, tmp_path: Path, changes: dict[str, dict[str, object]]
) -> None:
    recipe = tiny(**{**changes, "fit": {"epochs": 3, "checkpoint_steps": 1, **changes.get("fit", {})}})
    fit.train(recipe, [lgg], tmp_path / "whole", machine=QUIET, cache=tmp_path / "cache")
    stopped = fit.Machine(device="cpu", progress=False, max_steps=7)
    fit.train(recipe, [lgg], tmp_path / "parts", machine=stopped, cache=tmp_path / "cache")
    last = torch.load(tmp_path / "parts" / "checkpoints" / "step.ckpt", weights_only=False)
    assert last["global_step"] == 7 and last["epoch"] == 1  # in the middle of the second
    assert not all(
        torch.equal(a, b)
        for a, b in zip(
            weights(tmp_path / "whole").values(), weights(tmp_path / "parts").values(), strict=True
        )
    )
    fit.resume(tmp_path / "parts", machine=QUIET)
    assert_equal_weights(tmp_path / "whole", tmp_path / "parts")
    whole, parts = ((tmp_path / n / "log" / "metrics.csv").read_text() for n in ("whole", "parts"))
    shown = [
        [
            {k: r[k] for k in ("epoch", "step", "val_loss", "val_dice", "lr")}
            for r in csv.DictReader(t.splitlines())
        ]
        for t in (whole, parts)
    ]
    assert shown[0] == shown[1]


def test_killed_in_mid_epoch_and_resumed(lgg: Path, tmp_path: Path) -> None:
    recipe = tiny(fit={"epochs": 60, "checkpoint_steps": 1})
    (tmp_path / "tiny.toml").write_text(recipe.to_toml())
    command = [
        sys.executable,
        "-m",
        "napari_tumorseg.cli",
        "train",
        "--recipe",
        str(tmp_path / "tiny.toml"),
        "--data",
        str(lgg),
        "-o",
        str(tmp_path / "parts"),
        "--device",
        "cpu",
        "--quiet",
        "--no-install",
    ]
    process = subprocess.Popen(command, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    step = tmp_path / "parts" / "checkpoints" / "step.ckpt"
    until = time.monotonic() + 120
    while not step.exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert step.exists() and not (tmp_path / "parts" / "model").exists()
    fit.resume(tmp_path / "parts", machine=QUIET)
    fit.train(recipe, [lgg], tmp_path / "whole", machine=QUIET)
    assert_equal_weights(tmp_path / "whole", tmp_path / "parts")


def test_two_processes_do_what_one_does_with_twice_the_batch(lgg: Path, tmp_path: Path) -> None:
    plain: dict[str, object] = {
        "network": {"arguments": {"widths": [4], "bottleneck": 4, "order": "conv-relu", "conv_bias": True}},
        "loss": [{"name": "bce"}],
        "optimiser": {"name": "sgd", "lr": 0.1},
        "data": {"slices": "tumour"},
    }
    fit.train(tiny(**plain, fit={"batch": 4}), [lgg], tmp_path / "one", machine=QUIET)
    two = fit.Machine(device="cpu", devices=2, progress=False)
    fit.train(tiny(**plain, fit={"batch": 2}), [lgg], tmp_path / "two", machine=two)
    first, second = (
        torch.load(tmp_path / n / "checkpoints" / "last.ckpt", weights_only=False) for n in ("one", "two")
    )
    assert first["global_step"] == second["global_step"] == 6
    for name, tensor in first["state_dict"].items():
        torch.testing.assert_close(tensor, second["state_dict"][name], rtol=1e-4, atol=1e-6)
    rows = [list(csv.DictReader((tmp_path / n / "log" / "metrics.csv").open())) for n in ("one", "two")]
    for one, other in zip(*rows, strict=True):
        assert float(one["val_loss"]) == pytest.approx(float(other["val_loss"]), rel=1e-4)
        assert float(one["val_dice"]) == pytest.approx(float(other["val_dice"]), abs=1e-4)


def test_early_stopping_and_best_checkpoint(lgg: Path, tmp_path: Path) -> None:
    recipe = tiny(fit={"epochs": 30, "patience": 2}, optimiser={"lr": 1e-12})
    fit.train(recipe, [lgg], tmp_path / "run", machine=QUIET)
    rows = list(csv.DictReader((tmp_path / "run" / "log" / "metrics.csv").open()))
    assert len(rows) < 30
    best = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=False)
    losses = [float(r["val_loss"]) for r in rows]
    assert best["epoch"] == int(np.argmin(losses))


def test_starts_from_another_model(lgg: Path, tmp_path: Path) -> None:
    first = fit.train(tiny(), [lgg], tmp_path / "first", machine=QUIET)
    wider = tiny(
        output={"names": ["WT", "TC"], "labels": [2, 1], "scheme": "brats-2023"}, optimiser={"lr": 1e-9}
    )
    said: list[str] = []
    fit.train(
        wider, [lgg], tmp_path / "second", machine=QUIET, start_from=str(first.weights), tell=said.append
    )
    assert any("starts from" in s for s in said)
    one, two = weights(tmp_path / "first"), weights(tmp_path / "second")
    torch.testing.assert_close(
        one["encoder.0.conv1.weight"], two["encoder.0.conv1.weight"], atol=1e-3, rtol=0
    )
    assert one["head.weight"].shape != two["head.weight"].shape


def test_trained_model_is_installed(lgg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    made = fit.train(tiny(), [lgg], tmp_path / "run", machine=QUIET)
    export.install(made)
    assert "tiny" in [m.name for m in list_models()] and get_model("tiny").origin == "user"
    get_model("tiny").load()
    with pytest.raises(InputError, match="another --name"):
        export.install(made)
    assert export.install(made, "mine").card.name == "mine"


def test_all_but_test_without_validation(lgg: Path, tmp_path: Path) -> None:
    recipe = tiny(split={"fractions": [1.0, 0.0, 0.0]})
    model = fit.train(recipe, [lgg], tmp_path / "run", machine=QUIET)
    assert len(model.card.about.trained_on) == 8


def test_refuses_a_used_folder_and_an_empty_one(lgg: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "note.txt").write_text("mine")
    with pytest.raises(OutputError, match="--resume"):
        fit.train(tiny(), [lgg], tmp_path / "run", machine=QUIET)
    with pytest.raises(InputError, match="holds no training"):
        fit.resume(tmp_path / "run", machine=QUIET)


def test_names_what_was_left_out(lgg: Path, tmp_path: Path) -> None:
    bare = tmp_path / "data"
    for source in sorted(lgg.iterdir())[:4]:
        (bare / source.name).mkdir(parents=True)
        for file in source.glob("*.tif"):
            if source.name.startswith("TCGA_AA_0000") and "mask" in file.name:
                continue
            (bare / source.name / file.name).write_bytes(file.read_bytes())
    said: list[str] = []
    recipe: Recipe = tiny(split={"fractions": [1.0, 0.0, 0.0]}, fit={"epochs": 1})
    fit.train(recipe, [bare], tmp_path / "run", machine=QUIET, tell=said.append)
    assert any("TCGA_AA_0000" in s and "no reference mask" in s for s in said)
