"""``tumorseg cohort``: masks, volumes and one table for many cases."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.output import console, progress, show_warnings
from napari_tumorseg.cli.parse import inference_settings, parse_post, parse_roles, parse_spacing

if TYPE_CHECKING:
    from napari_tumorseg.cohorts import CohortPlan, CohortSettings, Record, Task
    from napari_tumorseg.cohorts.collecting import Collected
    from napari_tumorseg.cohorts.models import LoadedModels
    from napari_tumorseg.cohorts.run import Outcome


def cohort(
    data: options.CohortData = None,
    output: options.CohortOutput = Path(),
    model: options.SomeModel = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    jobs: options.Jobs = None,
    dask: options.Dask = None,
    part: options.CohortPart = None,
    collect: options.Collect = False,
    retry_failed: options.RetryFailed = False,
    dry_run: options.DryRun = False,
    roles: options.CohortRoles = None,
    same_voxels: options.SameVoxels = False,
    no_prepare: options.NoPrepare = False,
    no_page: options.NoPage = False,
    spacing: options.Spacing = None,
    post: options.Post = None,
    flip: options.Flip = None,
    threshold: options.Threshold = None,
    quiet: options.Quiet = False,
) -> None:
    """Segment many cases: a mask and a record for each, one table, and a page to look at them.

    Run again, it does the cases that are missing or whose files, model or settings have changed. Exits with 3
    if a case failed; the others are done all the same. Ctrl-C ends it after the cases that are
    running, a second one at once.
    """
    from napari_tumorseg.cohorts import CohortSettings, Part, plan

    if collect:
        _collect(output, data or [], page=not no_page, quiet=quiet)
        return
    if not data:
        raise typer.BadParameter("name the files or folders of the cases")
    inference = inference_settings(device, precision, flip, threshold, _post(post, model))
    steps = {"same_voxels": same_voxels, "prepare": not no_prepare, "page": not no_page}
    settings = CohortSettings(model, inference, parse_spacing(spacing), **steps, roles=parse_roles(roles))
    planned = plan(data, output, settings, part=Part.parse(part) if part else None)
    if dry_run:
        _dry_run(planned, settings, retry_failed)
        return
    _check_machines(device, jobs, dask, quiet)
    records, is_stopped = _go_through(planned, jobs, dask, retry_failed, quiet)
    _end(planned, records, is_stopped, quiet)


def _post(texts: list[str] | None, model: str | None) -> Any:
    """Return the post-processing; it changes a card's own, so the model has to be named."""
    from napari_tumorseg.models import get_model

    if texts and not model:
        raise typer.BadParameter("--post changes the steps of one model; name it with --model")
    return parse_post(texts, get_model(model).card) if texts and model else None


def _check_machines(device: str, jobs: int | None, dask: str | None, quiet: bool) -> None:
    """Raise before any work if what does it is not there: it would fail case by case."""
    from napari_tumorseg.cohorts.dask_client import LOCAL, count_workers
    from napari_tumorseg.inference.predict import choose_device
    from napari_tumorseg.report.text import count

    if dask is None or dask == LOCAL:
        choose_device(device)
        return
    if jobs is not None:
        raise typer.BadParameter("--jobs is for this machine; the scheduler knows its workers")
    number = count_workers(dask)
    if not number:
        show_warnings([f"no worker is connected to {dask} yet; cases begin when one is"])
    elif not quiet:
        console(stderr=True).print(f"{count(number, 'worker')} at {dask}", markup=False)


