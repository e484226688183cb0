"""Measuring a segmentation: volumes, extents, diameters."""

from napari_tumorseg.measure.diameter import longest_diameter
from napari_tumorseg.measure.volumes import Measurements, RegionStats, measure

__all__ = ["Measurements", "RegionStats", "longest_diameter", "measure"]
