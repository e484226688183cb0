"""``tumorseg evaluate``: scores of a model on a data set with reference masks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.files import check_file
from napari_tumorseg.cli.output import console, progress, show_warnings
from napari_tumorseg.cli.parse import inference_settings, parse_names, parse_post

if TYPE_CHECKING:
    from napari_tumorseg.evaluation import CaseScores, Evaluation, FailedCase, Plan
    from napari_tumorseg.evaluation.settings import SliceChoice
    from napari_tumorseg.inference import PostSettings
    from napari_tumorseg.models import ModelCard
    from napari_tumorseg.report.learning import Learning


def evaluate(
    model: options.Model,
    data: options.TestData,
    output: options.EvaluationOutput,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    case: options.CaseNames = None,
    split: options.Split = None,
    part: options.Part = "test",
    limit: options.Limit = None,
    labels: options.ReferenceLabels = None,
    masks: options.Masks = None,
    same_voxels: options.SameVoxels = False,
    slices: options.SliceChoice = "all",
    at_network_size: options.AtNetworkSize = False,
    lesions: options.LesionRules = "GLI",
    unseen_members: options.UnseenMembers = False,
    flip: options.Flip = None,
    threshold: options.Threshold = None,
    post: options.PostToo = None,
    no_post: options.NoPost = False,
    run: options.RunFolder = None,
    masks_out: options.MasksOut = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Evaluate a model: run it over every case of a data set and compare with the reference masks.

    Exits with 3 if a case could not be evaluated; the others are written all the same. Cases without a
    reference mask are left out, and are no failures unless there are no others. Stopped with Ctrl-C, it
    writes what is finished and exits with 130.
    """
    from napari_tumorseg.evaluation import EvaluationSettings, plan, read_split
    from napari_tumorseg.models import get_model

    _check_choices(slices, part, lesions)
    chosen = get_model(model)
    inference = inference_settings(device, precision, flip, threshold, _post(post, no_post, chosen.card))
    rules = {"at_network_size": at_network_size, "same_voxels": same_voxels, "unseen_members": unseen_members}
    settings = EvaluationSettings(inference, _slices(slices), labels=labels, lesions=lesions, **rules)
    used = read_split(split) if split else None
    learning = _learning(run, chosen.weights)
    names = parse_names(masks)
    planned = plan(chosen, data, settings, cases=case or (), split=used, part=part, limit=limit, masks=names)
    _prepare(planned, output, masks_out, overwrite)
    _warn_before(planned, part if split else "")
    found, error = _go_through(planned, masks_out, overwrite, quiet or as_json)
    _finish(found, error, output, learning, overwrite)
    _show(found, output, as_json, quiet)
    _end(found, output)


def _check_choices(slices: str, part: str, lesions: str) -> None:
    from napari_tumorseg.evaluation.select import PARTS
    from napari_tumorseg.measurement import LESION_RULES

    choices = (("--slices", slices, ("all", "tumour")), ("--part", part, PARTS))
    for option, value, known in (*choices, ("--lesions", lesions, tuple(LESION_RULES))):
        if value not in known:
            raise typer.BadParameter(f"{option} is one of {', '.join(known)}, not {value!r}")


def _slices(choice: str) -> SliceChoice:
    return "tumour" if choice == "tumour" else "all"


def _post(texts: list[str] | None, none: bool, card: ModelCard) -> PostSettings:
    if none and texts:
        raise typer.BadParameter(
            "--no-post and --post contradict each other; `--post none,STEP` takes one step"
        )
    return parse_post(["none"] if none else texts, card)


def _learning(run: Path | None, weights: Path) -> Learning | None:
    """Return the learning curves, or None if a log that was found by itself cannot be read."""
    from napari_tumorseg.errors import InputError
    from napari_tumorseg.report.learning import find_log, read_log

    log = find_log(run, weights)
    try:
        return read_log(log) if log else None
    except InputError as error:
        if run is not None:
            raise
        show_warnings([f"{error}; no learning curves are shown"])
        return None


def _prepare(planned: Plan, output: Path, masks_out: Path | None, overwrite: bool) -> None:
    """Make the folders; raise before any work if a file could not be written at the end."""
    from napari_tumorseg.cohorts.record import mask_path
    from napari_tumorseg.io import side_file
    from napari_tumorseg.io.atomic import make_folder
    from napari_tumorseg.io.side_files import check_replaceable
    from napari_tumorseg.report.evaluation_files import FILES

    names = [mask_path(masks_out, case.name) for case in planned.data.cases] if masks_out else []
    files = [output / name for name in FILES]
    for folder in (output, masks_out):
        if folder:
            make_folder(folder)
    for path in (*files, *names, *map(side_file, names)):
        check_file(path, overwrite)
    for path in names:
        check_replaceable(path)


