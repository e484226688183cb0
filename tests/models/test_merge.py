"""An ensemble made of trained models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from napari_tumorseg.errors import ModelError, OutputError
from napari_tumorseg.models import Model, get_model
from napari_tumorseg.models.efficientnet_unet import EfficientNetUNet
from napari_tumorseg.models.ensemble import members_of
from napari_tumorseg.models.merge import merge_models
from napari_tumorseg.models.unet import UNet
from napari_tumorseg.models.weight_files import save_weights
from tests.builders import card_of, save_model


def trained(
    folder: Path, seed: int, width: int = 2, half: bool = False, stride: int = 2, **changes: Any
) -> Model:
    """Return the model of a training in ``folder/model``."""
    net = UNet(1, 1, [width] * (stride // 2), width)
    net.init_he(torch.Generator().manual_seed(seed))
    if half:
        net.half().float()
    return save_model(folder / "model", net.eval(), card_of(**changes))


def folds(folder: Path, *trained_on: list[str]) -> list[Model]:
    return [
        trained(folder / f"run-{seed}", seed, about={"trained_on": cases, "licence": "CC0"})
        for seed, cases in enumerate(trained_on)
    ]


def test_the_weights_are_those_of_the_models(tmp_path: Path) -> None:
    models = folds(tmp_path, [], [], [])
    made = merge_models(models, tmp_path / "three")
    assert made.name == "three" and made.weights == tmp_path / "three" / "three.safetensors"
    assert made == get_model(tmp_path / "three")
    for model, member in zip(models, members_of(made.load()), strict=True):
        for key, tensor in model.load().state_dict().items():
            assert torch.equal(member.state_dict()[key], tensor), key


@pytest.mark.parametrize("half", [False, True])
def test_weights_are_stored_as_float16_where_that_changes_none(tmp_path: Path, half: bool) -> None:
    models = [trained(tmp_path / str(seed), seed, half=half) for seed in range(2)]
    stored = load_file(merge_models(models, tmp_path / "two").weights)
    assert stored["0.head.weight"].dtype == (torch.float16 if half else torch.float32)
    assert stored["0.encoder.0.norm1.num_batches_tracked"].dtype == torch.int64


def test_the_card_says_which_cases_each_member_has_not_seen(tmp_path: Path) -> None:
    made = merge_models(folds(tmp_path, ["a", "b"], ["b", "c"], ["a", "c"]), tmp_path / "three")
    assert made.card.about.trained_on == ("a", "b", "c")
    assert [member.unseen for member in made.card.members] == [("c",), ("a",), ("b",)]
    assert [member.name for member in made.card.members] == ["run-0", "run-1", "run-2"]


def test_cases_of_a_patient_that_was_seen_are_not_listed_as_unseen(tmp_path: Path) -> None:
    made = merge_models(
        folds(tmp_path, ["TCGA_DU_7294_19890104", "a"], ["TCGA-DU-7294_brain_extracted"]), tmp_path / "two"
    )
    assert [member.unseen for member in made.card.members] == [(), ("a",)]


def test_an_ensemble_can_be_a_part(tmp_path: Path) -> None:
    first, second, third = folds(tmp_path, ["a"], ["b"], ["c"])
    two = merge_models([first, second], tmp_path / "two")
    three = merge_models([two, third], tmp_path / "three")
    assert [member.unseen for member in three.card.members] == [("b", "c"), ("a", "c"), ("a", "b")]
    assert [member.name for member in three.card.members] == ["run-0", "run-1", "run-2"]
    assert len(members_of(three.load())) == 3


def test_texts_of_the_cards_are_told_once(tmp_path: Path) -> None:
    models = [
        trained(tmp_path / "0", 0, about={"training": "Recipe a.", "licence": "CC0", "metrics": "0.9"}),
        trained(tmp_path / "1", 1, about={"training": "Recipe b.", "licence": "CC0"}),
    ]
    about = merge_models(models, tmp_path / "two", title="Both").card.about
    assert (about.training, about.licence, about.metrics) == ("Recipe a. Recipe b.", "CC0", "")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"input": {"roles": ["t1"]}}, "differ in their inputs, preparation or size"),
        ({"input": {"normalisation": {"method": "zscore"}}}, "differ in their inputs, preparation or size"),
        ({"output": {"threshold": 0.4}}, "differ in their outputs or labels"),
        ({"postprocessing": {"fill_holes": True}}, "differ in their post-processing"),
        ({"about": {"trained_on": ["a"]}}, "does not list the cases it was trained on, while others do"),
    ],
)
def test_models_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    models = [trained(tmp_path / "0", 0), trained(tmp_path / "1", 1, **changes)]
    with pytest.raises(ModelError, match=told):
        merge_models(models, tmp_path / "two")
    assert not (tmp_path / "two").exists()


def test_networks_of_two_strides_are_refused(tmp_path: Path) -> None:
    net = UNet(1, 1, [2, 2], 2).eval()
    models = [trained(tmp_path / "0", 0), save_model(tmp_path / "1", net, card_of())]
    with pytest.raises(ModelError, match="differ in their channels or stride"):
        merge_models(models, tmp_path / "two")


def test_members_may_be_of_different_architectures(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small, wide, other = UNet(1, 1, [2, 2], 2), UNet(1, 1, [3, 2], 2), EfficientNetUNet(1, 1, [2, 2])
    pretrained = card_of(network={"architecture": "efficientnet-unet", "arguments": other.arguments})
    models = [
        save_model(tmp_path / "0", small.eval(), card_of()),
        save_model(tmp_path / "1", wide.eval(), card_of()),
        save_model(tmp_path / "2", other.eval(), pretrained),
    ]
    made = merge_models(models, tmp_path / "three")
    kinds = [member.network and member.network.architecture for member in made.card.members]
    assert kinds == [None, "unet", "efficientnet-unet"]
    x = torch.randn(1, 1, 8, 8)
    with torch.no_grad():
        mean = torch.stack([net(x).sigmoid() for net in (small, wide, other)]).mean(dim=0)
        torch.testing.assert_close(made.load()(x).sigmoid(), mean, rtol=1e-3, atol=1e-3)
    again = merge_models([made, trained(tmp_path / "3", 0, width=4, stride=4)], tmp_path / "four")
    assert [m.network and m.network.architecture for m in again.card.members] == [*kinds, "unet"]


def test_the_same_weights_twice_are_refused(tmp_path: Path) -> None:
    models = [trained(tmp_path / "0", 0), trained(tmp_path / "1", 0)]
    with pytest.raises(ModelError, match="have the same weights"):
        merge_models(models, tmp_path / "two")


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_are_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(ModelError, match=f"2 to 32 members, not {count}"):
        merge_models([trained(tmp_path / "0", 0)][:count], tmp_path / "two")


def test_a_name_that_no_card_can_have_is_refused(tmp_path: Path) -> None:
    models = folds(tmp_path, [], [])
    with pytest.raises(ModelError, match="the card of the ensemble: name"):
        merge_models(models, tmp_path / "two", name="../two")


def test_a_model_that_is_there_is_kept(tmp_path: Path) -> None:
    models = folds(tmp_path, [], [], [])
    before = merge_models(models[:2], tmp_path / "two").weights.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        merge_models(models[1:], tmp_path / "two")
    assert (tmp_path / "two" / "two.safetensors").read_bytes() == before
    after = merge_models(models[1:], tmp_path / "two", overwrite=True)
    assert after.weights.read_bytes() != before


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    models = folds(tmp_path, [], [])
    save_weights(UNet(1, 1, [2], 2).state_dict(), models[1].weights)
    with pytest.raises(ModelError, match="its sha256 differs"):
        merge_models(models, tmp_path / "two")
