"""Export of a checkpoint as a model: weights as safetensors, and a card with their training."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_tumorseg.errors import InputError, ModelError, Remedy
from napari_tumorseg.io.atomic import atomic_path, write_text
from napari_tumorseg.io.dataset import patient_of
from napari_tumorseg.models.store import Model, get_model, list_models, user_folder
from napari_tumorseg.models.weight_files import save_weights, sha256
from napari_tumorseg.training.recipe import Recipe
from napari_tumorseg.training.split import DataSplit


@dataclass(frozen=True)
class Start:
    """Model whose weights a training starts from.

    Attributes
    ----------
    name, licence : str
        From its card.
    trained_on : tuple of str
        Cases that it was trained on.
    """

    name: str
    licence: str
    trained_on: tuple[str, ...]

    @classmethod
    def of(cls, model: Model) -> Start:
        """Return the start from a model's card."""
        about = model.card.about
        return cls(model.name, about.licence, about.trained_on)

    def check(self, data_split: DataSplit) -> None:
        """Raise `InputError` if the model was trained on a patient of the validation or test part."""
        seen = {patient_of(name) for name in self.trained_on}
        for part in ("validation", "test"):
            for name in _cases(getattr(data_split, part)):
                if patient_of(name) in seen:
                    raise InputError(
                        f"{name} is kept apart for {part}, but {self.name} was trained on that patient",
                        remedy=Remedy.CHANGE_START,
                    )


def export(
    recipe: Recipe,
    data_split: DataSplit,
    checkpoint: Path,
    run: Path,
    start: Start | None,
    case_names: bool = True,
) -> Model:
    """Write ``run/model/NAME.safetensors`` and its card, from a checkpoint of this training.

    Without `case_names` the card does not list the training cases.

    Weights are stored as float16, which halves the file without a noticeable effect on masks; a tensor with
    values outside the range of float16 stays float32.

    Raises
    ------
    ModelError
        If weights are NaN or infinite.
    """
    content = torch.load(checkpoint, map_location="cpu", weights_only=False)  # our own file
    state = {k.removeprefix("net."): v for k, v in content["state_dict"].items() if k.startswith("net.")}
    small = {name: _as_float16(name, tensor) for name, tensor in state.items()}
    folder = run / "model"
    folder.mkdir(exist_ok=True)
    weights = folder / f"{recipe.name}.safetensors"
    save_weights(small, weights)
    about = _about(recipe, data_split, content, start)
    card = recipe.card(**(about if case_names else about | {"trained_on": ()}))
    card = card.model_copy(update={"sha256": sha256(weights)})
    write_text(weights.with_suffix(".toml"), card.to_toml(), overwrite=True)
    return get_model(folder)


def check_name(name: str, run: Path) -> None:
    """Raise `InputError` if the user has another model of that name."""
    folder = user_folder() / name
    there = {m.card.sha256 for m in list_models() if m.name == name and m.origin == "user"}
    if not there and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        there = {""}
    if there - {_installed(run).get(name)}:
        raise InputError(f"{user_folder()} already holds a model named {name}", remedy=Remedy.RENAME_MODEL)


def hides_builtin(name: str) -> bool:
    """Return whether a model of that name hides a built-in one."""
    return any(m.name == name and m.origin == "built-in" for m in list_models())


def install(model: Model, run: Path, name: str | None = None) -> Model:
    """Copy the model of a training to the user's folder, where the viewer and ``tumorseg models`` find it.

    Raises
    ------
    InputError
        If there is another model of that name.
    """
    name = name or model.name
    check_name(name, run)
    folder = user_folder() / name
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / f"{name}.safetensors", overwrite=True) as temporary:
        shutil.copyfile(model.weights, temporary)
    card = model.card.model_copy(update={"name": name})
    write_text(folder / f"{name}.toml", card.to_toml(), overwrite=True)
    about = _run(run)
    about["installed"] = {**_installed(run), name: card.sha256}
    write_text(run / "run.json", json.dumps(about, indent=2), overwrite=True)
    return get_model(name)


def _run(run: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        content: dict[str, Any] = json.loads((run / "run.json").read_text(encoding="utf-8"))
        return content
    return {}


def _installed(run: Path) -> dict[str, str]:
    """Return the SHA-256 of the models installed from this training, by name."""
    made: dict[str, str] = _run(run).get("installed", {})
    return made


def _as_float16(name: str, tensor: Tensor) -> Tensor:
    """Return a tensor as float16 if its values allow."""
    if not tensor.is_floating_point():
        return tensor
    if not tensor.isfinite().all():
        raise ModelError(f"training diverged: weights {name} are NaN or infinite; lower optimiser.lr")
    half = tensor.half()
    return half if half.isfinite().all() else tensor


def _about(
    recipe: Recipe, data_split: DataSplit, content: dict[str, Any], start: Start | None
) -> dict[str, Any]:
    """Return the card's table ``about`` of this training."""
    training, licence = _training(recipe, content), recipe.about.licence
    trained_on = _cases(data_split.train + data_split.validation)
    if start is not None:
        training += f" Started from the weights of {start.name}."
        trained_on = _cases(trained_on + start.trained_on)
        if start.licence != licence:
            licence += f"; the weights it started from ({start.name}): {start.licence}"
    split = _split(recipe, data_split)
    return {"training": training, "split": split, "trained_on": trained_on, "licence": licence}


def _training(recipe: Recipe, content: dict[str, Any]) -> str:
    epoch = f"Epoch {content['epoch'] + 1} of {recipe.fit.epochs} (step {content['global_step']})"
    return f"{recipe.about.training} {epoch} of recipe {recipe.name}.".strip()


def _split(recipe: Recipe, data_split: DataSplit) -> str:
    rule = recipe.split
    counts = [len(_cases(part)) for part in (data_split.train, data_split.validation, data_split.test)]
    fold = "all folds" if rule.fold == "all" else f"fold {rule.fold} of {rule.folds}"
    drawn = fold if rule.folds else "by fractions"
    return (
        f"By {rule.by}, {drawn}, seed {rule.seed}; cases: {counts[0]} to train on, {counts[1]} to choose the "
        f"checkpoint by, {counts[2]} kept apart."
    )


def _cases(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.partition("#")[0] for name in names))
