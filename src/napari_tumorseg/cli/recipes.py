"""``tumorseg recipes``: list of the training recipes, and their files."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_tumorseg.cli import options
from napari_tumorseg.cli.output import console, show_json


def recipes(
    name: Annotated[
        str | None, typer.Argument(help="Name or path of a recipe to show in full.", show_default=False)
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """List the recipes, or show one as TOML: save that, change it, and train with the file."""
    from napari_tumorseg.training.recipe import list_recipes, load_recipe

    if name is not None:
        recipe = load_recipe(name)
        if as_json:
            show_json(recipe.model_dump(mode="json"))
        else:
            console().print(recipe.to_toml(), markup=False)
        return
    found = [load_recipe(each) for each in list_recipes()]
    if as_json:
        show_json([recipe.model_dump(mode="json") for recipe in found])
        return
    from rich.table import Table

    table = Table("recipe", "needs", "gives", "data", "loss")
    for recipe in found:
        table.add_row(
            recipe.name,
            "+".join(map(str, recipe.input.roles)),
            ", ".join(recipe.output.names),
            recipe.data.layout,
            " + ".join(term.name for term in recipe.loss),
        )
    console().print(table)
