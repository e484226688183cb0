"""Built-in, user and single-file models: search, order and errors."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models import Model, get_model, list_models, user_folder
from napari_tumorseg.models.unet import UNet
from napari_tumorseg.models.weight_files import save_weights
from tests.builders import card_of, save_model, threshold_net

BUILT_IN = ["brats-regions-four", "brats-regions", "lgg-flair", "t1c-tumour"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the user's models lie in a folder of the test's."""
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def save(folder: Path, name: str = "tiny", title: str = "") -> Model:
    return save_model(folder, threshold_net([0], [1.0]), card_of(name=name, title=title))


def names() -> list[str]:
    return [model.name for model in list_models()]


def test_without_a_user_folder_there_are_the_built_in_ones() -> None:
    assert names() == BUILT_IN


def test_the_folder_is_the_platforms_unless_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_folder() == folder
    monkeypatch.delenv("TUMORSEG_MODELS")
    assert user_folder().parts[-2:] == ("napari-tumorseg", "models")


def test_user_models_come_first(folder: Path) -> None:
    save(folder)
    save(folder / "inner", "deeper")
    assert names() == ["tiny", "deeper", *BUILT_IN]
    assert get_model("deeper").origin == "user"


def test_a_user_model_shadows_a_built_in_one(folder: Path) -> None:
    save(folder, "lgg-flair", "mine")
    assert names() == ["lgg-flair", "brats-regions-four", "brats-regions", "t1c-tumour"]
    assert get_model("lgg-flair").card.title == "mine"


@pytest.mark.parametrize("inner", ["", "inner"])
def test_a_broken_card_hides_no_other_and_is_told_when_asked_for(inner: str, folder: Path) -> None:
    save(folder)
    bad = folder / inner / "bad.toml"
    bad.parent.mkdir(exist_ok=True)
    bad.write_text("name = 'bad'\ncolour = 'red'\n", encoding="utf-8")
    assert names() == ["tiny", *BUILT_IN]
    assert get_model("tiny").name == "tiny"
    with pytest.raises(ModelError, match=r"bad\.toml: "):
        get_model("bad")


def test_a_broken_card_is_not_silently_passed_over_for_a_built_in_one(folder: Path) -> None:
    folder.mkdir()
    (folder / "lgg-flair.toml").write_text("oops", encoding="utf-8")
    assert names() == BUILT_IN
    with pytest.raises(ModelError, match=r"models.lgg-flair\.toml is not valid TOML"):
        get_model("lgg-flair")


def test_a_card_without_weights(folder: Path) -> None:
    save(folder).weights.unlink()
    assert "tiny" not in names()
    with pytest.raises(ModelError, match=r"has no weights beside it \(tiny\.safetensors\)"):
        get_model("tiny")


@pytest.mark.parametrize("strange", ["nope", "", "a/b", "x" * 5000, "nul\0byte"])
def test_an_unknown_model_is_a_sentence_that_names_those_there_are(
    strange: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError) as told:
        get_model(strange)
    if strange:
        assert ", ".join(BUILT_IN) in str(told.value)


# ---------------------------------------------------------------- paths


def test_a_path_may_be_that_of_card_weights_or_folder(tmp_path: Path) -> None:
    model = save(tmp_path / "elsewhere")
    for path in (model.weights, model.weights.with_suffix(".toml"), model.weights.parent):
        found = get_model(path)
        assert (found.name, found.weights, found.origin) == ("tiny", model.weights, "file")
        assert get_model(str(path)).name == "tiny"


def test_a_path_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save(tmp_path / "here")
    assert get_model("~/here/tiny.toml").name == "tiny"


