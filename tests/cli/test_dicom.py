"""DICOM folders on the command line: shown, segmented, and written as DICOM segmentations."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_tumorseg import io
from tests.builders import head
from tests.cli.conftest import Run, files_in
from tests.dicom_files import GE, SEQUENCES, study, write_series
from tests.nifti_files import affine_of

pytest.importorskip("highdicom", reason="highdicom is not installed; Python 3.14 has none")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a DICOM folder with FLAIR and T1 of one patient, the FLAIR's lesion brighter than 300."""
    data = head((20, 40, 48)).astype(np.int16).transpose(2, 1, 0)
    affine = affine_of(("L", "P", "S"), (4, 4, 6))
    for number, (words, times) in enumerate({"AX FLAIR": "flair", "AX T1": "t1"}.items(), start=1):
        place = tmp_path / "My scan" / f"S{number}"
        write_series(place, data, affine, number, words, **{**study("CANARY"), **GE, **SEQUENCES[times]})
    return tmp_path / "My scan"


def test_info_shows_series_and_roles(tumorseg: Run, folder: Path) -> None:
    done = tumorseg("info", folder, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["case"], told["layout"]) == ("My scan", "DICOM")
    assert [(i["name"], i["role"]) for i in told["images"]] == [
        ("series-1_ax_flair", "flair"),
        ("series-2_ax_t1", "t1"),
    ]


def test_the_mask_is_a_dicom_segmentation_if_its_name_says_so(
    tumorseg: Run, folder: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    done = tumorseg("segment", folder, "-o", tmp_path / "out" / "a_seg.dcm", "-m", model)
    assert done.code == 0, done.err
    assert files_in(tmp_path / "out") == ["a_seg.dcm", "a_seg.json"]
    scan = io.read(folder)
    (mask,) = io.open_case(tmp_path / "out" / "a_seg.dcm").masks
    assert int(mask.labels.sum()) == int((scan.images[0].data > 300).sum())


def test_a_dicom_segmentation_beside_the_mask_is_of_its_set(
    tumorseg: Run, folder: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = tumorseg("segment", folder, "-o", out, "-m", model, "--dicom-seg", "--probabilities")
    assert done.code == 0, done.err
    names = ["My scan_prob.dcm", "My scan_prob_WT.nii.gz", "My scan_seg.dcm", "My scan_seg.json"]
    assert files_in(out) == [*names, "My scan_seg.nii.gz"]
    told = json.loads((out / "My scan_seg.json").read_text())
    assert set(told["files"]) == {*names, "My scan_seg.nii.gz"} - {"My scan_seg.json"}
    assert [entry["name"] for entry in told["inputs"]] == ["series-1_ax_flair"]
    assert "CANARY" not in json.dumps(told)
    volume = np.asarray(nib.load(out / "My scan_seg.nii.gz").dataobj)
    assert volume.sum() == io.open_case(out / "My scan_seg.dcm").masks[0].labels.sum()
    assert b"CANARY" in (out / "My scan_seg.dcm").read_bytes()  # the standard has it so
    again = tumorseg("segment", folder, "-o", out, "-m", model, "--dicom-seg", "--overwrite")
    assert again.code == 0, again.err


def test_a_result_beside_the_series_is_its_mask(tumorseg: Run, folder: Path, model: Path) -> None:
    done = tumorseg("segment", folder, "-o", folder, "-m", model, "--dicom-seg", "--probabilities")
    assert done.code == 0, done.err
    told = json.loads(tumorseg("info", folder, "--json").out)
    assert [mask["name"] for mask in told["masks"]] == ["My scan_seg"]
    assert told["masks"][0]["scheme"] == "binary"


def test_a_scan_of_another_format_is_refused_before_the_run(
    tumorseg: Run, case: Path, model: Path, tmp_path: Path
) -> None:
    for arguments in (("-o", tmp_path / "x.dcm"), ("-o", tmp_path / "out", "--dicom-seg")):
        done = tumorseg("segment", case, *arguments, "-m", model)
        assert done.code != 0
        assert "refers to the DICOM series that was segmented, and this scan is none" in done.err
    assert not (tmp_path / "out").exists()
