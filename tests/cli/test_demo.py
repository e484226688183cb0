"""``tumorseg demo``: the main job on the samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_tumorseg.samples import KINDS
from tests.cli.conftest import Run, files_in


@pytest.mark.parametrize("kind", KINDS)
def test_mask_side_file_table_and_picture(kind: str, tumorseg: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = tumorseg("demo", "-o", out, "--kind", kind)
    assert done.code == 0, done.err
    assert "A synthetic scan" in done.out
    found = files_in(out)
    assert {"overlay.png", "volumes.csv"} < set(found)
    assert sum(name.endswith("_seg.nii.gz") for name in found) == 1
    assert sum(name.endswith("_seg.json") for name in found) == 1
    assert len(found) == 4
    assert tumorseg("demo", "-o", out, "--kind", kind).code == 6


def test_a_sample_that_is_not_there(tumorseg: Run, tmp_path: Path) -> None:
    done = tumorseg("demo", "-o", tmp_path / "out", "--kind", "dicom")
    assert done.code == 3
    assert "there are brats, hdf5, lgg" in done.err
