from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from napari_tumorseg.measurement import LESION_METRICS, METRICS, LesionScores, RegionAgreement
from napari_tumorseg.measurement.comparison import Comparison
from napari_tumorseg.measurement.metrics import MASK_METRICS, SLICE_METRICS, Metric, in_table
from tests.measurement.masks import PAIRS, grid


def test_the_row_has_a_field_for_each_metric_of_masks():
    names = [field.name for field in fields(RegionAgreement)]
    assert names == ["name", "kind", "title", "voxels", "reference_voxels", *MASK_METRICS, "flags"]


def test_lesion_metrics_are_attributes_of_the_scores():
    assert all(hasattr(LesionScores, name) or name in LesionScores.__annotations__ for name in LESION_METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_states_its_definition_and_direction(name):
    metric = METRICS[name]
    assert metric.definition and metric.tip.startswith(metric.definition)
    assert metric.tip.endswith(("is better", "near zero"))
    endings = {"mm": "_mm", "mL": "_ml", "%": "_percent"}
    named = "".join(unit for unit, ending in endings.items() if name.endswith(ending))
    assert named == metric.unit


def test_hd95_names_its_convention():
    assert METRICS["hd95_mm"].definition == (
        "95th percentile of surface distances, the larger of the two directions, in mm"
    )


def test_metrics_of_counts_are_those_of_slices():
    seg, ref = PAIRS["blobs"]
    pair = Comparison(seg, ref, grid(seg.shape))
    for metric in SLICE_METRICS.values():
        assert metric.value(pair) == metric.of_counts(pair.counts)
    assert METRICS["mse"].value(pair) is None


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        (METRICS["dice"], 0.12345, "0.123"),
        (METRICS["dice"], None, "\N{EM DASH}"),
        (METRICS["volume_error_ml"], 1.234, "+1.23"),
        (METRICS["volume_error_percent"], -3.04, "-3.0"),
        (METRICS["hd95_mm"], 4.0, "4.0"),
    ],
)
def test_texts(metric: Metric, value, text):
    assert metric.text(value) == text


def test_narrow_tables_show_some():
    assert list(in_table(METRICS, "cases")) == ["dice", "hd95_mm", "volume_error_percent"]
    assert METRICS["volume_error_ml"].column == "error (mL)"
    assert METRICS["sensitivity"].column == "sensitivity"


def test_surfaces_are_compared_once(monkeypatch):
    from napari_tumorseg.measurement import comparison

    calls = []
    distances = comparison.surface_distances
    monkeypatch.setattr(comparison, "surface_distances", lambda *a: calls.append(a) or distances(*a))
    seg, ref = PAIRS["blobs"]
    pair = Comparison(seg, ref, grid(seg.shape))
    assert [pair.hd95_mm, pair.nsd(1), pair.nsd(2)] and len(calls) == 1
    empty = np.zeros_like(seg)
    assert Comparison(empty, empty, grid(seg.shape)).hd95_mm == 0.0
