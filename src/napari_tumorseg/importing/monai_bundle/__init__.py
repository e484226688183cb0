"""MONAI bundles: metadata, the configuration of inference and weights, in a folder or a zip archive."""

from napari_tumorseg.importing.monai_bundle.original import original
from napari_tumorseg.importing.monai_bundle.reading import read, recognise

__all__ = ["original", "read", "recognise"]
