"""One run of a model in the background: its worker, its growing layer, and how it ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from napari.qt.threading import thread_worker
from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

from napari_tumorseg.conventions import get_convention
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.run import post_settings
from napari_tumorseg.inference.scan_analysis import ScanAnalysis
from napari_tumorseg.inference.settings import Progress
from napari_tumorseg.inference.stored_probabilities import StoredProbabilities
from napari_tumorseg.scan import Role, Segmentation
from napari_tumorseg.viewer.layers.origin import METADATA_KEY, PROBABILITIES_KEY, Origin
from napari_tumorseg.viewer.layers.showing import shown_slice
from napari_tumorseg.viewer.layers.to_layers import labels_layer
from napari_tumorseg.viewer.segment.prepared_layers import PreparedLayers
from napari_tumorseg.viewer.state.job import Job
from napari_tumorseg.viewer.widgets.background import Failure, sentence

if TYPE_CHECKING:
    from napari import Viewer

_SECONDS_BETWEEN_REFRESHES = 0.25
_SECONDS_BETWEEN_WORDS = 0.1
_TURN_SECONDS = 0.001
"""Longest wait of the window for the interpreter while a run has it; Python's default is 5 ms."""


@dataclass(frozen=True, eq=False)
class Success:
    """Result of a run: its mask as a layer holds it, probabilities if they are kept, what was prepared."""

    labels: Array
    origin: Origin
    stored: StoredProbabilities | None
    prepared: PreparedLayers


Step = str | Progress

Place = Callable[[PreparedLayers], dict[str, Role]]
"""Adds the layers of a preparation, and returns ids and roles of the images that the result was made from."""