def test_a_folder_with_no_card_or_two(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    with pytest.raises(ModelError, match="holds 0 model cards"):
        get_model(here)
    save(here, "one")
    save(here, "two")
    with pytest.raises(ModelError, match="holds 2 model cards"):
        get_model(here)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.touch()
    with pytest.raises(ModelError, match=r"neither a model card \(\.toml\) nor weights"):
        get_model(path)


# ---------------------------------------------------------------- loading


def test_the_hash_is_the_cards_or_that_of_the_file(tmp_path: Path) -> None:
    model = save_model(tmp_path, threshold_net([0], [1.0]), card_of())
    of_file = hashlib.sha256(model.weights.read_bytes()).hexdigest()
    for stated, expected in (("", of_file), ("0" * 64, "0" * 64)):
        card = model.card.model_copy(update={"sha256": stated})
        assert Model(card, model.weights).weights_sha256() == expected


def test_weights_that_were_tampered_with(folder: Path) -> None:
    model = save(folder)
    save_weights(threshold_net([0], [2.0]).state_dict(), model.weights)
    with pytest.raises(ModelError, match=r"not the file that the card of tiny was written for.*sha256"):
        get_model("tiny").load()


def test_a_card_that_counts_otherwise_than_its_weights(folder: Path) -> None:
    save_model(folder, threshold_net([0, 0], [1, 2]), card_of())
    with pytest.raises(ModelError, match="takes 1 channels and gives 2, but the card of tiny states 1 and 1"):
        get_model("tiny").load()


# ---------------------------------------------------------------- checkpoints without a card


def hub_checkpoint(path: Path, channels: int = 3, outputs: int = 1) -> Path:
    """Write a network with the names that the published hub checkpoint uses."""
    torch.manual_seed(0)
    state = {}
    for name, tensor in UNet(channels, outputs, [4, 8], 16).state_dict().items():
        part, _, rest = name.partition(".")
        if part in ("encoder", "decoder"):
            level, _, rest = rest.partition(".")
            new = f"{part}{int(level) + 1}.{part[:3]}{int(level) + 1}{rest}"
        elif part == "bottleneck":
            new = f"bottleneck.bottleneck{rest}"
        elif part == "up":
            level, _, rest = rest.partition(".")
            new = f"upconv{int(level) + 1}.{rest}"
        else:
            new = f"conv.{rest}"
        state[new] = tensor
    torch.save(state, path)
    return path


def dconv_checkpoint(path: Path) -> Path:
    """Write one channel, bilinear upsampling, blocks that are `Sequential`, under `model_state_dict`."""
    torch.manual_seed(0)
    net = UNet(1, 1, [4, 8], 16, conv_bias=True, upsampling="bilinear")
    index = {"conv1": 0, "norm1": 1, "conv2": 3, "norm2": 4}
    state = {}
    for name, tensor in net.state_dict().items():
        part, _, rest = name.partition(".")
        if part == "head":
            state[f"conv_last.{rest}"] = tensor
            continue
        level, _, rest = rest.partition(".") if part != "bottleneck" else ("2", "", rest)
        side = "up" if part == "decoder" else "down"
        layer, _, rest = rest.partition(".")
        state[f"dconv_{side}{int(level) + 1}.double_conv.{index[layer]}.{rest}"] = tensor
    torch.save({"model_state_dict": state, "epoch": 3}, path)
    return path


def test_the_published_hub_layout_needs_no_card(tmp_path: Path) -> None:
    model = get_model(hub_checkpoint(tmp_path / "unet 1.pt"))
    assert model.name == "unet-1"
    assert [str(r) for r in model.card.input.roles] == ["t1", "flair", "t1c"]
    assert model.card.input.normalisation.scope == "volume"
    assert "assumed" in model.card.summary
    assert model.load().arguments["in_channels"] == 3


def test_the_dconv_layout_needs_no_card(tmp_path: Path) -> None:
    model = get_model(dconv_checkpoint(tmp_path / "best.pth"))
    assert [str(r) for r in model.card.input.roles] == ["flair"]
    assert model.card.input.size.canvas == (96, 96)
    assert model.load().arguments["upsampling"] == "bilinear"


@pytest.mark.parametrize(("channels", "outputs"), [(2, 1), (4, 1), (3, 3)])
def test_other_channels_need_a_card(channels: int, outputs: int, tmp_path: Path) -> None:
    path = hub_checkpoint(tmp_path / "net.pt", channels, outputs)
    with pytest.raises(
        ModelError, match=rf"takes {channels} channels and gives {outputs}, .*write net\.toml beside"
    ):
        get_model(path)


def test_a_card_beside_a_checkpoint_is_used(tmp_path: Path) -> None:
    path = hub_checkpoint(tmp_path / "net.pt", 2)
    (tmp_path / "net.toml").write_text(card_of(("flair", "t1c"), name="told").to_toml(), encoding="utf-8")
    assert get_model(path).name == "told"
    assert get_model(path).load().arguments["in_channels"] == 2


def test_a_checkpoint_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "junk.pt"
    path.write_bytes(b"junk")
    with pytest.raises(ModelError, match=r"junk\.pt"):
        get_model(path)


def test_an_upper_case_ending(tmp_path: Path) -> None:
    model = save(tmp_path / "here")
    renamed = model.weights.with_suffix(".SAFETENSORS")
    shutil.move(model.weights, renamed)
    assert get_model(renamed).load().arguments["in_channels"] == 1


def test_waiting_threads_sleep_unless_told_otherwise() -> None:
    """Before torch is there, and without overruling the user."""
    code = (
        "import os, sys, napari_tumorseg.models; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    )
    clean = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    for given, expected in (({}, "PASSIVE False"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE False")):
        done = subprocess.run(
            [sys.executable, "-c", code], env=clean | given, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected
