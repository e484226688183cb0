from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_tumorseg.errors import OutputError
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.samples import KINDS, sample_path
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.state import saving
from napari_tumorseg.viewer.state.conventions import in_convention_of_case
from napari_tumorseg.viewer.state.saving import MASK_FORMATS, save_mask, start_folder, with_ending
from napari_tumorseg.viewer.widgets import ask
from tests.viewer.conftest import grid
from tests.viewer.studies import head_case, mask_on, show_case

NIFTI, TIFF, HDF5, DICOM = MASK_FORMATS.split(";;")


def mask() -> Segmentation:
    on = grid()
    return Segmentation(np.zeros(on.shape, np.uint8), on, CONVENTIONS["binary"], "case")


@pytest.mark.parametrize(
    ("typed", "chosen", "expected"),
    [
        ("x", NIFTI, "x.nii.gz"),
        ("x", TIFF, "x.tif"),
        ("x", HDF5, "x.h5"),
        ("x", DICOM, "x.dcm"),
        ("x", "", "x.nii.gz"),
        ("x.nii.gz", TIFF, "x.tif"),  # the suggested name, and then another type
        ("x.nii.tif", TIFF, "x.tif"),
        ("x.hdf5", HDF5, "x.hdf5"),
        ("x.nii", NIFTI, "x.nii"),
        ("x.tif", NIFTI, "x.tif"),  # the first type is chosen by nobody
        ("x.NII.GZ", NIFTI, "x.NII.GZ"),
        ("Patient.1", TIFF, "Patient.1.tif"),
    ],
)
def test_the_file_type_tells_the_ending(typed, chosen, expected):
    assert with_ending(Path(typed), chosen, MASK_FORMATS) == Path(expected)


def test_a_file_that_nobody_was_asked_about_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "x.tif").touch()
    monkeypatch.setattr(saving.QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "x"), TIFF))
    with pytest.raises(OutputError, match="exists"):
        saving.ask_where(None, "Save mask", tmp_path / "x", MASK_FORMATS)


@pytest.mark.parametrize("held", ['{"age": 60}', '{"scheme": "binary"}', "no JSON", "[1]"])
def test_a_side_file_of_something_else_stays(tmp_path, held):
    side = tmp_path / "x.json"
    side.write_text(held)
    with pytest.raises(OutputError, match="another name"):
        save_mask(mask(), tmp_path / "x.nii.gz")
    assert side.read_text() == held
    assert not (tmp_path / "x.nii.gz").exists()


def test_a_mask_corrected_in_another_program_stays(tmp_path):
    path = tmp_path / "x.nii.gz"
    save_mask(mask(), path)
    path.write_bytes(path.read_bytes() + b"corrected")
    with pytest.raises(OutputError, match=r"x\.nii\.gz was changed by another program"):
        save_mask(mask(), path)
    assert path.read_bytes().endswith(b"corrected")


def test_a_mask_is_replaced_with_its_own_side_file(tmp_path):
    for _ in range(2):
        save_mask(mask(), tmp_path / "x.nii.gz")


def test_nothing_is_saved_into_the_package(tmp_path):
    assert start_folder(tmp_path) == tmp_path
    assert start_folder(None) == Path.home()
    for kind in KINDS:
        assert start_folder(sample_path(kind)) == Path.home()


@pytest.mark.parametrize(("answer", "expected"), [(0, "brats-2023"), (1, "brats-2021")])
def test_the_convention_of_the_cases_own_mask_is_offered(monkeypatch, answer, expected):
    one = head_case()
    viewer = ViewerModel()
    theirs = replace(mask_on(one).in_convention(CONVENTIONS["brats-2021"]), source=Path("case_seg.nii.gz"))
    result, own = show_case(viewer, one, mask_on(one), theirs)
    offered = []
    monkeypatch.setattr(ask, "choose", lambda _t, _q, options: offered.extend(options) or options[answer])
    seg = in_convention_of_case(mask_on(one), [result, own])
    assert offered == ["BraTS 2023, as it is", "BraTS 2017-2021, as the case's own mask"]
    assert seg.convention.name == expected
    assert set(np.unique(seg.labels)) == {0, 1, 2, {"brats-2023": 3, "brats-2021": 4}[expected]}


def test_nobody_is_asked_where_the_case_has_no_mask_of_its_own(monkeypatch):
    one = head_case()
    viewer = ViewerModel()
    layers = show_case(viewer, one, mask_on(one), mask_on(one, 1))
    monkeypatch.setattr(ask, "choose", lambda *_: pytest.fail("asked"))
    seg = mask_on(one)
    assert in_convention_of_case(seg, layers) is seg
