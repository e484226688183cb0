"""Skull and brain of a scan."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tumorseg.inference import scan_analysis
from napari_tumorseg.inference.scan_analysis import ScanAnalysis
from napari_tumorseg.intensity import IntensityRange
from tests.builders import head, make_scan


def test_a_given_brain_mask_goes_first() -> None:
    brain = np.zeros((6, 40, 48), dtype=bool)
    brain[2] = True
    scan = make_scan({"flair": head()}, brain=brain)
    assert ScanAnalysis(scan).brain is brain


def test_the_brain_of_a_stripped_scan_is_its_foreground() -> None:
    data = head(background=-5.0)
    found = ScanAnalysis(make_scan({"flair": data})).brain
    assert found is not None
    np.testing.assert_array_equal(found, data != -5)


def test_a_scan_with_noise_in_air_has_no_brain() -> None:
    data = head() + np.random.default_rng(0).uniform(1, 8, (6, 40, 48)).astype(np.float32)
    scan = make_scan({"flair": data})
    assert not ScanAnalysis(scan).stripped
    assert ScanAnalysis(scan).brain is None


def test_each_fact_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def look(data: np.ndarray, intensity_range: IntensityRange) -> bool:
        looked.append(data.size)
        return True

    monkeypatch.setattr(scan_analysis, "looks_stripped", look)
    analysis = ScanAnalysis(make_scan({"flair": head()}))
    assert analysis.stripped and analysis.stripped and analysis.brain is analysis.brain
    assert looked == [head().size]


def test_what_is_known_of_the_skull_is_not_looked_for() -> None:
    scan = make_scan({"flair": head()})
    assert ScanAnalysis(scan).brain is not None
    assert ScanAnalysis(scan, stripped=False).brain is None
