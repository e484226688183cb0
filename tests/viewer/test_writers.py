from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from napari.layers import Layer

from napari_tumorseg.errors import InputError, OutputError
from napari_tumorseg.geometry import Grid
from napari_tumorseg.io import read_mask
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.layers.to_layers import labels_layer
from napari_tumorseg.viewer.widgets import ask
from napari_tumorseg.viewer.writers import write_labels


@pytest.fixture(autouse=True)
def nobody_looks(monkeypatch):
    monkeypatch.setattr(ask, "window", lambda: None)


def layer_on(affine) -> Layer:
    on = Grid.from_file((10, 11, 9), affine)
    labels = np.random.default_rng(0).choice([0, 1, 2, 3], on.shape).astype(np.uint8)
    return Layer.create(*labels_layer(Segmentation(labels, on, CONVENTIONS["brats-2023"], "case")))


OBLIQUE = np.array([[-0.9, 0, 0.5, 1], [0, 0.9, 0, 2], [0.1, 0, 5, 3], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
@pytest.mark.parametrize("affine", [np.diag([1.0, 1, 2, 1]), np.diag([-1.0, -1, 2, 1]), OBLIQUE])
def test_nifti_is_written_in_the_files_own_order(tmp_path, affine, ending):
    layer = layer_on(affine)
    path = tmp_path / f"case_seg{ending}"
    written = write_labels(str(path), *layer.as_layer_data_tuple()[:2])
    assert written == [str(path), str(tmp_path / "case_seg.json")]
    on_disk = nib.load(path)
    assert on_disk.shape == (10, 11, 9)
    np.testing.assert_allclose(on_disk.affine, affine, atol=1e-6)
    back = read_mask(path)
    np.testing.assert_array_equal(back.labels, layer.data)
    assert back.convention.name == "brats-2023"
    assert json.loads((tmp_path / "case_seg.json").read_text())["case"] == "case"


@pytest.mark.parametrize("ending", [".tif", ".h5"])
def test_other_formats_come_back_with_the_same_voxels(tmp_path, ending):
    layer = layer_on(np.diag([-1.0, -1, 2, 1]))
    path = tmp_path / f"case_seg{ending}"
    write_labels(str(path), *layer.as_layer_data_tuple()[:2])
    np.testing.assert_array_equal(np.sort(read_mask(path).labels.ravel()), np.sort(layer.data.ravel()))


def test_a_mask_that_was_made_elsewhere_is_not_replaced(tmp_path):
    path = tmp_path / "case_seg.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((10, 11, 9), np.uint8), np.eye(4)), path)
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"case_seg\.nii\.gz was not written by this program"):
        write_labels(str(path), *layer_on(np.diag([1.0, 1, 2, 1])).as_layer_data_tuple()[:2])
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [path.name]


def test_in_a_window_a_label_that_is_not_known_is_told_without_a_traceback(tmp_path, monkeypatch):
    layer = layer_on(np.diag([1.0, 1, 2, 1]))
    layer.data[0] = 77
    path, told = tmp_path / "case_seg.nii.gz", []
    with pytest.raises(InputError, match="77"):
        write_labels(str(path), *layer.as_layer_data_tuple()[:2])
    monkeypatch.setattr(ask, "window", lambda: object())
    monkeypatch.setattr("napari.utils.notifications.show_error", told.append)
    assert write_labels(str(path), *layer.as_layer_data_tuple()[:2]) == []
    assert len(told) == 1 and "holds the labels [77]" in told[0] and not path.exists()


def test_napari_has_asked_before_a_file_is_replaced(tmp_path):
    path = tmp_path / "case_seg.nii.gz"
    layer = layer_on(np.diag([1.0, 1, 2, 1]))
    write_labels(str(path), *layer.as_layer_data_tuple()[:2])
    layer.data[:] = 0
    write_labels(str(path), *layer.as_layer_data_tuple()[:2])
    assert not read_mask(path).labels.any()
