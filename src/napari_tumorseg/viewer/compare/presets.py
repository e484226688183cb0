"""Display presets: arrangements of the view, and the way back to the view before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer
from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

from napari_tumorseg.errors import InputError
from napari_tumorseg.viewer.compare.arrangements import (
    KIND,
    mask_copies,
    place_side_by_side,
    require_three_axes,
    show_surfaces,
    turn_to_next_plane,
    unlink_copies,
)
from napari_tumorseg.viewer.compare.surfaces import Surface
from napari_tumorseg.viewer.compare.viewer_state import ViewerState
from napari_tumorseg.viewer.layers.origin import is_view
from napari_tumorseg.viewer.layers.views import remove_views, views
from napari_tumorseg.viewer.state.context import PanelContext

if TYPE_CHECKING:
    from napari import Viewer

SIDE_BY_SIDE, SURFACES = "side by side", "surfaces"
CONTOURS, FILLED = "contours", "filled masks"


class DisplayPreset(QObject):
    """Current preset and the view before it; presets hide, move and add layers but never change data.

    A preset that rearranged the layers ends when layers are added or removed, and when another mask becomes
    active; the surfaces also end when the view turns to slices. The current slice stays in all cases.

    Parameters
    ----------
    context : PanelContext
        Viewer and active mask.
    parent : QObject, optional
        Qt parent.

    Attributes
    ----------
    name : str
        Name of the preset; empty for none.
    """

    changed = Signal(str)
    """The preset changed: its name, empty for none."""

    def __init__(self, context: PanelContext, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._state: ViewerState | None = None
        self._mask: LabelsLayer | None = None  # shown in all cells
        self._busy = False
        self.name = ""
        self._soon = QTimer(self)  # a child, so that it never fires after the section is gone
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.restore)
        context.active_mask.changed.connect(self._on_edit)
        context.active_mask.switched.connect(self._on_switched)

    @property
    def _viewer(self) -> Viewer:
        return self._context.viewer

    @property
    def is_active(self) -> bool:
        """Whether there is a view to restore."""
        return self._state is not None

    def detach(self) -> None:
        """Restore the view and stop following the viewer."""
        self.restore()
        self._context.active_mask.changed.disconnect(self._on_edit)
        self._context.active_mask.switched.disconnect(self._on_switched)

    def note_opacity(self, layer: Layer, opacity: float) -> None:
        """Take note of an opacity that was changed on purpose, so that it stays after the preset."""
        if self._state is not None:
            self._state.note_opacity(layer, opacity)

    def restore(self) -> None:
        """Restore the view before the first preset."""
        state, self._state, self._mask = self._state, None, None
        if state is None:
            return
        self._follow(False)
        with self._rearranging():
            unlink_copies(self._viewer)
            for layer in views(self._viewer, KIND):
                layer.visible = False  # napari crashes if a layer goes before it was ever drawn
            remove_views(self._viewer, KIND)
            state.restore(self._viewer)
        self._set_name("")

    def side_by_side(self) -> None:
        """Show each image of the case in a cell of a grid, each with the mask over it.

        Raises
        ------
        InputError
            If there are fewer than two images.
        """
        images = self._images()
        mask = self._context.active_mask.layer
        self._begin()
        self._mask = mask
        with self._rearranging():
            place_side_by_side(self._viewer, images, mask)
        self._set_name(SIDE_BY_SIDE)

    def contours(self, width: int = 1) -> None:
        """Draw the masks as outlines of a width in voxels; 0 fills them."""
        self._begin_on_top()
        for layer in self._context.masks():
            layer.contour = width
        filling = CONTOURS if width else FILLED
        self._set_name(filling if self.name in ("", CONTOURS, FILLED) else self.name)

    def surfaces(self, found: Sequence[Surface]) -> None:
        """Show computed surfaces in 3-D.

        Raises
        ------
        InputError
            If there are none.
        """
        if not found:
            raise InputError("The mask is empty: there is no surface to show.")
        self._begin()
        with self._rearranging():
            show_surfaces(self._viewer, found)
        self._set_name(SURFACES)

    def next_plane(self) -> None:
        """Turn from axial to coronal to sagittal slices and on.

        Raises
        ------
        InputError
            If the viewer does not have three axes.
        """
        require_three_axes(self._viewer)
        if self.name == SURFACES:
            self.restore()  # in 3-D images and masks are hidden
        self._begin_on_top()
        self._set_name(turn_to_next_plane(self._viewer))

    def show_only_with(self, layers: Sequence[Layer], name: str) -> None:
        """Show some layers over the image that is shown, with the masks hidden."""
        self._begin()
        for layer in self._context.masks():
            layer.visible = False
        for layer in layers:
            layer.visible = True
        self._set_name(name)

    # ---- begin and follow

    def _begin(self) -> None:
        """Start a preset from the view before any other preset."""
        self.restore()
        self._begin_on_top()

    def _begin_on_top(self) -> None:
        """Start a preset on top of the present one."""
        if self._state is None:
            self._state = ViewerState(self._viewer)
            self._follow(True)

    @contextmanager
    def _rearranging(self) -> Iterator[None]:
        """Ignore the events of the preset's own changes."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def _images(self) -> list[ImageLayer]:
        group = self._context.active_mask.group()
        if group is None:
            found = [x for x in self._viewer.layers if isinstance(x, ImageLayer) and not is_view(x)]
        else:
            roles = self._context.active_mask.inputs.roles(group)
            found = [x for x, role in roles.items() if role != "brain mask"]
        if len(found) < 2:
            raise InputError("There are no two images to show side by side.")
        return found

    def _follow(self, on: bool) -> None:
        layers, dims = self._viewer.layers.events, self._viewer.dims.events
        pairs = [(layers.inserted, self._on_layers), (layers.removed, self._on_layers)]
        for event, slot in (*pairs, (dims.ndisplay, self._on_ndisplay)):
            event.disconnect(slot)
            if on:
                event.connect(slot)

    @property
    def _is_rearranged(self) -> bool:
        return self._state is not None and not self._busy and self.name in (SIDE_BY_SIDE, SURFACES)

    def _on_layers(self, event: Any = None) -> None:
        if self._is_rearranged:
            self._soon.start(0)

    def _on_switched(self, layer: LabelsLayer | None) -> None:
        if self._is_rearranged and self._state is not None:
            self._state.leave_selection()  # the user selected that mask since
            self._soon.start(0)

    def _on_ndisplay(self, event: Any = None) -> None:
        """Leave the surfaces when the user turns to slices by napari's own button."""
        if self._is_rearranged and self.name == SURFACES and self._viewer.dims.ndisplay == 2:
            self._soon.start(0)

    def _on_edit(self, layer: LabelsLayer, change: Any) -> None:
        """Show an edit in all cells: they share the array, unless it was replaced."""
        for copy in mask_copies(self._viewer) if layer is self._mask else ():
            if copy.data is not layer.data:
                copy.data = layer.data
            copy.refresh()

    def _set_name(self, name: str) -> None:
        self.name = name
        self.changed.emit(name)
