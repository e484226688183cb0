"""Reading of a folder of nnU-Net v2 into a draft."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing.answers import Answers
from napari_tumorseg.importing.draft import Draft
from napari_tumorseg.importing.json_file import read_table
from napari_tumorseg.importing.nnunet.folds import Fold, fold_files, read_fold
from napari_tumorseg.importing.nnunet.labels import channel_names, output_of
from napari_tumorseg.importing.nnunet.plans import (
    configuration_of,
    network_of,
    normalisation_of,
    windows_of,
)
from napari_tumorseg.importing.tumour_words import roles_of
from napari_tumorseg.models.architectures import ARCHITECTURES
from napari_tumorseg.models.card import Network
from napari_tumorseg.models.weight_files import State
from napari_tumorseg.toml_table import first_problem

MAX_FOLDS = 10


def recognise(path: Path) -> bool:
    """Return whether a folder has plans, a data set and folds; they may lie in its only folder."""
    return folder_of(path) is not None


def folder_of(path: Path) -> Path | None:
    """Return the folder that holds plans.json: the given one, or the only one in it."""
    if not path.is_dir():
        return None
    for folder in (path, *([one for one in path.iterdir() if one.is_dir()][:20])):
        if (folder / "plans.json").is_file() and (folder / "dataset.json").is_file():
            return folder
    return None


def read(path: Path, answers: Answers) -> Draft:
    """Return the draft of a trained model; its folds are members of an ensemble.

    Raises
    ------
    ModelError
        If the folder holds no model that can be rebuilt, or anything but plain values.
    """
    folder = folder_of(path)
    assert folder is not None  # it was recognised
    plans, dataset = (read_table(folder / name, folder) for name in ("plans.json", "dataset.json"))
    files = fold_files(folder)
    if not 1 <= len(files) <= MAX_FOLDS:
        raise ModelError(f"{folder} holds {len(files)} folds with a checkpoint, not 1 to {MAX_FOLDS}")
    folds = [read_fold(file, folder) for file in files]
    first = folds[0]
    if any((f.configuration, f.mirror) != (first.configuration, first.mirror) for f in folds):
        raise ModelError(f"{folder}: its folds are of different configurations")
    try:
        return _draft(plans, dataset, folds)
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from error


def _draft(plans: dict[str, Any], dataset: dict[str, Any], folds: list[Fold]) -> Draft:
    first = folds[0]
    configuration = configuration_of(plans, first.configuration)
    names = channel_names(dataset)
    outputs, output = output_of(dataset)
    network = _network(network_of(configuration, len(names), outputs), first.weights)
    normalisation, inside = normalisation_of(configuration)
    roles = roles_of(names)
    given: dict[str, Any] = {
        "plane": "volume",
        "windows": windows_of(plans, configuration, first.mirror),
        "foreground": {"rule": "nonzero"},
        "normalisation": normalisation,
        "skull": "stripped" if inside else "any",
        **({"roles": list(roles)} if roles else {}),
    }
    several = len(folds) > 1
    members = {"members": [{"name": fold.name} for fold in folds]} if several else {}
    return Draft(
        network,
        _weights(network, folds),
        input=given,
        output={**output, "flip": bool(first.mirror), "mean": "logits"},
        tables=members,
        title=str(plans.get("dataset_name", ""))[:80],
        format=f"nnU-Net v2, {first.configuration}, {first.trainer}",
        warnings=_warnings(plans, names if roles is None else []),
    )


def _network(table: dict[str, Any], weights: State) -> Network:
    """Return the network; trainers may replace the norm that plans name, which weights show."""
    if any(name.endswith("running_mean") for name in weights):
        table["arguments"]["norm"] = "batch"
    try:
        ARCHITECTURES[table["architecture"]].arguments.of(table["arguments"])
        return Network.model_validate(table)
    except ValidationError as error:
        raise ModelError(f"plans.json makes no network: {first_problem(error)}") from error
    except ValueError as error:
        raise ModelError(f"plans.json makes no network: {error}") from error


def _weights(network: Network, folds: list[Fold]) -> State:
    """Return the weights under our names, those of several folds after the place of each."""
    adapt = ARCHITECTURES[network.architecture].network_class().adapt_state
    states = [adapt(fold.weights) for fold in folds]
    if len(states) == 1:
        return states[0]
    return {f"{place}.{name}": t for place, state in enumerate(states) for name, t in state.items()}


def _warnings(plans: dict[str, Any], unknown: list[str]) -> tuple[str, ...]:
    found = (
        [f"no modality is known by the names of its channels: {', '.join(unknown)[:200]}"] if unknown else []
    )
    if str(plans.get("image_reader_writer")) != "NibabelIOWithReorient":
        found.append(
            "its training images are taken to lie as those of BraTS do (LPS), which nnU-Net does not state"
        )
    return tuple(found)
