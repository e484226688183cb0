"""npe2 sample data: the project's own synthetic scan in three layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_tumorseg.viewer.layers.to_layers import LayerData


def brats_nifti() -> list[LayerData]:
    """Return the sample as a BraTS folder: four modalities, skull-stripped, with its mask."""
    return _open("brats")


def lgg_tiff() -> list[LayerData]:
    """Return the sample with its skull as TIFF slices of three channels."""
    return _open("lgg")


def hdf5_slices() -> list[LayerData]:
    """Return the sample as a folder of HDF5 slices."""
    return _open("hdf5")


def _open(kind: str) -> list[LayerData]:
    from napari_tumorseg.samples import sample_path
    from napari_tumorseg.viewer.readers import read_layers

    return read_layers(str(sample_path(kind)))
