"""Times and ranges as people read them."""

from __future__ import annotations

import pytest

from napari_tumorseg.report.text import between, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1 s"),
        (41.6, "42 s"),
        (61, "1 min"),
        (3540, "59 min"),
        (7800, "2 h 10 min"),
        (7200, "2 h"),
        (50_000, "13 h"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_range_is_in_ml_where_the_voxel_size_is_known():
    assert between(800.4, 1300, None) == "800 to 1300 voxels"
    assert between(800, 1300, 0.02) == "16.0 to 26.0 mL"
