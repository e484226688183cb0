"""A small data set, and a model that takes what is brighter than 300 in FLAIR for tumour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_tumorseg.geometry import Array
from napari_tumorseg.models import Model
from tests.builders import card_of, head, save_model, threshold_net, write_case

SHAPE = (6, 40, 48)


def lesion(shift: int = 0) -> Array:
    """Return the mask of the lesion of `head`, moved along X: 3 x 8 x 6 voxels."""
    return np.roll(head() > 300, shift, axis=2).astype(np.uint8)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    card = card_of(about={"trained_on": ["TCGA_DU_7294_19890104"]})
    return save_model(tmp_path / "model", threshold_net([0], [300.0]), card)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder of three cases: found exactly, found by half, without tumour in the reference."""
    folder = tmp_path / "data"
    write_case(folder, {"flair": head(), "seg": lesion()}, "a")
    write_case(folder, {"flair": head(), "seg": lesion(3)}, "b")
    write_case(folder, {"flair": head(), "seg": np.zeros(SHAPE, np.uint8)}, "c")
    return folder
