"""Panel section: a look at how registered sequences lie on the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import ComboBox, Container, PushButton
from napari.layers import Image as ImageLayer

from napari_tumorseg.geometry import Array
from napari_tumorseg.intensity import normalise_intensity
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.layers.to_layers import placement
from napari_tumorseg.viewer.layers.views import add_view, remove_views, view_metadata
from napari_tumorseg.viewer.segment.prepared_layers import registered_layers

if TYPE_CHECKING:
    from napari import Viewer

_CHECKERBOARD = "checkerboard"
_SQUARE_MM = 24.0


class RegistrationSection(Container):  # type: ignore[type-arg]
    """A registered sequence, to be flicked on and off over the reference, or shown with it in squares."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.sequence = ComboBox(choices=self._choices, tooltip="A sequence that was registered")
        self.flick = PushButton(text="Flick", tooltip="Show or hide it over the reference")
        self.board = PushButton(text="Checkerboard", tooltip="Show it and the reference in turns, in squares")
        super().__init__(widgets=[self.sequence, self.flick, self.board], layout="horizontal", labels=False)
        self.flick.changed.connect(lambda: self.toggle())
        self.board.changed.connect(lambda: self.toggle_board())
        viewer.layers.events.inserted.connect(self._follow)
        viewer.layers.events.removed.connect(self._follow)
        self._follow()

    @property
    def layer(self) -> ImageLayer | None:
        """The chosen sequence."""
        found = registered_layers(self._viewer)
        return next((layer for layer in found if layer.name == self.sequence.value), None)

    def toggle(self) -> None:
        """Show or hide the sequence, its contrast as the user set it."""
        if self.layer is not None:
            remove_views(self._viewer, _CHECKERBOARD)
            self.layer.visible = not self.layer.visible

    def toggle_board(self) -> None:
        """Show the squares, or remove them."""
        there = [x for x in self._viewer.layers if x.name == _CHECKERBOARD]
        remove_views(self._viewer, _CHECKERBOARD)
        layer, base = self.layer, self._reference()
        if there or layer is None or base is None:
            return
        origin = origin_of(layer)
        assert origin is not None
        data = checkerboard(np.asarray(base.data), np.asarray(layer.data), origin.grid.spacing)
        view = ImageLayer(
            data, name=_CHECKERBOARD, metadata=view_metadata(_CHECKERBOARD), **placement(origin.grid)
        )
        add_view(self._viewer, view)
        layers = self._viewer.layers
        layers.move(layers.index(view), layers.index(layer) + 1)

    def detach(self) -> None:
        """Stop following the viewer."""
        self._viewer.layers.events.inserted.disconnect(self._follow)
        self._viewer.layers.events.removed.disconnect(self._follow)

    def _reference(self) -> ImageLayer | None:
        """Return the lowest image of the case on the sequence's grid that was not registered itself."""
        mine = origin_of(self.layer) if self.layer is not None else None
        if mine is None:
            return None
        images = [(x, origin_of(x)) for x in self._viewer.layers if isinstance(x, ImageLayer)]
        found = (
            layer
            for layer, origin in images
            if origin and origin.group == mine.group and not origin.note and origin.grid.same_space(mine.grid)
        )
        return next(found, None)

    def _choices(self, widget: Any) -> list[str]:
        return [layer.name for layer in registered_layers(self._viewer)]

    def _follow(self, event: Any = None) -> None:
        self.sequence.reset_choices()
        self.visible = bool(self.sequence.choices)


def checkerboard(one: Array, other: Array, spacing: tuple[float, float, float]) -> Array:
    """Return two volumes on one grid in turns, in squares of about 24 units of the spacing in each slice."""
    sides = [max(1, round(_SQUARE_MM / step)) for step in spacing]
    rows, columns = (np.arange(n) // side for n, side in zip(one.shape[1:], sides[1:], strict=True))
    first = (rows[:, None] + columns[None, :]) % 2 == 0
    return np.where(first, normalise_intensity(one), normalise_intensity(other))
