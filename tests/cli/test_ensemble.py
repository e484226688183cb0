"""``tumorseg ensemble``: one model of several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from napari_tumorseg.io import read_mask
from tests.builders import card_of, save_model, threshold_net
from tests.cli.conftest import Run


def training(folder: Path, limit: float, **changes: Any) -> Path:
    """Write the folder of a training, with its model inside."""
    save_model(folder / "model", threshold_net([0], [limit]), card_of(**changes))
    return folder


def test_trainings_become_one_model_that_runs(tumorseg: Run, tmp_path: Path, case: Path, lesion: Any) -> None:
    runs = [
        training(tmp_path / f"run {n}", limit, about={"trained_on": [f"case {n}"]})
        for n, limit in enumerate((290.0, 300.0, 500.0))
    ]
    done = tumorseg("ensemble", *runs[:2], runs[2] / "model", "-o", tmp_path / "three", "--title", "Three")
    assert done.code == 0, done.err
    assert "three: 3 members" in done.out and "three.safetensors" in done.out and not done.err
    card = json.loads(tumorseg("models", tmp_path / "three", "--json").out)
    assert card["title"] == "Three"
    assert card["members"][2] == {"name": "run 2", "unseen": ["case 0", "case 1"], "network": None}
    done = tumorseg("segment", case, "--model", tmp_path / "three", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    mask = read_mask(tmp_path / "out" / "P-01_seg.nii.gz", "binary")
    np.testing.assert_array_equal(mask.labels > 0, lesion)  # two of three say so
    written = json.loads((tmp_path / "out" / "P-01_seg.json").read_text())
    assert written["model"]["members"] == 3


def test_cards_without_cases_are_told(tumorseg: Run, tmp_path: Path) -> None:
    runs = [training(tmp_path / str(limit), limit) for limit in (1.0, 2.0)]
    done = tumorseg("ensemble", *runs, "-o", tmp_path / "two", "--name", "pair")
    assert done.code == 0 and (tmp_path / "two" / "pair.toml").is_file()
    assert "warning: no card lists training cases" in done.err


def test_models_that_do_not_fit_are_refused(tumorseg: Run, tmp_path: Path) -> None:
    other = training(tmp_path / "b", 2.0, input={"plane": "coronal"})
    done = tumorseg("ensemble", training(tmp_path / "a", 1.0), other, "-o", tmp_path / "two")
    assert done.code == 5 and "differ in their inputs" in done.err
    assert len(done.err.splitlines()) == 1 and not (tmp_path / "two").exists()


def test_a_model_is_replaced_only_on_request(tumorseg: Run, tmp_path: Path) -> None:
    runs = [training(tmp_path / str(limit), limit) for limit in (1.0, 2.0)]
    assert tumorseg("ensemble", *runs, "-o", tmp_path / "two").code == 0
    done = tumorseg("ensemble", *runs, "-o", tmp_path / "two")
    assert done.code == 6 and "--overwrite" in done.err
    assert tumorseg("ensemble", *runs, "-o", tmp_path / "two", "--overwrite").code == 0
