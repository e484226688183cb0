"""Intervals of the volumes that a run finds, from the errors that a model's card lists."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.inference.scan_analysis import ScanAnalysis
from napari_tumorseg.inference.settings import Settings
from napari_tumorseg.measurement.intervals import Calibration, VolumeInterval
from napari_tumorseg.models.card import Intervals, ModelCard
from napari_tumorseg.regions import CONVENTIONS, region_mask
from napari_tumorseg.scan import Scan


def volume_intervals(
    card: ModelCard, labels: Array, grid: Grid, doubts: Mapping[str, float], tables: tuple[Intervals, ...]
) -> dict[str, VolumeInterval]:
    """Return the interval of each region that was found and whose errors are known.

    Parameters
    ----------
    card : ModelCard
        Card of the model.
    labels : (Z, Y, X) array of uint8
        The mask, after post-processing.
    grid : Grid
        Grid of the mask.
    doubts : mapping of str to float
        The model's doubt about each region.
    tables : tuple of Intervals
        From `tables_for`.
    """
    members = CONVENTIONS[card.output.scheme].regions
    found = {}
    for table in tables:
        if table.region not in members:
            continue
        voxels = int(np.count_nonzero(region_mask(labels, members[table.region])))
        interval = calibration_of(table).interval(voxels, grid.voxel_volume_mm3, doubts.get(table.region))
        if interval is not None:
            found[table.region] = interval
    return found


def calibration_of(table: Intervals) -> Calibration:
    """Return the calibration that a table of a card holds."""
    return Calibration(table.residuals, table.floor_mm3, table.score == "log-ratio-by-doubt")


def tables_for(
    card: ModelCard, scan: Scan, settings: Settings, analysis: ScanAnalysis
) -> tuple[Intervals, ...]:
    """Return the tables of a card that apply to a run; none if `why_none` has a reason.

    A table applies to the modalities and the weights that it names.
    """
    return () if why_none(card, scan, settings, analysis) else _matching(card, scan)


def why_none(card: ModelCard, scan: Scan, settings: Settings, analysis: ScanAnalysis) -> str:
    """Return the reason why the errors that a card lists do not apply to a run, as a phrase.

    Empty if they apply, and for a card that lists none.
    """
    if not card.intervals:
        return ""
    if scan.preparation:
        return "the model's errors were measured on scans prepared elsewhere, and this one was prepared here"
    if settings.precision == "int8":
        return "the model's errors were not measured in int8"
    if not _is_usual(card, settings):
        return "the settings of the run are not those that the model's errors were measured with"
    if not _skull_fits(card, scan, analysis):
        return "the model's errors were measured on scans that differ in whether the skull is there"
    if not _matching(card, scan):
        return "the model's errors were measured with other modalities or weights"
    return ""


def _matching(card: ModelCard, scan: Scan) -> tuple[Intervals, ...]:
    there = set(scan.roles) & set(card.input.roles)
    return tuple(
        table
        for table in card.intervals
        if set(table.roles or card.input.roles) == there and table.sha256 in ("", card.sha256)
    )


def _is_usual(card: ModelCard, settings: Settings) -> bool:
    return (
        settings.threshold in (None, card.output.threshold)
        and settings.post in (None, card.postprocessing)
        and settings.slices is None
        and settings.flip in (None, card.output.flip)
    )


def _skull_fits(card: ModelCard, scan: Scan, analysis: ScanAnalysis) -> bool:
    if card.input.skull == "stripped":
        return analysis.stripped or scan.brain_mask is not None
    return card.input.skull == "any" or not analysis.stripped
