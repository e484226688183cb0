"""Layers of a Keras model, from the JSON of its configuration; nothing that it names is looked up or run."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.messages import quoted

MAX_NODES = 5000
MAX_CONFIG = 32 << 20
"""Bytes of a configuration; that of a network of 500 layers has about 500,000."""

MODELS = ("Functional", "Model", "Sequential")
"""Classes of models, which can be layers of others."""

_KERAS = re.compile(r"((tensorflow\.|tf_)?keras)(\.src)?(\.layers.*|\.engine.*|\.models.*)?", re.ASCII)
"""Modules of Keras' layers and models; its operations are not layers."""

_Source = tuple[str, int]


@dataclass(frozen=True)
class Node:
    """A call of a layer.

    Attributes
    ----------
    layer : str
        Name of the layer.
    number : int
        Number of the call, for layers that are called several times.
    class_name : str
        Class of the layer.
    config : mapping
        Its settings.
    inputs : tuple of (str, int)
        Calls whose outputs it takes.
    """

    layer: str
    number: int
    class_name: str
    config: Mapping[str, Any]
    inputs: tuple[_Source, ...]


@dataclass(frozen=True)
class Graph:
    """The calls of a model's layers, in an order in which each takes outputs of earlier ones.

    Attributes
    ----------
    nodes : tuple of Node
        All calls.
    layers : tuple of (str, str)
        Name and class of each layer in the order of the configuration.
    input, output : (str, int)
        The calls that are the input and the output of the model.
    """

    nodes: tuple[Node, ...]
    layers: tuple[tuple[str, str], ...]
    input: _Source
    output: _Source


def parse(text: str | bytes) -> Mapping[str, Any]:
    """Return the configuration in a text.

    Raises
    ------
    ModelError
        If it is too long or no JSON object.
    """
    if len(text) > MAX_CONFIG:
        raise ModelError(f"its configuration has {len(text)} bytes, more than {MAX_CONFIG}")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError("its configuration is no JSON; the file is damaged") from error
    return table(found, "configuration")


def table(value: object, what: str) -> Mapping[str, Any]:
    """Return a value that must be a JSON object."""
    if not isinstance(value, Mapping):
        raise ModelError(f"its {what} is not as Keras writes it")
    return value


def graph_of(model: Mapping[str, Any]) -> Graph:
    """Return the calls of the layers of a functional or sequential model.

    Raises
    ------
    ModelError
        If it is of another kind, has several inputs or outputs, or its layers form a circle.
    """
    class_name, config = model.get("class_name"), model.get("config")
    if class_name not in MODELS:
        raise ModelError(
            f"is a model of class {quoted(class_name)}, whose code is not in the file; only functional and "
            "sequential models can be imported"
        )
    if class_name == "Sequential":
        return _sequential(config)
    config = table(config, "configuration")
    layers = _layers(config)
    nodes = [node for layer in layers for node in _calls(layer)]
    if len(nodes) > MAX_NODES:
        raise ModelError(f"has {len(nodes)} calls of layers, more than {MAX_NODES}")
    names = tuple((_name(layer), class_of(layer)) for layer in layers)
    ends = _end(config, "input_layers"), _end(config, "output_layers")
    return Graph(_ordered(nodes), names, *ends)


