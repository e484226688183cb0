"""A data set of eight tiny patients in the LGG layout, and a recipe that learns from it in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_tumorseg.training.recipe import Recipe

pytest.importorskip("lightning", reason="training needs the extra `train`")

PATIENTS = 8
SLICES = 5


def write_lgg(folder: Path, patients: int = PATIENTS) -> Path:
    """Write slices of 32 x 32: a disc of tissue, on the three in the middle a bright square as tumour."""
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:32, :32]
    disc = (rows - 16) ** 2 + (columns - 16) ** 2 < 196
    for number in range(patients):
        name = f"TCGA_AA_{number:04d}_20000101"
        (folder / name).mkdir(parents=True)
        top, left = rng.integers(8, 18, size=2)
        for index in range(1, SLICES + 1):
            image = np.where(disc, rng.integers(60, 100, (32, 32)), 0).astype(np.uint8)
            mask = np.zeros((32, 32), np.uint8)
            if 2 <= index <= 4:
                mask[top : top + 6, left : left + 6] = 255
                image[mask > 0] = 200
            stack = np.stack([image, image, image], axis=-1)
            tifffile.imwrite(folder / name / f"{name}_{index}.tif", stack, photometric="rgb")
            tifffile.imwrite(folder / name / f"{name}_{index}_mask.tif", mask)
    return folder


def tiny(**changes: Any) -> Recipe:
    """Return a recipe for those slices; `changes` by table."""
    tables: dict[str, Any] = {
        "name": "tiny",
        "network": {"arguments": {"widths": [4, 8], "bottleneck": 8, "dropout": 0.2}},
        "input": {
            "roles": ["t1", "flair", "t1c"],
            "accepts": [["t1", "flair", "t1c"], ["flair"]],
            "substitute": {"t1": "flair", "t1c": "flair"},
            "normalisation": {"method": "divide"},
        },
        "output": {"names": ["WT"], "labels": [1], "scheme": "binary"},
        "augmentation": [
            {"kind": "flip", "probability": 0.5},
            {"kind": "affine", "rotate": 10, "scale": 0.1, "shift": 0.05},
            {"kind": "noise", "deviation": 0.05, "probability": 0.5},
        ],
        "loss": [{"name": "bce"}, {"name": "dice"}],
        "optimiser": {"lr": 1e-2},
        "split": {"fractions": [0.5, 0.25, 0.25]},
        "fit": {"epochs": 2, "batch": 4, "checkpoint_steps": 0},
    }
    for table, content in changes.items():
        both = isinstance(content, dict) and isinstance(tables.get(table), dict)
        tables[table] = tables[table] | content if both else content
    return Recipe.model_validate(tables)


@pytest.fixture(scope="session")
def lgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of tiny patients."""
    return write_lgg(tmp_path_factory.mktemp("lgg") / "kaggle_3m")
