"""``tumorseg segment --bids``: a derivative data set from the command line."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from tests.bids_files import describe, write_session
from tests.cli.conftest import Run, files_in


def test_two_sessions_into_one_data_set(
    tumorseg: Run, tmp_path: Path, model: Path, lesion: np.ndarray
) -> None:
    root = tmp_path / "ds"
    sessions = [write_session(root, "01", name, ["FLAIR"]) for name in ("a", "b")]
    describe(root)
    output = root / "derivatives" / "tumorseg"
    for session in sessions:
        done = tumorseg(
            "segment", root, "--case", session, "--bids", "--probabilities", "-o", output, "-m", model
        )
        assert done.code == 0, done.err
        mask = output.joinpath(*session.split("_"), "anat", f"{session}_label-WT_mask.nii.gz")
        assert np.array_equal(np.asanyarray(nib.load(mask).dataobj).transpose(2, 1, 0), lesion)
        assert mask.with_name(mask.name.replace("_mask", "_probseg")).is_file()
    assert len(files_in(output)) == 2 + 2 * 7
    again = tumorseg("segment", root, "--case", "sub-01_ses-a", "--bids", "-o", output, "-m", model)
    assert again.code != 0 and "--overwrite" in again.err
    measured = tumorseg("measure", mask.with_name(f"{session}_seg-tumour_dseg.nii.gz"))
    assert measured.code == 0 and "binary" not in measured.err


def test_a_foreign_mask_is_noticed_before_the_run(tumorseg: Run, tmp_path: Path, model: Path) -> None:
    root = tmp_path / "ds"
    write_session(root, "01", None, ["FLAIR"])
    folder = tmp_path / "out" / "sub-01" / "anat"
    folder.mkdir(parents=True)
    nib.save(nib.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.eye(4)), folder / "sub-01_label-WT_mask.nii.gz")
    done = tumorseg("segment", root, "--bids", "-o", tmp_path / "out", "-m", model, "--overwrite")
    assert done.code != 0 and "not written by this program" in done.err
    assert files_in(tmp_path / "out") == ["sub-01/anat/sub-01_label-WT_mask.nii.gz"]


def test_one_layout_at_a_time(tumorseg: Run, tmp_path: Path, case: Path) -> None:
    done = tumorseg("segment", case, "--bids", "--lgg", "-o", tmp_path / "out")
    assert done.code == 2 and "name one of them" in done.err
    assert not (tmp_path / "out").exists()
