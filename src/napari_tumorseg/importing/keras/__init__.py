"""Models of Keras 2 and 3 (`.h5`, `.keras`, `.weights.h5`), read without Keras."""

from napari_tumorseg.importing.keras.framework import original
from napari_tumorseg.importing.keras.reading import read, recognise

__all__ = ["original", "read", "recognise"]
