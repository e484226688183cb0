"""Layer with the diameters of lesions as lines whose ends can be dragged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from napari.layers import Shapes as ShapesLayer
from psygnal import Signal
from qtpy.QtCore import QObject

from napari_tumorseg.errors import InputError, TumorSegError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.measurement.lesion_diameters import Ends, LesionDiameters, Line
from napari_tumorseg.measurement.rano import Rano, with_ends
from napari_tumorseg.viewer.layers.to_layers import placement
from napari_tumorseg.viewer.layers.views import add_view, view_metadata
from napari_tumorseg.viewer.widgets.messages import worded

if TYPE_CHECKING:
    from napari import Viewer

KIND = "diameters"
LONGEST, PERPENDICULAR = "longest", "perpendicular"
COLOURS = {LONGEST: "#F0E442", PERPENDICULAR: "#FFFFFF"}
MOST_LESIONS = 40
"""Number of lesions, largest first, that get lines; the table lists all."""


class DiametersLayer(QObject):
    """Shows the diameters of a mask in a Shapes layer and reads dragged ends back.

    Parameters
    ----------
    viewer : Viewer
        Viewer of the layer.
    """

    edited = Signal(object)
    """A person moved an end: the new `Rano`."""
    refused = Signal(str)
    """A move was undone: the message."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._found: Rano | None = None
        self._grid: Grid | None = None
        self.layer: ShapesLayer | None = None

    @property
    def is_shown(self) -> bool:
        """Whether the layer is in the viewer."""
        return self.layer is not None and self.layer in self._viewer.layers

    def show_lines(self, found: Rano, grid: Grid, name: str) -> None:
        """Show these diameters in place of earlier ones."""
        self.hide_lines()
        self._found, self._grid = found, grid
        if not found.lesions:
            return
        self.layer = _layer(found, grid, name)
        self.layer.events.data.connect(self._on_data)
        add_view(self._viewer, self.layer)

    def hide_lines(self) -> None:
        """Remove the lines."""
        if self.layer is None:
            return
        self.layer.events.data.disconnect(self._on_data)
        if self.layer in self._viewer.layers:
            self._viewer.layers.remove(self.layer)
        self.layer = None

    def edit(self) -> None:
        """Make the ends draggable with the mouse.

        Raises
        ------
        InputError
            If no lines are shown.
        """
        if self.layer is None or not self.is_shown:
            raise InputError("There are no lines to move: measure first.")
        self.layer.visible = True
        self.layer.editable = True
        self._viewer.layers.selection.active = self.layer
        self.layer.mode = "direct"

    def _on_data(self, event: Any) -> None:
        if str(getattr(event, "action", "")) not in ("changed", "ActionType.CHANGED"):
            return
        found, grid = self._found, self._grid
        if self.layer is None or found is None or grid is None:
            return
        try:
            self._found = _with_moved(found, grid, self.layer)
        except TumorSegError as error:
            self._put(found)
            self.refused.emit(worded(error))
            return
        self._put(self._found)
        if self._found is not found:
            self.edited.emit(self._found)

    def _put(self, found: Rano) -> None:
        """Write lines and lengths to the layer; ends lie on their slice, lengths equal those of the table."""
        layer = self.layer
        assert layer is not None
        with layer.events.data.blocker(self._on_data):
            chosen = set(layer.selected_data)
            layer.data = list(_lines_of(found))
            layer.features = _features(found)
            layer.selected_data = chosen
        layer.refresh()


def _layer(found: Rano, grid: Grid, name: str) -> ShapesLayer:
    features = _features(found)
    place = placement(grid)
    layer = ShapesLayer(
        list(_lines_of(found)),
        shape_type="line",
        name=name,
        edge_color=[COLOURS[kind] for kind in features["line"]],
        edge_width=_width(grid),
        features=features,
        text={"string": "{text}", "color": "#FFFFFF", "size": 10, "anchor": "upper_left"},
        metadata=view_metadata(KIND),
        **place,
    )
    layer.editable = True
    return layer


def _width(grid: Grid) -> float:
    """Return a line width in voxels that is visible and covers little."""
    return max(0.4, min(grid.shape[1:]) / 240)


def _shown(found: Rano) -> Iterator[tuple[int, str, Line]]:
    for lesion in found.lesions[:MOST_LESIONS]:
        yield lesion.number, LONGEST, lesion.longest
        yield lesion.number, PERPENDICULAR, lesion.perpendicular


def _lines_of(found: Rano) -> Iterator[Array]:
    for _, _, line in _shown(found):
        yield np.array([line.start, line.end], dtype=float)


def _features(found: Rano) -> pd.DataFrame:
    shown = list(_shown(found))
    return pd.DataFrame(
        {
            "lesion": [number for number, _, _ in shown],
            "line": [kind for _, kind, _ in shown],
            "length": ["" if x.length_mm is None else f"{x.length_mm:.1f} mm" for _, _, x in shown],
            "text": [_text(lesion, kind) for lesion in found.lesions[:MOST_LESIONS] for kind in COLOURS],
        }
    )


def _text(lesion: LesionDiameters, kind: str) -> str:
    """Return both lengths for the longest line, so that the two texts of a lesion never overlap."""
    lengths = lesion.longest.length_mm, lesion.perpendicular.length_mm
    if kind != LONGEST or None in lengths:
        return ""
    return f"{lengths[0]:.1f} \N{MULTIPLICATION SIGN} {lengths[1]:.1f} mm"


def _with_moved(found: Rano, grid: Grid, layer: ShapesLayer) -> Rano:
    """Return the diameters with the ends of the layer.

    Raises
    ------
    InputError
        If lines were added or removed, or do not lie on one slice.
    """
    shown = list(_shown(found))
    if len(layer.data) != len(shown):
        raise InputError("Lines can be moved, not added or removed; they were restored.")
    moved: dict[int, dict[str, Ends]] = {}
    for (number, kind, line), points in zip(shown, layer.data, strict=True):
        ends = _ends(points)
        if not np.allclose(ends, (line.start, line.end), atol=1e-6):
            moved.setdefault(number, {})[kind] = ends
    for number, lines in moved.items():
        found = with_ends(found, number, grid, **lines)
    return found


def _ends(points: Array) -> Ends:
    if np.shape(points) != (2, 3):
        raise InputError("A diameter is a line with two ends; it was restored.")
    start, end = (tuple(float(v) for v in point) for point in points)
    return (start[0], start[1], start[2]), (end[0], end[1], end[2])
