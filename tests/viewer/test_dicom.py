"""DICOM in the viewer: folders and archives that are dropped, and masks that are saved beside them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from napari.layers import Labels, Layer

from napari_tumorseg import io
from napari_tumorseg.errors import OutputError
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Role, Segmentation
from napari_tumorseg.viewer.layers.from_layers import to_segmentation
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.to_layers import labels_layer
from napari_tumorseg.viewer.readers import get_reader, open_layers, read_layers
from napari_tumorseg.viewer.state import saving
from napari_tumorseg.viewer.widgets import ask
from tests.dicom_files import GE, SEQUENCES, write_series
from tests.nifti_files import affine_of
from tests.viewer.conftest import grid

SHAPE = (12, 10, 6)


@pytest.fixture(autouse=True)
def nobody_looks(monkeypatch):
    monkeypatch.setattr(ask, "window", lambda: None)


@pytest.fixture
def folder(tmp_path):
    values = np.random.default_rng(7).integers(0, 1000, SHAPE).astype(np.int16)
    for number, (words, times) in enumerate({"AX FLAIR": "flair", "AX T1": "t1"}.items(), start=1):
        affine = affine_of(("L", "P", "S"), (15, 15, 20), tilt=12)
        write_series(
            tmp_path / "scan" / f"S{number}", values, affine, number, words, **GE, **SEQUENCES[times]
        )
    return tmp_path / "scan"


@pytest.mark.parametrize("name", ["a.dcm", "A.IMA", "a.dicom", "scan.zip", "DICOMDIR"])
def test_dicom_is_claimed_by_its_names(name):
    assert get_reader(name) is open_layers


def test_a_folder_and_an_archive_become_the_same_layers(folder):
    archive = shutil.make_archive(str(folder), "zip", folder)
    for path in (folder, archive):
        layers = [Layer.create(*data) for data in read_layers(str(path))]
        assert [origin_of(layer).role for layer in layers] == [Role.FLAIR, Role.T1]
        assert [layer.name for layer in layers] == ["scan flair", "scan t1"]
        assert len({origin_of(layer).group for layer in layers}) == 1


def test_a_mask_is_saved_as_a_dicom_segmentation_and_opens_again(folder, tmp_path):
    pytest.importorskip("highdicom", reason="highdicom is not installed; Python 3.14 has none")
    scan = io.read(folder)
    labels = np.zeros(scan.grid.shape, np.uint8)
    labels[1:4, 2:6, 3:9] = 1
    layer = Layer.create(*labels_layer(Segmentation(labels, scan.grid, CONVENTIONS["binary"], "scan")))
    layer.data[2, 7, 7] = 1  # corrected by hand
    saving.save_mask(to_segmentation(layer, []), tmp_path / "scan_seg.dcm")
    (again,) = [Layer.create(*data) for data in read_layers(str(tmp_path / "scan_seg.dcm"))]
    assert isinstance(again, Labels)
    assert again.data.sum() == 3 * 4 * 6 + 1


def test_a_scan_of_another_format_is_told(tmp_path):
    on = grid()
    seg = Segmentation(np.ones(on.shape, np.uint8), on, CONVENTIONS["binary"], "case")
    with pytest.raises(OutputError, match="refers to the DICOM series"):
        saving.save_mask(seg, tmp_path / "x.dcm")


def test_the_dialog_offers_it():
    assert "DICOM (*.dcm)" in saving.MASK_FORMATS
