"""Slices at the network's own size, against torch's resampling."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_tumorseg.evaluation import EvaluationSettings, evaluate
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference import Settings
from napari_tumorseg.models import Model
from tests.builders import card_of, head, save_model, threshold_net, write_case
from tests.evaluation.conftest import lesion

AT_NETWORK = EvaluationSettings(at_network_size=True)


def resized(volume: Array, size: tuple[int, int]) -> Array:
    """Return slices brought to a size by a triangle that antialiases."""
    planes = torch.from_numpy(volume.astype(np.float32))[:, None]
    made = functional.interpolate(planes, size, mode="bilinear", antialias=True, align_corners=False)
    return np.asarray(made[:, 0].numpy())


@pytest.mark.parametrize("size", [(20, 24), (24, 24), (64, 96)])
def test_counts_at_another_size(data: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    card = card_of(
        input={
            "roles": ["flair"],
            "normalisation": {"method": "none"},
            "size": {"canvas": list(size), "fit": "stretch"},
        }
    )
    model = save_model(tmp_path / "m", threshold_net([0], [300.0]), card)
    case = evaluate(model, data, AT_NETWORK, cases=["b"]).cases[0]
    assert (case.pixels, case.at_network_size) == (size, True)
    seg, reference = resized(head(), size) > 300, resized(lesion(3), size) >= 0.5 - 1e-4
    for z, (tp, fp, fn, tn) in enumerate(case.rows[0].counts):
        one, other = seg[z], reference[z]
        assert (tp, fp, fn, tn) == (
            (one & other).sum(),
            (one & ~other).sum(),
            (~one & other).sum(),
            (~one & ~other).sum(),
        )
    assert case.rows[0].counts.sum(axis=1).tolist() == [size[0] * size[1]] * 6


@pytest.mark.parametrize(("batch", "slices"), [(16, "all"), (None, "tumour")])
def test_slices_whose_windows_differ(
    tmp_path: Path, batch: int | None, slices: Literal["all", "tumour"]
) -> None:
    image = np.zeros((6, 40, 48), np.float32)
    image[:4, 14:26, 18:30], image[4:, 4:36, 6:42] = 100, 100  # the last two reach out of the canvas
    image[2:6, 16:20, 20:24] = 400
    write_case(tmp_path / "d", {"flair": image, "seg": (image > 300).astype(np.uint8)}, "a")
    size = {"canvas": [16, 16], "fit": "pad", "spacing": 1.0}
    card = card_of(input={"roles": ["flair"], "normalisation": {"method": "none"}, "size": size})
    model = save_model(tmp_path / "m", threshold_net([0], [300.0]), card)
    settings = EvaluationSettings(Settings(batch=batch), slices, at_network_size=True)
    found = evaluate(model, tmp_path / "d", settings)
    assert not found.failures
    counts = dict(zip(found.cases[0].slices, found.cases[0].rows[0].counts.tolist(), strict=True))
    assert {z: line[:3] for z, line in counts.items() if z > 1} == {z: [16, 0, 0] for z in range(2, 6)}
    assert sum(counts[2]) < sum(counts[4])


def test_a_network_of_the_scans_size_counts_the_same(model: Model, data: Path) -> None:
    for one, other in zip(evaluate(model, data).cases, evaluate(model, data, AT_NETWORK).cases, strict=True):
        np.testing.assert_array_equal(one.rows[0].counts, other.rows[0].counts)
        assert one.rows[0].volume == other.rows[0].volume


def test_only_slices_with_tumour(model: Model, data: Path) -> None:
    settings = EvaluationSettings(at_network_size=True, slices="tumour")
    a, _, c = evaluate(model, data, settings).cases
    assert (a.slices, a.rows[0].counts.shape) == ((2, 3, 4), (3, 4))
    assert c.slices == ()
