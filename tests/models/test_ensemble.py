"""Several sets of weights in one file, and the networks that they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models import Model, ModelCard
from napari_tumorseg.models.ensemble import Ensemble, disagreement, mean_logits, members_of
from napari_tumorseg.models.unet import UNet
from napari_tumorseg.models.weight_files import save_weights
from tests.builders import card_of, threshold_net

SMALL: dict[str, Any] = {"in_channels": 1, "out_channels": 1, "widths": [2], "bottleneck": 2}


def nets(count: int, **changes: Any) -> list[UNet]:
    """Return networks with different weights."""
    made = []
    for seed in range(count):
        net = UNet(**(SMALL | changes))
        net.init_he(torch.Generator().manual_seed(seed))
        made.append(net.eval())
    return made


def save(folder: Path, networks: list[UNet], members: int, **card: Any) -> Model:
    """Write an ensemble whose card lists a number of members."""
    state = {f"{i}.{key}": t for i, net in enumerate(networks) for key, t in net.state_dict().items()}
    return save_state(folder, state, members, **card)


def save_state(folder: Path, state: dict[str, Tensor], members: int, **card: Any) -> Model:
    weights = folder / "tiny.safetensors"
    save_weights(state, weights)
    return Model(card_of(members=[{}] * members, **card), weights)


def refused(model: Model) -> str:
    with pytest.raises(ModelError) as caught:
        model.load()
    sentence = str(caught.value)
    assert sentence.startswith("tiny.safetensors: ") and "\n" not in sentence
    return sentence


def test_each_member_has_its_own_weights(tmp_path: Path) -> None:
    made = nets(3)
    loaded = save(tmp_path, made, 3).load()
    assert isinstance(loaded, Ensemble) and not loaded.training
    assert (loaded.stride, loaded.arguments) == (made[0].stride, made[0].arguments)
    for net, member in zip(made, members_of(loaded), strict=True):
        for key, tensor in net.state_dict().items():
            assert torch.equal(member.state_dict()[key], tensor), key


def test_float16_weights_are_loaded_as_float32(tmp_path: Path) -> None:
    halves = {
        f"{i}.{key}": tensor.half() if tensor.is_floating_point() else tensor
        for i, net in enumerate(nets(2))
        for key, tensor in net.state_dict().items()
    }
    loaded = save_state(tmp_path, halves, 2).load().state_dict()
    for key, tensor in halves.items():
        found = loaded[f"members.{key}"]
        assert found.dtype == (torch.float32 if tensor.is_floating_point() else torch.int64)
        assert torch.equal(found, tensor.to(found.dtype))


def test_a_single_network_is_its_only_member() -> None:
    (net,) = nets(1)
    assert members_of(net) == (net,)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_the_logits_are_those_of_the_mean_probabilities(activation: Any) -> None:
    logits = 4 * torch.randn(3, 2, 3, 5, 6, generator=torch.Generator().manual_seed(1))

    def chance(values: Tensor) -> Tensor:
        return values.sigmoid() if activation == "sigmoid" else values.softmax(dim=-3)

    found = chance(mean_logits(logits, activation).double())
    torch.testing.assert_close(found, chance(logits.double()).mean(dim=0), rtol=1e-5, atol=1e-7)


def test_the_logits_of_near_certainty_stay_finite() -> None:
    extreme = torch.tensor([200.0, 150.0]).reshape(2, 1, 1, 1)
    assert torch.isfinite(mean_logits(extreme, "sigmoid")).all()
    assert mean_logits(-extreme, "sigmoid").item() < -100


def test_the_logits_of_a_single_member_stay_as_they_are() -> None:
    logits = torch.randn(1, 2, 3, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(mean_logits(logits, "sigmoid"), logits[0])


def test_the_forward_pass_is_the_mean_of_its_members() -> None:
    made = nets(3)
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = Ensemble(made, "sigmoid").folded()(x).sigmoid()
        wanted = torch.stack([net(x).sigmoid() for net in made]).mean(dim=0)
    torch.testing.assert_close(found, wanted)


def test_a_part_holds_the_members_that_were_chosen() -> None:
    made = nets(3)
    assert members_of(Ensemble(made, "sigmoid").part([2, 0])) == (made[2], made[0])


def test_disagreement_is_the_largest_standard_deviation_over_its_maximum() -> None:
    # two outputs of one pixel: p = 0 and 1 for the first, 0.5 and 0.5 for the second
    logits = torch.tensor([[-50.0, 0.0], [50.0, 0.0]]).reshape(2, 2, 1, 1)
    assert disagreement(logits, "sigmoid").tolist() == [[1.0]]
    assert disagreement(logits[:, 1:], "sigmoid").tolist() == [[0.0]]


@pytest.mark.parametrize(
    ("members", "there", "told"),
    [
        (3, 2, "holds no weights of member 2, which its card lists"),
        (32, 2, "and 27 more, which its card lists"),
        (2, 3, "'2.bottleneck.conv1.weight' belongs to none of the 2 members that its card lists"),
    ],
)
def test_another_number_of_members_is_refused(tmp_path: Path, members: int, there: int, told: str) -> None:
    assert told in refused(save(tmp_path, nets(there), members))


def test_a_member_without_one_of_its_tensors_is_refused(tmp_path: Path) -> None:
    state = {f"{i}.{key}": t for i, net in enumerate(nets(2)) for key, t in net.state_dict().items()}
    del state["1.head.bias"]
    arguments = {"network": {"arguments": nets(1)[0].arguments}}
    assert "member 1: " in (told := refused(save_state(tmp_path, state, 2, **arguments)))
    assert "lack 'head.bias'" in told


def test_members_of_two_strides_are_refused(tmp_path: Path) -> None:
    told = refused(save(tmp_path, nets(1) + nets(1, widths=[2, 2]), 2))
    assert "its members differ in their channels or stride" in told


@pytest.mark.parametrize("key", ["head.weight", "-1.head.weight", "01.head.weight", "1000000.head.weight"])
def test_weights_of_no_member_are_refused(tmp_path: Path, key: str) -> None:
    state = {f"{i}.{k}": t for i, net in enumerate(nets(2)) for k, t in net.state_dict().items()}
    state[key] = torch.zeros(1)
    assert "belongs to none of the 2 members" in refused(save_state(tmp_path, state, 2))


def test_a_member_with_infinite_weights_is_refused(tmp_path: Path) -> None:
    made = nets(2)
    with torch.no_grad():
        made[1].head.bias.fill_(float("inf"))
    assert "'1.head.bias' have NaN or infinite values" in refused(save(tmp_path, made, 2))


def test_several_sets_under_a_card_of_one_are_refused(tmp_path: Path) -> None:
    assert "several sets of weights, and no card says so" in refused(save(tmp_path, nets(2), 0))


def test_one_set_under_a_card_of_several_is_refused(tmp_path: Path) -> None:
    state = nets(1)[0].state_dict()
    assert "belongs to none of the 2 members" in refused(save_state(tmp_path, state, 2))


def test_channels_are_compared_with_the_card(tmp_path: Path) -> None:
    made = [threshold_net([0, 1], [1.0, 2.0], inputs=2) for _ in range(2)]
    model = save(tmp_path, made, 2)
    with pytest.raises(ModelError, match="takes 2 channels and gives 2, but the card of tiny states 1 and 1"):
        model.load()


@pytest.mark.parametrize(("count", "told"), [(1, "at least two members"), (33, "at most 32 items")])
def test_a_number_of_members_that_makes_no_ensemble_is_refused(tmp_path: Path, count: int, told: str) -> None:
    path = tmp_path / "card.toml"
    path.write_text(card_of().to_toml() + "[[members]]\n" * count)
    with pytest.raises(ModelError, match=told):
        ModelCard.from_toml(path)


def test_members_are_kept_in_the_cards_file(tmp_path: Path) -> None:
    card = card_of(members=[{"name": "fold 0", "unseen": ["a", "b"]}, {}])
    path = tmp_path / "card.toml"
    path.write_text(card.to_toml())
    assert ModelCard.from_toml(path) == card
    assert "Weights: 2 sets, whose probabilities are averaged" in card.as_text()


def test_a_card_of_one_set_does_not_mention_members() -> None:
    assert "members" not in card_of().to_toml()
