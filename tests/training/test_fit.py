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

from napari_tumorseg.errors import DeviceError, InputError, ModelError, OutputError
from napari_tumorseg.inference import segment
from napari_tumorseg.io import read
from napari_tumorseg.models import get_model, list_models
from napari_tumorseg.training import checkpoints, export, fit, module, trainer
from napari_tumorseg.training.compute import ComputeSettings
from napari_tumorseg.training.data import Batch
from napari_tumorseg.training.module import SegmentationModule
from napari_tumorseg.training.recipe import Recipe
from napari_tumorseg.training.split import DataSplit
from tests.models.test_efficientnet_unet import published
from tests.privacy.canaries import contents
from tests.training.conftest import tiny

QUIET = ComputeSettings(device="cpu", progress=False)


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
    rows = list(csv.DictReader((run / "log" / "metrics.csv").read_text().splitlines()))
    assert [int(r["epoch"]) for r in rows] == list(range(12))
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert max(float(r["val_dice"]) for r in rows) > 0.8
    assert float(rows[0]["slices_per_s"]) > 0 and 0 <= float(rows[0]["waiting"]) <= 1
    for name in ("recipe.toml", "split.json", "run.json", "first_batches.png", "checkpoints/best.ckpt"):
        assert (run / name).is_file(), name
    files = [path for path in run.rglob("*") if path.is_file()]
    with_folder = [p.name for p in files if any(str(lgg.parent).encode() in text for text in contents(p))]
    assert with_folder == ["run.json"]  # for `resume`
    split = json.loads((run / "split.json").read_text())
    assert [len(split[p]) for p in ("train", "validation", "test")] == [4, 2, 2]
    assert model.card.about.training.startswith("Epoch ") and " of 12 (step " in model.card.about.training
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
    stopped = ComputeSettings(device="cpu", progress=False, max_steps=7)
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


