"""Run of a model over a scan, for the library, the panel and the command line."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from napari_tumorseg.errors import InputError, RoleError
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.confidence import as_dict, find
from napari_tumorseg.inference.disagreement import DisagreementCounter
from napari_tumorseg.inference.doubt import DoubtCounter
from napari_tumorseg.inference.evidence import tumour_levels
from napari_tumorseg.inference.intervals import tables_for, volume_intervals, why_none
from napari_tumorseg.inference.model_selection import (
    choose_model,
    missing_roles,
    picture_as_expected,
    suitability_warnings,
)
from napari_tumorseg.inference.postprocess import postprocess
from napari_tumorseg.inference.prepare import Prepared, prepare
from napari_tumorseg.inference.provenance import provenance_of
from napari_tumorseg.inference.scan_analysis import ScanAnalysis
from napari_tumorseg.inference.settings import Progress, Settings
from napari_tumorseg.inference.steps import result_of
from napari_tumorseg.inference.volume.prepare import PreparedVolume, prepare_volume
from napari_tumorseg.measurement.intervals import FLOOR_MM3, floor_voxels
from napari_tumorseg.models.card import ModelCard, Output
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.post_settings import PostSettings
from napari_tumorseg.regions import CONVENTIONS
from napari_tumorseg.scan import Scan, Segmentation

if TYPE_CHECKING:
    from napari_tumorseg.inference.precision import Choice
    from napari_tumorseg.inference.predict import SliceResult, Step

_LEAST_LOGIT = -6.24
"""Logit up to which a probability is stored as 0: 255 times it is below one half."""


def segment(
    scan: Scan, model: Model | str | Path | None = None, settings: Settings | None = None
) -> Segmentation:
    """Segment a scan.

    Parameters
    ----------
    scan : Scan
        From `read`.
    model : Model, str or Path, optional
        A model, its name or its path; chosen by the roles there are if left out.
    settings : Settings, optional
        How to run it.

    Returns
    -------
    Segmentation
        On the scan's grid, with provenance.

    Raises
    ------
    TumorSegError
        In one sentence, if it cannot be done.
    """
    return result_of(run(scan, model, settings))


def run(
    scan: Scan,
    model: Model | str | Path | None = None,
    settings: Settings | None = None,
    analysis: ScanAnalysis | None = None,
) -> Generator[Progress, None, Segmentation]:
    """Segment a scan, yielding progress after each slice, or after each window of a volume.

    A generator: close it to stop between two of them, which leaves nothing behind. The segmentation is its
    return value. Parameters are those of `segment`, and `analysis` of the scan, if there is one already.
    """
    settings = settings or Settings()
    analysis = analysis or ScanAnalysis(scan)
    chosen = _model(scan, model, analysis)
    card = chosen.card
    scan = picture_as_expected(scan, card)
    lacking = missing_roles(card, scan.roles.keys())
    if lacking:
        raise RoleError(f"{scan.case}: {lacking}")
    from napari_tumorseg.inference import precision, predict  # torch

    net = chosen.load()
    device = predict.device_for(net, settings.device_wanted)
    prepared = prepared_for(scan, card, net.stride, analysis)
    wants_flip = card.output.flip if settings.flip is None else settings.flip
    flip = wants_flip and prepared.slice_plane.left_right
    todo = _wanted(prepared, settings.slices)
    choice = precision.choose(settings.precision, chosen, net, device, prepared.samples)
    runner = predict.Runner(net, device, flip, settings.batch, choice.convert, mirrors_of(card))
    canvas = _Canvas(scan, prepared, settings, todo)
    axis = prepared.slice_plane.axes[0]
    left = predict.stopwatch()
    seen = 0
    for step in predict.steps(prepared, runner, todo):
        for index, labels in canvas.draw_step(step):
            note, seen = " ".join(runner.notes[seen:]), len(runner.notes)
            remaining = left(step.done, step.total)
            yield Progress(step.done, step.total, axis, index, labels, remaining, note)
    notes = (
        *suitability_warnings(scan, card, analysis),
        *prepared.notes,
        *_unused(card, settings, todo),
        *choice.notes,
        *runner.notes,
    )
    return _finish(scan, chosen, settings, canvas, _Ran(runner.device, flip, choice, notes, analysis))


def prepared_for(
    scan: Scan, card: ModelCard, stride: int, analysis: ScanAnalysis
) -> Prepared | PreparedVolume:
    """Return a scan ready to be run by slices or by windows, as the card says."""
    if card.input.windows is not None:
        return prepare_volume(scan, card, analysis)
    return prepare(scan, card, stride, analysis=analysis)


def mirrors_of(card: ModelCard) -> Sequence[tuple[int, ...]]:
    """Return the sets of axes along which copies of a slice or window are flipped.

    Axes are counted from the last one (-1). Slices, and windows whose card states no axis, are flipped along
    the one between left and right.
    """
    windows = card.input.windows
    if windows is None:
        return ((-1,),)
    axes = [axis - 3 for axis in windows.flipped]
    return [some for count in range(1, len(axes) + 1) for some in combinations(axes, count)]


@dataclass(eq=False)
class _Canvas:
    """Labels of the whole volume, and probabilities if asked for, filled slice by slice.

    Outside the network's window there are no labels; probabilities are kept in the box of the slices run.
    """

    scan: Scan
    prepared: Prepared | PreparedVolume
    settings: Settings
    todo: list[int]
    labels: Array = field(init=False)
    certain: Array | None = field(init=False, default=None)
    levels: Array | None = field(init=False, default=None)
    probabilities: dict[str, Array] = field(init=False, default_factory=dict)
    disagreement: Array | None = field(init=False, default=None)
    doubt: DoubtCounter = field(init=False)
    dispute: DisagreementCounter = field(init=False)
    box: tuple[slice, ...] | None = field(init=False, default=None)
    start: tuple[int, int] = field(init=False, default=(0, 0))  # of the box, on a slice

    def __post_init__(self) -> None:
        self.labels = np.zeros(self.scan.grid.shape, dtype=np.uint8)
        self.doubt = DoubtCounter(self.prepared.card.output)
        self.dispute = DisagreementCounter(self.prepared.card.output)
        post = post_settings(self.settings, self.prepared.card)
        if post.min_confident_voxels:
            self.certain = np.zeros(self.scan.grid.shape, dtype=bool)
        if post.needs_levels:
            self.levels = np.zeros(self.scan.grid.shape, dtype=np.uint8)
        if self.settings.probabilities and self.todo:
            rows, columns = (
                _hull(sides) for sides in zip(*map(self.prepared.covered, self.todo), strict=True)
            )
            self.start = (rows.start, columns.start)
            box = (slice(self.todo[0], self.todo[-1] + 1), rows, columns)
            self.box = self.prepared.slice_plane.canonical_box(box, self.prepared.shape)
            shape = tuple(side.stop - side.start for side in self.box)
            self.probabilities = {
                name: np.zeros(shape, dtype=np.uint8) for name in self.prepared.card.output.names
            }
            if len(self.prepared.card.members) > 1:
                self.disagreement = np.zeros(shape, dtype=np.uint8)

    def draw_step(self, step: Step) -> Iterator[tuple[int, Array]]:
        """Draw the slices that a step has finished; yield index and labels of each, or of its preview.

        A preview is not drawn.
        """
        for result in step.finished:
            yield result.index, self.draw(result)
        if step.preview is not None:
            yield step.preview.index, self._preview(step.preview)
        elif not step.finished:
            yield self.todo[0], self._slice(self.todo[0])

    def _preview(self, result: SliceResult) -> Array:
        found = decode(result.logits, self.prepared.card.output, self.settings.threshold)
        labels, place = self._slice(result.index).copy(), self.prepared.covered(result.index)
        may = self.prepared.allowed(result.index)
        labels[place] = found if may is None else np.where(may[place], found, np.uint8(0))
        return labels

    def _slice(self, index: int) -> Array:
        """Return the labels of a slice in canonical in-plane order."""
        return np.asarray(np.take(self.labels, index, axis=self.prepared.slice_plane.axes[0]))

    def draw(self, result: SliceResult) -> Array:
        """Turn the logits of a slice into labels, in place, and return them in canonical in-plane order."""
        index, logits = result.index, result.logits
        output, slice_plane, place = (
            self.prepared.card.output,
            self.prepared.slice_plane,
            self.prepared.covered(index),
        )
        found = decode(logits, output, self.settings.threshold)
        allowed = self.prepared.allowed(index)
        may = None if allowed is None else allowed[place]
        if may is not None:
            found = np.where(may, found, np.uint8(0))
        slice_plane.apply(self.labels)[index][place] = found
        self.doubt.add(logits, may)
        self.dispute.add(logits, result.disagreement, may)
        if self.certain is not None:
            slice_plane.apply(self.certain)[index][place] = is_certain(logits, output)
        chances = probabilities(logits, output, may) if self._needs_probabilities else None
        if self.levels is not None and chances is not None:
            slice_plane.apply(self.levels)[index][place] = tumour_levels(chances, output)
        if self.probabilities and chances is not None:
            inside = tuple(slice(p.start - s, p.stop - s) for p, s in zip(place, self.start, strict=True))
            for volume, values in zip(self.probabilities.values(), chances, strict=True):
                slice_plane.apply(volume)[index - self.todo[0]][inside] = values
            if self.disagreement is not None and result.disagreement is not None:
                doubt = result.disagreement if may is None else result.disagreement * may
                slice_plane.apply(self.disagreement)[index - self.todo[0]][inside] = doubt
        return self._slice(index)

    @property
    def _needs_probabilities(self) -> bool:
        return bool(self.probabilities) or self.levels is not None


def _hull(sides: Sequence[slice]) -> slice:
    return slice(min(s.start for s in sides), max(s.stop for s in sides))


def decode(logits: Array, output: Output, threshold: float | None = None) -> Array:
    """Return the labels (rows, columns) of a slice's logits (outputs, rows, columns), as the card says."""
    if output.activation == "softmax":
        return np.asarray(np.asarray(output.labels, dtype=np.uint8)[logits.argmax(axis=0)])
    chance = output.threshold if threshold is None else threshold
    limit = np.log(chance / (1 - chance))
    labels = np.zeros(logits.shape[1:], dtype=np.uint8)
    for values, label in zip(logits, output.labels, strict=True):
        labels[values > limit] = label
    return labels


