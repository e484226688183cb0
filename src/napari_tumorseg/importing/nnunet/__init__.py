"""Trained models of nnU-Net v2: a folder with plans.json, dataset.json and folds."""

from napari_tumorseg.importing.nnunet.original import original
from napari_tumorseg.importing.nnunet.reading import read, recognise

__all__ = ["original", "read", "recognise"]
