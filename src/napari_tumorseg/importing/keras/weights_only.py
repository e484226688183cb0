"""Weights of a Keras model without its configuration, fitted into the network of a published system."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import torch

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing.answers import Answers
from napari_tumorseg.importing.draft import Draft
from napari_tumorseg.importing.keras.hdf5_weights import (
    Budget,
    Floats,
    NamedWeights,
    layer_names,
    member,
    weights_in,
)
from napari_tumorseg.importing.presets import recipe_of
from napari_tumorseg.importing.questions import OpenQuestionsError, Question
from napari_tumorseg.models.architectures import Norms, UNetArguments
from napari_tumorseg.models.card import Network
from napari_tumorseg.models.weight_files import State

_MAX_LAYERS = 5000


def draft_of_weights(path: Path, file: h5py.File, answers: Answers) -> Draft:
    """Return the draft of a U-Net whose layers stand in the order in which Keras applies them.

    Parameters
    ----------
    path : Path
        The file, for messages.
    file : h5py.File
        The open file.
    answers : Answers
        Name the system by ``like``.

    Raises
    ------
    OpenQuestionsError
        If no system is named.
    ModelError
        If the weights are not those of its network.
    """
    if not answers.like:
        raise OpenQuestionsError(path.name, [Question.NETWORK], "weights without their network")
    recipe = recipe_of(answers.like)
    if recipe.network.architecture != "unet":
        raise ModelError(f"{answers.like} has no U-Net of plain convolutions, which weights alone could fit")
    arguments = UNetArguments.of(recipe.arguments)
    return Draft(
        Network(arguments=arguments.model_dump()),
        _unet_state(arguments, list(_arrays(file))),
        output={"activation": recipe.output.activation},
        format="Keras weights",
    )


def _arrays(file: h5py.File) -> Iterator[list[Floats]]:
    """Yield the arrays of each layer that has some; those of one class in the order of the model."""
    weights = weights_in(file)
    if isinstance(weights, NamedWeights):
        names: Sequence[str] = layer_names(file)
    else:
        names = sorted(member(file, "layers"), key=_number) if "layers" in file else []
    if len(names) > _MAX_LAYERS:
        raise ModelError(f"has {len(names)} layers, more than {_MAX_LAYERS}")
    budget = Budget()
    for name in names:
        arrays = weights.of(name, name)
        budget.take(arrays)
        if arrays:
            yield arrays


def _number(name: str) -> int:
    """Return the place of a layer among those of its class."""
    number = name.rpartition("_")[2]
    return int(number) if number.isascii() and number.isdigit() else 0


def _unet_state(arguments: UNetArguments, layers: Sequence[list[Floats]]) -> State:
    """Return the weights of a U-Net; transposed convolutions are known by their kernels of 2 x 2."""
    kernels = [arrays for arrays in layers if arrays[0].ndim == 4]
    transposed = [arrays for arrays in kernels if arrays[0].shape[:2] == (2, 2)]
    convolutions = [arrays for arrays in kernels if arrays[0].shape[:2] != (2, 2)]
    norms = [arrays for arrays in layers if [array.ndim for array in arrays] == [1, 1, 1, 1]]
    state: State = {}
    ups = [f"up.{level}" for level in reversed(range(len(arguments.widths)))]
    _fill(state, ups if arguments.upsampling == "transposed" else [], transposed, _KERNEL)
    _fill(state, _convolutions(arguments), convolutions, _KERNEL)
    _fill(state, list(_norms(arguments)), norms, _NORM)
    return state


_KERNEL = ("weight", "bias")
_NORM = ("weight", "bias", "running_mean", "running_var")


def _fill(state: State, names: Sequence[str], layers: Sequence[list[Floats]], parts: Sequence[str]) -> None:
    if len(names) != len(layers):
        raise ModelError(
            f"has {len(layers)} layers of a kind of which the system's network has {len(names)}, so its "
            "weights belong to another network"
        )
    for name, arrays in zip(names, layers, strict=True):
        for part, array in zip(parts, arrays, strict=False):
            turned = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
            state[f"{name}.{part}"] = torch.from_numpy(np.ascontiguousarray(turned))


def _blocks(arguments: UNetArguments) -> Iterator[tuple[str, Norms]]:
    levels = range(len(arguments.widths))
    yield from ((f"encoder.{level}", arguments.encoder_norm) for level in levels)
    yield "bottleneck", arguments.bottleneck_norm
    yield from ((f"decoder.{level}", arguments.decoder_norm) for level in reversed(levels))


def _convolutions(arguments: UNetArguments) -> list[str]:
    return [*(f"{block}.conv{n}" for block, _ in _blocks(arguments) for n in (1, 2)), "head"]


def _norms(arguments: UNetArguments) -> Iterator[str]:
    if arguments.order == "conv-relu":
        return
    kind = "post_norm" if arguments.order == "conv-relu-norm" else "norm"
    for block, norms in _blocks(arguments):
        for number in {"both": (1, 2), "first": (1,), "none": ()}[norms]:
            yield f"{block}.{kind}{number}"
