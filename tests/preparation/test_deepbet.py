"""Brain extraction by deepbet's weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_tumorseg.errors import PreparationError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.io import read
from napari_tumorseg.preparation import DeepBet, deepbet, missing_packages, needs
from napari_tumorseg.scan import Image, Role
from tests.builders import DATA, dice
from tests.preparation.phantom import case_of, grid_of, head

installed = pytest.mark.skipif(not deepbet.is_installed(), reason="deepbet is not installed")


class Bright(DeepBet):
    """Stands in for the networks: brain is what is brighter than the mean; remembers what it was given."""

    def _run(self, which: str, values: Array) -> Array:
        given.append((which, values))
        return (values > deepbet._MEAN).astype(np.float32)


given: list[tuple[str, Array]] = []


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deepbet, "_COARSE_SIDE", 16)
    monkeypatch.setattr(deepbet, "_FINE_SIDE", 32)
    given.clear()


def test_the_networks_see_the_head_in_the_order_they_were_trained_in() -> None:
    data = np.zeros((20, 24, 28), dtype=np.float32)
    data[8:16, 6:14, 4:12] = 100  # Z to the head, Y to the back, X to the left
    found = Bright().extract(Image("a", Role.T1, data, Grid.from_codes(data.shape, spacing=(1, 1, 1))))
    np.testing.assert_array_equal(found > 0.5, data > 0)
    (first, coarse), (second, fine) = given
    assert (first, second) == (deepbet.COARSE, deepbet.FINE)
    assert coarse.shape == (16, 16, 16)
    assert fine.shape == (32, 32, 32)
    where = np.argwhere(coarse > deepbet._MEAN).mean(axis=0) / 16
    centre = (28 - 8) / 28, (24 - 10) / 24, 12 / 20  # R, A, S
    np.testing.assert_allclose(where + 0.5 / 16, centre, atol=0.05)


def test_what_is_not_a_number_counts_as_zero() -> None:
    image = head(Role.FLAIR, grid_of())
    image.data[0, 0, 0] = np.nan
    image.data[0, 0, 1] = np.inf
    assert np.isfinite(Bright().extract(image)).all()


def test_a_uniform_image_has_no_brain() -> None:
    image = Image("blank", Role.T1, np.ones((16, 16, 16)), grid_of())
    with pytest.raises(PreparationError, match="nearly uniform"):
        Bright().extract(image)


@installed
def test_other_weights_are_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forged = tmp_path / "model.pt"
    forged.write_bytes(b"not the weights of deepbet")
    monkeypatch.setattr(deepbet, "_weights", lambda name: forged)
    with pytest.raises(PreparationError, match=r"not that of version 1\.0\.2"):
        DeepBet().extract(head(Role.FLAIR, grid_of()))


def test_without_the_package_a_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deepbet, "is_installed", lambda: False)
    needed = needs(case_of(head(Role.FLAIR, grid_of())))
    assert missing_packages(needed) == (
        'head needs brain extraction, and deepbet is not installed: pip install ".[native]" in a checkout'
    )


@installed
def test_loading_the_weights_imports_nothing_of_deepbet() -> None:
    code = (
        "import sys; from napari_tumorseg.preparation import deepbet;"
        "deepbet._load(deepbet.COARSE, 'cpu');"
        "print([m for m in ('deepbet', 'pandas', 'customtkinter', 'tkinter', 'fill_voids', 'cc3d') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_package_imports_neither_torch_nor_simpleitk() -> None:
    code = (
        "import sys; import napari_tumorseg.preparation, napari_tumorseg.inference;"
        "print([m for m in ('torch', 'SimpleITK') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@installed
@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the real scans are not there")
@pytest.mark.filterwarnings("ignore:.torch.jit.load. is deprecated:DeprecationWarning")  # deepbet's own call
def test_a_real_head_as_deepbet_itself_extracts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bet = pytest.importorskip("deepbet.bet")
    monkeypatch.undo()  # the networks' own sizes
    path = DATA / "negatives" / "chris_t1.nii.gz"
    scan = read(path)
    mine = DeepBet().extract(scan.reference) > 0.5
    _, theirs, _ = bet.BrainExtraction(no_gpu=True).run(nib.load(path))
    grid = scan.grid
    assert grid.file_layout is not None
    expected = grid.file_layout.axis_order.apply(np.asarray(theirs.dataobj) > 0)
    assert dice(mine, expected) > 0.999
