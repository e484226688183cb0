"""``tumorseg segment`` on a native scan."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_tumorseg import preparation
from napari_tumorseg.inference import run_plan
from napari_tumorseg.models.store import Model
from napari_tumorseg.scan import Role
from tests.builders import card_of, save_model, threshold_net
from tests.cli.conftest import Run, files_in
from tests.preparation.phantom import grid_of, head, motion
from tests.preparation.tools import knowing

MOVED = motion((0, 0, 8), (9, 0, 0))


@pytest.fixture
def native(tmp_path: Path) -> Path:
    """Returns a folder of two sequences on grids of their own."""
    folder = tmp_path / "P-07"
    folder.mkdir()
    images = [head(Role.FLAIR, grid_of()), head(Role.T1C, grid_of((4, 5, 5), (6, 0, 0)), MOVED)]
    for image in images:
        flip = image.data.transpose(2, 1, 0)
        affine = image.grid.affine[:, [2, 1, 0, 3]]
        nib.save(nib.Nifti1Image(flip, affine), folder / f"{image.role}.nii.gz")
    return folder


@pytest.fixture
def stripped_model(tmp_path: Path) -> Model:
    card = card_of(("flair", "t1c"), input={"skull": "stripped"})
    return save_model(tmp_path / "models", threshold_net([0], [85.0], inputs=2), card)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_plan, "missing_packages", lambda needed: "")
    monkeypatch.setattr(preparation, "default_tools", lambda device: knowing({Role.T1C: MOVED}))


def test_one_command_from_a_native_scan_to_a_mask_on_its_grid(
    tumorseg: Run, native: Path, stripped_model: Model, tmp_path: Path
) -> None:
    done = tumorseg("segment", native, "-o", tmp_path / "out", "-m", stripped_model.weights.parent)
    assert done.code == 0, done.err
    assert files_in(tmp_path / "out") == ["P-07_seg.json", "P-07_seg.nii.gz"]
    scan, mask = nib.load(native / "flair.nii.gz"), nib.load(tmp_path / "out" / "P-07_seg.nii.gz")
    assert mask.shape == scan.shape
    np.testing.assert_array_equal(mask.affine, scan.affine)
    told = json.loads((tmp_path / "out" / "P-07_seg.json").read_text())
    (moved,) = told["preparation"]["registration"]
    assert moved["rotation_degrees"] == pytest.approx(8, abs=0.1)
    assert told["preparation"]["brain_extraction"]["volume_ml"] > 1000
    assert "T1c was registered onto FLAIR" in done.err
    assert "skull" not in done.err


def test_no_prepare(tumorseg: Run, native: Path, stripped_model: Model, tmp_path: Path) -> None:
    model = stripped_model.weights.parent
    done = tumorseg("segment", native, "-o", tmp_path / "out", "-m", model, "--no-prepare")
    assert done.code == 0, done.err
    assert "preparation" not in json.loads((tmp_path / "out" / "P-07_seg.json").read_text())
    assert "seems to have its skull" in done.err


def test_info_tells_the_preparation(tumorseg: Run, native: Path) -> None:
    done = tumorseg("info", native)
    assert "after brain extraction and registration of T1c onto FLAIR" in done.out
    assert json.loads(tumorseg("info", native, "--json").out)["preparation"].startswith("brain extraction")
