"""Keeping the head up in coronal and sagittal slices, and left and right apart in three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_tumorseg.viewer.layers.origin import origin_of

if TYPE_CHECKING:
    from napari import Viewer


class Upright:
    """Flips the screen's vertical axis while the axis that runs towards the head is shown on it.

    napari draws rows downwards, and our first axis runs towards the head: coronal and sagittal slices
    would stand on their heads. In three dimensions napari takes the axes of a layer as right-handed, and
    (head, back, left) are not: the body would be mirrored, a tumour of the right be seen on the left. So
    depth is turned as it has to be. Without a layer of ours nothing is touched.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        viewer.dims.events.order.connect(self._on_turned)
        viewer.dims.events.ndisplay.connect(self._on_turned)

    def detach(self) -> None:
        """Unsubscribe from the viewer."""
        self._viewer.dims.events.order.disconnect(self._on_turned)
        self._viewer.dims.events.ndisplay.disconnect(self._on_turned)

    def _on_turned(self, event: Any = None) -> None:
        dims = self._viewer.dims
        if not any(origin_of(layer) for layer in self._viewer.layers):
            return
        head_axis = dims.ndim - 3
        camera = self._viewer.scene.camera
        across = camera.orientation2d[1]
        vertical = "up" if dims.order[-2] == head_axis else "down"
        depth = "away" if _is_even(dims.order[-3:]) == (vertical == "down") else "towards"
        camera.orientation = (depth, vertical, across)


def _is_even(order: Sequence[int]) -> bool:
    """Return whether an order of axes is reached by an even number of swaps."""
    swaps = sum(a > b for i, a in enumerate(order) for b in order[i + 1 :])
    return swaps % 2 == 0
