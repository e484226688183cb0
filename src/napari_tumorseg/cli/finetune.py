"""``tumorseg finetune``: corrected cases become a new version of a model, if it is better."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.output import console
from napari_tumorseg.cli.parse import parse_role_list
from napari_tumorseg.cli.train import need_extra, report_to
from napari_tumorseg.notice import RESEARCH_USE

if TYPE_CHECKING:
    from napari_tumorseg.finetuning import Settings, Source
    from napari_tumorseg.finetuning.run import Outcome

REFUSED = 8
"""Exit code if the new model is not shown to be better."""


def finetune(
    model: Annotated[str, typer.Argument(help="Name or path of the model to start from.")],
    data: options.TuneData = None,
    worklist: options.TuneWorklist = None,
    name: options.TuneName = None,
    output: options.TuneRun = None,
    roles: options.TuneRoles = None,
    normalise: options.TuneScope = None,
    rehearse: options.Rehearsal = None,
    labels: options.ReferenceLabels = None,
    steps: options.TuneSteps = 240,
    members: options.TuneMembers = 1,
    threads: options.TuneThreads = 2,
    background: options.Background = False,
    quiet: options.Quiet = False,
) -> None:
    """Fine-tune a model on corrected cases; it is kept only if it proves to be better.

    Every patient is left out once, and parent and new model are compared on these patients. Exits with 8, and
    changes no model, if the new one is not shown to be better. Ctrl-C ends it; the same command continues it
    in the same --output.
    """
    need_extra()
    from napari_tumorseg.finetuning.settings import FILE

    if output is not None and (output / FILE).is_file() and not (data or worklist):
        run = _begun(output, model)
    else:
        settings = _settings(
            model, data, worklist, name, roles, normalise, rehearse, labels, steps, members, threads
        )
        run = _written(settings, output)
    if background:
        _start(run)
        return
    _run(run, quiet)


def _settings(
    model: str,
    data: list[Path] | None,
    worklist: Path | None,
    name: str | None,
    roles: str | None,
    normalise: str | None,
    rehearse: list[Path] | None,
    labels: str | None,
    steps: int,
    members: int,
    threads: int,
) -> Settings:
    from napari_tumorseg.finetuning.settings import checked, default_name
    from napari_tumorseg.models import get_model

    return checked(
        parent=model,
        data=_sources(data or [], worklist),
        name=name or default_name(get_model(model)),
        roles=parse_role_list(roles) if roles else (),
        scope=normalise,
        rehearsal=tuple(path.absolute() for path in rehearse or ()),
        labels=labels,
        steps=steps,
        members=members,
        threads=threads,
    )


def _sources(data: list[Path], worklist: Path | None) -> tuple[Source, ...]:
    """Return the cases that are named; those of a worklist are in the only folder of data, or beside it."""
    from napari_tumorseg.finetuning import Source
    from napari_tumorseg.finetuning.corrected import cases_of

    if worklist is None:
        if not data:
            raise typer.BadParameter("give the corrected cases with --data or --worklist")
        return tuple(Source(cases=path.absolute()) for path in data)
    found = data[0] if data else cases_of(worklist)
    if found is None or len(data) > 1:
        raise typer.BadParameter("give the folder with the scans of the worklist with one --data")
    return (Source(cases=found.absolute(), masks=worklist.absolute()),)


def _written(settings: Settings, output: Path | None) -> Path:
    from napari_tumorseg.errors import InputError, OutputError
    from napari_tumorseg.finetuning.settings import FILE, read_settings
    from napari_tumorseg.finetuning.state import new_run
    from napari_tumorseg.models import get_model

    run = output or new_run(settings.name)
    if (run / FILE).is_file():
        if read_settings(run) != settings:
            raise OutputError(f"{run} holds a fine-tuning with other settings; choose another folder")
        return run
    if run.exists() and any(run.iterdir()):
        raise OutputError(f"{run} is not empty and holds no fine-tuning")
    # a misspelt name leaves no run, which the panel would show as failed
    get_model(settings.parent)
    named = [path for source in settings.data for path in (source.cases, source.masks) if path is not None]
    for path in named:
        if not path.exists():
            raise InputError(f"there is no file or folder {path}")
    settings.write(run)
    return run


def _begun(run: Path, model: str) -> Path:
    from napari_tumorseg.errors import OutputError
    from napari_tumorseg.finetuning.settings import read_settings

    if read_settings(run).parent != model:
        raise OutputError(f"{run} holds a fine-tuning of another model; choose another folder")
    return run


def _start(run: Path) -> None:
    from napari_tumorseg.finetuning import start

    start(run)
    console().print(
        f"started; its progress is in {run / 'status.json'} and on the panel's page Cases", markup=False
    )


def _run(run: Path, quiet: bool) -> None:
    from napari_tumorseg.finetuning.run import REPORT, finetune
    from napari_tumorseg.finetuning.state import clear_requests

    clear_requests(run)
    outcome = finetune(run, report_to(quiet))
    screen = console()
    screen.print(_said(outcome), markup=False)
    screen.print(f"wrote {run / REPORT}", markup=False)
    if not outcome.verdict.accepted:
        raise typer.Exit(REFUSED)


def _said(outcome: Outcome) -> str:
    model, sentence = outcome.model, outcome.verdict.sentence
    if outcome.verdict.accepted:
        return f"{model.name} version {model.card.version} is now in the list: {sentence}. {RESEARCH_USE}"
    return f"no model was changed: {sentence}"
