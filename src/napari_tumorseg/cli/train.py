"""``tumorseg train``: from a folder of scans with masks to a model of one's own."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_tumorseg.cli.output import console

if TYPE_CHECKING:
    from napari_tumorseg.training.recipe import Recipe

_EXTRA = ("lightning", "monai")


def train(
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for all that comes of it.")],
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Name or path of a recipe; `tumorseg recipes` lists them.")
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option("--data", help="Folder of cases with masks; may be given again.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training in OUTPUT, as it began.")
    ] = False,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a field of the recipe: TABLE.FIELD=VALUE, such as fit.epochs=3."),
    ] = None,
    fold: Annotated[
        int | None, typer.Option(help="Which of the recipe's folds is kept apart, from 0.")
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(help="A patient or case to keep apart for testing; may be given again."),
    ] = None,
    start_from: Annotated[
        str | None, typer.Option(help="Model whose weights it starts from, as far as they fit.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder for prepared slices, shared by trainings.", show_default="OUTPUT/cache"),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What to call the model.", show_default="as the recipe")
    ] = None,
    install: Annotated[
        bool, typer.Option("--install/--no-install", help="Put the model where the viewer finds it.")
    ] = True,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="How many devices of a machine.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="How many machines.")] = 1,
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare batches.")] = 0,
    max_steps: Annotated[int, typer.Option(help="Stop after so many steps; -1: at the end.")] = -1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train a model as a recipe says; Ctrl-C stops it, --resume goes on to the same result."""
    from napari_tumorseg.errors import InputError, ModelError

    missing = [package for package in _EXTRA if find_spec(package) is None]
    if missing:
        raise ModelError(
            f"training needs {' and '.join(missing)}: pip install 'napari-tumorseg[train]' brings them"
        )
    from napari_tumorseg.training import export, fit
    from napari_tumorseg.training.recipe import load_recipe

    screen = console(stderr=True)
    machine = fit.Machine(device, devices, nodes, workers, max_steps, not quiet)

    def tell(sentence: str) -> None:
        if not quiet:
            screen.print(sentence, markup=False)

    def check_name(wanted: str) -> None:
        if install:
            export.check_name(wanted, output)
            if export.hides_builtin(wanted):
                tell(f"the model will stand before the built-in {wanted}; --name calls it otherwise")

    if resume:
        _refuse_ignored(
            {
                "--recipe": recipe,
                "--data": data,
                "--set": change,
                "--fold": fold,
                "--leave-out": leave_out,
                "--start-from": start_from,
                "--cache": cache,
            }
        )
        if (output / "recipe.toml").is_file():
            check_name(name or load_recipe(output / "recipe.toml").name)
        made = fit.resume(output, machine=machine, tell=tell)
    else:
        if recipe is None or not data:
            raise InputError("a training needs --recipe and --data, or --resume to go on with one")
        chosen = load_recipe(recipe, [*(change or ()), *([] if fold is None else [f"split.fold={fold}"])])
        chosen = _named(chosen, name) if name else chosen
        check_name(chosen.name)
        made = fit.train(
            chosen,
            data,
            output,
            machine=machine,
            cache=cache,
            start_from=start_from,
            leave_out=leave_out or (),
            tell=tell,
        )
    tell(f"the model is {made.weights}; research use only, not for diagnosis")
    if install and fit.is_first():
        put = export.install(made, output, name)
        tell(f"and {put.name} is in the viewer's list now; `tumorseg evaluate --model {put.name}` tests it")


def _refuse_ignored(given: dict[str, object]) -> None:
    """Raise if an option was given that a training that goes on takes from its folder."""
    ignored = [option for option, value in given.items() if value not in (None, [])]
    if ignored:
        raise typer.BadParameter(
            f"--resume goes on as the training began, so {', '.join(ignored)} cannot be given with it"
        )


def _named(recipe: Recipe, name: str) -> Recipe:
    from napari_tumorseg.training.recipe import parse_recipe

    return parse_recipe({**recipe.model_dump(mode="json"), "name": name}, f"with --name {name}")
