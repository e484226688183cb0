"""Networks that a fine-tuning trains, and the patients that each is trained without."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from napari_tumorseg.training.split import shuffled

LEAST_PATIENTS = 3
"""Patients without whom nothing can be said about a model."""

_FOLDS = 3


@dataclass(frozen=True)
class Job:
    """Training of one network.

    Attributes
    ----------
    member : int
        Its place in the new model.
    fold : int or None
        Part of the patients that it is trained without; None: it is trained on all.
    delivered : bool
        Whether it becomes part of the new model.
    """

    member: int
    fold: int | None
    delivered: bool

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"{self.member}-{'all' if self.fold is None else self.fold}"


@dataclass(frozen=True)
class Plan:
    """Networks to train and the parts of the patients.

    Attributes
    ----------
    jobs : tuple of Job
        The trainings.
    fold_of : dict of str to int
        Part of each patient that is left out once; patients that the parent was trained on have none.
    """

    jobs: tuple[Job, ...]
    fold_of: dict[str, int]

    def judges(self, patient: str) -> list[Job]:
        """Return the trainings without a patient."""
        return [job for job in self.jobs if job.fold is not None and job.fold == self.fold_of.get(patient)]


def plan(patients: Sequence[str], known: Collection[str], members: int, seed: int = 0) -> Plan:
    """Plan the trainings.

    A model of one network is trained on all patients, and for its figures once more without each of three
    parts of them. The networks of a model of several are each trained without another part, so that their
    figures cost nothing more.

    Parameters
    ----------
    patients : sequence of str
        All patients.
    known : collection of str
        Those the parent was trained on; they prove nothing and are never left out.
    members : int
        Networks of the new model.
    seed : int
        Of the draw.
    """
    new = shuffled(sorted(set(patients) - set(known)), seed)
    folds = max(1, min(_FOLDS if members == 1 else members, len(new)))
    fold_of = {patient: number % folds for number, patient in enumerate(new)}
    if members > 1:
        return Plan(tuple(Job(member, member % folds, True) for member in range(members)), fold_of)
    left_out = tuple(Job(0, fold, False) for fold in range(folds))
    return Plan((*left_out, Job(0, None, True)), fold_of)
