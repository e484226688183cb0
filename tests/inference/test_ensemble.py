"""Runs of an ensemble against the runs of its members."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_tumorseg.geometry import Array
from napari_tumorseg.inference import Settings, StoredProbabilities, entropy_map, segment
from napari_tumorseg.models import Model
from napari_tumorseg.models.merge import merge_models
from napari_tumorseg.models.unet import UNet
from napari_tumorseg.scan import Segmentation
from tests.builders import card_of, head, make_scan, save_model, threshold_net

KEPT = Settings(probabilities=True)


def noisy(folder: Path, count: int, **changes: Any) -> list[Model]:
    """Return random networks, whose labels depend on every neighbour."""
    tables = {"normalisation": {"method": "zscore"}, "size": {"canvas": [64, 64], "reduce": 2}}
    card = card_of(**{"input": tables, **changes})
    models = []
    for seed in range(count):
        net = UNet(1, len(card.output.names), [4, 8], 8)
        net.init_he(torch.Generator().manual_seed(seed))
        models.append(save_model(folder / str(seed), net.eval(), card))
    return models


def stacked(results: list[Segmentation]) -> dict[str, Array]:
    """Return probabilities (members, Z, Y, X) in floating point, by output."""
    names = results[0].probabilities
    return {name: np.stack([seg.probabilities[name] for seg in results]) / 255 for name in names}


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("plane", ["axial", "sagittal"])
@pytest.mark.parametrize(
    "output",
    [
        {"names": ["WT"], "labels": [1], "scheme": "binary"},
        {"names": ["WT", "ET"], "labels": [2, 3], "scheme": "brats-2023"},
        {"names": ["no", "WT"], "labels": [0, 1], "scheme": "binary", "activation": "softmax"},
    ],
)
def test_probabilities_are_the_mean_of_single_runs(
    tmp_path: Path, output: dict[str, Any], plane: str, flip: bool
) -> None:
    models = noisy(tmp_path, 3, output={**output, "flip": flip})
    models = [
        Model(
            m.card.model_copy(update={"input": m.card.input.model_copy(update={"plane": plane})}), m.weights
        )
        for m in models
    ]
    scan = make_scan({"flair": head()})
    singles = [segment(scan, model, KEPT) for model in models]
    both = segment(scan, merge_models(models, tmp_path / "both"), KEPT)
    assert both.probability_box == singles[0].probability_box
    every = stacked(singles)
    for name, values in every.items():
        # all are rounded to 1 / 255, each by half a level at most
        assert np.abs(both.probabilities[name] / 255 - values.mean(axis=0)).max() <= 1.01 / 255
        assert values.std(axis=0).max() > 0.1
    assert both.disagreement is not None
    spread = np.max([2 * values.std(axis=0) for values in every.values()], axis=0)
    assert np.abs(both.disagreement / 255 - spread).max() <= 2.01 / 255


def test_labels_are_cut_from_the_mean(tmp_path: Path) -> None:
    """At 200 and 300 the members' logits of 250 are 50 and -50: the mean is one half, and not above."""
    limits = (200.0, 300.0, 240.0)
    models = [save_model(tmp_path / str(n), threshold_net([0], [n]), card_of()) for n in limits]
    data = np.full((2, 16, 16), 10, dtype=np.float32)
    data[0, 4:8, 4:12], data[1, 4:8, 4:12] = 250, 220
    both = segment(make_scan({"flair": data}), merge_models(models, tmp_path / "both"), KEPT)
    wanted = np.zeros(data.shape, dtype=np.uint8)
    wanted[0, 4:8, 4:12] = 1  # two of three say so; of 220 one of three
    np.testing.assert_array_equal(both.labels, wanted)
    assert both.probability_box is not None and both.disagreement is not None
    inside = both.probabilities["WT"][0, 5, 5], both.probabilities["WT"][1, 5, 5]
    assert inside == (170, 85)
    assert both.disagreement[0, 5, 5] == round(2 * np.sqrt(2) / 3 * 255)
    assert both.disagreement[0, 0, 0] == 0


def test_a_single_model_has_no_disagreement(tmp_path: Path) -> None:
    (model,) = noisy(tmp_path, 1)
    seg = segment(make_scan({"flair": head()}), model, KEPT)
    assert seg.disagreement is None
    stored = StoredProbabilities.of(seg, model.card, None)
    assert stored is not None
    np.testing.assert_array_equal(stored.uncertainty(), entropy_map(seg.probabilities))


def test_the_uncertainty_of_an_ensemble_is_its_disagreement(tmp_path: Path) -> None:
    made = merge_models(noisy(tmp_path, 2), tmp_path / "both")
    seg = segment(make_scan({"flair": head()}), made, KEPT)
    stored = StoredProbabilities.of(seg, made.card, None)
    assert stored is not None and stored.uncertainty() is seg.disagreement
    assert seg.provenance["model"]["members"] == 2


def test_labels_outside_the_foreground_are_not_doubted(tmp_path: Path) -> None:
    models = noisy(tmp_path, 2, output={"inside_foreground_of": "flair"})
    data = head()
    seg = segment(make_scan({"flair": data}), merge_models(models, tmp_path / "both"), KEPT)
    assert seg.disagreement is not None and seg.disagreement.any()
    assert not seg.disagreement[data[seg.probability_box] == 0].any()


def test_nothing_is_kept_unless_asked_for(tmp_path: Path) -> None:
    made = merge_models(noisy(tmp_path, 2), tmp_path / "both")
    assert segment(make_scan({"flair": head()}), made).disagreement is None
