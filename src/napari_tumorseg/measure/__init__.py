"""Measuring a segmentation: volumes, extents, diameters, and how it agrees with a reference."""

from napari_tumorseg.measure.agreement import Agreement, RegionAgreement, agreement
from napari_tumorseg.measure.confusion import Confusion
from napari_tumorseg.measure.diameter import longest_diameter
from napari_tumorseg.measure.lesions import LESION_RULES, LesionRules, LesionScores, lesion_wise
from napari_tumorseg.measure.volumes import Measurements, RegionStats, measure

__all__ = [
    "LESION_RULES",
    "Agreement",
    "Confusion",
    "LesionRules",
    "LesionScores",
    "Measurements",
    "RegionAgreement",
    "RegionStats",
    "agreement",
    "lesion_wise",
    "longest_diameter",
    "measure",
]
