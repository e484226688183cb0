"""Layer with the mid-sagittal plane as a line on each axial slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Shapes as ShapesLayer

from napari_tumorseg.geometry import Grid
from napari_tumorseg.measurement.midline import Midline
from napari_tumorseg.viewer.layers.to_layers import placement
from napari_tumorseg.viewer.layers.views import add_view, remove_views, view_metadata

if TYPE_CHECKING:
    from napari import Viewer

KIND = "midline"
_COLOUR = "#CC79A7"


def show_midline(viewer: Viewer, plane: Midline, grid: Grid) -> ShapesLayer | None:
    """Add a layer with the line on each slice; return None if the plane cuts none."""
    hide_midline(viewer)
    traces = [plane.trace(grid, index) for index in range(grid.shape[0])]
    lines = [np.array(ends, dtype=float) for ends in traces if ends is not None]
    if not lines:
        return None
    layer = ShapesLayer(
        lines,
        shape_type="line",
        name="mid-sagittal plane" if plane.confident else "mid-sagittal plane (uncertain)",
        edge_color=_COLOUR,
        edge_width=max(0.4, min(grid.shape[1:]) / 300),
        metadata=view_metadata(KIND),
        **placement(grid),
    )
    layer.editable = False
    add_view(viewer, layer)
    return layer


def hide_midline(viewer: Viewer) -> None:
    """Remove the layer."""
    remove_views(viewer, KIND)
