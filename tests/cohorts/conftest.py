"""Small cohorts and a model whose result can be told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from napari_tumorseg.cohorts import CohortSettings, cohort
from napari_tumorseg.cohorts.run import Outcome
from tests.builders import card_of, head, save_model, threshold_net, write_case

SHAPE = (6, 24, 24)


def brain(lesion: int = 3) -> np.ndarray:
    """Return a small head with a lesion of so many pixels a side in three slices."""
    data = np.minimum(head(SHAPE), 200)
    data[2:5, 8 : 8 + lesion, 8 : 8 + lesion] = 400
    return data.astype(np.float32)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CohortSettings:
    """Return settings with a model that takes what is brighter than 300 in FLAIR for tumour."""
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "no models"))
    made = save_model(tmp_path / "model", threshold_net([0], [300.0]), card_of())
    return CohortSettings(model=str(made.weights.with_suffix(".toml")))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder of three cases and one without FLAIR."""
    folder = tmp_path / "study"
    for name, lesion in (("b", 2), ("a", 3), ("c", 4)):
        write_case(folder, {"flair": brain(lesion)}, name)
    write_case(folder, {"t1": brain()}, "odd")
    return folder


def run(data: Path | Sequence[Path], out: Path, settings: CohortSettings, **more: object) -> list[Outcome]:
    """Run a cohort to its end."""
    return list(cohort(data, out, settings, **more))  # type: ignore[arg-type]


def new(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the cases that a run has done."""
    return [one.record.case for one in outcomes if one.is_new]


def table(out: Path) -> list[list[str]]:
    """Return the cells of the table."""
    return [line.split(",") for line in (out / "cohort.csv").read_text().splitlines()]
