"""Stored probabilities of the active mask, and buttons that show them as image layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.stored_probabilities import StoredProbabilities
from napari_tumorseg.viewer.layers.origin import PROBABILITIES_KEY
from napari_tumorseg.viewer.layers.probability_maps import UNCERTAINTY, is_shown, show_map
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.widgets.background import Background

NO_MAPS = (
    "This mask has no probability maps. A run stores them if Keep probability maps is ticked under Segment, "
    "Options."
)


class ProbabilityMaps(QObject):
    """Stored probabilities of the active mask; the uncertainty is computed when it is first needed.

    Parameters
    ----------
    context : PanelContext
        Viewer and active mask.
    """

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._background = Background(self)
        self._uncertainty: tuple[StoredProbabilities, Array] | None = None

    @property
    def stored(self) -> StoredProbabilities | None:
        """Probabilities stored by the run that made the active mask."""
        layer = self._context.active_mask.layer
        found = layer.metadata.get(PROBABILITIES_KEY) if layer is not None else None
        return found if isinstance(found, StoredProbabilities) else None

    @property
    def is_busy(self) -> bool:
        """Whether the uncertainty is being computed."""
        return self._background.is_busy

    def require(self) -> StoredProbabilities:
        """Return the stored probabilities.

        Raises
        ------
        InputError
            If there are none.
        """
        stored = self.stored
        if stored is None:
            raise InputError(NO_MAPS)
        return stored

    def with_uncertainty(self, use: Callable[[Array], None]) -> None:
        """Call `use` with the uncertainty map once it is there.

        Raises
        ------
        InputError
            If there are no stored probabilities.
        """
        stored = self.require()
        if self._uncertainty is not None and self._uncertainty[0] is stored:
            use(self._uncertainty[1])
            return

        def done(found: Array) -> None:
            self._uncertainty = (stored, found)
            use(found)

        self._background.start(stored.uncertainty, done, self._context.report_error)

    def cancel(self) -> None:
        """Cancel the computation."""
        self._background.cancel()


class MapButtons(QWidget):
    """One button for each map, pressed while its layer is shown."""

    def __init__(self, context: PanelContext, maps: ProbabilityMaps) -> None:
        super().__init__()
        self._context = context
        self._maps = maps
        self._layers: dict[tuple[int, str], Any] = {}
        self.buttons: dict[str, QPushButton] = {}
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        context.viewer.layers.events.removed.connect(self._update_pressed)

    def detach(self) -> None:
        """Stop following the viewer."""
        self._context.viewer.layers.events.removed.disconnect(self._update_pressed)

    def reset(self) -> None:
        """Offer the maps of the active mask."""
        for button in self.buttons.values():
            self._row.removeWidget(button)
            button.hide()
            button.deleteLater()
        stored = self._maps.stored
        names = (*stored.shown, UNCERTAINTY) if stored else ()
        self.buttons = {name: self._button(name) for name in names}
        self._update_pressed()

    def toggle(self, name: str) -> None:
        """Show a map, or remove it if it is shown.

        Raises
        ------
        InputError
            If the active mask has no maps.
        """
        stored = self._maps.require()
        key = (id(stored), name)
        viewer = self._context.viewer
        if is_shown(viewer, self._layers.get(key)):
            viewer.layers.remove(self._layers.pop(key))
        elif name == UNCERTAINTY:
            self._maps.with_uncertainty(lambda found: self._show(stored, name, found))
        else:
            self._show(stored, name, stored.probabilities[name])
        self._update_pressed()

    def _button(self, name: str) -> QPushButton:
        button = QPushButton(name)
        button.setCheckable(True)
        button.setMinimumWidth(40)
        button.setToolTip(
            f"Show the {self._subject(name)}, 0 to 255, over the scan. Press again to remove it."
        )
        button.clicked.connect(self._context.safely(lambda: self.toggle(name)))
        self._row.addWidget(button, stretch=2 if name == UNCERTAINTY else 1)
        return button

    def _subject(self, name: str) -> str:
        if name != UNCERTAINTY:
            return f"probability of {name}"
        stored = self._maps.stored
        between = stored is not None and stored.disagreement is not None
        return "disagreement between the members of the model" if between else "uncertainty of the model"

    def _show(self, stored: StoredProbabilities, name: str, values: Array) -> None:
        mask = self._context.active_mask.mask
        if mask is None or self._maps.stored is not stored:
            return
        grid = self._context.active_mask.grid() or stored.grid  # the voxel size may be stated since the run
        layer = show_map(self._context.viewer, name, values, stored.box, grid, mask.layer.name)
        self._layers[id(stored), name] = layer
        self._update_pressed()

    def _update_pressed(self, event: Any = None) -> None:
        stored, viewer = self._maps.stored, self._context.viewer
        self._layers = {key: layer for key, layer in self._layers.items() if is_shown(viewer, layer)}
        for name, button in self.buttons.items():
            button.setChecked(stored is not None and (id(stored), name) in self._layers)
