"""Inputs and outputs of the published systems and of this project's recipes, for models made like them."""

from __future__ import annotations

from typing import Any, NamedTuple

from napari_tumorseg.errors import InputError
from napari_tumorseg.training.recipe import Recipe, list_recipes, load_recipe


class Preset(NamedTuple):
    """Tables of a card that a recipe states.

    Attributes
    ----------
    input, output : dict
        Fields of these tables.
    title, citation : str
        Title of the recipe and its source.
    """

    input: dict[str, Any]
    output: dict[str, Any]
    title: str = ""
    citation: str = ""


def list_presets() -> list[str]:
    """Return the names of the presets."""
    return list_recipes()


def preset(name: str) -> Preset:
    """Return a preset by its name; an empty one for an empty name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if not name:
        return Preset({}, {})
    recipe = recipe_of(name)
    return Preset(
        recipe.input.model_dump(mode="json", exclude_none=True),
        recipe.output.model_dump(mode="json", exclude_none=True),
        recipe.title,
        recipe.source,
    )


def recipe_of(name: str) -> Recipe:
    """Return the recipe of a preset.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in list_presets():
        raise InputError(f"there is no system {name!r}; there are {', '.join(list_presets())}")
    return load_recipe(name)