def post_settings(settings: Settings, card: ModelCard) -> PostSettings:
    """Return the post-processing of a run: the settings' or the card's."""
    return settings.post or card.postprocessing


def is_certain(logits: Array, output: Output) -> Array:
    """Return where (rows, columns) any output but the background is above the card's level of certainty."""
    if output.activation == "softmax":
        tumour = [value != 0 for value in output.labels]
        return np.asarray(special.softmax(logits, axis=0)[tumour].sum(axis=0) > output.certain)
    return np.asarray((logits > special.logit(output.certain)).any(axis=0))


def probabilities(logits: Array, output: Output, may: Array | None = None) -> Array:
    """Return the probabilities of a slice as uint8, 255 for 1.

    Where no label is allowed (`may` is False), all is background, so that a threshold on them gives the same
    as `decode` and the card's rules.
    """
    softmax = output.activation == "softmax"
    found = np.zeros(logits.shape, dtype=np.uint8)
    if softmax:
        found[:] = np.rint(special.softmax(logits, axis=0) * 255)
    else:
        near = logits > _LEAST_LOGIT  # few are: most of a slice is far from any tumour
        found[near] = np.rint(special.expit(logits[near]) * 255)
    if may is not None:
        found[:, ~may] = [[255 if softmax and not label else 0] for label in output.labels]
    return found


