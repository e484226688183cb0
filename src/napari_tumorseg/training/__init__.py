"""Training of models from recipes; needs the extra ``train`` (Lightning and MONAI)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_tumorseg.training.recipe import Recipe, list_recipes, load_recipe
from napari_tumorseg.training.split import DataSplit

if TYPE_CHECKING:
    from napari_tumorseg.training.compute import ComputeSettings
    from napari_tumorseg.training.export import install
    from napari_tumorseg.training.fit import resume, train

__all__ = [
    "ComputeSettings",
    "DataSplit",
    "Recipe",
    "install",
    "list_recipes",
    "load_recipe",
    "resume",
    "train",
]


def __getattr__(name: str) -> object:
    """Import lazily what needs torch and Lightning: recipes can be read without them."""
    if name in ("resume", "train"):
        from napari_tumorseg.training import fit

        return getattr(fit, name)
    if name == "ComputeSettings":
        from napari_tumorseg.training import compute

        return compute.ComputeSettings
    if name == "install":
        from napari_tumorseg.training import export

        return export.install
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
