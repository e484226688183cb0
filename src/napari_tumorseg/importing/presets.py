"""Inputs and outputs of published systems, public models and recipes, for models made like them."""

from __future__ import annotations

from typing import Any, NamedTuple

from napari_tumorseg.errors import InputError
from napari_tumorseg.importing.public import public_models
from napari_tumorseg.training.recipe import Recipe, list_recipes, load_recipe


class Preset(NamedTuple):
    """Tables of a card that a recipe or a public model states.

    Attributes
    ----------
    input, output : dict
        Fields of these tables.
    title, citation : str
        Its title and source.
    """

    input: dict[str, Any]
    output: dict[str, Any]
    title: str = ""
    citation: str = ""


def list_presets() -> list[str]:
    """Return the names of the presets: recipes, and public models whose files leave something open."""
    return [*list_recipes(), *(name for name, model in public_models().items() if model.input)]


def preset(name: str) -> Preset:
    """Return a preset by its name; an empty one for an empty name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if not name:
        return Preset({}, {})
    if name in public_models():
        public = public_models()[name]
        return Preset(public.input, public.output, public.title, public.citation)
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
    if name not in list_recipes():
        raise InputError(f"there is no system {name!r}; there are {', '.join(list_presets())}")
    return load_recipe(name)
