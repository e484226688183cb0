"""The table of public models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_tumorseg.errors import InputError
from napari_tumorseg.importing import Answers, import_model
from napari_tumorseg.importing.kinds import KINDS
from napari_tumorseg.importing.presets import list_presets, preset
from napari_tumorseg.importing.public import public_models
from napari_tumorseg.models.card import Input, Output
from napari_tumorseg.models.unet import UNet


def test_there_are_a_dozen_and_each_says_where_it_is_and_what_it_allows() -> None:
    found = public_models()
    assert len(found) >= 12
    for name, model in found.items():
        assert model.name == name and model.page.startswith("https://") and model.licence and model.note
        assert bool(model.command) == (model.loads != "no")
        assert not model.command or f"--name {name}" in model.command


def test_what_they_state_fits_into_a_card() -> None:
    stated = [model for model in public_models().values() if model.input]
    assert [model.name for model in stated] == ["torch-hub-unet"]
    for model in stated:
        Input.model_validate(model.input)
        Output.model_validate(model.output)
        assert model.name in list_presets() and preset(model.name).title == model.title


def test_models_that_load_are_of_a_kind_that_is_known() -> None:
    kinds = {kind.name for kind in KINDS}
    for model in public_models().values():
        assert model.kind in kinds or model.loads != "yes"


def test_the_torch_hub_unet_is_imported_like_itself(tmp_path: Path) -> None:
    net = UNet(3, 1, [4, 8], 16)
    torch.save(net.state_dict(), tmp_path / "unet.pt")
    made = import_model(
        tmp_path / "unet.pt",
        name="torch-hub-unet",
        answers=Answers(like="torch-hub-unet"),
        folder=tmp_path / "out",
    )
    assert [str(role) for role in made.card.input.roles] == ["t1", "flair", "t1c"]
    assert made.card.about.citation.startswith("Buda et al.") and made.card.output.names == ("WT",)


def test_an_unknown_name() -> None:
    with pytest.raises(InputError, match=r"there is no system 'x'; there are .*torch-hub-unet"):
        preset("x")
