"""Intervals of volumes: coverage on synthetic errors, ends by hand, and what gives none."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from napari_tumorseg.geometry import Grid
from napari_tumorseg.measurement import measure
from napari_tumorseg.measurement.intervals import (
    FLOOR_MM3,
    Calibration,
    VolumeInterval,
    intervals_in,
    residual,
)
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation

INTERVAL = VolumeInterval(288, 200.4, 410.6, 0.9, 20)


def seg_of(
    provenance: dict[str, Any], spacing: tuple[float, float, float] | None = (2.0, 1.0, 1.0)
) -> Segmentation:
    labels = np.zeros((6, 20, 20), np.uint8)
    labels[1:4, 2:14, 3:11] = 2  # 288 voxels of oedema
    grid = Grid.from_codes(labels.shape, spacing=spacing)
    return Segmentation(labels, grid, CONVENTIONS["brats-2023"], "case", provenance=provenance)


@pytest.mark.parametrize(("patients", "coverage"), [(9, 0.9), (24, 0.9), (24, 0.8), (40, 0.95)])
def test_the_coverage_is_as_stated_on_patients_that_were_not_used(patients: int, coverage: float) -> None:
    """Errors are skewed and heavy-tailed; of 4,000 draws the share that is covered has an error of 0.005."""
    generator = np.random.default_rng(4)
    inside = 0
    for _ in range(4000):
        true = generator.lognormal(9, 1, patients + 1)
        found = (true * np.exp(0.3 * generator.standard_t(2, patients + 1) - 0.2)).round() + 1
        values = [residual(a, b, FLOOR_MM3) for a, b in zip(true[1:], found[1:], strict=True)]
        interval = Calibration(tuple(values)).interval(int(found[0]), coverage=coverage)
        assert interval is not None and interval.coverage == coverage
        inside += interval.low <= true[0] <= interval.high
    assert coverage - 0.015 < inside / 4000 < coverage + 1 / (patients + 1) + 0.015


def test_the_rank_is_that_of_the_finite_sample_quantile() -> None:
    values = np.random.default_rng(1).normal(size=31)
    for coverage in (0.5, 0.8, 0.9, 0.95):
        level = math.ceil(32 * coverage) / 31
        wanted = np.quantile(np.abs(values), level, method="inverted_cdf")
        assert Calibration(tuple(values)).spread(coverage) == wanted


def test_a_product_that_is_a_whole_number_is_not_rounded_up() -> None:
    values = tuple(range(1, 10))
    assert Calibration(values).spread(0.9) == 9  # 10 * 0.9
    assert Calibration(values).spread(0.7) == 7  # 7.000000000000001 in floating point


def test_intervals_grow_with_the_coverage() -> None:
    found = Calibration(tuple(np.random.default_rng(2).normal(size=60)))
    intervals = [found.interval(5000, coverage=coverage) for coverage in np.linspace(0.8, 0.98, 37)]
    for narrow, wide in pairwise(intervals):
        assert narrow is not None and wide is not None
        assert wide.low <= narrow.low <= narrow.voxels <= narrow.high <= wide.high


def test_the_ends_by_hand() -> None:
    found = Calibration((math.log(2), -0.1, 0.2, 0.3), floor_mm3=100).interval(1900, voxel_mm3=1)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((2000 / 2 - 100, 2000 * 2 - 100))
    half = Calibration((math.log(2), -0.1, 0.2, 0.3), floor_mm3=100).interval(1800, voxel_mm3=0.5)
    assert half is not None
    assert (half.low, half.high) == pytest.approx((2000 / 2 - 200, 2000 * 2 - 200))


def test_the_lower_end_is_never_below_nothing() -> None:
    found = Calibration((1.0,) * 9).interval(20)
    assert found is not None and found.low == 0 and found.is_wide


@pytest.mark.parametrize(("patients", "coverage"), [(4, 0.8), (8, 8 / 9), (9, 0.9), (11, 0.9)])
def test_few_patients_attain_less_and_it_is_stated(patients: int, coverage: float) -> None:
    found = Calibration(tuple(0.1 * n for n in range(patients))).interval(1000)
    assert found is not None
    assert (found.coverage, found.patients) == (pytest.approx(coverage), patients)
    assert found.high == pytest.approx(1100 * math.exp(0.1 * (patients - 1)) - 100)  # the largest


@pytest.mark.parametrize("patients", [0, 1, 3])
def test_too_few_patients_give_none(patients: int) -> None:
    assert Calibration((0.1,) * patients).interval(1000) is None


def test_a_coverage_that_cannot_be_attained_has_no_spread() -> None:
    with pytest.raises(ValueError, match=r"4 residuals attain a coverage of 0.8, not 0.9"):
        Calibration((0.1,) * 4).spread(0.9)


def test_nothing_found_has_no_interval() -> None:
    assert Calibration((0.1,) * 20).interval(0) is None


def test_doubt_scales_the_interval() -> None:
    found = Calibration((0.5,) * 20, by_doubt=True)
    easy, hard = (found.interval(10_000, doubt=doubt) for doubt in (0.2, 2.0))
    assert easy is not None and hard is not None
    assert (easy.low, easy.high) == pytest.approx(
        (10_100 * math.exp(-0.1) - 100, 10_100 * math.exp(0.1) - 100)
    )
    assert hard.high == pytest.approx(10_100 * math.e - 100)
    assert (easy.is_wide, hard.is_wide) == (False, True)
    assert found.interval(10_000) is None  # the doubt is not known
    assert residual(200, 100, 0, doubt=2) == pytest.approx(math.log(2) / 2)


def test_rows_of_regions_have_the_interval_of_the_run() -> None:
    found = measure(seg_of({"intervals": {"WT": INTERVAL.to_dict()}}))
    interval = found.row("WT").interval
    assert interval is not None
    assert (interval.low_voxels, interval.high_voxels) == (200, 411)  # outwards
    assert (interval.low_ml, interval.high_ml) == pytest.approx((0.4008, 0.8212))
    assert (interval.coverage, interval.patients, interval.wide) == (0.9, 20, False)
    assert found.row("ED").interval is None and found.row("TC").interval is None
    row = next(row for row in found.to_dict()["rows"] if row["name"] == "WT")
    assert row["interval"]["high_ml"] == pytest.approx(0.8212)


def test_without_a_voxel_size_it_is_in_voxels() -> None:
    interval = measure(seg_of({"intervals": {"WT": INTERVAL.to_dict()}}, spacing=None)).row("WT").interval
    assert interval is not None
    assert (interval.low_ml, interval.low_voxels, interval.high_voxels) == (None, 200, 411)


def test_a_corrected_mask_has_none() -> None:
    provenance = {"intervals": {"WT": INTERVAL.to_dict()}}
    assert measure(seg_of({**provenance, "corrected_by_hand": True})).row("WT").interval is None
    assert measure(seg_of({**provenance, "corrected_by_hand": False})).row("WT").interval is not None
    seg = seg_of(provenance)
    seg.labels[0, 0, 0] = 2  # changed by somebody who does not say so
    assert measure(seg).row("WT").interval is None


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "WT",
        {"WT": None},
        {"WT": 3},
        {"WT": {"low": 1}},
        {"WT": {**INTERVAL.to_dict(), "more": 1}},
        {"WT": {**INTERVAL.to_dict(), "low": "1"}},
        {"WT": {**INTERVAL.to_dict(), "low": 300}},
        {"WT": {**INTERVAL.to_dict(), "high": float("inf")}},
        {"WT": {**INTERVAL.to_dict(), "high": float("nan")}},
        {"WT": {**INTERVAL.to_dict(), "coverage": 1.5}},
    ],
)
def test_what_is_no_interval_is_ignored(content: Any) -> None:
    assert intervals_in({"intervals": content}) == {}
