"""Clicks that correct a mask: their neighbourhood, judged by what this patient's images look like."""

from napari_tumorseg.edit.clicks.click import Click
from napari_tumorseg.edit.clicks.evidence import Evidence
from napari_tumorseg.edit.clicks.refine import refine

__all__ = ["Click", "Evidence", "refine"]
