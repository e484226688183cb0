"""From a checkpoint to a model: weights as safetensors and a card that says how they came about."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from napari_tumorseg.errors import InputError
from napari_tumorseg.io.atomic import write_text
from napari_tumorseg.models.store import Model, get_model, user_folder
from napari_tumorseg.models.weights import save_weights, sha256
from napari_tumorseg.training.recipe import Recipe
from napari_tumorseg.training.split import Division


def export(recipe: Recipe, division: Division, checkpoint: Path, run: Path) -> Model:
    """Write ``run/model/NAME.safetensors`` and its card, from a checkpoint of this training.

    Weights are float16, which changes no mask noticeably and halves the file.
    """
    content = torch.load(checkpoint, map_location="cpu", weights_only=False)  # our own file
    state = {k.removeprefix("net."): v for k, v in content["state_dict"].items() if k.startswith("net.")}
    folder = run / "model"
    folder.mkdir(exist_ok=True)
    weights = folder / f"{recipe.name}.safetensors"
    save_weights({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, weights)
    card = recipe.card(
        training=_training(recipe, content),
        split=_split(recipe, division),
        trained_on=_cases(division.train + division.validation),
    ).model_copy(update={"sha256": sha256(weights)})
    write_text(weights.with_suffix(".toml"), card.to_toml(), overwrite=True)
    return get_model(folder)


def install(model: Model, name: str | None = None, overwrite: bool = False) -> Model:
    """Copy a model to the user's folder, where the viewer and ``tumorseg models`` find it.

    Raises
    ------
    InputError
        If there is one of that name and `overwrite` is false.
    """
    name = name or model.name
    folder = user_folder() / name
    if folder.exists() and not overwrite:
        raise InputError(f"there is a model {name} in {user_folder()}; give this one another --name")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model.weights, folder / f"{name}.safetensors")
    card = model.card.model_copy(update={"name": name})
    write_text(folder / f"{name}.toml", card.to_toml(), overwrite=True)
    return get_model(name)


def _training(recipe: Recipe, content: dict[str, object]) -> str:
    told = recipe.about.training
    length = f"Epoch {content['epoch']} (step {content['global_step']}) of recipe {recipe.name}."
    return f"{told} {length}".strip()


def _split(recipe: Recipe, division: Division) -> str:
    rule = recipe.split
    counts = [len(_cases(part)) for part in (division.train, division.validation, division.test)]
    drawn = f"fold {rule.fold} of {rule.folds}" if rule.folds else "by fractions"
    return (
        f"By {rule.by}, {drawn}, seed {rule.seed}: {counts[0]} cases to train on, {counts[1]} to choose the "
        f"checkpoint by, {counts[2]} kept apart."
    )


def _cases(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.partition("#")[0] for name in names))
