"""``tumorseg measure``: the numbers of a mask."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile

from tests.cli.conftest import Run, files_in


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """Return a mask of 2 x 3 x 4 voxels of 1 x 1 x 2 mm: 48 mm3."""
    data = np.zeros((20, 20, 10), dtype=np.uint8)
    data[5:7, 5:8, 2:6] = 1
    image = nib.Nifti1Image(data, np.diag([1.0, 1.0, 2.0, 1.0]))
    image.header.set_xyzt_units("mm")
    path = tmp_path / "x_seg.nii.gz"
    nib.save(image, path)
    return path


def row(text: str, name: str) -> dict[str, object]:
    content = json.loads(text)
    return next(r for r in content["rows"] if r["name"] == name)


def test_volumes(tumorseg: Run, mask: Path) -> None:
    done = tumorseg("measure", mask)
    assert done.code == 0, done.err
    assert "WT" in done.out
    found = row(tumorseg("measure", mask, "--json").out, "WT")
    assert found["voxels"] == 24
    assert found["volume_ml"] == pytest.approx(0.048)


def test_a_spacing_that_is_stated(tumorseg: Run, mask: Path) -> None:
    known = tumorseg("measure", mask, "--spacing", "5,1,1")  # the file tells its own
    assert (known.code, "stores its voxel size" in known.err) == (3, True)
    unknown = mask.with_name("u_seg.tif")
    tifffile.imwrite(unknown, np.asarray(nib.load(mask).dataobj).T)
    done = tumorseg("measure", unknown, "--json", "--spacing", "5,1,1", "--against", unknown)
    assert row(done.out, "WT")["volume_ml"] == pytest.approx(0.12)
    assert json.loads(done.out)["agreement"]["rows"][0]["hd95_mm"] == 0
    assert tumorseg("measure", mask, "--spacing", "nan,1,1").code == 2


def test_files(tumorseg: Run, mask: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    arguments = ("measure", mask, "--csv", out / "a.csv", "-o", out / "a.json")
    assert tumorseg(*arguments).code == 0
    assert files_in(out) == ["a.csv", "a.json"]
    json.loads((out / "a.json").read_text())
    assert tumorseg(*arguments).code == 6
    assert tumorseg(*arguments, "--overwrite").code == 0


def test_labels_that_fit_several_conventions(tumorseg: Run, mask: Path, tmp_path: Path) -> None:
    image = nib.load(mask)
    data = np.asarray(image.dataobj).copy()
    data[5, 5, 2:4] = 2, 3
    path = tmp_path / "y.nii.gz"
    nib.save(nib.Nifti1Image(data, image.affine, image.header), path)
    done = tumorseg("measure", path)
    assert done.code == 4
    assert "--labels" in done.err
    assert str(path) in done.err
    assert len(done.err.splitlines()) == 1
    assert tumorseg("measure", path, "--labels", "msd").code == 0
    assert tumorseg("measure", path, "--labels", "brats-2021").code == 3
    assert tumorseg("measure", path, "--labels", "nonsense").code == 3


def test_what_is_no_mask(tumorseg: Run, case: Path) -> None:
    done = tumorseg("measure", case / "P-01_flair.nii.gz")
    assert done.code == 3
    assert "holds no mask" in done.err


def test_against_a_reference(tumorseg: Run, mask: Path, tmp_path: Path) -> None:
    stored = nib.load(mask)
    other = np.asarray(stored.dataobj).copy()
    other[5:7, 5:8, 2] = 0  # 6 of 24 voxels fewer
    reference = tmp_path / "reference_seg.nii.gz"
    nib.save(nib.Nifti1Image(other, stored.affine, stored.header), reference)
    done = tumorseg("measure", mask, "--against", reference)
    assert done.code == 0, done.err
    assert "0.857" in done.out  # 2 * 18 / (24 + 18)
    content = json.loads(tumorseg("measure", mask, "--against", reference, "--json").out)
    whole = next(r for r in content["agreement"]["rows"] if r["name"] == "WT")
    assert whole["dice"] == pytest.approx(36 / 42)
    assert whole["volume_error_ml"] == pytest.approx(0.012)


def test_a_reference_elsewhere_is_refused(tumorseg: Run, mask: Path, tmp_path: Path) -> None:
    stored = nib.load(mask)
    moved = stored.affine.copy()
    moved[0, 3] += 50
    reference = tmp_path / "moved_seg.nii.gz"
    nib.save(nib.Nifti1Image(np.asarray(stored.dataobj), moved), reference)
    done = tumorseg("measure", mask, "--against", reference)
    assert done.code == 3
    assert done.err.count("\n") == 1


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    """Return a ring of enhancing tumour, 20 x 30 mm, around necrosis."""
    data = np.zeros((40, 50, 3), dtype=np.uint8)
    data[10:30, 10:40, 1] = 3
    data[13:27, 13:37, 1] = 1
    image = nib.Nifti1Image(data, np.eye(4))
    image.header.set_xyzt_units("mm")
    path = tmp_path / "ring_seg.nii.gz"
    nib.save(image, path)
    return path


def test_the_outline_of_diameters_is_a_choice(tumorseg: Run, ring: Path, tmp_path: Path) -> None:
    arguments = ("measure", ring, "--labels", "brats-2023")
    found = {}
    for outline in ("enhancing-only", "with-necrosis"):
        done = tumorseg(*arguments, "--rano-outline", outline, "--json")
        found[outline] = json.loads(done.out)["diameters"]
        assert found[outline]["outline"] == outline
    longest = {name: d["lesions"][0]["longest"]["length_mm"] for name, d in found.items()}
    assert longest["enhancing-only"] == pytest.approx(np.hypot(3, 30))
    assert longest["with-necrosis"] == pytest.approx(np.hypot(20, 30))
    assert json.loads(tumorseg(*arguments, "--json").out)["diameters"] == found["enhancing-only"]
    table = tmp_path / "a.csv"
    done = tumorseg(*arguments, "--rano-outline", "with-necrosis", "--csv", table)
    assert ",with-necrosis,1,36.056," in table.read_text()
    assert "with the necrosis it encloses" in " ".join(done.out.split())


def test_an_outline_that_does_not_exist(tumorseg: Run, ring: Path) -> None:
    done = tumorseg("measure", ring, "--labels", "brats-2023", "--rano-outline", "outer")
    assert done.code == 2
    assert "--rano-outline is enhancing-only or with-necrosis" in done.err
