"""Rows of the results table, updated with every edit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from napari.layers import Labels as LabelsLayer
from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

from napari_tumorseg.edit import Change
from napari_tumorseg.geometry import Grid
from napari_tumorseg.measurement import Interval
from napari_tumorseg.measurement.intervals import VolumeInterval, intervals_in
from napari_tumorseg.measurement.volumes import interval_of
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.state.active_mask import ActiveMask
from napari_tumorseg.viewer.state.tracked_mask import Row, TrackedMask

_SECONDS_AT_A_TIME = 0.02
"""Components are counted row by row as long as this lasts; then the window has its turn."""


@dataclass(frozen=True)
class LiveRow:
    """The numbers of one label or region.

    Attributes
    ----------
    name, title : str
        Abbreviation (or name of the region) and full name.
    labels : tuple of int
        Label numbers by whose colours it is shown.
    voxels : int
        Its size.
    volume_ml : float or None
        Its volume; None where the voxel size is unknown.
    components : int or None
        26-connected pieces; None while they are being counted.
    more_voxels : int
        How many it has more than at first.
    more_ml : float or None
        The same as a volume.
    interval : Interval or None
        Of its size, as long as nobody has corrected the model's result.
    """

    name: str
    title: str
    labels: tuple[int, ...]
    voxels: int
    volume_ml: float | None
    components: int | None
    more_voxels: int
    more_ml: float | None
    interval: Interval | None = None


class LiveTable(QObject):
    """Emits the rows of the active mask whenever they change."""

    shown = Signal(object, object)
    """The `TrackedMask` and its rows."""
    emptied = Signal(str)
    """There are no rows: the reason, as a sentence."""

    def __init__(self, active_mask: ActiveMask) -> None:
        super().__init__()
        self._active_mask = active_mask
        self._components: dict[str, int] = {}
        self._missing: list[str] = []
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._go_on)
        self.rows: tuple[LiveRow, ...] = ()
        active_mask.switched.connect(self._on_switched)
        active_mask.changed.connect(self._on_changed)
        active_mask.refused.connect(self._on_refused)
        active_mask.renamed.connect(self._on_renamed)

    @property
    def is_complete(self) -> bool:
        """Whether the components of every row are counted."""
        return not self._missing

    def refresh(self) -> None:
        """Emit the rows again, such as when the voxel size has changed."""
        mask = self._active_mask.mask
        if mask is None:
            self._empty("No mask yet.")
        else:
            self._count(mask)

    def cancel(self) -> None:
        """Stop counting components."""
        with suppress(RuntimeError):  # at the program's end Qt may have been faster
            self._timer.stop()

    def _on_switched(self, layer: LabelsLayer | None) -> None:
        self._components = {}
        mask = self._active_mask.mask
        if mask is None:
            self.refresh()
        else:
            self._count(mask, at_once=False)

    def _on_changed(self, layer: LabelsLayer, change: Change) -> None:
        self.refresh()

    def _on_renamed(self, layer: LabelsLayer) -> None:
        self.refresh()

    def _on_refused(self, layer: LabelsLayer, why: str) -> None:
        if layer is self._active_mask.layer or self._active_mask.layer is None:
            self._empty(f"{layer.name}: {why}")

    def _empty(self, why: str) -> None:
        self._timer.stop()
        self._missing, self.rows = [], ()
        self.emptied.emit(why)

    def _count(self, mask: TrackedMask, at_once: bool = True) -> None:
        self._timer.stop()
        self._missing = [row.name for row in mask.rows]
        self._count_some(mask, _SECONDS_AT_A_TIME if at_once else 0.0)

    def _go_on(self) -> None:
        mask = self._active_mask.mask
        if mask is not None:
            self._count_some(mask)

    def _count_some(self, mask: TrackedMask, seconds: float = _SECONDS_AT_A_TIME) -> None:
        """Count components for a short time, emit the rows, and continue later."""
        end = time.perf_counter() + seconds
        while self._missing and time.perf_counter() < end:
            name = self._missing.pop(0)
            self._components[name] = mask.counts.components(name)
        self.rows = tuple(self._rows(mask))
        self.shown.emit(mask, self.rows)
        if self._missing:
            self._timer.start()

    def _rows(self, mask: TrackedMask) -> list[LiveRow]:
        grid = self._active_mask.grid()
        known = _intervals(mask)
        return [self._row(mask, grid, row, known) for row in mask.rows]

    def _row(
        self, mask: TrackedMask, grid: Grid | None, row: Row, known: Mapping[str, VolumeInterval]
    ) -> LiveRow:
        voxels = mask.counts.voxels(row.name)
        more = voxels - sum(mask.edits.at_first.get(value, 0) for value in row.labels)
        return LiveRow(
            name=row.name,
            title=row.title,
            labels=row.shown,
            voxels=voxels,
            volume_ml=grid.volume_ml(voxels) if grid else None,
            components=None if row.name in self._missing else self._components[row.name],
            more_voxels=more,
            more_ml=grid.volume_ml(more) if grid else None,
            interval=interval_of(known, row.name, voxels, grid) if grid else None,
        )


def _intervals(mask: TrackedMask) -> Mapping[str, VolumeInterval]:
    """Return the intervals of a model's result; none once it is edited."""
    origin = origin_of(mask.layer)
    if origin is None or mask.edits.edit_counts.total:
        return {}
    return intervals_in(origin.provenance)
