"""The disagreement about a case, on slices whose Dice is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special

from napari_tumorseg.inference import segment
from napari_tumorseg.inference.disagreement import DisagreementCounter
from napari_tumorseg.models.card import Output
from napari_tumorseg.models.ensemble import disagreement, mean_logits
from tests.builders import card_of, dice, head, make_scan, save_model, threshold_net

BINARY = Output(names=("WT",), labels=(1,), scheme="binary")


def test_of_two_certain_members_it_is_one_minus_dice():
    one, other = np.zeros((2, 30, 30), bool)
    one[5:15, 5:15] = True
    other[8:20, 6:15] = True
    members = torch.from_numpy(np.where(np.stack([one, other]), 30.0, -30.0)[:, None])
    logits = mean_logits(members, "sigmoid").numpy()
    levels = (disagreement(members, "sigmoid") * 255).round().to(torch.uint8).numpy()
    counter = DisagreementCounter(BINARY)
    counter.add(logits, levels)
    assert counter.value == pytest.approx(1 - dice(one, other), abs=1e-3)


def test_of_one_network_it_is_the_distance_of_two_draws():
    chance = np.zeros((1, 200, 200))
    chance[:, :, :100] = np.linspace(0.03, 0.97, 100)
    counter = DisagreementCounter(BINARY)
    counter.add(special.logit(np.clip(chance, 1e-6, 1)))
    rng = np.random.default_rng(0)
    drawn = [1 - dice(*(rng.random((2, *chance.shape)) < chance)) for _ in range(20)]
    assert counter.value == pytest.approx(np.mean(drawn), abs=0.005)


def test_softmax_counts_any_tumour_and_only_where_labels_are_allowed():
    output = Output(activation="softmax", names=("none", "ED", "ET"), labels=(0, 2, 3), scheme="brats-2023")
    chance = np.full((3, 2, 2), [[[0.5]], [[0.25]], [[0.25]]])
    counter = DisagreementCounter(output)
    counter.add(np.log(chance), allowed=np.array([[True, False], [False, False]]))
    assert counter.value == pytest.approx(0.5)
    counter.add(np.log(np.full((3, 1, 1), [[[1e-9]], [[1.0]], [[1e-9]]])))
    assert counter.value == pytest.approx(0.5 / 3, abs=1e-3)


def test_without_a_trace_of_tumour_there_is_none():
    counter = DisagreementCounter(BINARY)
    assert counter.value is None
    counter.add(np.full((1, 4, 4), -20.0))
    assert counter.value is None


def test_a_run_states_it(tmp_path):
    made = save_model(tmp_path, threshold_net([0], [300.0]), card_of())
    found = segment(make_scan({"flair": head()}), made).provenance["disagreement"]
    assert found is not None and 0 <= found < 0.05
