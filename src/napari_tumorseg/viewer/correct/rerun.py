"""Rerun of a model on a slice or in a box, in the background; voxels outside the box do not change."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from napari.qt.threading import thread_worker
from psygnal import Signal
from qtpy.QtCore import QObject

from napari_tumorseg.conventions import get_convention
from napari_tumorseg.edit import Change, merge_rerun
from napari_tumorseg.errors import InputError
from napari_tumorseg.geometry import Array, Grid
from napari_tumorseg.inference import PostSettings, ScanAnalysis
from napari_tumorseg.inference.settings import Progress, Settings
from napari_tumorseg.inference.slice_plane import slice_plane_for
from napari_tumorseg.regions import LabelConvention, convert
from napari_tumorseg.scan import Segmentation
from napari_tumorseg.viewer.correct.boxes import Box
from napari_tumorseg.viewer.correct.locked_components import locked_mask
from napari_tumorseg.viewer.state.job import Job
from napari_tumorseg.viewer.state.tracked_mask import TrackedMask
from napari_tumorseg.viewer.widgets.background import Failure, sentence


@dataclass(frozen=True, eq=False)
class Target:
    """Mask and box of a rerun.

    Attributes
    ----------
    mask : TrackedMask
        The mask.
    labels : (Z, Y, X) array
        Copy of its labels.
    grid : Grid
        Grid of the labels.
    convention : LabelConvention or None
        Convention of the labels; None for that of the model.
    box : (slice, slice, slice)
        Voxels that get the new result.
    protected : frozenset of int
        Labels that do not change.
    earlier : callable or None
        Returns the earlier results of the model; voxels that differ from all of them were corrected and do
        not change. None to replace corrections, too.
    title : str
        Name of the edit in messages and in the history.
    """

    mask: TrackedMask
    labels: Array
    grid: Grid
    convention: LabelConvention | None
    box: Box
    protected: frozenset[int]
    earlier: Callable[[], Sequence[Array]] | None
    title: str

    def unchanged(self) -> Array:
        """Return the voxels in `box` (bool) that do not change: protected, locked or corrected ones."""
        inside = self.labels[self.box]
        found = np.isin(inside, list(self.protected))
        locked = locked_mask(self.labels, self.mask.edits.locked)
        if locked is not None:
            found |= locked[self.box]
        if self.earlier is not None:
            found |= np.logical_and.reduce([inside != labels[self.box] for labels in self.earlier()])
        return found


class Rerun(QObject):
    """One rerun at a time; it reports the change and writes nothing itself."""

    progressed = Signal(object)
    """A `Progress`, or a status message."""
    succeeded = Signal(object, object)
    """The `Target` and the `Change` or None."""
    failed = Signal(str)
    """Error message."""
    ended = Signal()
    """The rerun succeeded, failed or was cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self._worker: Any = None
        self._target: Target | None = None

    @property
    def is_running(self) -> bool:
        """Whether a rerun is running."""
        return self._worker is not None

    def start(self, job: Job, target: Target) -> None:
        """Run the job on the slices of the target's box.

        Raises
        ------
        InputError
            If a rerun is running already.
        """
        if self.is_running:
            raise InputError("The model is running already: wait, or cancel it.")
        axis = slice_plane_for(job.model.card.input.plane, target.grid).axes[0]
        side = target.box[axis]
        settings = replace(job.settings, slices=range(side.start, side.stop), probabilities=False)
        self._target = target
        self._worker = _work(replace(job, settings=for_parts(settings)), target)
        self._worker.yielded.connect(self._on_step)
        self._worker.returned.connect(self._on_returned)
        self._worker.aborted.connect(self.cancel)
        self._worker.start()

    def cancel(self) -> None:
        """Stop at the next slice and leave the mask as it is."""
        if self._worker is None:
            return
        worker, self._worker, self._target = self._worker, None, None
        worker.quit()
        self.ended.emit()

    def _on_step(self, step: Progress | str) -> None:
        if self.is_running:
            self.progressed.emit(step)

    def _on_returned(self, found: Change | Failure | None) -> None:
        target = self._target
        if target is None:
            return
        self._worker = self._target = None
        self.ended.emit()
        if isinstance(found, Failure):
            self.failed.emit(sentence(found.error))
        else:
            self.succeeded.emit(target, found)


def for_parts(settings: Settings) -> Settings:
    """Return settings for a few slices, without steps that need the whole tumour."""
    inside = settings.post is not None and settings.post.inside_brain
    return replace(settings, post=PostSettings(inside_brain=inside))


def merged(result: Segmentation, target: Target) -> Change | None:
    """Return the change that writes a result into the target's box.

    Raises
    ------
    InputError
        If the result lies on another grid than the mask, or has labels that the mask's convention lacks.
    """
    if not result.grid.same_space(target.grid):
        raise InputError(
            f"The mask {target.mask.layer.name} does not lie on the grid of the scan that is chosen on the "
            "page Segment: choose the scan that it belongs to."
        )
    new = result.labels
    if target.convention is not None and target.convention.name != result.convention.name:
        new = convert(new, result.convention, get_convention(target.convention.name))
    return merge_rerun(target.labels, new, target.box, edited=target.unchanged())


@thread_worker(ignore_errors=True)  # type: ignore[untyped-decorator]
def _work(job: Job, target: Target) -> Generator[Progress | str, None, Change | Failure | None]:
    try:
        scan = yield from job.scan()
        if not scan.grid.same_space(target.grid):  # refused before the network runs in vain
            merged(Segmentation(np.zeros(scan.grid.shape, np.uint8), scan.grid, _any_convention(job)), target)
        yield "Loading the network…"
        from napari_tumorseg.inference import run

        result = yield from run(scan, job.model, job.settings, ScanAnalysis(scan, job.stripped))
        return merged(result, target)
    except Exception as error:  # the section reports it
        return Failure(error)


def _any_convention(job: Job) -> LabelConvention:
    return get_convention(job.model.card.output.scheme)
