"""Command-line application: all commands, and errors as one line and an exit code."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from napari_tumorseg.cli import (
    calibrate,
    cases,
    cohort,
    demo,
    ensemble,
    evaluate,
    export,
    finetune,
    import_model,
    info,
    measure,
    models,
    recipes,
    refine,
    segment,
    train,
)
from napari_tumorseg.cli.exits import EXIT_CODES, code_of
from napari_tumorseg.cli.options import CommandWithSteps
from napari_tumorseg.cli.output import escape_unencodable
from napari_tumorseg.cli.wording import worded
from napari_tumorseg.errors import DeviceError, InputError, TumorSegError
from napari_tumorseg.notice import RESEARCH_USE

_CODES = "\n\n".join(f"{code}  {meaning}" for code, meaning in EXIT_CODES.items())
_CANCELLED = "cancelled; nothing was written"

app = typer.Typer(
    name="tumorseg",
    help=f"Brain-tumour segmentation in MRI. {RESEARCH_USE}",
    epilog=f"Exit codes:\n\n{_CODES}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("segment", cls=CommandWithSteps)(segment.segment)
app.command("cohort", cls=CommandWithSteps)(cohort.cohort)
app.command("cases")(cases.cases)
app.command("info")(info.info)
app.command("refine")(refine.refine)
app.command("measure")(measure.measure)
app.command("evaluate")(evaluate.evaluate)
app.command("calibrate")(calibrate.calibrate)
app.command("train")(train.train)
app.command("finetune")(finetune.finetune)
app.command("ensemble")(ensemble.ensemble)
app.command("export")(export.export)
app.command("recipes")(recipes.recipes)
app.command("models")(models.models)
app.command("import")(import_model.import_model)
app.command("demo")(demo.demo)


def _version(wanted: bool) -> None:
    if wanted:
        from napari_tumorseg._version import __version__

        typer.echo(f"napari-tumorseg {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Accept the options that no command needs."""


def main() -> None:
    """Run the command line; print errors meant for the user as one line, without a traceback."""
    escape_unencodable()
    try:
        app()
    except TumorSegError as error:
        _stop(worded(error), code_of(error))
    except OSError as error:
        if error.filename is None:  # of no file: a fault of the program
            raise
        _stop(f"{error.filename} cannot be used: {error.strerror}", code_of(InputError()))
    except MemoryError:
        _stop("memory ran out; close other programs or take a smaller scan", code_of(DeviceError()))
    except KeyboardInterrupt:
        _stop(_CANCELLED, 130)
    except SystemExit as end:
        if end.code == 130:  # typer has met the interrupt and says nothing
            _stop(_CANCELLED, 130)
        raise


def _stop(sentence: str, code: int) -> NoReturn:
    typer.echo(f"tumorseg: {sentence}", err=True)
    sys.exit(code)