def _layers(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    layers = config.get("layers")
    if not isinstance(layers, list) or not layers:
        raise ModelError("its configuration lists no layers")
    if len(layers) > MAX_NODES:
        raise ModelError(f"has {len(layers)} layers, more than {MAX_NODES}")
    found = [table(layer, "list of layers") for layer in layers]
    ((name, count),) = Counter(map(_name, found)).most_common(1)
    if count > 1:
        raise ModelError(f"has two layers named {quoted(name)}")
    return found


def _name(layer: Mapping[str, Any]) -> str:
    name = layer.get("name") or table(layer.get("config"), "list of layers").get("name")
    if not isinstance(name, str):
        raise ModelError("has a layer without a name")
    return name


def class_of(layer: Mapping[str, Any]) -> str:
    """Return the class of a layer, with the package that registered it unless that is Keras itself."""
    class_name, registered = str(layer.get("class_name")), layer.get("registered_name")
    module = layer.get("module") or "keras"
    if isinstance(registered, str) and registered != class_name:
        return registered
    if not isinstance(module, str) or not _KERAS.fullmatch(module):
        return f"{module}.{class_name}"
    return class_name


def _sequential(config: object) -> Graph:
    """Return a chain of layers; the input is the first one or, where none is stated, its shape is."""
    if isinstance(config, list):  # Keras before 2.2.3
        config = {"layers": config}
    layers = _layers(table(config, "configuration"))
    if layers[0].get("class_name") != "InputLayer":
        first = table(layers[0].get("config"), "list of layers")
        shape = first.get("batch_input_shape") or first.get("batch_shape")
        name = "input layer of the sequence"
        start: Mapping[str, Any] = {
            "class_name": "InputLayer",
            "config": {"name": name, "batch_shape": shape},
        }
        nodes = [Node(name, 0, "InputLayer", start["config"], ())]
    else:
        nodes = []
    for layer in layers:
        inputs = ((nodes[-1].layer, 0),) if nodes else ()
        settings = table(layer.get("config"), "list of layers")
        nodes.append(Node(_name(layer), 0, class_of(layer), settings, inputs))
    names = tuple((_name(layer), class_of(layer)) for layer in layers)
    return Graph(tuple(nodes), names, (nodes[0].layer, 0), (nodes[-1].layer, 0))


def _calls(layer: Mapping[str, Any]) -> Iterator[Node]:
    """Yield the calls of a layer; that of an input has no source."""
    name, class_name = _name(layer), class_of(layer)
    config = table(layer.get("config"), "list of layers")
    nodes = layer.get("inbound_nodes")
    if not isinstance(nodes, list):
        raise ModelError(f"layer {quoted(name)} does not state its inputs")
    for number, node in enumerate(nodes or [None]):
        yield Node(name, number, class_name, config, tuple(_sources(node, name)))


def _sources(node: object, name: str) -> Iterator[_Source]:
    if node is None:
        return
    if isinstance(node, Mapping):  # Keras 3
        # Keras 3 replaces the flag by that of the whole model, which is off when it predicts
        _check_keywords({**table(node.get("kwargs") or {}, "list of layers"), "training": None}, name)
        yield from _tensors(node.get("args"), name)
        return
    if not isinstance(node, list):
        raise ModelError(f"the inputs of layer {quoted(name)} are not as Keras writes them")
    entries = node if node and isinstance(node[0], list) else [node]
    for entry in entries:
        if len(entry) == 4:
            _check_keywords(entry[3], name)
        yield _source(entry[:3], name)


def _tensors(value: object, name: str) -> Iterator[_Source]:
    """Yield the tensors among the arguments of a call in Keras 3, a list that may hold lists."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += reversed(one)
        elif isinstance(one, Mapping) and one.get("class_name") == "__keras_tensor__":
            yield _source(table(one.get("config"), "list of layers").get("keras_history"), name)
        else:
            raise ModelError(f"layer {quoted(name)} is called with something else than outputs of layers")


def _source(value: object, name: str) -> _Source:
    match value:
        case [str(layer), int(number), 0]:
            return layer, number
    raise ModelError(f"the inputs of layer {quoted(name)} are not as Keras writes them")


def _check_keywords(keywords: object, name: str) -> None:
    """Refuse a call with settings, but for those that say that this is no training."""
    given = {k: v for k, v in table(keywords or {}, "list of layers").items() if v is not None}
    if given.pop("training", False) is not False or given:
        raise ModelError(f"layer {quoted(name)} is called with settings of its own, which is not supported")


def _end(config: Mapping[str, Any], key: str) -> _Source:
    """Return the only input or output of a model."""
    ends = config.get(key)
    if isinstance(ends, list) and len(ends) == 3 and isinstance(ends[0], str):
        ends = [ends]
    if not isinstance(ends, list) or len(ends) != 1:
        count = len(ends) if isinstance(ends, list | dict) else 0
        raise ModelError(f"has {count} {key.replace('_layers', 's')}; models with one can be imported")
    return _source(ends[0], key)


def _ordered(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the calls in an order in which each takes outputs of earlier ones."""
    known = {(node.layer, node.number): node for node in nodes}
    users: dict[_Source, list[Node]] = {key: [] for key in known}
    waiting: dict[_Source, int] = {}
    for node in nodes:
        sources = set(node.inputs)
        for source in sources:
            if source not in known:
                raise ModelError(
                    f"layer {quoted(node.layer)} takes the output of {quoted(source[0])}, which is not there"
                )
            users[source].append(node)
        waiting[node.layer, node.number] = len(sources)
    ready = [node for node in nodes if not node.inputs]
    for node in ready:  # grows as sources become available
        for user in users[node.layer, node.number]:
            waiting[user.layer, user.number] -= 1
            if not waiting[user.layer, user.number]:
                ready.append(user)
    if len(ready) < len(nodes):
        circle = next(n for n in nodes if waiting[n.layer, n.number])
        raise ModelError(f"its layers form a circle through {quoted(circle.layer)}")
    return tuple(ready)
