"""Fine-tuning of a network on further cases: its recipe, its first weights, and mixtures with its parent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, TypeAlias

import lightning
import torch
from torch import Tensor

from napari_tumorseg.errors import InputError
from napari_tumorseg.models.architectures import ARCHITECTURES, make_network
from napari_tumorseg.models.card import Input, ModelCard, Network
from napari_tumorseg.models.segmentation_network import SegmentationNetwork
from napari_tumorseg.models.weight_files import State
from napari_tumorseg.scan import Role
from napari_tumorseg.training import checkpoints
from napari_tumorseg.training.cache import CachedCase
from napari_tumorseg.training.checkpoints import Report
from napari_tumorseg.training.compute import ComputeSettings
from napari_tumorseg.training.fit import run_trainer
from napari_tumorseg.training.prepare import prepared
from napari_tumorseg.training.recipe import Recipe, parse_recipe
from napari_tumorseg.training.split import DataSplit
from napari_tumorseg.training.trainer import make_trainer

Scope: TypeAlias = Literal["slice", "volume"]
"""Voxels that intensities are normalised by."""

BATCH = 16
"""Slices of a step."""

_LARGEST_PATCH = 96
_ON_TUMOUR = 0.3
_WITHOUT_TUMOUR = 0.35


def widened_input(given: Input, roles: Sequence[Role], scope: Scope | None = None) -> Input:
    """Return a model's input with further modalities, and intensities normalised over slices or volumes.

    Where modalities are missing, others stand in for them, so that the model also runs on scans with only its
    former modalities, or with only the first of the new ones.

    Raises
    ------
    InputError
        If one of the model's own modalities is left out.
    """
    lacking = [str(role) for role in given.roles if role not in roles]
    if lacking:
        raise InputError(f"the model takes {', '.join(given.roles)}, so {lacking[0]} cannot be left out")
    if scope is not None:
        wanted = given.normalisation.model_copy(update={"scope": scope})
        given = given.model_copy(update={"normalisation": wanted})
    new = [role for role in roles if role not in given.roles]
    if not new:
        return given
    every = (*given.roles, *new)
    subsets = [kept for size in range(len(every), 0, -1) for kept in combinations(every, size)]
    content = {
        **given.model_dump(),
        "roles": every,
        "accepts": [kept for kept in subsets if new[0] in kept or set(given.roles) <= set(kept)]
        + [kept for kept in given.sufficient if not set(kept) >= set(given.roles)],
        "substitute": _stand_ins(given, every),
    }
    return Input.model_validate(content)


def _stand_ins(given: Input, roles: Sequence[Role]) -> dict[Role, Role]:
    """Return the stand-in of each missing modality: a ring, so that any one can stand in for all."""
    ring = list(dict.fromkeys((*roles, *given.substitute.values())))
    own = given.substitute if len(given.roles) > 1 else {}
    return {**dict(zip(ring, ring[1:] + ring[:1], strict=True)), **own}


def widened_weights(state: State, before: Input, after: Input, network: SegmentationNetwork) -> State:
    """Return weights for an input with further modalities.

    The weights of a modality are shared out evenly among itself and those that it stands in for, so that the
    network computes what it did before wherever it is given only what it was given before.

    Parameters
    ----------
    state : mapping of str to Tensor
        Weights of the network with the input `before`.
    before, after : Input
        The second is from `widened_input`.
    network : SegmentationNetwork
        A network with the input `after`.
    """
    if before.roles == after.roles:
        return dict(state)
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    found = [after.source_of(role, before.roles) for role in after.roles]
    places = [before.roles.index(role) for role in found if role is not None]
    share = torch.tensor([1.0 / places.count(place) for place in places])

    def wider(name: str, tensor: Tensor) -> Tensor:
        if tensor.shape == shapes[name]:
            return tensor
        outputs, _, *sides = tensor.shape
        blocks = tensor.reshape(outputs, -1, len(before.roles), *sides)[:, :, places]
        wide: Tensor = (blocks * share.view(1, 1, -1, 1, 1)).flatten(1, 2)
        return wide

    return {name: wider(name, tensor) for name, tensor in state.items()}


def mixed(parent: Mapping[str, Tensor], tuned: Mapping[str, Tensor], share: float) -> State:
    """Return weights between those of a parent (0) and those of a network tuned from it (1).

    Such a mixture keeps more of what the parent knew than the tuned weights do (Wortsman et al., WiSE-FT,
    CVPR 2022). Counters are those of the tuned network.
    """

    def between(old: Tensor, new: Tensor) -> Tensor:
        return old.float().lerp(new.float(), share) if new.is_floating_point() else new

    return {name: between(parent[name], tensor) for name, tensor in tuned.items()}


def network_with(
    state: Mapping[str, Tensor], network: Network, given: Input, outputs: int
) -> SegmentationNetwork:
    """Return a network of this architecture and input with these weights, in eval mode."""
    net = make_network(network.architecture, arguments_of(network, given, outputs))
    net.load_state_dict(dict(state))
    return net.eval()


def arguments_of(network: Network, given: Input, outputs: int) -> dict[str, Any]:
    """Return the arguments of a network whose channels follow from its input and output."""
    return {**network.arguments, "in_channels": given.channels, "out_channels": outputs}


def tuning_recipe(card: ModelCard, network: Network, name: str, seed: int = 0) -> Recipe:
    """Return the recipe that fine-tunes a network of a model; `with_steps` completes it.

    Parameters
    ----------
    card : ModelCard
        Of the parent, with the new input; inputs, preparation and outputs are its own.
    network : Network
        Of the member that is tuned.
    name : str
        Of the new model.
    seed : int
        Of the order of slices and their augmentation.
    """
    own = {k: v for k, v in network.arguments.items() if k not in ("in_channels", "out_channels")}
    classes = card.output.activation == "softmax"
    normalised = (
        ARCHITECTURES[network.architecture]
        .arguments.of(arguments_of(network, card.input, len(card.output.names)))
        .normalised
    )
    content = {
        "name": name,
        "network": {"architecture": network.architecture, "arguments": own},
        "input": card.input.model_dump(mode="json"),
        "output": card.output.model_dump(mode="json"),
        "postprocessing": card.postprocessing.model_dump(mode="json"),
        "augmentation": _augmentation(card),
        "loss": [{"name": "cross-entropy" if classes else "bce"}, {"name": "dice"}],
        "data": {"without_tumour": _WITHOUT_TUMOUR},
        "optimiser": _MUON if normalised else _ADAM,
        "schedule": {"kind": "one-cycle", "warm_up": 0.1},
        "fit": {
            "batch": BATCH,
            "patch": [_LARGEST_PATCH, _LARGEST_PATCH],
            "on_tumour": _ON_TUMOUR,
            "monitor": "last",
            "ema": 0.98,
            "seed": seed,
            "checkpoint_steps": 20,
        },
    }
    return parse_recipe(_without_none(content), "for fine-tuning")


_MUON = {"name": "muon", "lr": 0.03, "rest_lr": 2e-3, "encoder_lr": 1e-3, "weight_decay": 1e-2}
_ADAM = {"name": "adamw", "lr": 3e-4, "weight_decay": 1e-2}


def _without_none(content: Any) -> Any:
    if isinstance(content, dict):
        return {k: _without_none(v) for k, v in content.items() if v is not None}
    return content


def _augmentation(card: ModelCard) -> list[dict[str, Any]]:
    """Return augmentations in the units of the model's normalisation."""
    unit = 1.0 if card.input.normalisation.method == "zscore" else 0.2
    outputs = len(card.output.names)
    found: list[dict[str, Any]] = [
        {"kind": "flip", "axis": "horizontal", "probability": 0.5},
        {"kind": "affine", "rotate": 20, "scale": 0.25, "shift": 0.08, "probability": 0.9},
        {"kind": "bias", "strength": 0.2, "probability": 0.3},
        {"kind": "gamma", "power": [0.7, 1.5], "probability": 0.4},
        {"kind": "gain", "factor": 0.3, "offset": 0.35 * unit, "probability": 0.9},
        {"kind": "blur", "sigma": [0.4, 0.9], "probability": 0.2},
        {"kind": "noise", "deviation": 0.15 * unit, "probability": 0.3},
    ]
    if len(card.input.sufficient) > 1:
        found.append({"kind": "missing", "probability": 0.1})
    if card.output.activation == "sigmoid":
        found.append({"kind": "paste", "probability": 0.25, "shift": 12})
        found.append(
            {
                "kind": "appearance",
                "probability": 0.4,
                "shift": [0.8 * unit] * outputs,
                "contrast": [0.4, 1.5],
                "texture": 0.4 * unit,
            }
        )
    return found


