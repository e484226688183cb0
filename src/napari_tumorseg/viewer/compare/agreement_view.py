"""Choice of a region, a button that shows its agreement map, and the legend of the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari.layers import Layer
from psygnal import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_tumorseg.errors import InputError
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.compare.overlay import (
    Legend,
    hide_agreement,
    is_agreement_shown,
    show_agreement,
)
from napari_tumorseg.viewer.state.context import PanelContext

_SHOW, _HIDE = "Show agreement", "Hide agreement"
_FADED = 0.05
"""Opacity of the masks below the map."""


class AgreementView(QWidget):
    """Shows where two masks agree in a region; the masks themselves are faded meanwhile.

    Parameters
    ----------
    context : PanelContext
        Viewer and active mask.
    copy : QPushButton
        Further button of the row.
    """

    opacity_changed = Signal(object, float)
    """A mask was faded or restored: its layer and opacity."""

    def __init__(self, context: PanelContext, copy: QPushButton) -> None:
        super().__init__()
        self._context = context
        self._pair: tuple[Segmentation, Segmentation] | None = None
        self._masks: tuple[Layer, ...] = ()
        self._faded: dict[Layer, float] = {}  # and the opacity before
        self.region = QComboBox()
        self.button = QPushButton(_SHOW)
        self.button.setToolTip(
            "Add a layer that shows which voxels are in both masks, only in this mask, and only in the "
            "reference. Press again to remove it."
        )
        self.legend = Legend()
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        for widget in (self.region, self.button, copy):
            row.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.legend)
        self.button.clicked.connect(context.safely(self.toggle))
        self.region.currentIndexChanged.connect(context.safely(self._update_map))
        context.viewer.layers.events.removed.connect(self._on_removed)

    def detach(self) -> None:
        """Stop following the viewer and restore the masks."""
        self._context.viewer.layers.events.removed.disconnect(self._on_removed)
        self._restore_masks()

    def clear(self) -> None:
        """Remove the map and hide the row."""
        self.hide()
        hide_agreement(self._context.viewer)
        self._pair, self._masks = None, ()

    def show_pair(
        self, pair: tuple[Segmentation, Segmentation], masks: tuple[Layer, Layer], regions: Sequence[str]
    ) -> None:
        """Offer the regions of two masks, and update the map if it is shown.

        Parameters
        ----------
        pair : (Segmentation, Segmentation)
            Mask and reference.
        masks : (Layer, Layer)
            Their layers.
        regions : sequence of str
            Regions that both have.
        """
        self._pair, self._masks = pair, masks
        self._offer(regions)
        self.show()
        self._update_map()

    def toggle(self) -> None:
        """Show the map of the chosen region, or remove it if it is shown.

        Raises
        ------
        InputError
            If there are no two masks yet.
        """
        if is_agreement_shown(self._context.viewer):
            hide_agreement(self._context.viewer)
        else:
            self._show_map()

    def _show_map(self) -> None:
        if self._pair is None:
            raise InputError("Compare with a reference first.")
        names = self._masks[0].name, self._masks[1].name
        show_agreement(self._context.viewer, *self._pair, self.region.currentText(), names)
        self.legend.show_names(*names)
        self._fade_masks()
        self._update_button()

    def _offer(self, regions: Sequence[str]) -> None:
        """Offer these regions and keep the choice if it is among them."""
        before = self.region.currentText()
        self.region.blockSignals(True)
        self.region.clear()
        self.region.addItems(regions)
        self.region.setCurrentText(before if before in regions else regions[0] if regions else "")
        self.region.blockSignals(False)

    def _update_map(self) -> None:
        if is_agreement_shown(self._context.viewer):
            self._show_map()

    def _on_removed(self, event: Any = None) -> None:
        """Follow a map that was removed in napari's layer list."""
        self._update_button()

    def _update_button(self) -> None:
        is_shown = is_agreement_shown(self._context.viewer)
        self.button.setText(_HIDE if is_shown else _SHOW)
        if not is_shown:
            self.legend.hide()
            self._restore_masks()

    def _fade_masks(self) -> None:
        for layer in self._masks:
            if layer.opacity > _FADED:
                self._faded[layer] = layer.opacity
                self._set_opacity(layer, _FADED)

    def _restore_masks(self) -> None:
        """Restore the opacity of the masks, unless the user changed it meanwhile."""
        faded, self._faded = self._faded, {}
        for layer, before in faded.items():
            if layer.opacity == _FADED:
                self._set_opacity(layer, before)

    def _set_opacity(self, layer: Layer, opacity: float) -> None:
        layer.opacity = opacity
        self.opacity_changed.emit(layer, opacity)
