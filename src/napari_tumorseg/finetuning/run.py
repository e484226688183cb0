"""Fine-tuning of a model from settings in a folder; it can be interrupted and continued at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from napari_tumorseg.errors import CancelledError, InputError, Remedy, TumorSegError
from napari_tumorseg.finetuning import state
from napari_tumorseg.finetuning.basis import Basis, among
from napari_tumorseg.finetuning.candidate import write_candidate
from napari_tumorseg.finetuning.choice import SHARES, Option, Tried, choose
from napari_tumorseg.finetuning.comparison import compare
from napari_tumorseg.finetuning.control import Control, Steps
from napari_tumorseg.finetuning.corrected import corrected_cases
from napari_tumorseg.finetuning.judgement import LEAST_PATIENTS, Pair, Verdict, judge
from napari_tumorseg.finetuning.networks import Networks
from napari_tumorseg.finetuning.page import page
from napari_tumorseg.finetuning.plan import Job, Plan, plan
from napari_tumorseg.finetuning.settings import Settings, read_settings
from napari_tumorseg.finetuning.state import Phase, Status
from napari_tumorseg.finetuning.sweep import dice_of
from napari_tumorseg.io.atomic import make_folder, write_text
from napari_tumorseg.io.dataset import CaseRef, DataSet, patient_of
from napari_tumorseg.models.ensemble import members_of
from napari_tumorseg.models.store import Model, get_model
from napari_tumorseg.models.versions import check_replaceable, install
from napari_tumorseg.training.cache import CachedCase
from napari_tumorseg.training.checkpoints import Report
from napari_tumorseg.training.compute import ComputeSettings
from napari_tumorseg.training.prepare import cached
from napari_tumorseg.training.recipe import Recipe
from napari_tumorseg.training.split import DataSplit, shuffled
from napari_tumorseg.training.tuning import (
    network_with,
    tuned_weights,
    tuning_recipe,
    widened_input,
    with_steps,
)

REPORT = "report.html"
"""File of the comparison."""


@dataclass(frozen=True)
class Outcome:
    """Result of a fine-tuning.

    Attributes
    ----------
    verdict : Verdict
        Whether the new model is better than its parent.
    model : Model
        The new model: in the list of the user's models if accepted, else in the folder of the run only.
    pairs : tuple of Pair
        Dice of each left-out case before and after.
    """

    verdict: Verdict
    model: Model
    pairs: tuple[Pair, ...]


def finetune(run: Path, report: Report = lambda sentence: None, cache: Path | None = None) -> Outcome:
    """Fine-tune a model as the settings in a folder say, or go on where it was interrupted.

    Parameters
    ----------
    run : Path
        Folder with settings (`Settings.write`); everything is written there.
    report : callable
        Called with sentences about the progress.
    cache : Path, optional
        Folder of prepared slices, ``run/cache`` by default.

    Raises
    ------
    InputError
        If there are too few corrected cases, or another process works on the folder.
    ModelError
        If the parent cannot be used, or training diverges.
    CancelledError
        If it was asked to end.
    """
    settings = read_settings(run)
    with state.working_on(run):
        start = Status(Phase.RUNNING, "reading the cases", name=settings.name, parent=settings.parent)
        control = Control(run, start)
        control.say(start.words)
        try:
            outcome = _Run(run, settings, control, report, cache or run / "cache").outcome()
        except (CancelledError, KeyboardInterrupt):
            control.end(Phase.CANCELLED, "cancelled; no model was changed")
            raise
        except TumorSegError as error:
            control.end(Phase.FAILED, str(error))
            raise
        except Exception as error:
            control.end(Phase.FAILED, f"it failed unexpectedly ({type(error).__name__}: {error})")
            raise
        phase = Phase.ACCEPTED if outcome.verdict.accepted else Phase.REFUSED
        control.end(phase, outcome.verdict.sentence)
    return outcome


class _Run:
    """The steps of a fine-tuning."""

    def __init__(self, run: Path, settings: Settings, control: Control, report: Report, cache: Path) -> None:
        self.run, self.settings, self.control, self.report, self.cache = run, settings, control, report, cache
        torch.set_num_threads(settings.threads)
        self.parent = get_model(settings.parent)
        self.basis = Basis.read(run)
        self._check_parent(self.basis.parent_sha256 if self.basis else self.parent.weights_sha256())
        before = self.parent.card.input
        given = widened_input(before, settings.roles or before.roles, settings.scope)
        self.card = self.parent.card.model_copy(update={"input": given, "intervals": (), "agreement": {}})
        self.networks = Networks(self.parent, self.card, run / "weights")

    def outcome(self) -> Outcome:
        """Train, judge, and install what is better."""
        new, old = self._cases()
        made = self._plan(new, old)
        names = tuple(case.name for case in new), tuple(case.name for case in old)
        basis = self.basis or Basis(self.parent.weights_sha256(), *names)
        basis.write(self.run)
        self._announce(made, len(new) + len(old))
        by_name = {case.name: case for case in (*new, *old)}
        cases = self._cached(list(by_name.values()))
        self._train(made, cases)
        tried = self._tried(made, cases, {case.name for case in old})
        pairs = self._compared(made, by_name, tried, {case.name for case in old})
        verdict = judge(pairs)
        option = choose(tried) if tried else Option(1.0, self.card.output.threshold)
        folder = self.run / "model"
        model = write_candidate(
            self.networks, made, option, verdict, [*new, *old], self.settings.name, folder
        )
        self._write_page(verdict, pairs, option, new)
        if verdict.accepted:
            self._check_parent(basis.parent_sha256)
            model = install(model, self.settings.name)
        return Outcome(verdict, model, pairs)

    def _check_parent(self, digest: str) -> None:
        """Raise `InputError` if another model has the parent's name by now, or the new model's."""
        if get_model(self.settings.parent).weights_sha256() != digest:
            raise InputError(
                f"{self.parent.name} was replaced since this fine-tuning began, so nothing was compared with "
                "the present version; begin anew"
            )
        check_replaceable(self.settings.name, self.parent.name)

    # ---- cases

    def _cases(self) -> tuple[list[CaseRef], list[CaseRef]]:
        """Return the corrected cases, and as many rehearsal cases, drawn by the seed; or those of before."""
        new = list(corrected_cases(self.settings.data).cases)
        if self.basis is not None:
            rehearsal = DataSet.find(self.settings.rehearsal).cases if self.basis.old else ()
            return among(self.basis.new, new), among(self.basis.old, rehearsal)
        if not self.settings.rehearsal:
            return new, []
        names = {case.name for case in new}
        found = DataSet.find(self.settings.rehearsal).cases
        by_name = {case.name: case for case in found if case.name not in names}
        drawn = shuffled(sorted(by_name), self.settings.seed)[: max(len(new), LEAST_PATIENTS)]
        return new, [by_name[name] for name in drawn]

    def _plan(self, new: Sequence[CaseRef], old: Sequence[CaseRef]) -> Plan:
        rehearsed = {case.patient for case in old}
        patients = {case.patient for case in new} - rehearsed
        known = {patient_of(name) for name in self.parent.card.about.trained_on} & patients
        if known:
            self.report(
                f"{len(known)} of {len(patients)} patients were already in the training of "
                f"{self.parent.name}: they are trained on again, but nothing is judged by them"
            )
        if len(patients) - len(known) < LEAST_PATIENTS:
            raise InputError(
                f"{LEAST_PATIENTS} patients that {self.parent.name} was not trained on are needed to show "
                f"whether a new model is better; there are {len(patients) - len(known)}",
                remedy=Remedy.ADD_CASES,
            )
        members = max(self.settings.members, len(members_of(self.networks.parent_net)))
        return plan(sorted(patients | rehearsed), known, members, self.settings.seed)

    def _announce(self, made: Plan, cases: int) -> None:
        judged = len(made.fold_of)
        self.control.plan(len(made.jobs) * self.settings.steps + cases + judged * (len(SHARES) + 2))
        self.report(
            f"{cases} cases, {len(made.jobs)} networks to train; {judged} patients are left out in turn"
        )

    def _cached(self, refs: Sequence[CaseRef]) -> list[CachedCase]:
        self.control.say("preparing slices")
        recipe = self._recipe(0, 0)
        made = []
        for ref in refs:
            made += cached_one(ref, recipe, self.cache, self.report)
            self.control.step()
        if not made:
            raise InputError("none of the cases can be used for training; see the reasons above")
        return made

    def _recipe(self, member: int, seed: int) -> Recipe:
        network = self.networks.network(member)
        recipe = tuning_recipe(self.card, network, self.settings.name, seed)
        if self.settings.labels is None:
            return recipe
        return recipe.model_copy(
            update={"data": recipe.data.model_copy(update={"labels": self.settings.labels})}
        )

    # ---- training

    def _train(self, made: Plan, cases: Sequence[CachedCase]) -> None:
        for number, job in enumerate(made.jobs):
            first = self.control.status.done
            if self.networks.tuned(job) is None:
                self.control.say(f"training network {number + 1} of {len(made.jobs)}")
                self._train_one(job, made, cases)
            missing = self.settings.steps - (self.control.status.done - first)
            self.control.step(missing)

    def _train_one(self, job: Job, made: Plan, cases: Sequence[CachedCase]) -> None:
        left_out = {
            case.name for case in cases if job.fold is not None and made.fold_of.get(case.patient) == job.fold
        }
        names = [case.name for case in cases]
        data_split = DataSplit(
            tuple(name for name in names if name not in left_out),
            (),
            tuple(name for name in names if name in left_out),
        )
        recipe = self._recipe(job.member, self.settings.seed + 97 * job.member)
        recipe = with_steps(recipe, cases, data_split, self.settings.steps)
        machine = ComputeSettings("cpu" if not torch.cuda.is_available() else "auto", progress=False)
        weights = tuned_weights(
            recipe,
            cases,
            data_split,
            self.networks.start(job.member),
            self.run / "training" / job.name,
            machine,
            [Steps(self.control)],
            self.report,
        )
        self.networks.keep(job, weights)

    # ---- judging

    def _tried(self, made: Plan, cases: Sequence[CachedCase], old: set[str]) -> dict[str, Tried]:
        """Return the Dice of each left-out case with each mixture and threshold."""
        self.control.say("choosing the share of the parent's weights")
        found: dict[str, dict[Option, float]] = {}
        outputs = len(self.card.output.names)
        for share in SHARES:
            for job in made.jobs:
                judged = [case for case in cases if job in made.judges(case.patient)]
                if not judged:
                    continue
                state_ = self.networks.mixture(job, share)
                net = network_with(state_, self.networks.network(job.member), self.card.input, outputs)
                for case in judged:
                    found.setdefault(case.name, {}).update(dice_of(net, case, self.card.output, share))
                    self.control.step()
        patients = {case.name: case.patient for case in cases}
        return {name: Tried(patients[name], dice, name in old) for name, dice in found.items()}

    def _compared(
        self, made: Plan, names: dict[str, CaseRef], tried: dict[str, Tried], old: set[str]
    ) -> tuple[Pair, ...]:
        """Compare parent and tuned networks on each left-out case, with options chosen on the others."""
        before, pairs = self.networks.before(), []
        make_folder(self.run / "cases")
        for name, one in tried.items():
            self.control.say(f"before and after: {name}")
            after = self.networks.after(made.judges(one.patient), choose(tried, one.patient))
            pairs.append(
                compare(names[name], (before, after), self.settings.labels, self.run / "cases", name in old)
            )
            self.control.step(2)
        return tuple(pairs)

    def _write_page(
        self, verdict: Verdict, pairs: Sequence[Pair], option: Option, new: Sequence[CaseRef]
    ) -> None:
        facts = (
            f"{self.settings.name}, fine-tuned from {self.parent.name} (version {self.parent.card.version}) "
            f"on {len(new)} cases; {option.share:.0%} of the tuned weights, threshold {option.threshold:g}, "
            f"{self.settings.steps} steps a network."
        )
        forgotten = (
            "There was no rehearsal data: what the new model forgot of the parent's own data is not known."
            if verdict.old_change is None
            else f"Rehearsal cases changed by {verdict.old_change:+.3f} Dice on average."
        )
        title = f"Fine-tuning of {self.parent.name}"
        text = page(title, verdict, facts, pairs, self.run / "cases", forgotten)
        write_text(self.run / REPORT, text, overwrite=True)


def cached_one(ref: CaseRef, recipe: Recipe, folder: Path, report: Report) -> list[CachedCase]:
    """Return a case from the cache; none, with a report, if it cannot be used."""
    try:
        return cached(DataSet((ref,)), recipe, folder, report)
    except InputError:
        return []
