"""BioImage.IO packages of formats 0.4 and 0.5: folders, zip archives and their ``rdf.yaml``."""

from napari_tumorseg.importing.bioimageio.reading import original, read, recognise

__all__ = ["original", "read", "recognise"]
