"""The shipped model for one post-contrast T1: what it runs on, in which plane, and when it is chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from napari_tumorseg.inference import ScanAnalysis, choose_model, run, segment
from napari_tumorseg.io import read
from napari_tumorseg.models import get_model
from napari_tumorseg.scan import Role, Scan
from tests.builders import head, make_scan


@pytest.fixture(autouse=True)
def no_user_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "none"))


def picture() -> np.ndarray:
    """Return a slice with a scalp, a brain and a bright round mass in it, 200 x 180."""
    rows, columns = np.mgrid[-1:1:200j, -1:1:180j]
    radius = (rows / 0.9) ** 2 + (columns / 0.75) ** 2
    values = np.where(radius < 1, 200.0, 0)
    values[radius < 0.85] = 20
    values[radius < 0.75] = 90 + 10 * np.sin(9 * rows + 7 * columns)[radius < 0.75]
    mass = (rows - 0.1) ** 2 + (columns - 0.3) ** 2 < 0.03
    values[mass] = 230
    return values.astype(np.uint8)


def planes(scan: Scan) -> set[int]:
    steps = run(scan, "t1c-tumour")
    return {step.plane_axis for step in steps}


@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
def test_a_picture_of_unknown_modality_is_run_if_the_model_is_named(name: str, tmp_path: Path) -> None:
    Pillow.fromarray(picture()).save(tmp_path / name)
    found = segment(read(tmp_path / name), "t1c-tumour")
    assert found.labels.shape == (1, 200, 180)
    assert found.grid.unit == "unknown"
    assert [entry["role"] for entry in found.provenance["inputs"]] == ["t1c"]
    assert any("taken for T1c" in warning for warning in found.provenance["warnings"])
    rows, columns = np.nonzero(found.labels[0])
    assert len(rows) > 300
    assert 90 < rows.mean() < 125 and 100 < columns.mean() < 130  # in the bright mass


def test_the_plane_is_that_of_the_acquisition() -> None:
    def scan_of(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Scan:
        return make_scan({"t1c": head(shape)}, spacing)

    assert planes(scan_of((6, 40, 48), (5, 1, 1))) == {0}
    assert planes(scan_of((40, 20, 48), (1, 5, 1))) == {1}
    assert planes(scan_of((40, 20, 40), (1, 1, 5))) == {2}


def test_it_is_chosen_where_there_is_only_t1c() -> None:
    t1c = make_scan({"t1c": head(), "t1": head()})
    for stripped in (True, False):
        assert choose_model(t1c, ScanAnalysis(t1c, stripped)).name == "t1c-tumour"
    both = make_scan({"flair": head(), "t1c": head()})
    assert choose_model(both, ScanAnalysis(both, stripped=True)).name == "brats-regions"
    assert choose_model(both, ScanAnalysis(both, stripped=False)).name == "lgg-flair"


def test_its_card_tells_free_terms_and_limits() -> None:
    about = get_model("t1c-tumour").card.about
    assert about.licence.startswith("CC BY 4.0") and "2506.14318" in about.citation
    assert "false positive" in about.metrics
    assert get_model("t1c-tumour").card.input.roles == (Role.T1C,)