@pytest.mark.slow
def test_killed_in_mid_epoch_and_resumed(lgg: Path, tmp_path: Path) -> None:
    recipe = tiny(fit={"epochs": 60, "checkpoint_steps": 1})
    process = start_process(recipe, lgg, tmp_path)
    wait_for(tmp_path / "parts" / "checkpoints" / "step.ckpt", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "parts" / "model").exists()
    fit.resume(tmp_path / "parts", machine=QUIET)
    fit.train(recipe, [lgg], tmp_path / "whole", machine=QUIET)
    assert_equal_weights(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_stopped_by_a_signal_says_how_to_go_on(lgg: Path, tmp_path: Path, sent: signal.Signals) -> None:
    process = start_process(tiny(fit={"epochs": 2000, "checkpoint_steps": 1}), lgg, tmp_path)
    wait_for(tmp_path / "parts" / "checkpoints" / "step.ckpt", process)
    process.send_signal(sent)
    try:
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 130
    assert "continue it with --resume" in said and "Traceback" not in said


def start_process(recipe: Recipe, data: Path, folder: Path) -> subprocess.Popen[str]:
    (folder / "tiny.toml").write_text(recipe.to_toml())
    options = ["--recipe", folder / "tiny.toml", "--data", data, "-o", folder / "parts", "--device", "cpu"]
    command = [sys.executable, "-m", "napari_tumorseg.cli", "train", *map(str, options)]
    return subprocess.Popen(
        [*command, "--quiet", "--no-install"],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        stderr=subprocess.PIPE,
        text=True,
        # what starts tests in the background may have Ctrl-C ignored, and a child inherits that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while not file.exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.3)
    assert file.exists()


PLATEAU: dict[str, object] = {"kind": "plateau", "patience": 0, "factor": 0.5}


def figures(run: Path) -> list[dict[str, str]]:
    columns = ("epoch", "step", "val_loss", "val_dice", "lr")
    rows = csv.DictReader((run / "log" / "metrics.csv").read_text().splitlines())
    return [{name: row[name] for name in columns} for row in rows]


@pytest.mark.parametrize("every", [5, 2])
def test_killed_in_validation_and_resumed(
    lgg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """Five steps an epoch: the epoch's last step alone must not be taken for a whole epoch."""
    recipe = tiny(
        fit={"epochs": 3, "checkpoint_steps": every, "patience": 2},
        schedule=PLATEAU,
        optimiser={"lr": 1e-5},  # the loss falls by less than the plateau asks for
    )
    fit.train(recipe, [lgg], tmp_path / "whole", machine=QUIET, cache=tmp_path / "cache")
    validate = SegmentationModule.validation_step

    def killed(self: SegmentationModule, batch: Batch, batch_idx: int) -> None:
        if self.global_step == 10:
            raise MemoryError
        validate(self, batch, batch_idx)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(SegmentationModule, "validation_step", killed)
        fit.train(recipe, [lgg], tmp_path / "parts", machine=QUIET, cache=tmp_path / "cache")
    fit.resume(tmp_path / "parts", machine=QUIET)
    assert_equal_weights(tmp_path / "whole", tmp_path / "parts")
    assert figures(tmp_path / "whole") == figures(tmp_path / "parts")
    assert len({row["lr"] for row in figures(tmp_path / "whole")}) > 1


@pytest.mark.parametrize("steps", [5, 7])
def test_stops_anywhere_without_step_checkpoints(lgg: Path, tmp_path: Path, steps: int) -> None:
    recipe = tiny(fit={"epochs": 3}, schedule=PLATEAU, optimiser={"lr": 1e-5})
    fit.train(recipe, [lgg], tmp_path / "whole", machine=QUIET, cache=tmp_path / "cache")
    stopped = ComputeSettings(device="cpu", progress=False, max_steps=steps)
    fit.train(recipe, [lgg], tmp_path / "parts", machine=stopped, cache=tmp_path / "cache")
    fit.resume(tmp_path / "parts", machine=QUIET)
    last = torch.load(tmp_path / "parts" / "checkpoints" / "last.ckpt", weights_only=False)
    assert last["global_step"] == 15
    assert_equal_weights(tmp_path / "whole", tmp_path / "parts")
    assert figures(tmp_path / "whole") == figures(tmp_path / "parts")


def test_damaged_checkpoint_is_left_aside(lgg: Path, tmp_path: Path) -> None:
    recipe = tiny(fit={"epochs": 3, "checkpoint_steps": 1})
    fit.train(recipe, [lgg], tmp_path / "whole", machine=QUIET, cache=tmp_path / "cache")
    stopped = ComputeSettings(device="cpu", progress=False, max_steps=7)
    fit.train(recipe, [lgg], tmp_path / "parts", machine=stopped, cache=tmp_path / "cache")
    step = tmp_path / "parts" / "checkpoints" / "step.ckpt"
    step.write_bytes(step.read_bytes()[:-500])
    said: list[str] = []
    fit.resume(tmp_path / "parts", machine=QUIET, report=said.append)
    assert any("step.ckpt is damaged" in s for s in said)
    assert_equal_weights(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.slow
def test_divergence_is_no_success(lgg: Path, tmp_path: Path, devices: int) -> None:
    plain = {"widths": [4], "bottleneck": 4, "order": "conv-relu"}
    wild = tiny(optimiser={"name": "sgd", "lr": 1e30}, network={"arguments": plain}, loss=[{"name": "bce"}])
    machine = ComputeSettings(device="cpu", devices=devices, progress=False)
    with pytest.raises(ModelError, match=r"^training diverged.*start again$"):
        fit.train(wild, [lgg], tmp_path / "run", machine=machine)
    assert not (tmp_path / "run" / "model").exists()


def test_weights_beyond_float16_stay_float32(lgg: Path, tmp_path: Path) -> None:
    fit.train(tiny(), [lgg], tmp_path / "run", machine=QUIET)
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    content = torch.load(checkpoint, weights_only=False)
    content["state_dict"]["net.head.weight"][0, 0] = 1e6
    torch.save(content, checkpoint)
    data_split = DataSplit.from_json(tmp_path / "run" / "split.json")
    model = export.export(tiny(), data_split, checkpoint, tmp_path / "run", None)
    assert weights(tmp_path / "run")["head.weight"].dtype == torch.float32
    assert weights(tmp_path / "run")["head.bias"].dtype == torch.float16
    assert model.load().state_dict()["head.weight"].max() == 1e6
    content["state_dict"]["net.head.weight"][0, 0] = torch.nan
    torch.save(content, checkpoint)
    with pytest.raises(ModelError, match="diverged"):
        export.export(tiny(), data_split, checkpoint, tmp_path / "run", None)


def test_failure_before_the_first_step_does_not_block_the_folder(lgg: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="TCGA-AA-0099"):
        fit.train(tiny(), [lgg], tmp_path / "run", machine=QUIET, leave_out=["TCGA-AA-0099"])
    unvalidated = {"split": {"fractions": [1.0, 0.0, 0.0]}, "schedule": PLATEAU}
    with pytest.raises(InputError, match=r"schedule\.kind.*split\.fractions"):
        fit.train(tiny(**unvalidated), [lgg], tmp_path / "run", machine=QUIET)
    with pytest.raises(InputError, match="too few for 9 devices"):
        fit.train(
            tiny(fit={"batch": 16}), [lgg], tmp_path / "run", machine=ComputeSettings(device="cpu", devices=9)
        )
    fit.train(tiny(fit={"epochs": 1}), [lgg], tmp_path / "run", machine=QUIET)


def test_refuses_what_cannot_be_had(lgg: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OutputError, match="file"):
            fit.train(tiny(), [lgg], folder, machine=QUIET)
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="cuda"):
            fit.train(tiny(), [lgg], tmp_path / "run", machine=ComputeSettings(device="cuda"))


def test_trains_without_tensorboard(lgg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "_loggers", lambda run: [])
    made = fit.train(tiny(fit={"epochs": 1}), [lgg], tmp_path / "run", machine=QUIET)
    assert made.weights.is_file()
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_does_not_start_from_a_model_that_has_seen_the_test(lgg: Path, tmp_path: Path) -> None:
    seen = fit.train(tiny(split={"fractions": [1.0, 0.0, 0.0]}), [lgg], tmp_path / "seen", machine=QUIET)
    with pytest.raises(InputError, match="kept apart for validation, but tiny was trained on that patient"):
        fit.train(tiny(), [lgg], tmp_path / "run", machine=QUIET, start_from=str(seen.weights))


def test_unknown_outputs_do_not_count_as_found() -> None:
    recipe = tiny(output={"names": ["WT", "TC"], "labels": [2, 1], "scheme": "brats-2023"})
    module = SegmentationModule(recipe, torch.tensor([[True, False], [True, True], [False, False]]), 1)
    logged: dict[str, float] = {}
    module._over_devices = lambda sums: sums  # type: ignore[method-assign]
    module.log = lambda name, value, **options: logged.update({name: value})  # type: ignore[assignment]
    module._counts[:, 0, 0] = torch.tensor([1.0, 4.0, 4.0])  # Dice 0.25
    module._counts[:, 1, 0] = torch.tensor([3.0, 4.0, 4.0])  # 0.75
    module._counts[:, 1, 1] = torch.tensor([1.0, 4.0, 4.0])  # 0.25
    module.on_validation_epoch_end()
    assert logged["val_dice"] == pytest.approx((0.5 + 0.25) / 2)
    assert logged["val_dice_case"] == pytest.approx((0.25 + 0.5) / 2)
    module.known[:, 1] = False
    module.on_validation_epoch_end()
    assert logged["val_dice"] == pytest.approx(0.5) and logged["val_dice_case"] == pytest.approx(0.5)


@pytest.mark.slow
def test_two_processes_do_what_one_does_with_twice_the_batch(lgg: Path, tmp_path: Path) -> None:
    plain: dict[str, object] = {
        "network": {"arguments": {"widths": [4], "bottleneck": 4, "order": "conv-relu", "conv_bias": True}},
        "loss": [{"name": "bce"}],
        "optimiser": {"name": "sgd", "lr": 0.1},
        "data": {"slices": "tumour"},
    }
    fit.train(tiny(**plain, fit={"batch": 4}), [lgg], tmp_path / "one", machine=QUIET)
    two = ComputeSettings(device="cpu", devices=2, progress=False)
    fit.train(tiny(**plain, fit={"batch": 2}), [lgg], tmp_path / "two", machine=two)
    first, second = (
        torch.load(tmp_path / n / "checkpoints" / "last.ckpt", weights_only=False) for n in ("one", "two")
    )
    assert first["global_step"] == second["global_step"] == 6
    for name, tensor in first["state_dict"].items():
        torch.testing.assert_close(tensor, second["state_dict"][name], rtol=1e-4, atol=1e-6)
    rows = [
        list(csv.DictReader((tmp_path / n / "log" / "metrics.csv").read_text().splitlines()))
        for n in ("one", "two")
    ]
    for one, other in zip(*rows, strict=True):
        assert float(one["val_loss"]) == pytest.approx(float(other["val_loss"]), rel=1e-4)
        assert float(one["val_dice"]) == pytest.approx(float(other["val_dice"]), abs=1e-4)


def test_early_stopping_and_best_checkpoint(lgg: Path, tmp_path: Path) -> None:
    recipe = tiny(fit={"epochs": 30, "patience": 2}, optimiser={"lr": 1e-12})
    fit.train(recipe, [lgg], tmp_path / "run", machine=QUIET)
    rows = list(csv.DictReader((tmp_path / "run" / "log" / "metrics.csv").read_text().splitlines()))
    assert len(rows) < 30
    best = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=False)
    losses = [float(r["val_loss"]) for r in rows]
    assert best["epoch"] == int(np.argmin(losses))


def test_what_stopped_early_trains_no_further(lgg: Path, tmp_path: Path) -> None:
    recipe = tiny(fit={"epochs": 30, "patience": 1}, optimiser={"lr": 1e-12})
    fit.train(recipe, [lgg], tmp_path / "run", machine=QUIET)
    before, rows = weights(tmp_path / "run"), figures(tmp_path / "run")
    saved = checkpoints.latest(tmp_path / "run")
    assert saved is not None and saved.stopped and len(rows) < 30
    said: list[str] = []
    fit.resume(tmp_path / "run", machine=QUIET, report=said.append)
    assert any("stopped early" in s for s in said)
    assert figures(tmp_path / "run") == rows and checkpoints.latest(tmp_path / "run") == saved
    assert all(torch.equal(before[name], tensor) for name, tensor in weights(tmp_path / "run").items())


def test_goes_on_only_on_as_many_devices(lgg: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit.train(tiny(), [lgg], run, machine=ComputeSettings(device="cpu", progress=False, max_steps=5))
    saved = checkpoints.latest(run)
    assert saved is not None and saved.devices == 1 and not saved.stopped
    with pytest.raises(InputError, match="started on 1 devices and cannot be continued on 2"):
        fit.resume(run, machine=ComputeSettings(device="cpu", devices=2, progress=False))
    fit.resume(run, machine=QUIET)


def test_case_names_are_left_out_of_the_card_and_stay_out(lgg: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    stopped = ComputeSettings(device="cpu", progress=False, max_steps=5)
    made = fit.train(tiny(), [lgg], run, machine=stopped, case_names=False)
    for model in (made, fit.resume(run, machine=QUIET)):
        assert "TCGA" not in model.weights.with_suffix(".toml").read_text(encoding="utf-8")
    said: list[str] = []
    fit.train(
        tiny(fit={"epochs": 1}),
        [lgg],
        tmp_path / "next",
        machine=QUIET,
        start_from=str(made.weights),
        report=said.append,
    )
    assert any("does not list its training cases" in s for s in said)


def test_the_screen_tells_each_epoch(lgg: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    machine = ComputeSettings(device="cpu", max_steps=7)
    fit.train(tiny(fit={"epochs": 3}), [lgg], tmp_path / "run", machine=machine)
    fit.resume(tmp_path / "run", machine=ComputeSettings(device="cpu"))
    out, err = capfd.readouterr()
    rows = figures(tmp_path / "run")
    told = [line for line in err.splitlines() if line.startswith("epoch ")]
    assert [line.split(":")[0] for line in told] == [f"epoch {n} of 3" for n in (1, 2, 3)]
    for line, row in zip(told, rows, strict=True):
        assert f"validation loss {float(row['val_loss']):.4f}" in line
        assert f"validation Dice {float(row['val_dice']):.3f}" in line
    assert "v_num" not in out + err and "Epoch" not in out + err


def test_starts_from_another_model(lgg: Path, tmp_path: Path) -> None:
    apart = {"test": ["TCGA-AA-0003"], "fractions": [1.0, 0.0, 0.0]}
    first = fit.train(tiny(split=apart, about={"licence": "CC0"}), [lgg], tmp_path / "first", machine=QUIET)
    wider = tiny(
        output={"names": ["WT", "TC"], "labels": [2, 1], "scheme": "brats-2023"},
        optimiser={"lr": 1e-9},
        split=apart,
    )
    said: list[str] = []
    second = fit.train(
        wider, [lgg], tmp_path / "second", machine=QUIET, start_from=str(first.weights), report=said.append
    )
    assert any("starts from" in s for s in said)
    assert "CC0" in second.card.about.licence and "weights of tiny" in second.card.about.training
    one, two = weights(tmp_path / "first"), weights(tmp_path / "second")
    torch.testing.assert_close(
        one["encoder.0.conv1.weight"], two["encoder.0.conv1.weight"], atol=1e-3, rtol=0
    )
    assert one["head.weight"].shape != two["head.weight"].shape


def test_trained_model_is_installed(lgg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    made = fit.train(tiny(), [lgg], tmp_path / "run", machine=QUIET)
    export.install(made, tmp_path / "run")
    assert "tiny" in [m.name for m in list_models()] and get_model("tiny").origin == "user"
    get_model("tiny").load()
    again = fit.resume(tmp_path / "run", machine=QUIET)
    export.install(again, tmp_path / "run")
    other = fit.train(tiny(fit={"seed": 1}), [lgg], tmp_path / "other", machine=QUIET)
    with pytest.raises(InputError, match="already holds a model named tiny"):
        export.install(other, tmp_path / "other")
    assert get_model("tiny").card.sha256 == made.card.sha256
    assert export.install(other, tmp_path / "other", "mine").card.name == "mine"
    assert export.hides_builtin("lgg-flair") and not export.hides_builtin("tiny")


def test_all_but_test_without_validation(lgg: Path, tmp_path: Path) -> None:
    recipe = tiny(split={"fractions": [1.0, 0.0, 0.0]})
    model = fit.train(recipe, [lgg], tmp_path / "run", machine=QUIET)
    assert len(model.card.about.trained_on) == 8


def test_refuses_a_used_folder_and_an_empty_one(lgg: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "note.txt").write_text("mine")
    with pytest.raises(OutputError, match="is not empty"):
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
    fit.train(recipe, [bare], tmp_path / "run", machine=QUIET, report=said.append)
    assert any("TCGA_AA_0000" in s and "no reference mask" in s for s in said)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_one_cycle_of_few_steps(lgg: Path, tmp_path: Path, steps: int) -> None:
    recipe = tiny(schedule={"kind": "one-cycle", "warm_up": 0.1}, fit={"epochs": 1, "batch": -(-20 // steps)})
    fit.train(recipe, [lgg], tmp_path / "run", machine=QUIET)
    assert len(figures(tmp_path / "run")) == 1


def test_an_encoder_starts_from_trained_weights(
    lgg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = published(blocks=3)
    monkeypatch.setattr(module, "imagenet_weights", lambda: trained)
    recipe = tiny(
        network={"architecture": "efficientnet-unet", "arguments": {"widths": [4, 4]}},
        optimiser={"lr": 1e-2, "encoder_lr": 1e-6},
        fit={"epochs": 1, "init": "imagenet"},
    )
    found = fit.train(recipe, [lgg], tmp_path / "run", machine=QUIET).load().state_dict()
    stem = found["encoder.stem.conv.weight"]
    torch.testing.assert_close(stem, trained["_conv_stem.weight"], rtol=1e-2, atol=1e-3)