def with_steps(recipe: Recipe, cases: Sequence[CachedCase], data_split: DataSplit, steps: int) -> Recipe:
    """Return the recipe with patches that hold the cases' tissue, and epochs that make about `steps`."""
    taking_part = [case for case in cases if case.name in data_split.train]
    sides = [case.targets.shape[1:] for case in taking_part]
    patch = tuple(_side([side[axis] for side in sides], recipe.stride) for axis in (0, 1))
    slices = sum(
        sum(case.tumour) + _WITHOUT_TUMOUR * (sum(case.tissue) - sum(case.tumour)) for case in taking_part
    )
    epochs = max(1, round(steps / max(1.0, slices / recipe.fit.batch)))
    fit = recipe.fit.model_copy(update={"patch": patch, "epochs": epochs})
    return recipe.model_copy(update={"fit": fit})


def _side(lengths: Sequence[int], stride: int) -> int:
    """Return the side of a patch: a multiple of the stride that holds most cases, up to a limit."""
    wanted = sorted(lengths)[int(0.75 * (len(lengths) - 1))]
    largest = max(_LARGEST_PATCH // stride, 1)
    return min(-(-wanted // stride), largest) * stride


def tuned_weights(
    recipe: Recipe,
    cases: Sequence[CachedCase],
    data_split: DataSplit,
    start: State,
    run: Path,
    machine: ComputeSettings,
    callbacks: Sequence[lightning.Callback] = (),
    report: Report = lambda sentence: None,
) -> State:
    """Train a network from given weights, or go on from the last checkpoint in a folder.

    Parameters
    ----------
    recipe : Recipe
        From `with_steps`.
    cases : sequence of CachedCase
        All cases; the split tells which of them train.
    data_split : DataSplit
        The split.
    start : mapping of str to Tensor
        First weights.
    run : Path
        Folder of the checkpoints.
    machine : ComputeSettings
        Computing resources.
    callbacks : sequence of Callback
        Called by the trainer.
    report : callable
        Called with sentences about the progress.

    Returns
    -------
    mapping of str to Tensor
        Moving average of the weights at the end.
    """
    run.mkdir(parents=True, exist_ok=True)
    data_module, module = prepared(recipe, cases, data_split, machine)
    module.net.load_state_dict(dict(start))
    last = checkpoints.latest(run, report)
    if last is None or last.steps < module.steps:
        trainer = make_trainer(recipe, run, machine, False, module.steps // recipe.fit.epochs, callbacks)
        run_trainer(trainer, data_module, module, run, last)
    saved = checkpoints.load(run, checkpoints.LAST)
    assert saved is not None  # written after the last epoch
    content = torch.load(saved.path, map_location="cpu", weights_only=False)  # our own file
    return {k.removeprefix("net."): v for k, v in content["state_dict"].items() if k.startswith("net.")}
