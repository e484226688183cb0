"""``tumorseg train``: a model from a folder of scans with masks."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.output import console
from napari_tumorseg.cli.wording import worded
from napari_tumorseg.extras import to_install
from napari_tumorseg.notice import RESEARCH_USE

if TYPE_CHECKING:
    from napari_tumorseg.models import Model
    from napari_tumorseg.training.checkpoints import Report
    from napari_tumorseg.training.recipe import Recipe

_EXTRA = ("lightning", "monai")

_KEPT = ("--recipe", "--data", "--set", "--fold", "--leave-out", "--groups", "--start-from", "--cache")
"""Options that are kept with a training."""


def train(
    output: options.Run,
    recipe: options.RecipeName = None,
    data: options.TrainingData = None,
    resume: options.Resume = False,
    change: options.Changes = None,
    fold: options.Fold = None,
    leave_out: options.LeaveOut = None,
    groups: options.Groups = None,
    start_from: options.StartFrom = None,
    cache: options.Cache = None,
    name: options.ModelName = None,
    install: options.Install = True,
    no_case_names: options.NoCaseNames = False,
    device: options.Device = "auto",
    devices: options.Devices = 1,
    nodes: options.Nodes = 1,
    workers: options.Workers = 0,
    max_steps: options.MaxSteps = -1,
    quiet: options.Quiet = False,
) -> None:
    """Train a model by a recipe. Ctrl-C stops it; --resume continues it with the same result."""
    need_extra()
    from napari_tumorseg.training import fit
    from napari_tumorseg.training.compute import ComputeSettings

    report = report_to(quiet)
    machine = ComputeSettings(device, devices, nodes, workers, max_steps, not quiet)
    if resume:
        _refuse_ignored(recipe, data, change, fold, leave_out, groups, start_from, cache)
        _check_name((name or _name_of(output)) if install else None, output, report)
        made = fit.resume(output, machine=machine, case_names=not no_case_names, report=report)
    else:
        chosen = _recipe(recipe, data, change, fold, name)
        _check_name(chosen.name if install else None, output, report)
        made = fit.train(
            chosen,
            data or [],
            output,
            machine=machine,
            cache=cache,
            start_from=start_from,
            leave_out=leave_out or (),
            groups=_groups(groups),
            case_names=not no_case_names,
            report=report,
        )
    report(f"the model is {made.weights}. {RESEARCH_USE}")
    if install:
        _install(made, output, name, report)


def need_extra() -> None:
    """Raise `ModelError` if a package that training needs is not installed."""
    from napari_tumorseg.errors import ModelError

    missing = [package for package in _EXTRA if find_spec(package) is None]
    if missing:
        raise ModelError(f"training needs {' and '.join(missing)}; not installed: {to_install('train')}")


def report_to(quiet: bool) -> Report:
    """Return a function that prints sentences, or that does nothing."""
    return _say_nothing if quiet else _say


def _say(sentence: str) -> None:
    console(stderr=True).print(worded(sentence), markup=False)


def _say_nothing(sentence: str) -> None:
    pass


def _name_of(run: Path) -> str | None:
    """Return the model's name in an existing training; None if there is no training to continue."""
    from napari_tumorseg.training.recipe import load_recipe

    file = run / "recipe.toml"
    return load_recipe(file).name if file.is_file() else None


def _check_name(name: str | None, run: Path, report: Report) -> None:
    """Check before any work is done that the model can have its name; None is not checked."""
    from napari_tumorseg.training import export

    if name is None:
        return
    export.check_name(name, run)
    if export.hides_builtin(name):
        report(f"the model replaces the built-in {name} in the list; choose another name with --name")


def _install(made: Model, run: Path, name: str | None, report: Report) -> None:
    from napari_tumorseg.training import export
    from napari_tumorseg.training.compute import is_first

    if is_first():
        put = export.install(made, run, name)
        report(f"{put.name} is now in the viewer's list; `tumorseg evaluate --model {put.name}` tests it")


def _groups(path: Path | None) -> dict[str, str] | None:
    from napari_tumorseg.training.split import read_groups

    return read_groups(path) if path else None


def _refuse_ignored(*given: object) -> None:
    """Refuse options that a continued training reads from its folder, in the order of `_KEPT`."""
    ignored = [option for option, value in zip(_KEPT, given, strict=True) if value not in (None, [])]
    if ignored:
        raise typer.BadParameter(
            f"{', '.join(ignored)} cannot be given with --resume, which keeps the settings of the training"
        )


def _recipe(
    name_or_path: str | None,
    data: list[Path] | None,
    changes: list[str] | None,
    fold: str | None,
    name: str | None,
) -> Recipe:
    """Return the recipe with its changes, under the name of the model."""
    from napari_tumorseg.errors import InputError
    from napari_tumorseg.training.recipe import load_recipe, parse_recipe

    if name_or_path is None or not data:
        raise InputError("a training needs --recipe and --data, or --resume to continue one")
    part = [] if fold is None else [f"split.fold={fold}"]
    chosen = load_recipe(name_or_path, [*(changes or ()), *part])
    if not name:
        return chosen
    return parse_recipe({**chosen.model_dump(mode="json"), "name": name}, f"with --name {name}")
