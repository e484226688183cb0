"""The correction tools of the panel: each works on the mask in hand in the background, as one undo step."""

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
from napari_tumorseg.inference.foreground import brain_of
from napari_tumorseg.viewer.correct.kept import KeptMarks, holds, kept_mask
from napari_tumorseg.viewer.correct.label_section import LabelPicker
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.layers.from_layers import grid_of, same_voxels
from napari_tumorseg.viewer.layers.origin import origin_of
from napari_tumorseg.viewer.surroundings import Surroundings
from napari_tumorseg.viewer.widgets.background import Background

Compute = Callable[[Array], Change | None]

_NOTHING_THERE = "There is no component there: point at one."


class Corrector(QObject):
    """Does what the buttons and keys say to the mask in hand, and tells what came of it.

    Parameters
    ----------
    around : Surroundings
        The window around it.
    picker : LabelPicker
        Tells which labels are spared, and their names.
    """

    said = Signal(str)
    """A sentence on what was done."""

    def __init__(self, around: Surroundings, picker: LabelPicker) -> None:
        super().__init__()
        self._around = around
        self._in_hand = around.in_hand
        self._picker = picker
        self._background = Background(self)
        self.kept = KeptMarks(around.viewer, around.in_hand)
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
        self.said.emit(f"The component of {found.voxels} voxels {words}.")

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
        """Fill the gap of painted slices around the slice that is shown, else every gap."""
        label, axis, into = self._selected(), self._slice_axis(), self._into()
        shown, spacing = self._shown_slice(axis), self.grid().spacing_mm

        def compute(labels: Array) -> Change | None:
            gap = edit.gap_at(labels, label, shown, axis)
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
        scan = self._around.scan()
        spare = self._picker.spared

        def compute(labels: Array) -> Change | None:
            brain = brain_of(scan)
            if brain is None:
                raise InputError(
                    "It is not known where the brain is: open a brain mask and give it that role on the page "
                    "Segment, or take a scan without skull."
                )
            return edit.erase_outside(labels, brain, spare=spare)

        self._do("erase outside the brain", compute)

    # ---- how

    def apply(self, change: Change | None, action: str, kept: Array | None = None) -> None:
        """Write a change as one undo step, but for kept components, and tell what it did."""
        change = spared(change, kept)
        if change is not None and not np.array_equal(self._labels()[change.box], change.before):
            raise InputError("The mask was edited meanwhile: try again.")
        done = self._in_hand.apply(change, action)
        self.said.emit(
            self._told(action, change) if done and change else f"{_capital(action)}: nothing to change."
        )

    def _do(self, action: str, compute: Compute) -> None:
        """Find a change in the background, on a copy that no stroke alters, and write it."""
        if self.is_busy:
            raise InputError("The tool before is still at work: wait a moment.")
        layer = self._in_hand.layer
        labels, seeds = np.array(self._labels()), self.kept.seeds

        def work() -> tuple[Change | None, Array | None]:
            return compute(labels), kept_mask(labels, seeds)

        def done(found: tuple[Change | None, Array | None]) -> None:
            if self._in_hand.layer is layer:
                self._around.safely(lambda: self.apply(found[0], action, found[1]))()

        self.said.emit(f"{_capital(action)}…")
        self._background.start(work, done, self._around.complain)

    def _told(self, action: str, change: Change) -> str:
        """Return what a change did, and which labels it took voxels from."""
        from_labels: dict[int, int] = {}
        for (before, _), voxels in change.transitions().items():
            from_labels[before] = from_labels.get(before, 0) + voxels
        parts = [
            f"{voxels} were {self._picker.name_of(value)}" for value, voxels in sorted(from_labels.items())
        ]
        several = len(parts) > 1 or 0 not in from_labels
        whence = f" ({', '.join(parts)})" if several else ""
        return f"{_capital(action)}: {_voxels(change.voxels)}{whence}."

    @property
    def _region(self) -> Any:
        return ANY if self.whole_lesion else None

    def _component(self, labels: Array, index: Index) -> Component:
        found = edit.component_at(labels, index, region=self._region)
        if found is None:
            raise InputError(_NOTHING_THERE)
        return found

    def _labels(self) -> Array:
        return self._in_hand.labels()

    def _selected(self, background: bool = False) -> int:
        layer = self._in_hand.layer
        if layer is None:
            raise InputError("No mask is selected: select a Labels layer first.")
        label = int(layer.selected_label)
        known = self._in_hand.scheme
        if label == 0 and not background:
            raise InputError("The background is selected: choose a label first.")
        if label and known is not None and label not in known.values:
            raise InputError(f"Label {label} is not one of this mask's: choose one of the list.")
        return label

    def _into(self) -> frozenset[int]:
        return frozenset(range(256)) - self._picker.spared

    def grid(self) -> Grid:
        """Return where the mask in hand lies."""
        layer = self._in_hand.layer
        if layer is None:
            raise InputError("No mask is selected: select a Labels layer first.")
        origin = origin_of(layer) or same_voxels(layer, list(self._around.viewer.layers))
        return origin.grid if origin else grid_of(layer)

    def _slice_axis(self) -> int:
        """Return the canonical axis along which the viewer steps."""
        dims, mask = self._around.viewer.dims, self._in_hand.mask
        if mask is None:
            raise InputError("No mask is selected: select a Labels layer first.")
        if len(dims.displayed) != 2:
            raise InputError("In 3-D there is no slice to fill between: turn to slices first.")
        hidden = next((a for a in range(dims.ndim - 3, dims.ndim) if a not in dims.displayed), dims.ndim - 3)
        return int(mask.axes.view.axes.index(hidden - (dims.ndim - 3)))

    def _shown_slice(self, axis: int) -> int:
        place = self._in_hand.index_of(self._around.viewer.dims.point)
        return place[axis] if place is not None else -1


def spared(change: Change | None, kept: Array | None) -> Change | None:
    """Return a change without what it does to kept voxels."""
    if change is None or kept is None:
        return change
    after = np.where(kept[change.box], change.before, change.after)
    return replace(change, after=after) if (after != change.before).any() else None


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _voxels(count: int) -> str:
    return "1 voxel changed" if count == 1 else f"{count} voxels changed"