def _warn_before(planned: Plan, part: str) -> None:
    """Warn before the run about scores that prove nothing."""
    from napari_tumorseg.models.messages import some
    from napari_tumorseg.report.text import count

    total, known = len(planned.data.cases), planned.trained_on
    notes = []
    if known:
        names = some((case.name for case in known), quote=False)
        were = "was" if len(known) == 1 else "were"
        notes.append(
            f"{len(known)} of {count(total, 'case')} ({names}) {were} trained on: such scores prove nothing"
        )
    if not planned.model.card.about.trained_on:
        notes.append(
            f"the card of {planned.model.name} does not list the cases it was trained on; some may be here"
        )
    if part == "validation":
        notes.append("the validation part may have chosen the checkpoint: its scores flatter the model")
    show_warnings(notes)


def _go_through(
    planned: Plan, masks_out: Path | None, overwrite: bool, quiet: bool
) -> tuple[Evaluation, Exception | None]:
    """Evaluate case by case with a progress bar; finished cases are kept if the run stops early."""
    from napari_tumorseg.cohorts.record import mask_path
    from napari_tumorseg.evaluation import FailedCase
    from napari_tumorseg.io import write_mask
    from napari_tumorseg.report.text import count

    results: list[CaseScores | FailedCase] = []
    start, stopped = time.perf_counter(), ""
    failed: Exception | None = None
    with progress(disable=quiet) as bars:
        cases = bars.add_task(planned.model.name, total=len(planned.data.cases))
        slices = bars.add_task("", total=None)
        try:
            for step in planned.run():
                bars.update(slices, description=step.name, completed=step.done, total=step.slices or None)
                if step.result is None:
                    continue
                if masks_out and step.segmentation is not None:
                    write_mask(step.segmentation, mask_path(masks_out, step.name), overwrite=overwrite)
                results.append(step.result)
                bars.update(cases, completed=len(results))
                if isinstance(step.result, FailedCase):
                    show_warnings([_left_out(step.result)])
        except KeyboardInterrupt:
            stopped = f"cancelled after {len(results)} of {count(len(planned.data.cases), 'case')}"
        except Exception as error:  # raised again once what is finished is written
            stopped, failed = "an error ended the run", error
    return planned.conclude(results, time.perf_counter() - start, stopped), failed


def _left_out(failure: FailedCase) -> str:
    from napari_tumorseg.errors import Notice, remedy_of

    return Notice(f"{failure.name} is left out: {failure.error}", remedy_of(failure.error))


def _finish(
    found: Evaluation, error: Exception | None, output: Path, learning: Learning | None, overwrite: bool
) -> None:
    """Write the finished cases, then raise the error that stopped the run."""
    from napari_tumorseg.errors import CancelledError
    from napari_tumorseg.report.evaluation_files import write_evaluation

    if found.cases or found.failures:
        write_evaluation(found, output, learning, overwrite)
    if error is not None:
        raise error
    if found.stopped and not found.cases and not found.failures:
        raise CancelledError("cancelled before a case was finished; nothing was written")


def _show(found: Evaluation, output: Path, as_json: bool, quiet: bool) -> None:
    from napari_tumorseg.report.evaluation_files import FILES
    from napari_tumorseg.report.evaluation_tables import case_table, slice_table, summary_json, summary_tables
    from napari_tumorseg.report.text import count

    if as_json:
        print(summary_json(found), end="")
    if as_json or quiet:
        return
    screen = console()
    if found.cases:
        for table in (case_table(found), *summary_tables(found), slice_table(found)):
            screen.print(table)
    screen.print(f"Model {found.model['name']}, licence {found.model['licence']}.", markup=False)
    screen.print(
        f"{len(found.cases)} of {count(found.planned, 'case')} in {found.seconds:.0f} s, "
        f"{found.cases_per_minute:.1f} cases a minute."
    )
    for name in FILES:
        screen.print(f"wrote {output / name}", markup=False)


def _end(found: Evaluation, output: Path) -> None:
    """Raise an error if the run was stopped or cases failed."""
    from napari_tumorseg.errors import CancelledError, InputError
    from napari_tumorseg.models.messages import some
    from napari_tumorseg.report.text import count

    if found.stopped:
        raise CancelledError(f"{found.stopped}; those finished are written to {output}")
    failed = found.failed if found.cases else found.failures
    if failed:
        names = some((failure.name for failure in failed), quote=False)
        raise InputError(
            f"{len(failed)} of {count(found.planned, 'case')} could not be evaluated ({names}); "
            f"{'the others are' if found.cases else 'why is'} written to {output}"
        )
