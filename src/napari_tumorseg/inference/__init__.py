"""A model over a scan, slice by slice. Importing this package does not import torch."""

from napari_tumorseg.inference.postprocess import PostSettings
from napari_tumorseg.inference.run import run, segment
from napari_tumorseg.inference.settings import Progress, Settings
from napari_tumorseg.inference.suitability import choose_model, missing_roles, warnings

__all__ = [
    "PostSettings",
    "Progress",
    "Settings",
    "available_devices",
    "choose_model",
    "missing_roles",
    "run",
    "segment",
    "warnings",
]


def available_devices() -> list[str]:
    """Return the devices that work here, the fastest first (imports torch)."""
    from napari_tumorseg.inference.predict import available_devices as found

    return found()
