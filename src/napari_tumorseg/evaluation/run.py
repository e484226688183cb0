"""Evaluation of a model case by case, which can be stopped at any slice."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_tumorseg._version import __version__
from napari_tumorseg.errors import Notice, TumorSegError
from napari_tumorseg.evaluation.case import CaseScorer, Loaded
from napari_tumorseg.evaluation.result import Evaluation
from napari_tumorseg.evaluation.scores import CaseScores, FailedCase, Members
from napari_tumorseg.evaluation.select import SavedSplit, seen_by_members, select
from napari_tumorseg.evaluation.settings import EvaluationSettings
from napari_tumorseg.inference.steps import Steps
from napari_tumorseg.io.dataset import CaseRef, DataSet, UnlabelledError
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.scan import Segmentation


@dataclass(frozen=True, eq=False)
class Step:
    """Progress of an evaluation.

    Attributes
    ----------
    number, total : int
        Number of the case, from 1, and number of cases.
    name : str
        Of the case.
    done, slices : int
        Slices that are done, and to do.
    result : CaseScores, Failure or None
        Present once, when the case is finished.
    segmentation : Segmentation or None
        The segmentation, together with the result.
    """

    number: int
    total: int
    name: str
    done: int = 0
    slices: int = 0
    result: CaseScores | FailedCase | None = None
    segmentation: Segmentation | None = None


@dataclass(frozen=True)
class Plan:
    """Prepared evaluation: weights are loaded, no case is read yet.

    Attributes
    ----------
    model : Loaded
        Model with its network.
    data : DataSet
        The chosen cases.
    settings : EvaluationSettings
        Settings.
    seen_by_members : tuple of frozenset of str
        Patients that each member of the model was trained on.
    slices : mapping of str to frozenset of int
        Slices to which per-slice figures are limited, by the name of the case, if a split holds slices.
    """

    model: Loaded
    data: DataSet
    settings: EvaluationSettings
    seen_by_members: tuple[frozenset[str], ...] = (frozenset(),)
    slices: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @property
    def trained_on(self) -> tuple[CaseRef, ...]:
        """The cases whose scores prove nothing."""
        return tuple(case for case in self.data.cases if self._members(case).trained_on)

    def run(self) -> Iterator[Step]:
        """Evaluate case by case; close it, or leave it, to stop between two slices.

        A case that cannot be evaluated gives a `FailedCase`, and the others go on.
        """
        scorer = CaseScorer(self.model, self.settings)
        for number, case in enumerate(self.data.cases, start=1):
            yield from self._case(scorer, case, Step(number, len(self.data.cases), case.name))

    def _case(self, scorer: CaseScorer, case: CaseRef, here: Step) -> Iterator[Step]:
        yield here
        members = self._members(case)
        known = bool(members.trained_on)
        steps = Steps(scorer.score(case, members, self.slices.get(case.name)))
        try:
            for done, slices in steps:
                yield replace(here, done=done, slices=slices)
        except (TumorSegError, MemoryError, OSError) as error:
            unlabelled = isinstance(error, UnlabelledError)
            yield replace(here, result=FailedCase(case, known, reason(error, case), unlabelled))
            return
        scores, seg = steps.result
        yield replace(here, result=scores, segmentation=seg)

    def _members(self, case: CaseRef) -> Members:
        return Members.of(case.patient, self.seen_by_members, self.settings.unseen_members)

    def conclude(
        self, results: Sequence[CaseScores | FailedCase], seconds: float, stopped: str = ""
    ) -> Evaluation:
        """Return the evaluation of the finished cases.

        Parameters
        ----------
        results : sequence of CaseScores or Failure
            From the steps of `run`.
        seconds : float
            Duration.
        stopped : str
            Reason why not all cases are among them; else empty.
        """
        return Evaluation(
            model=_about(self.model),
            run=self.model.run_facts or {"versions": {"napari-tumorseg": __version__}},
            data=tuple(dict.fromkeys(case.path.resolve().name for case in self.data.cases)),
            settings=self.settings,
            planned=len(self.data.cases),
            cases=tuple(r for r in results if isinstance(r, CaseScores)),
            failures=tuple(r for r in results if isinstance(r, FailedCase)),
            seconds=seconds,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            stopped=stopped,
            weights=self.model.weights,
        )


def plan(
    model: Model | str | Path,
    data: DataSet | Path | str | Sequence[Path | str],
    settings: EvaluationSettings | None = None,
    *,
    cases: Sequence[str] = (),
    split: SavedSplit | None = None,
    part: str = "test",
    limit: int | None = None,
    masks: Sequence[str] = (),
) -> Plan:
    """Load a model and choose the cases; parameters are those of `evaluate`."""
    from napari_tumorseg.inference.predict import choose_device  # torch

    chosen = model if isinstance(model, Model) else get_model(model)
    if not isinstance(data, DataSet):
        paths = [data] if isinstance(data, Path | str) else data
        data = DataSet.find([Path(path) for path in paths], masks)
    wanted = select(data, cases, split.part(part) if split else None, limit)
    settings = settings or EvaluationSettings()
    choose_device(settings.inference.device)  # one that is not there would else fail case by case
    some = split.slices(part) if split else {}
    return Plan(Loaded.of(chosen), wanted, settings, seen_by_members(chosen.card, split), some)


def evaluate(
    model: Model | str | Path,
    data: DataSet | Path | str | Sequence[Path | str],
    settings: EvaluationSettings | None = None,
    *,
    cases: Sequence[str] = (),
    split: SavedSplit | None = None,
    part: str = "test",
    limit: int | None = None,
    masks: Sequence[str] = (),
    progress: Callable[[Step], None] | None = None,
) -> Evaluation:
    """Run a model over every case of a data set and compare with the reference masks.

    Parameters
    ----------
    model : Model, str or Path
        A model, its name or its path.
    data : DataSet, path or sequence of paths
        Cases with reference masks, of any layout that can be read.
    settings : EvaluationSettings, optional
        Settings of runs and scores.
    cases : sequence of str
        Names of the cases to take; all where none is named.
    split : SavedSplit, optional
        Of a training: only cases of its `part` are taken, and those of its ``train`` count as trained on.
        Where it split single slices, per-slice figures are limited to its own; those in 3-D are not.
    part : {"test", "validation", "train"}
        Part of the split.
    limit : int, optional
        Largest number of cases to take.
    masks : sequence of str
        Choice of the reference if a case has several masks: parts of names, the best first.
    progress : callable, optional
        Called with a `Step` after every slice and case. To be able to stop and keep what is finished, take
        `plan` and go over `Plan.run` instead.

    Returns
    -------
    Evaluation
        With the cases that could not be evaluated listed apart.

    Raises
    ------
    TumorSegError
        In one sentence, if the model cannot be used or there is no case.
    """
    planned = plan(model, data, settings, cases=cases, split=split, part=part, limit=limit, masks=masks)
    return _completed(planned, progress)


def _completed(planned: Plan, progress: Callable[[Step], None] | None) -> Evaluation:
    """Run a plan to its end."""
    start, results = time.perf_counter(), []
    for step in planned.run():
        if step.result is not None:
            results.append(step.result)
        if progress is not None:
            progress(step)
    return planned.conclude(results, time.perf_counter() - start)


def reason(error: TumorSegError | MemoryError | OSError, case: CaseRef) -> Notice:
    """Return why a case failed, without the folders above the data: they can name patients."""
    if isinstance(error, MemoryError):
        return Notice("memory ran out")
    text = str(error)
    above = {case.path.resolve().parent, case.path.absolute().parent, case.path.parent} - {Path()}
    for folder in sorted(map(str, above), key=len, reverse=True):
        text = text.replace(f"{folder}{os.sep}", "")
    return Notice(" ".join(text.split()), error.remedy if isinstance(error, TumorSegError) else None)


def _about(model: Model) -> dict[str, Any]:
    card = model.card
    return {
        "name": card.name,
        "title": card.title,
        "version": card.version,
        "origin": model.origin,
        "sha256": model.weights_sha256(),
        "licence": card.about.licence,
        "trained_on_told": bool(card.about.trained_on),
        "members": len(card.members) or 1,
    }
