from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_tumorseg.errors import OutputError
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.samples import KINDS, sample_path
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.state import saving
from napari_tumorseg.viewer.state.saving import MASK_FORMATS, save_mask, start_folder, with_ending
from tests.viewer.conftest import grid

NIFTI, TIFF, HDF5 = MASK_FORMATS.split(";;")


def mask() -> Segmentation:
    on = grid()
    return Segmentation(np.zeros(on.shape, np.uint8), on, CONVENTIONS["binary"], "case")


@pytest.mark.parametrize(
    ("typed", "chosen", "expected"),
    [
        ("x", NIFTI, "x.nii.gz"),
        ("x", TIFF, "x.tif"),
        ("x", HDF5, "x.h5"),
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


def test_a_mask_is_replaced_with_its_own_side_file(tmp_path):
    for _ in range(2):
        save_mask(mask(), tmp_path / "x.nii.gz")


def test_nothing_is_saved_into_the_package(tmp_path):
    assert start_folder(tmp_path) == tmp_path
    assert start_folder(None) == Path.home()
    for kind in KINDS:
        assert start_folder(sample_path(kind)) == Path.home()
