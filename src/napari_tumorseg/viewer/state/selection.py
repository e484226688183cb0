"""Selection of the active mask in napari's layer list."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_tumorseg.viewer.layers.origin import is_view, origin_of
from napari_tumorseg.viewer.state.active_mask import ActiveMask

if TYPE_CHECKING:
    from napari import Viewer


class MaskSelection:
    """Makes the selected Labels layer the active mask; if that is removed, the last mask of a case.

    Parameters
    ----------
    viewer : Viewer
        Whose selection is followed.
    active_mask : ActiveMask
        Which is set.
    unfinished : callable
        Returns the layer of a run that is not over, which is no mask yet.
    """

    def __init__(
        self, viewer: Viewer, active_mask: ActiveMask, unfinished: Callable[[], Layer | None]
    ) -> None:
        self._viewer, self._active_mask, self._unfinished = viewer, active_mask, unfinished
        viewer.layers.selection.events.active.connect(self._on_active)
        viewer.layers.events.removed.connect(self._on_removed)

    def detach(self) -> None:
        """Unsubscribe from the viewer."""
        self._viewer.layers.selection.events.active.disconnect(self._on_active)
        self._viewer.layers.events.removed.disconnect(self._on_removed)

    def activate_last(self) -> None:
        """Make the last mask that belongs to a case the active one."""
        masks = [layer for layer in self._viewer.layers if origin_of(layer) and self._is_mask(layer)]
        if masks:
            self._active_mask.activate(masks[-1])

    def _is_mask(self, layer: Any) -> bool:
        return isinstance(layer, LabelsLayer) and layer is not self._unfinished() and not is_view(layer)

    def _on_active(self, event: Any) -> None:
        if self._is_mask(event.value):
            self._active_mask.activate(event.value)

    def _on_removed(self, event: Any) -> None:
        if self._active_mask.layer is None:
            self.activate_last()
