"""Panel section: buttons that arrange the view."""

from __future__ import annotations

from qtpy.QtWidgets import QGridLayout, QPushButton, QVBoxLayout, QWidget

from napari_tumorseg.errors import InputError
from napari_tumorseg.inference.stored_probabilities import StoredProbabilities
from napari_tumorseg.viewer.compare.presets import KIND as LOOK
from napari_tumorseg.viewer.compare.presets import DisplayPreset
from napari_tumorseg.viewer.compare.presets_surfaces import find_surfaces
from napari_tumorseg.viewer.layers.origin import PROBABILITIES_KEY
from napari_tumorseg.viewer.layers.probability_maps import KIND as PROBABILITY
from napari_tumorseg.viewer.layers.probability_maps import UNCERTAINTY, map_of, show_map
from napari_tumorseg.viewer.layers.views import view_metadata, views
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.widgets.background import Background
from napari_tumorseg.viewer.widgets.section import Note


class PresetsSection(QWidget):
    """One button for each arrangement, and one that brings everything back."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._work = Background(self)
        self.look = DisplayPreset(context, self)
        self.grid = _button("Side by side", "Each image of the case in a cell, with the mask over it")
        self.contours = _button("Contours", "Masks as outlines")
        self.filled = _button("Filled", "Masks filled")
        self.probability = _button("Probability", "The probabilities of the model over the scan")
        self.surfaces = _button("3-D surfaces", "The regions in three dimensions, in the head")
        self.plane = _button("Next plane", "Axial, coronal, sagittal, and again")
        self.back = _button("Back to how it was", "Brings back order, visibility and view of all layers")
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
        self._on_look("")

    def detach(self) -> None:
        """Bring everything back and follow the viewer no more."""
        self._work.cancel()
        self.look.changed.disconnect(self._on_look)  # the buttons may be gone already
        self.look.detach()

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
        """Show the maps of regions that are there, else that of the first region as long as this look lasts.

        Raises
        ------
        InputError
            If there are none and the active mask has no probabilities.
        """
        viewer, mask = self._context.viewer, self._context.active_mask.layer
        layers = [layer for layer in views(viewer, PROBABILITY) if map_of(layer) != UNCERTAINTY]
        stored = mask.metadata.get(PROBABILITIES_KEY) if mask is not None else None
        if layers:
            self.look.show_only_with(layers, PROBABILITY)
        elif mask is not None and isinstance(stored, StoredProbabilities):
            self.look.show_only_with([], PROBABILITY)
            name, values = next(iter(stored.shown.items()))
            grid = (
                self._context.active_mask.grid() or stored.grid
            )  # the voxel size may be stated since the run
            made = show_map(viewer, name, values, stored.box, grid, mask.name)
            made.metadata.update(view_metadata(LOOK))
        else:
            raise InputError(
                "There are no probabilities to show: a run keeps them if Keep probability maps is ticked "
                "under Segment, Options."
            )

    # ---- the parts

    def _connect(self) -> None:
        safely = self._context.safely
        self.grid.clicked.connect(safely(self.look.side_by_side))
        self.contours.clicked.connect(safely(self.look.contours))
        self.filled.clicked.connect(safely(lambda: self.look.contours(0)))
        self.probability.clicked.connect(safely(self.show_probability))
        self.surfaces.clicked.connect(safely(self.show_surfaces))
        self.plane.clicked.connect(safely(self._turn))
        self.back.clicked.connect(safely(self._go_back))
        self.look.changed.connect(self._on_look)

    def _show(self, found: list) -> None:  # type: ignore[type-arg]
        self.note.value = ""
        self.look.surfaces(found)

    def _turn(self) -> None:
        self.look.next_plane()

    def _go_back(self) -> None:
        self._work.cancel()
        self.look.back()

    def _on_look(self, name: str) -> None:
        self.back.setEnabled(self.look.is_arranged)
        self.note.value = f"Shown: {name}." if name else ""

    def _on_failed(self, why: str) -> None:
        self.note.value = ""
        self._context.report_error(why)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
