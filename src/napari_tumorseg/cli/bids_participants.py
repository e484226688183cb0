"""Participant level of the BIDS App: the selected sessions as a cohort that is written as a data set."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_tumorseg.errors import InputError

if TYPE_CHECKING:
    from napari_tumorseg.cohorts import CohortPlan
    from napari_tumorseg.cohorts.run import Outcome


def run_participants(given: argparse.Namespace) -> None:
    """Segment each selected session and print a line for it; one that fails does not stop the others.

    Raises
    ------
    InputError
        If there is no such session, or at the end if some failed.
    OutputError
        If the output folder is the data set itself, or another program's.
    """
    from napari_tumorseg.cohorts import run_plan
    from napari_tumorseg.models.messages import some

    planned = _plan(given)
    failed = []
    for outcome in run_plan(planned, jobs=given.nprocs, retry_failed=True, threads=given.omp_nthreads):
        is_failed = outcome.record.state == "failed"
        print(_line(outcome), file=sys.stderr if is_failed else sys.stdout, flush=True)
        if is_failed:
            failed.append(outcome.record.case)
            if given.stop_on_first_crash:
                break
    if failed:
        names = some(failed, quote=False)
        raise InputError(
            f"{len(failed)} of {len(planned.tasks)} sessions failed ({names}); the others are written"
            if not given.stop_on_first_crash
            else f"stopped because {names} failed; the same command does the rest"
        )


def _plan(given: argparse.Namespace) -> CohortPlan:
    """Return the plan of the selected sessions; with ``--overwrite`` none counts as done."""
    from napari_tumorseg.cohorts import CohortSettings
    from napari_tumorseg.cohorts.planning import TaskState, plan_cases
    from napari_tumorseg.inference import Settings
    from napari_tumorseg.inference.predict import choose_device
    from napari_tumorseg.io.bids.dataset import check_dataset
    from napari_tumorseg.io.bids.query import BidsFilter, select_sessions

    if not given.bids_dir.is_dir():
        raise InputError(f"{given.bids_dir} is not a folder of a BIDS data set")
    images = BidsFilter.read(given.bids_filter_file) if given.bids_filter_file else None
    sessions = select_sessions(given.bids_dir, given.participant_label, given.session_label, images)
    check_dataset(given.output_dir, given.bids_dir)
    choose_device(given.device)
    run = Settings(given.device, probabilities=given.probabilities)
    settings = CohortSettings(given.model, run, bids=True)
    cases = [session.reference(given.bids_dir) for session in sessions]
    planned = plan_cases(cases, given.output_dir, settings)
    if not given.overwrite:
        return planned
    again = (
        task if task.state is TaskState.KEPT else replace(task, state=TaskState.NEW, record=None)
        for task in planned.tasks
    )
    return replace(planned, tasks=tuple(again))


def _line(outcome: Outcome) -> str:
    from napari_tumorseg.cli.cohort import line_of

    return line_of(outcome) if outcome.is_new else f"{outcome.record.case}: done before"