def _go_through(
    planned: CohortPlan, jobs: int | None, dask: str | None, retry_failed: bool, quiet: bool
) -> tuple[list[Record], bool]:
    """Run the plan with a bar and a line for each case."""
    from napari_tumorseg.cohorts import run_plan

    todo = len(planned.todo(retry_failed))
    records = []
    with _interruptible() as stop, progress(disable=quiet or not todo, transient=False) as bars:
        bar = bars.add_task("cases", total=todo)
        for outcome in run_plan(
            planned, jobs=jobs, dask=dask, retry_failed=retry_failed, stop=lambda: bool(stop)
        ):
            records.append(outcome.record)
            if outcome.is_new:
                bars.advance(bar)
                if not quiet:
                    bars.console.print(line_of(outcome), markup=False)
            if stop:
                bars.update(bar, description="stopping after the running cases")
    return records, bool(stop)


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Yield a list to which the first Ctrl-C adds; the second one raises `KeyboardInterrupt`."""
    stop: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if stop:
            raise KeyboardInterrupt
        stop.append(number)

    before = None
    with suppress(ValueError):  # not in the main thread
        before = signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def line_of(outcome: Outcome) -> str:
    """Return the result of a case in one line."""
    from napari_tumorseg.cohorts.flags import NOTHING_FOUND

    record = outcome.record
    if record.state == "failed":
        return f"{record.case}: failed: {_reason(record)}"
    sizes = ", ".join(_size(row) for row in record.regions if row["voxels"]) or NOTHING_FOUND
    flags = "; ".join(flag for flag in record.flags if flag != NOTHING_FOUND)
    return f"{record.case}: {sizes}{f' ({flags})' if flags else ''}, {record.seconds:.1f} s"


def _size(row: Mapping[str, Any]) -> str:
    from napari_tumorseg.report.text import amount

    return f"{row['name']} {amount(row['voxels'], row['volume_ml'])}"


def _reason(record: Record) -> str:
    from napari_tumorseg.cli.wording import worded
    from napari_tumorseg.errors import Notice, Remedy

    return worded(Notice(record.reason, Remedy(record.remedy) if record.remedy else None))


def _end(planned: CohortPlan, records: list[Record], is_stopped: bool, quiet: bool) -> None:
    """Say what is written; raise an error if the run was stopped or cases failed."""
    from napari_tumorseg.cohorts.record import mixed_precisions
    from napari_tumorseg.errors import CancelledError
    from napari_tumorseg.report.text import count

    if is_stopped:
        raise CancelledError(
            f"stopped after {len(records)} of {count(len(planned.tasks), 'case')}; "
            "the same command does the rest"
        )
    if mixed := mixed_precisions(records):
        show_warnings([mixed])
    if not quiet:
        _print_files(planned, records)
    _raise_failures(records, planned.output)


def _print_files(planned: CohortPlan, records: list[Record]) -> None:
    from napari_tumorseg.cohorts.outputs import PAGE, TABLE
    from napari_tumorseg.report.text import count

    done = sum(record.state == "done" for record in records)
    screen = console()
    screen.print(f"{done} of {count(len(planned.tasks), 'case')} done", markup=False)
    if planned.part.total == 1:
        for name in (TABLE, PAGE) if planned.settings.page else (TABLE,):
            screen.print(f"wrote {planned.output / name}", markup=False)
    else:
        screen.print(
            f"part {planned.part.number} of {planned.part.total}; when all are done: "
            f"tumorseg cohort --collect -o {planned.output}",
            markup=False,
        )


def _raise_failures(records: list[Record], output: Path) -> None:
    from napari_tumorseg.errors import InputError
    from napari_tumorseg.models.messages import some
    from napari_tumorseg.report.text import count

    names = [record.case for record in records if record.state == "failed"]
    if names:
        raise InputError(
            f"{len(names)} of {count(len(records), 'case')} failed ({some(names, quote=False)}); the reasons "
            f"are in the table in {output}, and --retry-failed runs them again"
        )


def _collect(output: Path, parts: list[Path], *, page: bool, quiet: bool) -> None:
    from napari_tumorseg.cohorts import collect
    from napari_tumorseg.cohorts.outputs import TABLE
    from napari_tumorseg.models.messages import some
    from napari_tumorseg.report.text import count

    found: Collected = collect(output, parts, page=page)
    if found.missing:
        names = some(found.missing, quote=False)
        show_warnings([f"{count(len(found.missing), 'case')} of the plan not run yet ({names})"])
    if found.passed_over:
        show_warnings(
            [f"{count(len(found.passed_over), 'record')} passed over: the cases are no longer in the data"]
        )
    if found.warnings:
        show_warnings(list(found.warnings))
    if not quiet:
        console().print(f"{count(len(found.records), 'case')}; wrote {output / TABLE}", markup=False)
    _raise_failures(list(found.records), output)


def _dry_run(planned: CohortPlan, settings: CohortSettings, retry_failed: bool) -> None:
    """Print what a run would do with each case, without running a network or writing a file."""
    from rich.table import Table

    from napari_tumorseg.cohorts.models import LoadedModels

    table = Table(title=f"{len(planned.todo(retry_failed))} of {len(planned.tasks)} cases to do")
    for heading in ("case", "state", "modalities", "model or refusal"):
        table.add_column(heading, overflow="fold")
    models = LoadedModels(settings.model)
    for task in planned.tasks:
        table.add_row(task.name, str(task.state), *_prospect(planned, task, models))
    console().print(table)


def _prospect(planned: CohortPlan, task: Task, models: LoadedModels) -> tuple[str, str]:
    """Return the modalities of a case, and the model that would run or why it is refused."""
    from napari_tumorseg.cli.wording import worded
    from napari_tumorseg.cohorts.unit import plan_unit, reason_of

    try:
        case, made = plan_unit(task.ref, planned.settings, models)
    except Exception as error:
        return "", worded(reason_of(error, task.ref))
    prepared = ", after preparation" if made.needs else ""
    return " ".join(sorted(str(image.role) for image in case.images)), f"{made.model.name}{prepared}"
