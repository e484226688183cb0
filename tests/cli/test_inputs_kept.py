"""No command replaces an input, whatever it is called and whatever is to be overwritten."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile

from tests.cli.conftest import Run


@pytest.fixture
def scan(tmp_path: Path, case: Path) -> Path:
    """Return a single scan, a copy of a case's FLAIR."""
    return Path(shutil.copy(case / "P-01_flair.nii.gz", tmp_path / "flair.nii.gz"))


def same(scan: Path) -> Path:
    return scan


def dotted(scan: Path) -> Path:
    (scan.parent / "x").mkdir()
    return scan.parent / "x" / ".." / scan.name


def soft_link(scan: Path) -> Path:
    path = scan.parent / "link.nii.gz"
    path.symlink_to(scan)
    return path


def hard_link(scan: Path) -> Path:
    path = scan.parent / "hard.nii.gz"
    os.link(scan, path)
    return path


@pytest.mark.parametrize("other_name", [same, dotted, soft_link, hard_link])
def test_a_scan_is_not_replaced_by_its_mask(
    tumorseg: Run, scan: Path, model: Path, other_name: Callable[[Path], Path]
) -> None:
    before, target = scan.read_bytes(), other_name(scan)
    done = tumorseg("segment", scan, "-o", target, "-m", model, "--overwrite")
    assert done.code == 6 and target.name in done.err and "not replaced" in done.err
    assert scan.read_bytes() == before == target.read_bytes()
    assert not target.with_name("flair.json").exists()


@pytest.mark.parametrize("option", ["--csv", "--picture"])
def test_nor_by_another_output(tumorseg: Run, case: Path, model: Path, tmp_path: Path, option: str) -> None:
    picture = tmp_path / "P-01_t2.png"  # only its name is one of a picture
    shutil.copy(case / "P-01_flair.nii.gz", picture)
    target = case / "P-01_flair.nii.gz" if option == "--csv" else picture
    if option == "--picture":
        (case / "P-01_flair.nii.gz").unlink()
        os.link(picture, case / "P-01_flair.nii.gz")
    before = target.read_bytes()
    done = tumorseg("segment", case, "-o", tmp_path / "o", "-m", model, option, target, "--overwrite")
    assert done.code == 6 and "is an input" in done.err
    assert target.read_bytes() == before and not (tmp_path / "o").exists()


def test_the_masks_of_experts_are_not_replaced(tumorseg: Run, case: Path, model: Path) -> None:
    expert = case / "P-01_seg.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((48, 40, 6), np.uint8), np.diag([-1.0, -1, 1, 1])), expert)
    before = expert.read_bytes()
    done = tumorseg("segment", case, "-o", case, "-m", model, "--overwrite")
    assert done.code == 6 and "P-01_seg.nii.gz was not written by this program" in done.err
    assert expert.read_bytes() == before


def test_nor_their_slices(tumorseg: Run, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "P_2"
    folder.mkdir()
    for number in (1, 2):
        image = np.full((40, 48, 3), 100 * number, np.uint8)
        tifffile.imwrite(folder / f"P_2_{number}.tif", image, photometric="rgb")
        tifffile.imwrite(folder / f"P_2_{number}_mask.tif", (image[..., 0] > 150).astype(np.uint8) * 255)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    done = tumorseg("segment", folder, "-o", folder, "-m", model, "--lgg", "--overwrite")
    assert done.code == 6 and "_mask.tif was not written by this program" in done.err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_nor_the_json_of_something_else(tumorseg: Run, scan: Path, model: Path) -> None:
    sidecar = scan.with_name("flair.json")  # as BIDS has it
    sidecar.write_text('{"EchoTime": 0.1}')
    done = tumorseg("segment", scan, "-o", scan.with_name("flair.nii"), "-m", model, "--overwrite")
    assert done.code == 6 and "flair.json" in done.err
    assert sidecar.read_text() == '{"EchoTime": 0.1}'


def test_own_results_are_replaced(tumorseg: Run, case: Path, model: Path) -> None:
    """Masks, tables and pictures of an earlier run, also where they lie beside the scan."""
    command = ("segment", case, "-o", case, "-m", model, "--probabilities")
    more = ("--csv", case / "volumes.csv", "--picture", case / "overlay.png", "--overwrite")
    assert tumorseg(*command, *more).code == 0
    first = (case / "P-01_seg.json").read_bytes()
    again = tumorseg(*command, *more, "--threshold", "0.9")
    assert again.code == 0, again.err
    assert (case / "P-01_seg.json").read_bytes() != first
    slices = ("segment", case, "-o", case.parent / "slices", "-m", model, "--lgg", "--overwrite")
    assert tumorseg(*slices).code == 0 and tumorseg(*slices).code == 0


def test_measure_replaces_no_mask_and_no_side_file(
    tumorseg: Run, case: Path, model: Path, tmp_path: Path
) -> None:
    tumorseg("segment", case, "-o", tmp_path / "a_seg.nii.gz", "-m", model)
    for option, name in (("--csv", "a_seg.nii.gz"), ("-o", "a_seg.json")):
        before = (tmp_path / name).read_bytes()
        done = tumorseg("measure", tmp_path / "a_seg.nii.gz", option, tmp_path / name, "--overwrite")
        assert done.code == 6 and "is an input" in done.err
        assert (tmp_path / name).read_bytes() == before


def test_evaluate_replaces_no_reference(tumorseg: Run, case: Path, model: Path, tmp_path: Path) -> None:
    expert = case / "P-01_seg.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((48, 40, 6), np.uint8), np.diag([-1.0, -1, 1, 1])), expert)
    before = expert.read_bytes()
    command = ("evaluate", "-d", case, "-m", model, "--labels", "binary", "-o", tmp_path / "o")
    done = tumorseg(*command, "--masks-out", case, "--overwrite")
    assert done.code == 6 and "P-01_seg.nii.gz was not written by this program" in done.err
    assert expert.read_bytes() == before
