"""Running the command line inside the test, and small cases for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from napari_tumorseg.cli import main
from tests.builders import card_of, head, save_model, threshold_net, write_case


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def tumorseg(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Return a function that runs ``tumorseg`` with arguments, from exit code to output."""
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "no models"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["tumorseg", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return Outcome(int(end.value.code or 0), out, err)

    return run


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return the card of a model that takes what is brighter than 300 in FLAIR for tumour."""
    made = save_model(tmp_path / "model", threshold_net([0], [300.0]), card_of())
    return made.weights.with_suffix(".toml")


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """Return the folder of a case with FLAIR and T1c; 288 voxels of FLAIR are bright."""
    return write_case(tmp_path, {"flair": head(), "t1c": head()}, "P-01")


@pytest.fixture
def lesion() -> np.ndarray:
    """Return where the case's lesion is, canonical."""
    return head() > 300


def files_in(folder: Path) -> list[str]:
    """Return the names of the files below a folder."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment, for another one."""
    return {**os.environ, **more}
