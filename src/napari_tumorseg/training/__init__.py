"""Training: recipes in, models with cards out. Needs the extra ``train`` (Lightning and MONAI)."""

from __future__ import annotations

from napari_tumorseg.training.recipe import Recipe, list_recipes, load_recipe
from napari_tumorseg.training.split import Division

__all__ = ["Division", "Recipe", "list_recipes", "load_recipe"]
