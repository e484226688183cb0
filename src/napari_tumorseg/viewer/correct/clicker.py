"""Clicks on the active mask: a first answer at once, refined in the background, one undo step in all."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels as LabelsLayer
from psygnal import Signal
from qtpy.QtCore import QObject

from napari_tumorseg.edit import ANY, Change
from napari_tumorseg.edit.clicks import Click, Evidence, refine
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.inference.refining import region_levels
from napari_tumorseg.inference.stored_probabilities import StoredProbabilities
from napari_tumorseg.viewer.correct.click_points import show_clicks
from napari_tumorseg.viewer.correct.corrector import voxels_in
from napari_tumorseg.viewer.correct.label_section import LabelPicker
from napari_tumorseg.viewer.correct.locked_components import locked_mask
from napari_tumorseg.viewer.correct.rethreshold import is_same_edit
from napari_tumorseg.viewer.layers.axes import Index
from napari_tumorseg.viewer.layers.edits import ClickStep
from napari_tumorseg.viewer.layers.from_layers import grid_of, same_voxels
from napari_tumorseg.viewer.layers.origin import PROBABILITIES_KEY, origin_of
from napari_tumorseg.viewer.state.context import PanelContext
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask
from napari_tumorseg.viewer.widgets.background import Background

if TYPE_CHECKING:
    from napari import Viewer

ACTION = "click"
SELECTED_LABEL = "selected label"
WHOLE_LESION = "whole lesion"


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A click and the mask that it was made on."""

    click: Click
    mask: TrackedMask


