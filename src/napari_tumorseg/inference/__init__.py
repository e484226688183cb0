"""Segmentation of a scan by a model, slice by slice. Importing this package does not import torch."""

from napari_tumorseg.inference.confidence import RegionConfidence, find
from napari_tumorseg.inference.model_selection import (
    choose_model,
    missing_roles,
    suitability_warnings,
)
from napari_tumorseg.inference.run import run, segment
from napari_tumorseg.inference.run_plan import RunPlan, plan_run, prepared
from napari_tumorseg.inference.scan_analysis import ScanAnalysis
from napari_tumorseg.inference.settings import Progress, Settings
from napari_tumorseg.inference.stored_probabilities import StoredProbabilities
from napari_tumorseg.inference.uncertainty import entropy_map, uncertain_slices
from napari_tumorseg.post_settings import PostSettings

__all__ = [
    "PostSettings",
    "Progress",
    "RegionConfidence",
    "RunPlan",
    "ScanAnalysis",
    "Settings",
    "StoredProbabilities",
    "available_devices",
    "choose_model",
    "entropy_map",
    "find",
    "missing_roles",
    "plan_run",
    "prepared",
    "run",
    "segment",
    "suitability_warnings",
    "uncertain_slices",
]


def available_devices() -> list[str]:
    """Return the devices that work here, the fastest first (imports torch)."""
    from napari_tumorseg.inference.predict import available_devices as found

    return found()
