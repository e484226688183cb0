"""The squared error of probabilities against the same in floats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_tumorseg.evaluation.brier import squared_errors
from napari_tumorseg.evaluation.compared_regions import outputs_of, rows_of
from napari_tumorseg.measurement import agreement
from napari_tumorseg.models.card import Output
from napari_tumorseg.scan import Segmentation
from tests.evaluation.test_slicewise import SHAPE, masks

BOX = (slice(1, 4), slice(2, 9), slice(0, 6))
SIGMOID = Output(names=("WT", "TC", "ET"), labels=(2, 1, 3), scheme="brats-2023")
SOFTMAX = Output(
    activation="softmax", names=("none", "NCR", "ED", "ET"), labels=(0, 1, 2, 3), scheme="brats-2023"
)


def with_probabilities(seg: Segmentation, output: Output) -> Segmentation:
    rng = np.random.default_rng(5)
    shape = tuple(s.stop - s.start for s in BOX)
    raw = rng.dirichlet(np.ones(len(output.names)), size=shape)
    kept = {name: np.rint(raw[..., i] * 255).astype(np.uint8) for i, name in enumerate(output.names)}
    return replace(seg, probabilities=kept, probability_box=BOX)


@pytest.mark.parametrize("output", [SIGMOID, SOFTMAX])
@pytest.mark.parametrize("theirs", ["brats-2023", "brats-2015", "binary"])
def test_against_floats(output: Output, theirs: str) -> None:
    seg, reference = masks("brats-2023", theirs)
    seg = with_probabilities(seg, output)
    rows = rows_of(agreement(seg, reference))
    for row, found in zip(rows, squared_errors(seg, reference, rows, output), strict=True):
        names = outputs_of(row, output)
        if not names:
            assert found is None
            continue
        chance = np.zeros(SHAPE)
        chance[BOX] = np.minimum(sum(seg.probabilities[n].astype(float) for n in names), 255) / 255
        expected = np.mean((chance - np.isin(reference.labels, row.theirs)) ** 2)
        assert found == pytest.approx(expected, rel=1e-12)


def test_nothing_was_run() -> None:
    seg, reference = masks("brats-2023", "brats-2023")
    rows = rows_of(agreement(seg, reference))
    whole = squared_errors(seg, reference, rows, SIGMOID)[[r.name for r in rows].index("WT")]
    assert whole == pytest.approx((reference.labels > 0).mean())
