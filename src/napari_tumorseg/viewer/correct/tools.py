"""The correction tools of the panel: each works on the active mask in the background, as one undo step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QObject

from napari_tumorseg import edit
from napari_tumorseg.edit import ANY, Change, Component
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.inference.scan_analysis import ScanAnalysis
from napari_tumorseg.regions import LabelConvention
from napari_tumorseg.viewer.correct.label_section import LabelPicker, name_in
from napari_tumorseg.viewer.correct.locked_components import KeptMarks, holds, kept_mask
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.state.navigation import sliced_axis
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask
from napari_tumorseg.viewer.widgets.background import Background

Compute = Callable[[Array], Change | None]

_NO_MASK = "No mask is selected: select a Labels layer first."
_NOTHING_THERE = "There is no component there: point at one."


class Corrector(QObject):
    """Does what the buttons and keys say to the active mask, and tells what came of it.

    Parameters
    ----------
    context : PanelContext
        The window around it.
    picker : LabelPicker
        Tells which labels are spared, and their names.
    """

    reported = Signal(str)
    """A sentence on what was done."""

    def __init__(self, context: PanelContext, picker: LabelPicker) -> None:
        super().__init__()
        self._context = context
        self._active_mask = context.active_mask
        self._picker = picker
        self._background = Background(self)
        self.kept = KeptMarks(context.viewer, context.active_mask)
        self.whole_lesion = True
        self.mm = 1.0

    @property
    def is_busy(self) -> bool:
        """Whether a tool is at work."""
        return self._background.is_busy

    # ---- components

    def accept(self, index: Index) -> None:
        """Mark the component at a voxel as kept, or take the mark away."""
        found = self._component(self._labels(), index)
        marked = self.kept.toggle(found)
        words = (
            "is marked as kept: tools of this page spare it" if marked else "is not marked as kept any more"
        )
        self.reported.emit(f"The component of {found.voxels} voxels {words}.")

    def reject(self, index: Index) -> None:
        """Take away the component at a voxel.

        Raises
        ------
        InputError
            If it is marked as kept.
        """
        found = self._component(self._labels(), index)
        if any(holds(found, seed) for seed in self.kept.seeds):
            raise InputError("This component is marked as kept: take the mark away first (key K).")
        self._do("reject component", lambda labels: edit.reject_component(labels, index, region=self._region))

    def keep_only(self, index: Index) -> None:
        """Take away all components but the one at a voxel and those marked as kept."""
        self._component(self._labels(), index)
        self._do(
            "keep only component",
            lambda labels: edit.keep_only_component(labels, index, region=self._region),
        )

    def relabel(self, index: Index) -> None:
        """Give the component of one label at a voxel the selected label."""
        wanted = self._selected(background=True)
        self._component(self._labels(), index)
        self._do("relabel component", lambda labels: edit.relabel_component(labels, index, wanted))

    # ---- the selected label

    def fill_between(self) -> None:
        """Fill the gap between two painted slices around the slice that is shown.

        Raises
        ------
        InputError
            If there is none, once that is found in the background: told to the user.
        """
        label, axis, into = self._selected(), self._slice_axis(), self._into()
        shown, spacing = self._shown_slice(axis), self.grid().spacing_mm
        name = self._picker.name_of(label)

        def compute(labels: Array) -> Change | None:
            gap = edit.gap_at(labels, label, shown, axis)
            if gap is None:
                where = f"There is no gap in {name} around slice {shown}"
                raise InputError(f"{where}: turn to a slice between two painted ones.")
            return edit.fill_between(labels, label, axis, between=gap, into=into, spacing=spacing)

        self._do("fill between slices", compute)

    def grow(self) -> None:
        """Grow the selected label by mm, into background and labels that are not spared."""
        label, mm, spacing, into = self._selected(), self.mm, self.grid().spacing_mm, self._into()
        self._do(
            f"grow {self._picker.name_of(label)} by {mm:g} mm",
            lambda labels: edit.grow(labels, label, mm, spacing, into=into),
        )

    def shrink(self) -> None:
        """Shrink the selected label by mm; what it leaves falls to its neighbours."""
        label, mm, spacing = self._selected(), self.mm, self.grid().spacing_mm
        self._do(
            f"shrink {self._picker.name_of(label)} by {mm:g} mm",
            lambda labels: edit.shrink(labels, label, mm, spacing),
        )

    def smooth(self) -> None:
        """Smooth the selected label: by mm, or by the majority around each voxel where no size is known."""
        label, mm, spacing, into = self._selected(), self.mm, self.grid().spacing_mm, self._into()

        def compute(labels: Array) -> Change | None:
            if spacing is None:
                return edit.smooth_median(labels, label, into=into)
            return edit.smooth(labels, label, mm, spacing, into=into)

        self._do(f"smooth {self._picker.name_of(label)}", compute)

    def erase_outside(self) -> None:
        """Erase all labels outside the brain: a mask that was given, or the tissue if the skull is gone."""
        scan = self._context.scan()
        spare = self._picker.spared

        def compute(labels: Array) -> Change | None:
            brain = ScanAnalysis(scan).brain
            if brain is None:
                raise InputError(
                    "It is not known where the brain is: open a brain mask and give it that role on the page "
                    "Segment, or take a scan without skull."
                )
            return edit.erase_outside(labels, brain, protected=spare)

        self._do("erase outside the brain", compute)

    # ---- how

    def apply(self, change: Change | None, action: str, mask: TrackedMask) -> None:
        """Write a change to a mask, in hand or not any more, as one undo step, and tell what it did."""
        if change is not None and not np.array_equal(mask.canonical()[change.box], change.before):
            raise InputError("The mask was edited meanwhile: try again.")
        done = self._active_mask.apply(change, action, mask)
        where = "" if mask is self._active_mask.mask else f"{mask.layer.name}: "
        what = _told(action, change, mask.convention) if done and change else f"{action}: nothing to change."
        self.reported.emit(f"{where}{_capital(what)}")

    def _do(self, action: str, compute: Compute) -> None:
        """Find a change in the background, on a copy that no stroke alters, and write it."""
        if self.is_busy:
            raise InputError("The tool before is still at work: wait a moment.")
        labels, seeds, mask = np.array(self._labels()), self.kept.seeds, self._active_mask.mask
        assert mask is not None

        def work() -> Change | None:
            return spared(compute(labels), kept_mask(labels, seeds))

        def done(change: Change | None) -> None:
            self._context.safely(lambda: self.apply(change, action, mask))()

        self.reported.emit(f"{_capital(action)}…")
        self._background.start(work, done, self._context.report_error)

    @property
    def _region(self) -> Any:
        return ANY if self.whole_lesion else None

    def _component(self, labels: Array, index: Index) -> Component:
        found = edit.component_at(labels, index, region=self._region)
        if found is None:
            raise InputError(_NOTHING_THERE)
        return found

    def _labels(self) -> Array:
        return self._active_mask.labels()

    def _selected(self, background: bool = False) -> int:
        layer = self._active_mask.layer
        if layer is None:
            raise InputError(_NO_MASK)
        label = int(layer.selected_label)
        known = self._active_mask.convention
        if label == 0 and not background:
            raise InputError("The background is selected: choose a label first.")
        if label and known is not None and label not in known.values:
            raise InputError(f"Label {label} is not one of this mask's: choose one of the list.")
        return label

    def _into(self) -> frozenset[int]:
        return frozenset(range(256)) - self._picker.spared

    def grid(self) -> Grid:
        """Return where the active mask lies."""
        grid = self._active_mask.grid()
        if grid is None:
            raise InputError(_NO_MASK)
        return grid

    def _slice_axis(self) -> int:
        """Return the canonical axis along which the viewer steps."""
        mask = self._active_mask.mask
        if mask is None:
            raise InputError(_NO_MASK)
        axis = sliced_axis(self._context.viewer.dims, mask)
        if axis is None:
            raise InputError("In 3-D there is no slice to fill between: turn to slices first.")
        return axis

    def _shown_slice(self, axis: int) -> int:
        place = self._active_mask.index_of(self._context.viewer.dims.point)
        return place[axis] if place is not None else -1


def spared(change: Change | None, kept: Array | None) -> Change | None:
    """Return a change without what it does to kept voxels."""
    if change is None or kept is None:
        return change
    after = np.where(kept[change.box], change.before, change.after)
    return replace(change, after=after) if (after != change.before).any() else None


def _told(action: str, change: Change, convention: LabelConvention | None) -> str:
    """Return what a change did, and which labels it took voxels from."""
    from_labels: dict[int, int] = {}
    for (before, _), voxels in change.transitions().items():
        from_labels[before] = from_labels.get(before, 0) + voxels
    parts = [f"{voxels} were {name_in(convention, value)}" for value, voxels in sorted(from_labels.items())]
    several = len(parts) > 1 or 0 not in from_labels
    whence = f" ({', '.join(parts)})" if several else ""
    return f"{action}: {voxels_of(change)} changed{whence}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def voxels_of(change: Change) -> str:
    """Return how many voxels a change is of, in words."""
    return "1 voxel" if change.voxels == 1 else f"{change.voxels} voxels"