class Clicker(QObject):
    """Applies clicks, one after the other.

    Parameters
    ----------
    context : PanelContext
        Viewer and active mask.
    picker : LabelPicker
        Source of the protected labels.

    Attributes
    ----------
    scope : str
        Region of the clicks: `SELECTED_LABEL`, `WHOLE_LESION`, or a region of the mask's convention.
    """

    reported = Signal(str)
    """Status message."""

    def __init__(self, context: PanelContext, picker: LabelPicker) -> None:
        super().__init__()
        self._context, self._active_mask, self._picker = context, context.active_mask, picker
        self._background = Background(self)
        self._queue: deque[_Waiting] = deque()
        self._images: tuple[TrackedMask, tuple[int, ...], Evidence] | None = None
        self.scope = SELECTED_LABEL
        self._active_mask.edited.connect(self._on_edited)
        self._active_mask.switched.connect(self._on_switched)

    @property
    def is_busy(self) -> bool:
        """Whether a click is being refined."""
        return self._background.is_busy

    def detach(self) -> None:
        """Stop following the active mask and cancel background work."""
        self._active_mask.edited.disconnect(self._on_edited)
        self._active_mask.switched.disconnect(self._on_switched)
        self._queue.clear()
        self._background.cancel()

    def prepare(self) -> None:
        """Look over the images of the active mask, so that the first click need not wait for it.

        Raises
        ------
        InputError
            If there is no mask, or no scan on its grid.
        """
        self._evidence(self._active_mask.required())

    def click(self, voxels: tuple[Index, ...], adds: bool, is_box: bool = False) -> None:
        """Apply a click, a stroke or a box to the active mask; while another one is refined, it waits.

        Raises
        ------
        InputError
            If there is no mask or no scan, or the selected label cannot be painted.
        """
        mask = self._active_mask.required()
        label, region = self._target(mask)
        self._queue.append(_Waiting(Click(voxels, adds, label, region, is_box), mask))
        self._next()

    def _target(self, mask: TrackedMask) -> tuple[int, frozenset[int]]:
        """Return the label that clicks paint and the region that they are for."""
        selected, convention = int(mask.layer.selected_label), mask.convention
        if self.scope in (SELECTED_LABEL, WHOLE_LESION) or convention is None:
            if selected == 0 or (convention is not None and selected not in convention.values):
                raise InputError("Select the label that clicks are for, at the top of this page.")
            return selected, ANY if self.scope == WHOLE_LESION else frozenset()
        members = frozenset(convention.regions[self.scope])
        return selected if selected in members else convention.own_label(self.scope), members

    def _next(self) -> None:
        if self.is_busy or not self._queue:
            return
        waiting = self._queue.popleft()
        if self._active_mask.is_tracked(waiting.mask):
            self._start(waiting.click, waiting.mask)

    def _start(self, click: Click, mask: TrackedMask) -> None:
        """Answer in the slice at once and start on the other slices."""
        evidence = self._evidence(mask, click)
        labels = np.array(mask.canonical())
        earlier = [step.click for step in mask.edits.clicks]
        protected, seeds = self._picker.protected, mask.edits.locked
        locked = locked_mask(labels, seeds)

        def answer(across: int | None = None) -> Change | None:
            return refine(labels, evidence, click, earlier, protected=protected, locked=locked, across=across)

        first = answer(axis_across(self._context.viewer))
        self._active_mask.apply(first, ACTION, mask)
        mask.edits.note_click(ClickStep(click, first))
        self._show(mask)

        def done(whole: Change | None) -> None:
            self._finish(click, mask, labels, first, whole)

        self._background.start(answer, done, self._on_failed)

    def _on_failed(self, why: str) -> None:
        self._context.report_error(why)
        self._next()

    def _finish(
        self, click: Click, mask: TrackedMask, before: Array, first: Change | None, whole: Change | None
    ) -> None:
        """Put the answer for all slices in the place of the first one, as the same undo step."""
        steps = mask.edits.clicks
        now = before if first is None else _with(before, first)
        if not steps or steps[-1].click is not click:
            self.reported.emit("The click was undone.")
        elif not np.array_equal(mask.canonical(), now):
            self.reported.emit("The mask was edited meanwhile: the click counts in its own slice only.")
        else:
            self._replace(mask, first, whole)
            mask.edits.clicks, mask.edits.undone_clicks = (*steps[:-1], ClickStep(click, whole)), ()
            self._show(mask)
            sign = "added" if click.adds else "removed"
            self.reported.emit(f"Click: {voxels_in(whole.voxels if whole else 0)} {sign}.")
        self._next()

    def _replace(self, mask: TrackedMask, first: Change | None, whole: Change | None) -> None:
        with self._active_mask.replacing(first is not None):
            if first is not None:
                mask.layer.undo()
            self._active_mask.apply(whole, ACTION, mask)

    def _evidence(self, mask: TrackedMask, click: Click | None = None) -> Evidence:
        """Return the images of a mask, looked over once, and the probability of the region of a click."""
        scan = self._context.scan_of(mask.layer)
        if not scan.grid.same_space(_grid_of(mask.layer, self._context.viewer)):
            raise InputError(
                f"{mask.layer.name} does not lie on the voxels of the scan {scan.case}: clicks need a mask "
                "that does."
            )
        arrays = [image.data for image in scan.images]
        key = tuple(map(id, arrays))
        if self._images is None or self._images[0] is not mask or self._images[1] != key:
            self._images = mask, key, Evidence.of(arrays, scan.grid.spacing_mm)
        found = self._images[2]
        stored = mask.layer.metadata.get(PROBABILITIES_KEY)
        if click is None or not isinstance(stored, StoredProbabilities) or mask.convention is None:
            return found.with_probability(None)
        levels = region_levels(stored.probabilities, stored.output, mask.convention, click.members)
        z, y, x = stored.box
        return found.with_probability(levels, (z, y, x))

    def _show(self, mask: TrackedMask) -> None:
        if mask is self._active_mask.mask:
            show_clicks(self._context.viewer, mask, [step.click for step in mask.edits.clicks])

    def _on_switched(self, layer: object) -> None:
        mask = self._active_mask.mask
        if mask is not None and mask.edits.clicks:
            self._show(mask)
        else:
            show_clicks(self._context.viewer, None, ())

    def _on_edited(self, mask: TrackedMask, change: Change, action: str) -> None:
        """Forget the click that an undo took back, and bring it back with a redo."""
        edits = mask.edits
        if action == "undo" and _is_latest(edits.clicks, change.inverse):
            edits.undo_click()
            self._show(mask)
        elif action == "redo" and _is_latest(edits.undone_clicks, change):
            edits.redo_click()
            self._show(mask)


def _grid_of(layer: LabelsLayer, viewer: Viewer) -> Grid:
    """Return the grid of a mask; of one that was drawn over a scan, that of the scan."""
    scan = None if origin_of(layer) else same_voxels(layer, viewer.layers)
    return scan.grid if scan else grid_of(layer)


def axis_across(viewer: Viewer) -> int:
    """Return the axis (of Z, Y, X) across the slices on the screen."""
    hidden = [axis - viewer.dims.ndim + 3 for axis in viewer.dims.not_displayed]
    return next((axis for axis in hidden if axis >= 0), 0)


def _is_latest(steps: Sequence[ClickStep], change: Change) -> bool:
    """Return whether a change is that of the latest click, leaving out those that changed nothing."""
    latest = next((step.change for step in reversed(steps) if step.change is not None), None)
    return latest is not None and is_same_edit(latest, change)


def _with(labels: Array, change: Change) -> Array:
    found = labels.copy()
    change.apply(found)
    return found
