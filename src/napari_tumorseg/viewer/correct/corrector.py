"""Runs correction tools on the active mask, in the background and as one undo step each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QObject

from napari_tumorseg import edit
from napari_tumorseg.edit import ANY, Change, Component
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.regions import LabelConvention
from napari_tumorseg.viewer.correct.label_section import LabelPicker
from napari_tumorseg.viewer.correct.locked_components import LockedComponents, holds, locked_mask
from napari_tumorseg.viewer.correct.tools import LOCK, Need, Tool, ToolInput, name_in
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.state.active_mask import NO_MASK
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.state.navigation import sliced_axis
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask
from napari_tumorseg.viewer.widgets.background import Background


class Corrector(QObject):
    """Applies tools to the active mask and reports the result.

    Parameters
    ----------
    context : PanelContext
        Viewer and active mask.
    picker : LabelPicker
        Source of the protected labels.

    Attributes
    ----------
    whole_lesion : bool
        Whether a component is a lesion of any labels, or of the label pointed at.
    mm : float
        Distance for tools that grow, shrink or smooth.
    """

    reported = Signal(str)
    """Status message."""

    def __init__(self, context: PanelContext, picker: LabelPicker) -> None:
        super().__init__()
        self._context = context
        self._active_mask = context.active_mask
        self._picker = picker
        self._background = Background(self)
        self.locked = LockedComponents(context.viewer, context.active_mask)
        self.whole_lesion = True
        self.mm = 1.0

    @property
    def is_busy(self) -> bool:
        """Whether a tool is running."""
        return self._background.is_busy

    def toggle_lock(self, voxel: Index) -> None:
        """Lock or unlock the component at a voxel."""
        found = self._component(voxel)
        is_locked = self.locked.toggle(found)
        state = "locked: tools on this page leave it unchanged" if is_locked else "unlocked"
        self.reported.emit(f"The component of {voxels_in(found.voxels)} is {state}.")

    def run(self, tool: Tool, voxel: Index | None = None) -> None:
        """Start a tool in the background, on a copy that no stroke alters.

        Parameters
        ----------
        tool : Tool
            One of `TOOLS`.
        voxel : (Z, Y, X), optional
            Voxel pointed at, for tools that need a component.

        Raises
        ------
        InputError
            If another tool is running, or a requirement of the tool is not met.
        """
        if self.is_busy:
            raise InputError("The previous tool is still running; please wait.")
        on, mask = self._input(tool, voxel), self._active_mask.mask
        assert mask is not None
        title, seeds = tool.title_for(on), self.locked.seeds

        def work() -> Change | None:
            return outside(tool.function(on), locked_mask(on.labels, seeds))

        def done(change: Change | None) -> None:
            self._context.safely(lambda: self.apply(change, title, mask))()

        self.reported.emit(f"{_capital(title)}…")
        self._background.start(work, done, self._context.report_error)

    def apply(self, change: Change | None, title: str, mask: TrackedMask) -> None:
        """Write a change to a mask, active or not, as one undo step and report it.

        Raises
        ------
        InputError
            If the mask was edited since the change was computed.
        """
        if change is not None and not np.array_equal(mask.canonical()[change.box], change.before):
            raise InputError("The mask was edited meanwhile: try again.")
        done = self._active_mask.apply(change, title, mask)
        where = "" if mask is self._active_mask.mask else f"{mask.layer.name}: "
        what = _summary(title, change, mask.convention) if done and change else f"{title}: nothing to change."
        self.reported.emit(f"{where}{_capital(what)}")

    def grid(self) -> Grid:
        """Return the grid of the active mask.

        Raises
        ------
        InputError
            If there is no active mask.
        """
        grid = self._active_mask.grid()
        if grid is None:
            raise InputError(NO_MASK)
        return grid

    # ---- requirements

    def _input(self, tool: Tool, voxel: Index | None) -> ToolInput:
        """Return what a tool works on, once its requirements are met."""
        grid, needs = self.grid(), tool.needs
        layer = self._active_mask.layer
        assert layer is not None
        if Need.LABEL in needs or Need.LABEL_OR_BACKGROUND in needs:
            self._check_label(int(layer.selected_label), Need.LABEL_OR_BACKGROUND in needs)
        if voxel is not None:
            found = self._component(voxel)
            if Need.UNLOCKED in needs:
                self._check_unlocked(found)
        axis, index = self._shown_slice() if Need.SLICE in needs else (0, -1)
        return ToolInput(
            labels=np.array(self._active_mask.labels()),
            grid=grid,
            convention=self._active_mask.convention,
            label=int(layer.selected_label),
            mm=self.mm,
            protected=self._picker.protected,
            region=self._region,
            voxel=voxel,
            axis=axis,
            slice_index=index,
            scan=self._context.scan() if Need.IMAGES in needs else None,
        )

    @property
    def _region(self) -> frozenset[int] | None:
        return ANY if self.whole_lesion else None

    def _component(self, voxel: Index) -> Component:
        found = edit.component_at(self._active_mask.labels(), voxel, region=self._region)
        if found is None:
            raise InputError("There is no component there: point at one.")
        return found

    def _check_unlocked(self, found: Component) -> None:
        if any(holds(found, seed) for seed in self.locked.seeds):
            raise InputError(f"This component is locked: unlock it first (key {LOCK.shown_key}).")

    def _check_label(self, label: int, may_be_background: bool) -> None:
        known = self._active_mask.convention
        if label == 0 and not may_be_background:
            raise InputError("The background is selected: choose a label first.")
        if label and known is not None and label not in known.values:
            raise InputError(f"Label {label} is not one of this mask's: choose one of the list.")

    def _shown_slice(self) -> tuple[int, int]:
        """Return the canonical axis along which the viewer slices, and the current slice."""
        mask, dims = self._active_mask.mask, self._context.viewer.dims
        axis = sliced_axis(dims, mask) if mask is not None else None
        if axis is None:
            raise InputError("In 3-D there is no slice to fill between: turn to slices first.")
        place = self._active_mask.index_of(dims.point)
        return axis, place[axis] if place is not None else -1


def outside(change: Change | None, locked: Array | None) -> Change | None:
    """Return a change without its effect on locked voxels, None if nothing is left."""
    if change is None or locked is None:
        return change
    after = np.where(locked[change.box], change.before, change.after)
    return replace(change, after=after) if (after != change.before).any() else None


def voxels_in(count: int) -> str:
    """Return a number of voxels in words."""
    return "1 voxel" if count == 1 else f"{count} voxels"


def _summary(title: str, change: Change, convention: LabelConvention | None) -> str:
    """Return how many voxels a change affects, and which labels they had."""
    from_labels: dict[int, int] = {}
    for (before, _), voxels in change.transitions().items():
        from_labels[before] = from_labels.get(before, 0) + voxels
    parts = [f"{voxels} were {name_in(convention, value)}" for value, voxels in sorted(from_labels.items())]
    several = len(parts) > 1 or 0 not in from_labels
    sources = f" ({', '.join(parts)})" if several else ""
    return f"{title}: {voxels_in(change.voxels)} changed{sources}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
