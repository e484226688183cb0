"""Measurements of a segmentation: volumes, diameters, sides, change over time, agreement with a reference."""

from napari_tumorseg.measurement.agreement import Agreement, agreement
from napari_tumorseg.measurement.change import (
    ChangeOverTime,
    LesionChange,
    ProductChange,
    RegionChange,
    change,
)
from napari_tumorseg.measurement.confusion import Confusion
from napari_tumorseg.measurement.error_map import AGREEMENT_COLOURS, AGREEMENT_NAMES, agreement_map
from napari_tumorseg.measurement.intensity import Distribution, intensities
from napari_tumorseg.measurement.laterality import Laterality, laterality
from napari_tumorseg.measurement.lesion_diameters import LesionDiameters, Line
from napari_tumorseg.measurement.lesionwise import LESION_RULES, LesionRules, LesionScores, lesion_wise
from napari_tumorseg.measurement.max_diameter import longest_diameter
from napari_tumorseg.measurement.metrics import LESION_METRICS, METRICS, Metric, RegionAgreement
from napari_tumorseg.measurement.midline import Midline, find_midline
from napari_tumorseg.measurement.rano import Rano, rano, with_ends
from napari_tumorseg.measurement.rano_outline import OUTLINES
from napari_tumorseg.measurement.registration import Rigid, apply_transform, register
from napari_tumorseg.measurement.volumes import Interval, Measurements, RegionStats, measure

__all__ = [
    "AGREEMENT_COLOURS",
    "AGREEMENT_NAMES",
    "LESION_METRICS",
    "LESION_RULES",
    "METRICS",
    "OUTLINES",
    "Agreement",
    "ChangeOverTime",
    "Confusion",
    "Distribution",
    "Interval",
    "Laterality",
    "LesionChange",
    "LesionDiameters",
    "LesionRules",
    "LesionScores",
    "Line",
    "Measurements",
    "Metric",
    "Midline",
    "ProductChange",
    "Rano",
    "RegionAgreement",
    "RegionChange",
    "RegionStats",
    "Rigid",
    "agreement",
    "agreement_map",
    "apply_transform",
    "change",
    "find_midline",
    "intensities",
    "laterality",
    "lesion_wise",
    "longest_diameter",
    "measure",
    "rano",
    "register",
    "with_ends",
]
