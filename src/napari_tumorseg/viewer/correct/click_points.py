"""Points where a mask was clicked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Points as PointsLayer

from napari_tumorseg.edit.clicks import Click
from napari_tumorseg.viewer.layers.views import add_view, remove_views, view_metadata
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask

if TYPE_CHECKING:
    from napari import Viewer

KIND = "clicks"
_ADDS, _REMOVES = ("cross", "#F0E442"), ("hbar", "#CC79A7")
"""Symbol and colour, from the palette of Okabe and Ito."""


def show_clicks(viewer: Viewer, mask: TrackedMask | None, clicks: Sequence[Click]) -> None:
    """Show a mark in the middle of each click: a cross where it added, a bar where it removed."""
    remove_views(viewer, KIND)
    if mask is None or not clicks:
        return
    layer = mask.layer
    scale = np.asarray(layer.scale, dtype=float)
    middles = [click.voxels[len(click.voxels) // 2] for click in clicks]
    world = np.asarray([mask.position_of(voxel) for voxel in middles], dtype=float)
    looks = [_ADDS if click.adds else _REMOVES for click in clicks]
    points = PointsLayer(
        (world - layer.translate) / scale,
        scale=scale,
        translate=layer.translate,
        name="clicks",
        symbol=[symbol for symbol, _ in looks],
        face_color=[colour for _, colour in looks],
        border_color="black",
        border_width=0.1,
        size=6,
        units=layer.units,
        axis_labels=layer.axis_labels,
        metadata=view_metadata(KIND),
    )
    add_view(viewer, points)