class _Pace:
    """Limits how often something is done, so that drawing and messages do not block the window."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last = 0.0

    def is_due(self) -> bool:
        """Return whether the last time is long enough ago; if so, this is the last time."""
        now = time.monotonic()
        due = now - self._last > self._seconds
        self._last = now if due else self._last
        return due


class _Turns:
    """Makes threads hand over the interpreter more often while runs are under way."""

    def __init__(self) -> None:
        self._runs = 0
        self._usual = 0.0

    def shorten(self) -> None:
        """Note that a run begins."""
        if not self._runs:
            self._usual = sys.getswitchinterval()
            sys.setswitchinterval(_TURN_SECONDS)
        self._runs += 1

    def restore(self) -> None:
        """Note that a run is over."""
        self._runs -= 1
        if not self._runs:
            sys.setswitchinterval(self._usual)


_turns = _Turns()


class Run(QObject):
    """A segmentation under way in one viewer.

    The result grows in a layer of its own. However the run ends, other layers stay as they are; unless it
    ends well, its layer goes. A QObject, so that what the worker still has under way for a run that is
    gone is dropped: PySide would call a method of any other object after its death.
    """

    progressed = Signal(object)
    """A `Progress` after a slice, or a sentence on what is being done."""
    succeeded = Signal(object)
    """The finished Labels layer."""
    failed = Signal(str)
    """An error message."""
    cancelled = Signal()

    def __init__(self, viewer: Viewer, job: Job, place: Place | None = None) -> None:
        super().__init__()
        self._viewer = viewer
        self._job = job
        self._place = place
        self._over = False
        self._drawn = _Pace(_SECONDS_BETWEEN_REFRESHES)
        self._reports = _Pace(_SECONDS_BETWEEN_WORDS)
        self.layer: LabelsLayer | None = None
        self._worker: Any = None

    @property
    def is_over(self) -> bool:
        """True if it has ended, in whatever way."""
        return self._over

    def start(self) -> None:
        """Add the empty layer and set to work."""
        self.layer = self._make_layer()
        self._show_layer(self.layer)
        self._viewer.layers.events.removed.connect(self._on_removed)
        _turns.shorten()
        self._worker = _work(self._job)
        self._worker.yielded.connect(self._on_step)
        self._worker.returned.connect(self._on_returned)
        self._worker.aborted.connect(lambda: self.cancel())  # when napari stops it: the window closes
        self._worker.start()

    def cancel(self, quietly: bool = False) -> None:
        """Stop at the next slice and remove the partial layer at once.

        Parameters
        ----------
        quietly : bool
            Whether nobody is notified, since the panel or the window closes.
        """
        if self._end():
            self._remove_layer()
            if not quietly:
                self.cancelled.emit()

    def _make_layer(self) -> LabelsLayer:
        case, grid = self._job.case, self._job.case.reference().grid
        convention = get_convention(self._job.model.card.output.scheme)
        empty = Segmentation(np.zeros(grid.shape, np.uint8), grid, convention, case.name)
        data, arguments, _ = labels_layer(
            empty, name=f"{case.name} seg", case=case.name, group=self._job.group
        )
        layer = LabelsLayer(data, **arguments)
        layer.editable = False  # strokes would be lost when the result comes
        return layer

    def _show_layer(self, layer: LabelsLayer) -> None:
        """Add the layer without taking the user's selection away."""
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(layer)
        if active is not None:
            self._viewer.layers.selection.active = active

    def _remove_layer(self) -> None:
        if self.layer is not None and self.layer in self._viewer.layers:
            self._viewer.layers.remove(self.layer)

    def _end(self) -> bool:
        """Unsubscribe and stop the worker; return whether the run was still under way."""
        if self._over:
            return False
        self._over = True
        if self._worker is not None:
            _turns.restore()
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        if self._worker is not None:
            self._worker.quit()
            self._worker = None
        return True

    def _on_step(self, step: Step) -> None:
        if self._over or self.layer is None:
            return
        if isinstance(step, Progress):
            self._show_slice(self.layer, step)
            if step.done < step.total and not self._reports.is_due():
                return
        self.progressed.emit(step)

    def _show_slice(self, layer: LabelsLayer, step: Progress) -> None:
        place: list[Any] = [slice(None)] * 3
        place[step.plane_axis] = step.index
        layer.data[tuple(place)] = step.labels
        shown = shown_slice(self._viewer.dims, self._job.case.reference().grid, step.plane_axis)
        if shown == step.index or (shown is None and self._drawn.is_due()):
            layer.refresh()

    def _on_returned(self, result: Success | Failure | None) -> None:
        if result is None or self._over:
            return
        if isinstance(result, Failure):
            self._end()
            self._remove_layer()
            self.failed.emit(sentence(result.error))
            return
        assert self.layer is not None
        if self._place is not None:
            images = self._place(result.prepared)
            result = replace(result, origin=replace(result.origin, images=images))
        _put_result(self.layer, result)
        QTimer.singleShot(0, self._succeed)  # what others do with it has a turn of its own

    def _succeed(self) -> None:
        if self._end():
            self.succeeded.emit(self.layer)

    def _on_removed(self, event: Any) -> None:
        if event.value is self.layer:
            self.cancel()


@thread_worker(ignore_errors=True)  # type: ignore[untyped-decorator]
def _work(job: Job) -> Generator[Step, None, Success | Failure]:
    """Do all that takes time, the import of torch included, outside the window's thread."""
    try:
        scan = yield from job.scan()
        yield "Loading the network…"
        from napari_tumorseg.inference import run

        analysis = ScanAnalysis(scan, job.stripped)
        result = yield from run(scan, job.model, job.settings, analysis)
        labels, arguments, _ = labels_layer(
            result, case=job.case.name, group=job.group, model=True, images=job.images
        )
        stored = stored_probabilities_of(job, analysis, result)
        prepared = PreparedLayers.of(scan, job.group)
        return Success(labels, arguments["metadata"][METADATA_KEY], stored, prepared)
    except Exception as error:  # the panel reports it, and it is logged there
        return Failure(error)


def stored_probabilities_of(
    job: Job, analysis: ScanAnalysis, result: Segmentation
) -> StoredProbabilities | None:
    """Return the probabilities that a run kept, or None."""
    card = job.model.card
    post = post_settings(job.settings, card)
    return StoredProbabilities.of(result, card, post, analysis.brain if post.inside_brain else None)


def _put_result(layer: LabelsLayer, success: Success) -> None:
    layer.metadata[METADATA_KEY] = replace(success.origin, name=layer.name)
    if success.stored is not None:
        layer.metadata[PROBABILITIES_KEY] = success.stored
    layer.editable = True
    layer.data = success.labels
