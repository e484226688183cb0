"""Page Compare of the panel: comparison, measurements, display presets, export."""

from __future__ import annotations

from typing import Any

from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_tumorseg.viewer.compare.diameters_section import DiametersSection
from napari_tumorseg.viewer.compare.export import ExportContent
from napari_tumorseg.viewer.compare.export_section import ExportSection
from napari_tumorseg.viewer.compare.intensities_section import IntensitiesSection
from napari_tumorseg.viewer.compare.presets_section import PresetsSection
from napari_tumorseg.viewer.compare.reference_section import ReferenceSection
from napari_tumorseg.viewer.compare.times_section import TimesSection
from napari_tumorseg.viewer.state.active_mask import same_grid
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.widgets.section import Section


class ComparePage(QObject):
    """Sections of the page; the numbers of a mask are removed when another mask becomes active."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self.reference = ReferenceSection(context)
        self.diameters = DiametersSection(context)
        self.times = TimesSection(context, self.diameters.chosen_outline)
        self.intensities = IntensitiesSection(context)
        self.presets = PresetsSection(context)
        self.export = ExportSection(context, self.content)
        self.reference.view.opacity_changed.connect(self.presets.preset.note_opacity)
        context.active_mask.switched.connect(self._on_switched)
        context.active_mask.changed.connect(self._on_changed)
        context.active_mask.placed.connect(self._on_placed)

    def parts(self) -> list[QWidget]:
        """Return the sections from top to bottom; call it once, since it creates widgets."""
        return [
            Section("Reference", self.reference),
            Section("Diameters and sides", self.diameters),
            Section("Time points", self.times, is_open=False),
            Section("Intensities", self.intensities, is_open=False),
            Section("Display", self.presets),
            Section("Export", self.export),
        ]

    def content(self) -> ExportContent:
        """Return the active mask and its results that are up to date.

        Raises
        ------
        InputError
            If there is no active mask.
        """
        seg = self._context.mask()
        measured, fresh = self.diameters.found, self.diameters.fresh
        has_plane = measured is not None and same_grid(measured.seg.grid, seg.grid)  # whatever the labels
        return ExportContent(
            seg=seg,
            scan=self._context.active_mask.scan(),
            rano=fresh.rano if fresh is not None else None,
            outline=self.diameters.chosen_outline(),
            midline=measured.midline if measured is not None and has_plane else None,
            agreement=self.reference.fresh,
            change=self.times.fresh if self._is_in_times() else None,
        )

    def clear(self) -> None:
        """Remove all numbers and restore the view: the voxels have another size."""
        self.presets.preset.restore()
        for section in (self.reference, self.diameters, self.times, self.intensities):
            section.clear()

    def detach(self) -> None:
        """Stop following the viewer."""
        self._context.active_mask.switched.disconnect(self._on_switched)
        self._context.active_mask.changed.disconnect(self._on_changed)
        self._context.active_mask.placed.disconnect(self._on_placed)
        for section in (
            self.presets,
            self.reference,
            self.diameters,
            self.times,
            self.intensities,
            self.export,
        ):
            section.detach()

    def _is_in_times(self) -> bool:
        layer = self._context.active_mask.layer
        return layer is not None and layer in (self.times.before.layer, self.times.after.layer)

    def _on_switched(self, layer: LabelsLayer | None) -> None:
        self.reference.clear()
        self.diameters.clear()
        self.intensities.clear()
        self.export.on_switched()

    def _on_placed(self, layer: LabelsLayer) -> None:
        for section in (self.reference, self.diameters, self.times, self.intensities):
            section.clear()  # lengths on the previous grid

    def _on_changed(self, layer: LabelsLayer, change: Any) -> None:
        self.reference.on_changed()
        self.diameters.on_changed()
        self.intensities.on_changed()
        self.times.on_changed(layer)
