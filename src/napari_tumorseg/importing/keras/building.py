"""A `GraphNetwork` from the layers of a Keras model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing.keras.config import MAX_NODES, MODELS, Graph, Node, graph_of
from napari_tumorseg.importing.keras.hdf5_weights import Budget, LayerWeights, SavedNames
from napari_tumorseg.importing.keras.layers import LAYERS, Call
from napari_tumorseg.importing.keras.settings import Settings
from napari_tumorseg.importing.keras.steps import Step
from napari_tumorseg.models.graph_arguments import GraphArguments
from napari_tumorseg.models.messages import quoted
from napari_tumorseg.models.weight_files import State

_MAX_DEPTH = 5
_ENDINGS = ("sigmoid", "softmax")
_MOVING = ("merge", "pool", "upsample", "pad", "crop")


@dataclass(frozen=True, eq=False)
class Built:
    """A network and its weights.

    Attributes
    ----------
    arguments : dict
        Of the `GraphNetwork`.
    weights : dict of Tensor
        Under its names.
    activation : {"sigmoid", "softmax"} or None
        Activation that the model ends with, which is not part of the network; None where it gives logits.
    size : (int, int) or None
        Rows and columns of the input, where the model states them.
    """

    arguments: dict[str, Any]
    weights: State
    activation: str | None
    size: tuple[int, int] | None


def build(model: Mapping[str, Any], weights: LayerWeights, version: int) -> Built:
    """Return the network of a model's configuration.

    Parameters
    ----------
    model : mapping
        Class and configuration, as in the file.
    weights : LayerWeights
        Weights of its layers.
    version : int
        First number of Keras' version.

    Raises
    ------
    ModelError
        If a layer is not among those that can be imported, or the layers make no network.
    """
    graph = graph_of(model)
    _check_layers(graph)
    builder = _Builder(version, channel_axis(graph))
    shape = _input_shape(graph, builder.axis)
    place = builder.add(graph, weights, 0, 0)
    return builder.finish(place, shape, graph.output[0])


def _check_layers(graph: Graph, depth: int = 0) -> int:
    """Refuse by name, before anything is read, what is not a known layer; return the number of calls.

    A model inside a model is looked at once, and counted as often as it is called.
    """
    sizes: dict[str, int] = {}
    for node in graph.nodes:
        if node.layer not in sizes:
            sizes[node.layer] = _size(node, depth)
    count = sum(sizes[node.layer] for node in graph.nodes)
    if count > MAX_NODES:
        raise ModelError(f"has {count} calls of layers, more than {MAX_NODES}")
    return count


def _size(node: Node, depth: int) -> int:
    """Return the number of calls in one call of a known layer or model."""
    if node.class_name in MODELS:
        if depth == _MAX_DEPTH:
            raise ModelError(f"holds models inside models, deeper than {_MAX_DEPTH}")
        return 1 + _check_layers(inner_graph(node), depth + 1)
    if node.class_name == "Lambda":
        raise ModelError(
            f"layer {quoted(node.layer)} is a Lambda: code in the file, which is not run; its author can "
            "replace it by a layer of Keras"
        )
    if node.class_name not in LAYERS:
        raise ModelError(
            f"layer {quoted(node.layer)} is of class {quoted(node.class_name)}, which is not among the "
            "layers that can be imported"
        )
    return 1


def inner_graph(node: Node) -> Graph:
    """Return the calls of the layers of a model that is itself a layer."""
    return graph_of({"class_name": node.class_name, "config": node.config})


def channel_axis(graph: Graph) -> int:
    """Return the axis of the channels, which must be the same in all layers."""
    formats = set(_formats(graph))
    if len(formats) > 1:
        raise ModelError("some of its layers have the channels first, others last, which is not supported")
    return 1 if formats == {"channels_first"} else 3


def _formats(graph: Graph) -> list[str]:
    found = []
    for node in graph.nodes:
        if node.class_name in MODELS:
            found += _formats(inner_graph(node))
        elif isinstance(given := node.config.get("data_format"), str):
            found.append(given)
    return found


def _input_shape(graph: Graph, axis: int) -> tuple[int, tuple[int, int] | None]:
    """Return the channels of the input, and its rows and columns where they are stated."""
    node = next((n for n in graph.nodes if (n.layer, n.number) == graph.input), None)
    if node is None or node.inputs:
        raise ModelError(f"its input {quoted(graph.input[0])} is no input layer")
    if node.class_name in MODELS:
        return _input_shape(inner_graph(node), axis)
    shape = node.config.get("batch_shape") or node.config.get("batch_input_shape")
    if not isinstance(shape, list) or len(shape) != 4:
        raise ModelError(f"takes inputs of shape {shape!r:.60}; models of 2-D images can be imported")
    rows, columns = (shape[1], shape[2]) if axis == 3 else (shape[2], shape[3])
    channels = shape[axis]
    if not isinstance(channels, int):
        raise ModelError("does not state the number of its input channels")
    known = isinstance(rows, int) and isinstance(columns, int)
    return channels, (rows, columns) if known else None


class _Builder:
    """Layers in the order in which they are added; place 0 is the network's input."""

    def __init__(self, version: int, axis: int) -> None:
        self._version = version
        self.axis = axis
        self._steps: list[tuple[Step, str, tuple[int, ...]]] = []
        self._budget = Budget()

    def add(self, graph: Graph, weights: LayerWeights, start: int, depth: int) -> int:
        """Add the layers of a model whose input is at place `start`; return the place of its output."""
        names = SavedNames()
        saved = {name: names.of(class_name) for name, class_name in graph.layers}
        places: dict[tuple[str, int], int] = {}
        for node in graph.nodes:
            key = (node.layer, node.number)
            inputs = tuple(places[source] for source in node.inputs)
            if key == graph.input and not inputs:
                inputs = (start,)
            elif not inputs:
                raise ModelError(f"has a second input, {quoted(node.layer)}; models with one can be imported")
            places[key] = self._add_node(node, weights, saved.get(node.layer, ""), inputs, depth)
        if graph.output not in places:
            raise ModelError(f"its output {quoted(graph.output[0])} is not there")
        return places[graph.output]

    def _add_node(
        self, node: Node, weights: LayerWeights, saved: str, inputs: tuple[int, ...], depth: int
    ) -> int:
        if node.class_name in MODELS:
            if len(inputs) != 1:
                raise ModelError(f"layer {quoted(node.layer)} takes {len(inputs)} inputs")
            return self.add(inner_graph(node), weights.inside(node.layer, saved), inputs[0], depth + 1)
        settings = Settings(node.layer, node.config)
        arrays = [] if node.class_name == "InputLayer" else weights.of(node.layer, saved)
        self._budget.take(arrays)
        call = Call(node.class_name, settings, arrays, len(inputs), self._version, self.axis)
        for step in LAYERS[node.class_name](call):
            self._steps.append((step, node.layer, inputs))
            inputs = (len(self._steps),)
        if len(inputs) != 1:
            raise settings.error(f"takes {len(inputs)} inputs")
        return inputs[0]

    def finish(self, place: int, shape: tuple[int, tuple[int, int] | None], output: str) -> Built:
        """Return the network whose output is at a place, without the activation that it ends with."""
        place, activation = self._without_activation(place, output)
        kept = self._needed(place)
        numbers = {old: new for new, old in enumerate([0, *kept])}
        layers, weights = [], {}
        for new, old in enumerate(kept):
            step, name, inputs = self._steps[old - 1]
            layers.append({**step.fields, "name": name[:200], "inputs": tuple(numbers[i] for i in inputs)})
            for key, array in step.tensors.items():
                weights[f"layers.{new}.{key}"] = torch.from_numpy(np.ascontiguousarray(array, np.float32))
        arguments = {"in_channels": shape[0], "out_channels": self._channels(place, output), "layers": layers}
        try:
            checked = GraphArguments.of(arguments)
        except ValueError as error:
            raise ModelError(f"its layers make no network that can be imported: {error}") from error
        return Built(checked.plain(), weights, activation, shape[1])

    def _without_activation(self, place: int, output: str) -> tuple[int, str | None]:
        if place == 0:
            raise ModelError("gives its input as its output")
        step, _, inputs = self._steps[place - 1]
        if step.fields["op"] != "activation":
            if self._probabilities()[place]:
                raise ModelError(
                    f"goes on after its last activation ({quoted(output)}), so that its outputs are neither "
                    "logits nor can be made such; its author can move the activation to the end"
                )
            return place, None
        if step.fields["function"] not in _ENDINGS:
            raise ModelError(
                f"ends with the activation {step.fields['function']} ({quoted(output)}), which gives neither "
                "probabilities nor logits"
            )
        return inputs[0], step.fields["function"]

    def _probabilities(self) -> list[bool]:
        """Return, for each place, whether it holds probabilities that are only moved or combined."""
        found = [False]
        for step, _, inputs in self._steps:
            fields = step.fields
            ends = fields["op"] == "activation" and fields["function"] in _ENDINGS
            moves = fields["op"] in _MOVING and fields.get("function") not in ("add", "subtract")
            found.append(ends or (moves and all(found[place] for place in inputs)))
        return found

    def _needed(self, place: int) -> list[int]:
        """Return the places that a place depends on and itself, in order."""
        found: set[int] = set()
        waiting = [place]
        while waiting:
            one = waiting.pop()
            if one and one not in found:
                found.add(one)
                waiting += self._steps[one - 1][2]
        return sorted(found)

    def _channels(self, place: int, output: str) -> int:
        """Return the channels at a place, which those of the last convolution before it are."""
        while place:
            fields, inputs = self._steps[place - 1][0].fields, self._steps[place - 1][2]
            if "channels_out" in fields:
                return int(fields["channels_out"])
            place = inputs[0]
        raise ModelError(f"its output {quoted(output)} follows no convolution")
