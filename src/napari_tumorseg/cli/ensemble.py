"""``tumorseg ensemble``: several trained models combined into one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.files import check_file
from napari_tumorseg.cli.output import console, show_warnings
from napari_tumorseg.notice import RESEARCH_USE

if TYPE_CHECKING:
    from napari_tumorseg.models import Model


def ensemble(
    models: Annotated[
        list[str],
        typer.Argument(help="Names or paths of the models, or folders of trainings.", show_default=False),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the weights and the card.", show_default=False)
    ],
    name: Annotated[
        str, typer.Option("--name", help="Name of the new model.", show_default="that of the folder")
    ] = "",
    title: Annotated[
        str, typer.Option("--title", help="Title of the new model.", show_default="that of the first one")
    ] = "",
    overwrite: options.Overwrite = False,
) -> None:
    """Combine models with the same inputs and outputs, such as those of several folds, into one.

    Its probabilities are the mean of theirs, and their disagreement is its uncertainty. The card lists the
    cases that each member was not trained on, so that `evaluate --unseen-members` can score every case with
    members that were not trained on its patient.
    """
    from napari_tumorseg.models.merge import merge_models

    new = name or output.resolve().name
    if output.exists():  # else there is nothing to replace
        for ending in (".safetensors", ".toml"):
            check_file(output / f"{new}{ending}", overwrite)
    made = merge_models([_model(each) for each in models], output, new, title, overwrite)
    if not made.card.about.trained_on:
        show_warnings([f"no card lists training cases, and neither does that of {made.name}"])
    screen = console()
    screen.print(f"{made.name}: {len(made.card.members)} members. {RESEARCH_USE}", markup=False)
    screen.print(f"wrote {made.weights}", markup=False)
    screen.print(f"wrote {made.weights.with_suffix('.toml')}", markup=False)


def _model(name_or_path: str) -> Model:
    """Return a model by name, by path, or by the folder of its training."""
    from napari_tumorseg.models import get_model

    inside = Path(name_or_path) / "model"
    return get_model(inside if inside.is_dir() else name_or_path)
