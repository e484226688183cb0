"""What the sections of the panel share: the viewer, the mask in hand, and a way to speak to the user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_tumorseg.errors import CancelledError, InputError, TumorSegError
from napari_tumorseg.scan import Scan, Segmentation
from napari_tumorseg.viewer.layers.from_layers import grid_of
from napari_tumorseg.viewer.layers.inputs import Inputs, case_of, groups_of, problem_with
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.writers import segmentation_of

if TYPE_CHECKING:
    from napari import Viewer

    from napari_tumorseg.viewer.results.in_hand import MaskInHand


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What a section sees of the window around it.

    Attributes
    ----------
    viewer : napari Viewer
        Whose layers these are.
    in_hand : MaskInHand
        The mask that is looked at and corrected.
    complain : callable
        Tells the user what went wrong, in a sentence.
    """

    viewer: Viewer
    in_hand: MaskInHand
    complain: Callable[[str], None]

    def safely(self, action: Callable[[], None]) -> Callable[..., None]:
        """Return a slot that runs `action` and tells the user of errors that are meant for them."""

        def slot(*ignored: Any) -> None:
            try:
                action()
            except CancelledError:
                return
            except TumorSegError as error:
                self.complain(str(error))

        return slot

    def mask(self) -> Segmentation:
        """Return the mask in hand as it is now, as a copy that a thread may read.

        Raises
        ------
        InputError
            If there is none.
        """
        if self.in_hand.layer is None:
            raise InputError("There is no mask yet: segment the scan, or select a Labels layer.")
        return frozen(self.in_hand.segmentation())

    def scan(self) -> Scan:
        """Return the images of the case that the mask in hand belongs to.

        Raises
        ------
        InputError
            If there are none.
        """
        found = self.in_hand.scan()
        if found is None:
            raise InputError("There are no images on the grid of this mask: open its scan, too.")
        return found

    def mask_of(self, layer: LabelsLayer) -> Segmentation:
        """Return any Labels layer as a segmentation, as a copy that a thread may read."""
        return frozen(segmentation_of(layer, list(self.viewer.layers)))

    def scan_of(self, layer: Layer) -> Scan:
        """Return the images of the case that any layer belongs to.

        Raises
        ------
        InputError
            If there are none.
        """
        roles = Inputs()
        for group in groups_of(list(self.viewer.layers)):
            if not _belongs(layer, group.layers):
                continue
            chosen = roles.roles(group)
            problem = problem_with(chosen)
            if not problem:
                return case_of(group, chosen).scan()
        raise InputError(f"There are no images that belong to {layer.name}: open its scan, too.")

    def masks(self) -> list[LabelsLayer]:
        """Return the Labels layers, the last one first."""
        from napari_tumorseg.viewer.layers.origin import is_view

        found = [x for x in self.viewer.layers if isinstance(x, LabelsLayer) and not is_view(x)]
        return found[::-1]


def frozen(seg: Segmentation) -> Segmentation:
    """Return a segmentation with labels of its own, which no stroke changes."""
    return Segmentation(np.array(seg.labels), seg.grid, seg.scheme, seg.name, seg.source, seg.provenance)


def _belongs(layer: Layer, images: tuple[Layer, ...]) -> bool:
    """Tell whether a layer is of the case of these images: of one group, or else with the same voxels."""
    mine = origin_of(layer)
    theirs = [origin for origin in map(origin_of, images) if origin]
    if mine is not None and any(origin.group == mine.group for origin in theirs):
        return True
    grid = grid_of(layer)
    return any(origin.grid.same_space(grid) for origin in theirs)
