from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from napari.layers import Layer

from napari_tumorseg.geometry import Grid
from napari_tumorseg.io import read_mask
from napari_tumorseg.regions import SCHEMES
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
    return Layer.create(*labels_layer(Segmentation(labels, on, SCHEMES["brats-2023"], "case")))


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
    assert back.scheme.name == "brats-2023"
    assert json.loads((tmp_path / "case_seg.json").read_text())["case"] == "case"


@pytest.mark.parametrize("ending", [".tif", ".h5"])
def test_other_formats_come_back_with_the_same_voxels(tmp_path, ending):
    layer = layer_on(np.diag([-1.0, -1, 2, 1]))
    path = tmp_path / f"case_seg{ending}"
    write_labels(str(path), *layer.as_layer_data_tuple()[:2])
    np.testing.assert_array_equal(np.sort(read_mask(path).labels.ravel()), np.sort(layer.data.ravel()))


def test_napari_has_asked_before_a_file_is_replaced(tmp_path):
    path = tmp_path / "case_seg.nii.gz"
    layer = layer_on(np.diag([1.0, 1, 2, 1]))
    write_labels(str(path), *layer.as_layer_data_tuple()[:2])
    layer.data[:] = 0
    write_labels(str(path), *layer.as_layer_data_tuple()[:2])
    assert not read_mask(path).labels.any()
