"""An imported model in Keras itself, for comparison.

Keras' own loading of files is never used, since it can run code. Its layers are made here one by one, from
the settings and weights that were checked at the import.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing.draft import Draft
from napari_tumorseg.importing.keras.building import channel_axis, inner_graph
from napari_tumorseg.importing.keras.config import MODELS, Graph, Node, graph_of
from napari_tumorseg.importing.keras.hdf5_weights import LayerWeights, SavedNames
from napari_tumorseg.importing.keras.layers import OF_TRAINING
from napari_tumorseg.importing.keras.reading import opened
from napari_tumorseg.models.messages import one_line

if TYPE_CHECKING:
    from napari_tumorseg.importing.kinds import Original

_LEFT_OUT = ("name", "dtype", "batch_input_shape", "batch_shape", "input_shape", "synchronized")
_REFUSALS = (TypeError, ValueError, AttributeError, KeyError, OverflowError)
_OF_TRAINING = ("_initializer", "_regularizer", "_constraint")


def original(path: Path, draft: Draft) -> Original | None:
    """Return the model made of Keras' own layers, or None where Keras is not installed.

    Raises
    ------
    ModelError
        If the file cannot be read.
    """
    if find_spec("keras") is None:
        return None
    from napari_tumorseg.importing.kinds import Original

    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        import keras
    except ImportError:  # its backend is not installed
        return None
    with opened(path) as content:
        if content.model is None:
            return None
        graph = graph_of(content.model)
        if channel_axis(graph) != 3:
            return None
        try:
            run = _KerasModel(graph, content.weights)
        except _REFUSALS:  # settings that this version of Keras does not take
            return None
    framework = f"Keras {keras.__version__} on {keras.backend.backend()}"
    return Original(framework, run, "activation" in draft.output)


class _KerasModel:
    """Layers of Keras, called one after another."""

    def __init__(self, graph: Graph, weights: LayerWeights) -> None:
        self._graph = graph
        self._layers: dict[str, Any] = {}
        self._arrays: dict[str, Sequence[Any]] = {}
        names = SavedNames()
        saved = {name: names.of(class_name) for name, class_name in graph.layers}
        for node in graph.nodes:
            if node.layer not in self._layers:
                self._layers[node.layer] = self._made(node, weights, saved.get(node.layer, ""))

    def __call__(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the outputs for (batch, channels, rows, columns) inputs, in that order of axes."""
        import keras

        try:
            found = self._run(keras.ops.convert_to_tensor(inputs.transpose(0, 2, 3, 1)))
        except (*_REFUSALS, RuntimeError) as error:
            raise ModelError(f"Keras cannot run its layers: {one_line(error)}") from error
        array = keras.ops.convert_to_numpy(found)
        return np.ascontiguousarray(array.transpose(0, 3, 1, 2), dtype=np.float32)

    def _made(self, node: Node, weights: LayerWeights, saved: str) -> Any:
        if node.class_name in MODELS:
            return _KerasModel(inner_graph(node), weights.inside(node.layer, saved))
        if node.class_name in OF_TRAINING:
            return None
        import keras

        self._arrays[node.layer] = weights.of(node.layer, saved)
        return getattr(keras.layers, node.class_name)(**dict(_settings(node)))

    def _run(self, inputs: Any) -> Any:
        values: dict[tuple[str, int], Any] = {}
        for node in self._graph.nodes:
            given = [values[source] for source in node.inputs] or [inputs]
            values[node.layer, node.number] = self._called(node, given)
        return values[self._graph.output]

    def _called(self, node: Node, given: list[Any]) -> Any:
        layer = self._layers[node.layer]
        if layer is None:
            return given[0]
        if isinstance(layer, _KerasModel):
            return layer._run(given[0])
        tensors = given if len(given) > 1 else given[0]
        if not layer.built:
            layer.build([tuple(t.shape) for t in given] if len(given) > 1 else tuple(given[0].shape))
        arrays = self._arrays.pop(node.layer, None)
        if arrays:
            layer.set_weights(arrays)
        return layer(tensors, training=False) if layer._call_has_training_arg else layer(tensors)


def _settings(node: Node) -> Iterator[tuple[str, Any]]:
    """Yield the settings of a layer that matter when it predicts.

    Only numbers, words and lists of them: Keras would look up and make what a table names.
    """
    for key, value in node.config.items():
        if key in _LEFT_OUT or key.endswith(_OF_TRAINING) or not _is_plain(value):
            continue
        yield _NEW_NAMES.get((node.class_name, key), key), value


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(_is_plain(one) for one in value)
    return isinstance(value, str | int | float | None)


_NEW_NAMES = {("LeakyReLU", "alpha"): "negative_slope"}
"""Settings of Keras 2 that Keras 3 calls otherwise."""