def _model(scan: Scan, model: Model | str | Path | None, analysis: ScanAnalysis) -> Model:
    if model is None:
        return choose_model(scan, analysis)
    return model if isinstance(model, Model) else get_model(model)


def _wanted(prepared: Prepared | PreparedVolume, slices: range | None) -> list[int]:
    if slices is None:
        return list(prepared.todo)
    if not slices:
        raise InputError(f"no slice is between {slices.start} and {slices.stop - 1}")
    last = prepared.shape[0] - 1
    outside = next((i for i in (slices[0], slices[-1]) if not 0 <= i <= last), None)
    if outside is not None:
        raise InputError(f"there is no slice {outside}; the scan has slices 0 to {last}")
    return [i for i in prepared.todo if i in slices]


def _unused(card: ModelCard, settings: Settings, todo: list[int]) -> list[str]:
    """Return a sentence for each setting that had no effect, and one if no slice was run."""
    found = []
    if not todo:
        found.append("no slice differs from the background, so none was run; the mask is empty")
    if settings.threshold is not None and card.output.activation == "softmax":
        found.append(f"{card.name} takes the most probable class, so the threshold had no effect")
    return found


@dataclass(frozen=True)
class _Ran:
    """Facts about a run that are not in its settings."""

    device: str
    flip: bool
    choice: Choice
    notes: tuple[str, ...]
    analysis: ScanAnalysis


def _finish(scan: Scan, model: Model, settings: Settings, canvas: _Canvas, ran: _Ran) -> Segmentation:
    """Post-process the labels and return them with their provenance."""
    card = model.card
    convention = CONVENTIONS[card.output.scheme]
    post = post_settings(settings, card)
    brain = ran.analysis.brain if post.inside_brain else None
    labels, more = postprocess(
        canvas.labels, scan.grid, convention, post, brain, canvas.certain, canvas.levels
    )
    warnings = (*scan.warnings, *ran.notes, *more)
    provenance = provenance_of(
        scan,
        model,
        settings,
        post,
        device=ran.device,
        flip=ran.flip,
        precision=(ran.choice.precision, ran.choice.explanation),
        warnings=warnings,
    )
    doubts = canvas.doubt.doubts(floor_voxels(FLOOR_MM3, scan.grid.voxel_volume_mm3))
    tables = tables_for(card, scan, settings, ran.analysis)
    intervals = volume_intervals(card, labels, scan.grid, doubts, tables)
    provenance["doubt"] = doubts
    provenance["disagreement"] = canvas.dispute.value
    provenance["intervals"] = {name: interval.to_dict() for name, interval in intervals.items()}
    if reason := why_none(card, scan, settings, ran.analysis):
        provenance["no_intervals"] = reason
    if canvas.box is not None:
        found = find(labels, canvas.probabilities, canvas.box, card.output)
        provenance["findings"] = as_dict(found)
    return Segmentation(
        labels,
        scan.grid,
        convention,
        scan.case,
        provenance=provenance,
        probabilities=canvas.probabilities,
        probability_box=canvas.box,
        disagreement=canvas.disagreement,
    )
