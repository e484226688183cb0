"""``tumorseg ensemble``: one model of several trained ones."""

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
    """Make one model of several that were trained alike, such as on other folds or with other seeds.

    Its probabilities are the mean of theirs, and their disagreement is its uncertainty. The card lists which
    cases each member has not seen, so that `evaluate --unseen-members` can score every case with members
    that were not trained on its patient.
    """
    from napari_tumorseg.models.merge import merge_models

    new = name or output.resolve().name
    if output.exists():  # else there is nothing to replace
        for ending in (".safetensors", ".toml"):
            check_file(output / f"{new}{ending}", overwrite)
    made = merge_models([_model(each) for each in models], output, new, title, overwrite)
    if not made.card.about.trained_on:
        show_warnings([f"no card lists training cases, so {made.name} cannot say what its members have seen"])
    screen = console()
    screen.print(f"{made.name}: {len(made.card.members)} members. {RESEARCH_USE}", markup=False)
    screen.print(f"wrote {made.weights}", markup=False)
    screen.print(f"wrote {made.weights.with_suffix('.toml')}", markup=False)


def _model(name_or_path: str) -> Model:
    """Return a model; of the folder of a training, the one in it."""
    from napari_tumorseg.models import get_model

    inside = Path(name_or_path) / "model"
    return get_model(inside if inside.is_dir() else name_or_path)
