"""The script that chooses the evidence that a model's components need."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_tumorseg.geometry import Grid
from napari_tumorseg.scan import Role


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs"))
    yield import_module("calibrate_evidence")
    for name in ("calibrate_evidence", "strip_lgg"):
        sys.modules.pop(name, None)


def test_threshold_empties_all_free_scans_and_the_share_of_the_others(script: Any) -> None:
    assert script.calibrated([1.23, 0.0], [], 0.9) == 1.3
    assert script.calibrated([], [6.0, *[2.0] * 9], 0.9) == 2.1
    assert script.calibrated([], [6.0, *[2.0] * 9], 1.0) == script.HIGHEST
    assert script.calibrated([3.0], [0.0], 1.0) == 3.1


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (5.0, 0.9, 0.9)])
def test_lesion_has_its_volume_and_shows_where_it_should(script: Any, spacing: tuple[float, ...]) -> None:
    grid = Grid.from_codes((24, 40, 40), spacing=spacing)
    rng = np.random.default_rng(0)
    before = {role: rng.normal(100, 5, grid.shape).astype(np.float32) for role in (Role.FLAIR, Role.T1C)}
    after = {role: volume.copy() for role, volume in before.items()}
    lesion = script.draw(after, grid, np.array([12, 20, 20]), 0.5, True, rng)
    assert lesion.sum() * grid.voxel_volume_mm3 == pytest.approx(500, abs=grid.voxel_volume_mm3)
    for role, least in ((Role.FLAIR, 4.0), (Role.T1C, 2.5)):
        change = after[role] - before[role]
        assert change[lesion].mean() > least and abs(change[:5]).max() < 0.01
