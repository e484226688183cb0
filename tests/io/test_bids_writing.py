"""Results as BIDS derivative data sets: files, voxels, side files, the official validator, reading back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_tumorseg import io
from napari_tumorseg.errors import OutputError
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Scan, Segmentation
from tests.bids_files import describe, problems, write_json, write_session
from tests.builders import head, make_scan

INPUTS = {"inputs": [{"role": "flair", "name": "x"}, {"role": "t1c", "name": "y"}]}


def result(scan: Scan, convention: str = "brats-2023", **more: object) -> Segmentation:
    labels = np.zeros(scan.grid.shape, np.uint8)
    for number, value in enumerate(sorted(CONVENTIONS[convention].values)):
        labels[number + 1, 3:6, 4 : 9 + number] = value
    return Segmentation(labels, scan.grid, CONVENTIONS[convention], scan.case, provenance=INPUTS, **more)


def voxels(path: Path) -> np.ndarray:
    """Return the canonical voxels of a file, which lies in LPS."""
    return np.asanyarray(nib.load(path).dataobj).transpose(2, 1, 0)


def content(path: Path) -> dict[str, object]:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    root = tmp_path / "ds"
    write_session(root, "01", "pre")
    write_session(root, "01", "post", ["acq-ax_run-1_FLAIR", "acq-ax_ce-gd_run-1_T1w"])
    write_session(root, "02")
    describe(root)
    return root


def test_the_files_of_a_session(dataset: Path) -> None:
    scan = io.read(dataset, case="sub-01_ses-pre")
    probability = {"WT": np.full(scan.grid.shape, 51, np.uint8)}
    seg = result(scan, probabilities=probability)
    written = io.write_bids(seg, scan, dataset / "derivatives" / "ours")
    folder = dataset / "derivatives" / "ours" / "sub-01" / "ses-pre" / "anat"
    stem = "sub-01_ses-pre"
    images = ["seg-tumour_dseg", "label-WT_mask", "label-TC_mask", "label-ET_mask", "label-WT_probseg"]
    names = [f"{stem}_{name}{e}" for name in images for e in (".nii.gz", ".json")]
    assert {p.name for p in folder.iterdir()} == {*names, f"{stem}_seg-tumour_dseg.tsv"}
    assert {p.name for p in written} == {p.name for p in folder.iterdir()}
    assert np.array_equal(voxels(folder / f"{stem}_seg-tumour_dseg.nii.gz"), seg.labels)
    assert np.array_equal(voxels(folder / f"{stem}_label-WT_mask.nii.gz"), seg.labels > 0)
    assert np.array_equal(voxels(folder / f"{stem}_label-TC_mask.nii.gz"), np.isin(seg.labels, (1, 3)))
    assert np.array_equal(voxels(folder / f"{stem}_label-ET_mask.nii.gz"), seg.labels == 3)
    assert np.allclose(voxels(folder / f"{stem}_label-WT_probseg.nii.gz"), 0.2)
    assert (folder / f"{stem}_seg-tumour_dseg.tsv").read_text().splitlines() == [
        "index\tname\tabbreviation\tcolor",
        "1\tnecrotic and non-enhancing core\tNCR\t#D55E00",
        "2\toedema\tED\t#009E73",
        "3\tenhancing tumour\tET\t#56B4E9",
    ]


def test_sources_are_bids_uris_of_the_images_that_the_model_took(dataset: Path) -> None:
    scan = io.read(dataset, case="sub-01_ses-pre")
    output = dataset / "derivatives" / "ours"
    for path in io.write_bids(result(scan), scan, output):
        if path.suffix == ".json":
            found = content(path)
            flair, t1c = (
                f"bids:raw:sub-01/ses-pre/anat/sub-01_ses-pre_{suffix}.nii.gz"
                for suffix in ("FLAIR", "ce-gadolinium_T1w")
            )
            assert sorted(found["Sources"]) == sorted([flair, t1c])
            assert found["SpatialReference"] == flair
    about = content(output / "dataset_description.json")
    assert about["DatasetType"] == "derivative" and about["DatasetLinks"] == {"raw": "../.."}
    assert about["GeneratedBy"][0]["Name"] == "napari-tumorseg"


def test_entities_that_all_images_share_are_kept(dataset: Path) -> None:
    scan = io.read(dataset, case="sub-01_ses-post")
    written = io.write_bids(result(scan), scan, dataset / "out")
    assert written[0].name == "sub-01_ses-post_acq-ax_run-1_seg-tumour_dseg.nii.gz"


def test_several_cases_make_one_valid_data_set(dataset: Path, tmp_path: Path) -> None:
    output = dataset / "derivatives" / "ours"
    scans = [io.read(dataset, case=name) for name in io.list_cases(dataset)]
    scans += [make_scan({"flair": head()}, case="P-07"), make_scan({"flair": head()}, None, case="患者")]
    for number, scan in enumerate(scans):
        found = {} if number else {"ET": np.zeros(scan.grid.shape, np.uint8)}
        convention = ("brats-2023", "binary", "brats-2015", "hd-glio", "brats-2024")[number]
        io.write_bids(result(scan, convention, probabilities=found), scan, output)
    before = (output / "dataset_description.json").read_bytes()
    assert problems(output) == []
    assert problems(dataset, "--recursive") == []
    assert len(list(output.glob("sub-*"))) == 4
    assert (output / "dataset_description.json").read_bytes() == before
    assert not list(output.rglob(".tumorseg*"))


def test_a_result_is_read_again_with_its_labels(dataset: Path) -> None:
    scan = io.read(dataset, case="sub-02")
    seg = result(scan)
    output = dataset / "derivatives" / "ours"
    written = io.write_bids(seg, scan, output)
    again = io.read_mask(written[0])
    assert again.convention.name == "brats-2023" and np.array_equal(again.labels, seg.labels)
    for path, case in ((dataset, "sub-02"), (output, None), (written[0].parent, None)):
        found = io.open_case(path, case)
        assert [mask.name for mask in found.masks] == ["sub-02_seg-tumour_dseg"]
        assert len(found.images) == (4 if path == dataset else 0)


def test_a_second_result_needs_overwrite_and_leaves_nothing_of_the_first(dataset: Path) -> None:
    scan = io.read(dataset, case="sub-02")
    output = dataset / "out"
    io.write_bids(result(scan), scan, output)
    before = {p: p.read_bytes() for p in output.rglob("*") if p.is_file()}
    with pytest.raises(OutputError, match="exists already"):
        io.write_bids(result(scan, "binary"), scan, output)
    assert before == {p: p.read_bytes() for p in output.rglob("*") if p.is_file()}
    io.write_bids(result(scan, "binary"), scan, output, overwrite=True)
    names = {p.name.removeprefix("sub-02_") for p in (output / "sub-02" / "anat").iterdir()}
    assert names == {
        "seg-tumour_dseg.nii.gz", "seg-tumour_dseg.json", "seg-tumour_dseg.tsv",
        "label-WT_mask.nii.gz", "label-WT_mask.json",
    }  # fmt: skip


def test_a_mask_of_somebody_else_is_not_replaced(dataset: Path) -> None:
    scan = io.read(dataset, case="sub-02")
    paths = io.write_bids(result(scan), scan, dataset / "out")
    mask = next(p for p in paths if "label-ET" in p.name and p.suffix == ".gz")
    nib.save(nib.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.eye(4)), mask)
    before = {p: p.read_bytes() for p in paths}
    with pytest.raises(OutputError, match=r"label-ET_mask.nii.gz was changed by another program"):
        io.write_bids(result(scan), scan, dataset / "out", overwrite=True)
    assert before == {p: p.read_bytes() for p in paths}


def test_two_cases_of_one_label_are_not_mixed_up(tmp_path: Path) -> None:
    for name in ("P-01", "P01"):
        scan = make_scan({"flair": head()}, case=name)
        seg = result(scan)
        if name == "P-01":
            io.write_bids(seg, scan, tmp_path)
        else:
            with pytest.raises(OutputError, match="belongs to the case P-01"):
                io.write_bids(seg, scan, tmp_path, overwrite=True)


def test_subject_and_session_of_other_layouts(tmp_path: Path) -> None:
    scan = replace(make_scan({"flair": head()}, case="BraTS-GLI-00005-100"), time_point="100")
    written = io.write_bids(result(scan), scan, tmp_path)
    assert written[0].relative_to(tmp_path).as_posix() == (
        "sub-BraTSGLI00005/ses-100/anat/sub-BraTSGLI00005_ses-100_seg-tumour_dseg.nii.gz"
    )
    assert "Sources" not in content(written[0].with_name(written[0].name.replace(".nii.gz", ".json")))


def test_folders_of_the_source_are_not_named(dataset: Path, tmp_path: Path) -> None:
    scan = io.read(dataset, case="sub-02")
    io.write_bids(result(scan), scan, tmp_path / "elsewhere")
    about = (tmp_path / "elsewhere" / "dataset_description.json").read_text()
    assert "urn:" in json.loads(about)["DatasetLinks"]["raw"]
    assert str(tmp_path) not in about


@pytest.mark.parametrize("kind", ["raw", "derivative"])
def test_a_data_set_of_others_gets_no_results(dataset: Path, tmp_path: Path, kind: str) -> None:
    scan = io.read(dataset, case="sub-02")
    describe(tmp_path / "theirs", kind)
    with pytest.raises(OutputError, match="that was not made by napari-tumorseg"):
        io.write_bids(result(scan), scan, tmp_path / "theirs")
    assert [p.name for p in (tmp_path / "theirs").iterdir()] == ["dataset_description.json"]


def test_the_data_set_itself_gets_no_results(dataset: Path) -> None:
    scan = io.read(dataset, case="sub-02")
    with pytest.raises(OutputError, match="is the data set itself; choose another folder, such as"):
        io.write_bids(result(scan), scan, dataset)


def test_a_damaged_description_is_named(dataset: Path, tmp_path: Path) -> None:
    scan = io.read(dataset, case="sub-02")
    write_json(tmp_path / "out" / "dataset_description.json", {}).write_text("{", encoding="utf-8")
    with pytest.raises(OutputError, match=r"dataset_description.json cannot be read"):
        io.write_bids(result(scan), scan, tmp_path / "out")
