from __future__ import annotations

import pytest
import torch

from napari_tumorseg.errors import InputError
from napari_tumorseg.models.architectures import make_network
from napari_tumorseg.models.card import Network
from napari_tumorseg.models.store import get_model
from napari_tumorseg.scan import Role
from napari_tumorseg.training.tuning import (
    arguments_of,
    mixed,
    network_with,
    tuning_recipe,
    widened_input,
    widened_weights,
)
from tests.builders import card_of

WIDE = (Role.FLAIR, Role.T1C)


def networks(neighbours):
    card = card_of(["t1c"])
    before = card.input.model_copy(update={"neighbours": neighbours})
    network = Network(arguments={"widths": [4, 8], "bottleneck": 8})
    torch.manual_seed(0)
    old = make_network("unet", arguments_of(network, before, 1)).eval()
    after = widened_input(before, WIDE)
    empty = make_network("unet", arguments_of(network, after, 1))
    state = widened_weights(old.state_dict(), before, after, empty)
    return old, network_with(state, network, after, 1), before, after


@pytest.mark.parametrize("neighbours", [0, 1])
def test_a_wider_network_computes_the_same_where_substitutes_stand_in(neighbours):
    old, new, before, after = networks(neighbours)
    assert after.roles == (Role.T1C, Role.FLAIR) and new.in_channels == 2 * (2 * neighbours + 1)
    x = torch.randn(1, before.channels, 8, 8)
    copies = x.repeat_interleave(2, dim=1)  # FLAIR stands in as T1c, in each block of a slice
    with torch.no_grad():
        assert torch.allclose(old(x), new(copies), atol=1e-5)
        assert not torch.allclose(old(x), new(torch.randn_like(copies)), atol=1e-2)


def test_a_wider_input_runs_with_the_old_modalities_or_the_new_one():
    after = widened_input(card_of(["t1c"]).input, (Role.T1C, Role.FLAIR, Role.T1))
    assert set(map(frozenset, after.sufficient)) >= {frozenset({Role.T1C}), frozenset({Role.FLAIR})}
    assert frozenset({Role.T1}) not in set(map(frozenset, after.sufficient))
    assert [after.source_of(role, {Role.FLAIR}) for role in after.roles] == [Role.FLAIR] * 3
    assert [after.source_of(role, {Role.T1C}) for role in after.roles] == [Role.T1C] * 3
    assert after.source_of(Role.T1C, {Role.T2}) is None


def test_scans_that_sufficed_suffice_still():
    parent = get_model("t1c-tumour").card.input  # T1 stands in for T1c
    for roles in ((Role.T1C, Role.FLAIR), (Role.T1C, Role.FLAIR, Role.T1)):
        after = widened_input(parent, roles)
        assert (Role.T1,) in after.sufficient
        assert [after.source_of(role, {Role.T1}) for role in roles] == [Role.T1] * len(roles)
        assert [after.source_of(role, {Role.T1C}) for role in roles] == [Role.T1C] * len(roles)


def test_a_modality_of_the_parent_cannot_be_left_out():
    with pytest.raises(InputError, match="t1c cannot be left out"):
        widened_input(card_of(["t1c"]).input, (Role.FLAIR,))


def test_mixture_of_weights():
    old, new = {"w": torch.zeros(2).half(), "n": torch.tensor(1)}, {"w": torch.ones(2), "n": torch.tensor(5)}
    found = mixed(old, new, 0.25)
    assert found["w"].tolist() == [0.25, 0.25] and int(found["n"]) == 5
    assert torch.equal(mixed(old, new, 1.0)["w"], new["w"])


@pytest.mark.parametrize("name", ["brats-regions", "lgg-flair", "t1c-tumour"])
def test_every_shipped_model_has_a_recipe(name):
    card = get_model(name).card
    for member in card.members or (None,):
        network = (member.network if member else None) or card.network
        recipe = tuning_recipe(card, network, "mine")
        assert recipe.input == card.input and recipe.output == card.output
        assert {**recipe.arguments, **network.arguments} == recipe.arguments


def test_classes_are_tuned_with_cross_entropy():
    card = card_of(
        output={"activation": "softmax", "names": ["no", "WT"], "labels": [0, 1], "scheme": "binary"}
    )
    recipe = tuning_recipe(card, Network(arguments={"widths": [4], "bottleneck": 4}), "mine")
    assert recipe.loss[0].name == "cross-entropy"
    assert not {a.kind for a in recipe.augmentation} & {"paste", "appearance"}
