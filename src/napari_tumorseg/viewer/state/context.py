"""State that the sections of the panel share: the viewer, the active mask, and error reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_tumorseg.errors import InputError, TumorSegError
from napari_tumorseg.scan import Scan, Segmentation
from napari_tumorseg.viewer.layers.edits import edits_of
from napari_tumorseg.viewer.layers.from_layers import to_segmentation
from napari_tumorseg.viewer.layers.inputs import case_of
from napari_tumorseg.viewer.layers.origin import is_view
from napari_tumorseg.viewer.state.active_mask import ActiveMask, same_grid
from napari_tumorseg.viewer.state.conventions import segmentation_of
from napari_tumorseg.viewer.widgets.reporting import errors_reported

if TYPE_CHECKING:
    from napari import Viewer


@dataclass(frozen=True, eq=False)
class PanelContext:
    """Viewer, active mask and error reports of one panel.

    Attributes
    ----------
    viewer : napari Viewer
        Whose layers these are.
    active_mask : ActiveMask
        The mask that is looked at and corrected.
    report_error : callable
        Shows an error message.
    """

    viewer: Viewer
    active_mask: ActiveMask
    report_error: Callable[[str], None]

    def safely(self, action: Callable[[], None]) -> Callable[..., None]:
        """Return a slot that runs `action` and reports errors that are meant for the user."""

        def slot(*ignored: Any) -> None:
            with errors_reported(self.report_error):
                action()

        return slot

    def mask(self) -> Segmentation:
        """Return the active mask as it is now, as a copy that a thread may read.

        Raises
        ------
        InputError
            If there is none.
        """
        return frozen(self.active_mask.segmentation())

    def scan(self) -> Scan:
        """Return the images of the case that the active mask belongs to.

        Raises
        ------
        InputError
            If there are none.
        """
        found = self.active_mask.scan()
        if found is None:
            raise InputError("There are no images on the grid of this mask: open its scan, too.")
        return found

    def mask_of(self, layer: LabelsLayer) -> Segmentation:
        """Return any Labels layer as a segmentation, as a copy that a thread may read."""
        return frozen(segmentation_of(layer, list(self.viewer.layers)))

    def is_still(self, seg: Segmentation, layer: LabelsLayer | None) -> bool:
        """Return whether a layer still holds these labels on this grid, so that measurements of them hold."""
        if layer is None:
            return False
        try:
            now = to_segmentation(layer, list(self.viewer.layers), seg.convention)
        except TumorSegError:  # it has labels of another convention now
            return False
        return same_grid(now.grid, seg.grid) and np.array_equal(now.labels, seg.labels)

    def note_saved(self, layer: LabelsLayer, seg: Segmentation) -> None:
        """Take note that a mask was saved as `seg`, unless it was changed meanwhile."""
        edits = edits_of(layer)
        if edits is not None and self.is_still(seg, layer):
            edits.note_saved()

    def scan_of(self, layer: Layer) -> Scan:
        """Return the images of the case that any layer belongs to.

        Raises
        ------
        InputError
            If there are none.
        """
        inputs = self.active_mask.inputs
        group = inputs.group_of(layer, list(self.viewer.layers))
        if group is None:
            raise InputError(f"There are no images that belong to {layer.name}: open its scan, too.")
        return case_of(group, inputs.roles(group)).scan()

    def masks(self) -> list[LabelsLayer]:
        """Return the Labels layers, the last one first."""
        found = [x for x in self.viewer.layers if isinstance(x, LabelsLayer) and not is_view(x)]
        return found[::-1]


def frozen(seg: Segmentation) -> Segmentation:
    """Return a segmentation with labels of its own, which no stroke changes."""
    return Segmentation(np.array(seg.labels), seg.grid, seg.convention, seg.name, seg.source, seg.provenance)
