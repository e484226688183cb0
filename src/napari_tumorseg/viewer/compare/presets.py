"""Arrangements of the view: side by side, contours, surfaces, planes; and back to how it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer
from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

from napari_tumorseg.errors import InputError
from napari_tumorseg.viewer.compare.presets_state import ViewerState
from napari_tumorseg.viewer.compare.presets_surfaces import Surface, surface_layers
from napari_tumorseg.viewer.layers.origin import is_view
from napari_tumorseg.viewer.layers.views import remove_views, view_metadata, views
from napari_tumorseg.viewer.state.context import PanelContext

if TYPE_CHECKING:
    from napari import Viewer

KIND = "look"
SIDE_BY_SIDE, SURFACES = "side by side", "surfaces"
CONTOURS, FILLED = "contours", "filled masks"
PLANES = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}
_LINKED = ("opacity", "contour", "colormap")


class DisplayPreset(QObject):
    """Arranges the view and knows how it was before; layers are hidden, moved and shown, never changed.

    An arrangement ends when layers come or go, since they would stand in the wrong place, and when another
    mask is taken in hand, since it shows the one before; the surfaces also when the view turns to slices, on
    which nothing of them is to be seen. The slice that is shown stays, whatever comes and goes.

    Parameters
    ----------
    context : PanelContext
        The viewer and the active mask.
    parent : QObject, optional
        With which it goes.
    """

    changed = Signal(str)
    """The name of the arrangement now; empty when all is as it was."""

    def __init__(self, context: PanelContext, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._state: ViewerState | None = None
        self._mask: LabelsLayer | None = None  # that all cells show
        self._busy = False
        self.name = ""
        self._soon = QTimer(self)  # goes with the section, so that nothing comes back after its end
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.back)
        context.active_mask.changed.connect(self._on_edit)
        context.active_mask.switched.connect(self._on_switched)

    @property
    def _viewer(self) -> Viewer:
        return self._context.viewer

    @property
    def is_arranged(self) -> bool:
        """Whether there is something to go back from."""
        return self._state is not None

    def detach(self) -> None:
        """Bring everything back and follow the viewer no more."""
        self.back()
        self._context.active_mask.changed.disconnect(self._on_edit)
        self._context.active_mask.switched.disconnect(self._on_switched)

    def back(self) -> None:
        """Bring everything back to how it was before the first arrangement."""
        state, self._state, self._mask = self._state, None, None
        if state is None:
            return
        self._follow(False)
        self._busy = True
        try:
            _unlink(self._viewer)
            for layer in views(self._viewer, KIND):
                layer.visible = False  # one that goes before it was ever drawn takes napari with it
            remove_views(self._viewer, KIND)
            state.restore(self._viewer)
        finally:
            self._busy = False
        self._tell("")

    def side_by_side(self) -> None:
        """Show each image of the case in a cell of a grid, each with the mask over it."""
        images = self._images()
        mask = self._context.active_mask.layer
        self._begin()
        self._mask = mask
        self._busy = True
        try:
            self._hide_all()
            cells = [self._cell(image, mask, is_first=not i) for i, image in enumerate(images)]
            # the last layers make the first cell, counted from the end, so that no other layer shifts them
            for cell in reversed(cells):
                self._to_the_top(cell)
            grid = self._viewer.canvas.grid
            grid.stride, grid.shape, grid.enabled = -len(cells[0]), (-1, -1), True
            if mask is not None:
                self._viewer.layers.link_layers([cell[1] for cell in cells], _LINKED)
                self._viewer.layers.selection.active = mask
            self._viewer.reset_view()
        finally:
            self._busy = False
        self._tell(SIDE_BY_SIDE)

    def contours(self, width: int = 1) -> None:
        """Draw the masks as outlines of so many voxels; 0 fills them."""
        if self._state is None:
            self._state = ViewerState(self._viewer)
            self._follow(True)
        for layer in self._context.masks():
            layer.contour = width
        filling = CONTOURS if width else FILLED
        self._tell(filling if self.name in ("", CONTOURS, FILLED) else self.name)

    def surfaces(self, found: Sequence[Surface]) -> None:
        """Show surfaces that were computed, in three dimensions."""
        if not found:
            raise InputError("The mask is empty: there is no surface to show.")
        self._begin()
        self._busy = True
        try:
            self._hide_all()
            for layer in surface_layers(found, KIND):
                self._viewer.add_layer(layer)
            self._viewer.dims.order = PLANES["axial"]
            self._viewer.dims.ndisplay = 3
            self._viewer.reset_view()
            # from in front and slightly above, the head up
            self._viewer.scene.camera.set_view_direction((-0.3, 1, 0.25), (1, 0, 0))
        finally:
            self._busy = False
        self._tell(SURFACES)

    def next_plane(self) -> str:
        """Turn from axial to coronal to sagittal slices and on; return which."""
        if self._viewer.dims.ndim != 3:
            raise InputError("The planes of a scan are three; this view has other axes.")
        if self.name == SURFACES:
            self.back()  # in 3-D images and masks are hidden
        if self._state is None:
            self._state = ViewerState(self._viewer)
            self._follow(True)
        names = list(PLANES)
        now = next((n for n in names if PLANES[n] == tuple(self._viewer.dims.order)), names[-1])
        after = names[(names.index(now) + 1) % len(names)]
        self._viewer.dims.ndisplay = 2
        self._viewer.dims.order = PLANES[after]
        self._viewer.reset_view()
        self._tell(after)
        return after

    def show_only_with(self, layers: Sequence[Layer], name: str) -> None:
        """Show some layers over the image that is shown, the masks hidden."""
        self._begin()
        for layer in self._context.masks():
            layer.visible = False
        for layer in layers:
            layer.visible = True
        self._tell(name)

    # ---- how

    def _begin(self) -> None:
        """Start an arrangement from how it was before any other."""
        self.back()
        self._state = ViewerState(self._viewer)
        self._follow(True)

    def _images(self) -> list[ImageLayer]:
        group = self._context.active_mask.group()
        if group is None:
            found = [x for x in self._viewer.layers if isinstance(x, ImageLayer) and not is_view(x)]
        else:
            roles = self._context.active_mask.inputs.roles(group)
            found = [x for x, role in roles.items() if role != "brain mask"]
        if len(found) < 2:
            raise InputError("There are no two images to be shown side by side.")
        return found

    def _cell(self, image: ImageLayer, mask: LabelsLayer | None, is_first: bool) -> list[Layer]:
        image.visible = True
        if mask is None:
            return [image]
        mask.visible = True
        return [image, mask if is_first else self._copy(mask, image.name)]

    def _copy(self, mask: LabelsLayer, where: str) -> LabelsLayer:
        """Return a layer that shows the same array over another image."""
        copy = LabelsLayer(
            mask.data,
            name=f"{mask.name} on {where}",
            colormap=mask.colormap,
            opacity=mask.opacity,
            scale=mask.scale,
            translate=mask.translate,
            units=mask.units,
            axis_labels=mask.axis_labels,
            metadata=view_metadata(KIND),
        )
        copy.contour = mask.contour
        copy.editable = False
        self._viewer.add_layer(copy)
        return copy

    def _hide_all(self) -> None:
        for layer in self._viewer.layers:
            layer.visible = False

    def _to_the_top(self, layers: Sequence[Layer]) -> None:
        for layer in layers:
            self._viewer.layers.move(self._viewer.layers.index(layer), len(self._viewer.layers))

    def _follow(self, on: bool) -> None:
        for event in (self._viewer.layers.events.inserted, self._viewer.layers.events.removed):
            event.disconnect(self._on_layers)
            if on:
                event.connect(self._on_layers)
        ndisplay = self._viewer.dims.events.ndisplay
        ndisplay.disconnect(self._on_ndisplay)
        if on:
            ndisplay.connect(self._on_ndisplay)

    def _on_layers(self, event: Any = None) -> None:
        if not self._busy and self.name in (SIDE_BY_SIDE, SURFACES):
            self._soon.start(0)

    def _on_switched(self, layer: LabelsLayer | None) -> None:
        if self._state is not None and not self._busy and self.name in (SIDE_BY_SIDE, SURFACES):
            self._state.leave_selection()  # that mask was selected since
            self._soon.start(0)

    def _on_ndisplay(self, event: Any = None) -> None:
        """Leave the surfaces when the user turns to slices by napari's own button."""
        if not self._busy and self.name == SURFACES and self._viewer.dims.ndisplay == 2:
            self._soon.start(0)

    def _on_edit(self, layer: LabelsLayer, change: Any) -> None:
        """Show an edit in all cells: they share the array, unless it was replaced."""
        is_arranged = layer is self._mask
        for copy in views(self._viewer, KIND) if is_arranged else ():
            if isinstance(copy, LabelsLayer):
                if copy.data is not layer.data:
                    copy.data = layer.data
                copy.refresh()

    def _tell(self, name: str) -> None:
        self.name = name
        self.changed.emit(name)


def _unlink(viewer: Viewer) -> None:
    copies = [layer for layer in views(viewer, KIND) if isinstance(layer, LabelsLayer)]
    if copies:
        masks = [layer for layer in viewer.layers if isinstance(layer, LabelsLayer)]
        viewer.layers.unlink_layers(masks, _LINKED)
