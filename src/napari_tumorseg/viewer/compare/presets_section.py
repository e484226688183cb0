"""Panel section with a button for each display preset."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtWidgets import QGridLayout, QPushButton, QVBoxLayout, QWidget

from napari_tumorseg.errors import InputError
from napari_tumorseg.inference.stored_probabilities import StoredProbabilities
from napari_tumorseg.viewer.compare.arrangements import KIND as PRESET
from napari_tumorseg.viewer.compare.presets import DisplayPreset
from napari_tumorseg.viewer.compare.surfaces import Surface, find_surfaces
from napari_tumorseg.viewer.layers.origin import PROBABILITIES_KEY
from napari_tumorseg.viewer.layers.probability_maps import KIND as PROBABILITY
from napari_tumorseg.viewer.layers.probability_maps import UNCERTAINTY, map_of, show_map
from napari_tumorseg.viewer.layers.views import view_metadata, views
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.section import Note


class PresetsSection(QWidget):
    """One button for each preset, and one that restores the view."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._work = Background(self)
        self.preset = DisplayPreset(context, self)
        self.grid = _button("Side by side", "Show each image of the case in a cell, with the mask over it")
        self.contours = _button("Contours", "Draw masks as outlines")
        self.filled = _button("Filled", "Draw masks filled")
        self.probability = _button("Probability", "Show the probabilities of the model over the scan")
        self.surfaces = _button("3-D surfaces", "Show the regions in 3-D, within the head")
        self.plane = _button("Next plane", "Turn to axial, coronal, sagittal slices in turn")
        self.back = _button("Back to how it was", "Restore order, visibility and view of all layers")
        self.note = Note()
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        buttons = (self.grid, self.contours, self.filled, self.probability, self.surfaces, self.plane)
        for index, button in enumerate(buttons):
            grid.addWidget(button, index // 3, index % 3)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 0, 9, 4)
        column.addLayout(grid)
        column.addWidget(self.back)
        column.addWidget(self.note.native)
        self._connect()
        self._on_preset("")

    def detach(self) -> None:
        """Restore the view and stop following the viewer."""
        self._work.cancel()
        self.preset.changed.disconnect(self._on_preset)  # the buttons may be gone already
        self.preset.detach()

    def show_surfaces(self) -> None:
        """Compute the surfaces in the background, then show them."""
        seg, scan = self._context.mask(), self._context.active_mask.scan()
        self.note.value = "Computing surfaces…"
        self._work.start(
            lambda: find_surfaces(seg, scan),
            lambda found: self._context.safely(lambda: self._show(found))(),
            self._on_failed,
        )

    def show_probability(self) -> None:
        """Show the region maps that are in the viewer, else that of the first region during this preset.

        Raises
        ------
        InputError
            If there are none and the active mask has no stored probabilities.
        """
        viewer, mask = self._context.viewer, self._context.active_mask.layer
        layers = [layer for layer in views(viewer, PROBABILITY) if map_of(layer) != UNCERTAINTY]
        stored = mask.metadata.get(PROBABILITIES_KEY) if mask is not None else None
        if layers:
            self.preset.show_only_with(layers, PROBABILITY)
        elif mask is not None and isinstance(stored, StoredProbabilities):
            self.preset.show_only_with([], PROBABILITY)
            name, values = next(iter(stored.shown.items()))
            # the voxel size may be stated since the run
            grid = self._context.active_mask.grid() or stored.grid
            made = show_map(viewer, name, values, stored.box, grid, mask.name)
            made.metadata.update(view_metadata(PRESET))
        else:
            raise InputError(
                "There are no probabilities to show. A run stores them if Keep probability maps is ticked "
                "under Segment, Options."
            )

    def _connect(self) -> None:
        safely = self._context.safely
        self.grid.clicked.connect(safely(self.preset.side_by_side))
        self.contours.clicked.connect(safely(self.preset.contours))
        self.filled.clicked.connect(safely(lambda: self.preset.contours(0)))
        self.probability.clicked.connect(safely(self.show_probability))
        self.surfaces.clicked.connect(safely(self.show_surfaces))
        self.plane.clicked.connect(safely(self.preset.next_plane))
        self.back.clicked.connect(safely(self._restore))
        self.preset.changed.connect(self._on_preset)

    def _show(self, found: Sequence[Surface]) -> None:
        self.note.value = ""
        self.preset.surfaces(found)

    def _restore(self) -> None:
        self._work.cancel()
        self.preset.restore()

    def _on_preset(self, name: str) -> None:
        self.back.setEnabled(self.preset.is_active)
        self.note.value = f"Shown: {name}." if name else ""

    def _on_failed(self, message: str) -> None:
        self.note.value = ""
        self._context.report_error(message)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
