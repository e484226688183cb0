"""Networks of Keras on its torch backend, with random weights, and their files in all layouts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

Layer = Callable[..., Any]
L = keras.layers


def randomise(model: Any, seed: int = 0) -> Any:
    """Give all weights random values, so that no two layers could be confused."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if "seed" in variable.path:
            continue
        values = rng.normal(0, 0.3, variable.shape)
        variable.assign(np.abs(values) + 0.5 if "variance" in variable.path else values)
    return model


def hassan(size: int = 32, widths: tuple[int, ...] = (4, 6, 8, 10), bottleneck: int = 12) -> Any:
    """Return the network of Hassan 2025 with other widths: batch norm behind ReLU, dropout at the end."""

    def conv(x: Any, filters: int, norm: bool) -> Any:
        x = L.Conv2D(filters, 3, padding="same", activation="relu")(x)
        return L.BatchNormalization()(x) if norm else x

    x = start = L.Input((size, size, 1))
    skips = []
    for width in widths:
        x = conv(conv(x, width, True), width, True)
        skips.append(x)
        x = L.MaxPooling2D((2, 2))(x)
    x = conv(conv(x, bottleneck, False), bottleneck, False)
    for width in reversed(widths):
        x = L.Conv2DTranspose(width, (2, 2), strides=(2, 2), padding="same")(x)
        x = conv(conv(L.concatenate([x, skips.pop()]), width, True), width, False)
    x = L.Dropout(0.4)(x)
    return randomise(keras.Model(start, L.Conv2D(1, 1, activation="sigmoid")(x)))


def ragab(size: int = 32, widths: tuple[int, ...] = (4, 6, 8, 10), bottleneck: int = 12) -> Any:
    """Return the network of Ragab 2025 with other widths: two channels, no norms, softmax over four."""

    def block(x: Any, filters: int) -> Any:
        for _ in range(2):
            x = L.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        return x

    x = start = L.Input((size, size, 2))
    skips = []
    for width in widths:
        x = block(x, width)
        skips.append(x)
        x = L.MaxPooling2D()(x)
    x = L.Dropout(0.2)(block(x, bottleneck))
    for width in reversed(widths):
        x = L.Conv2DTranspose(width, 2, strides=2, padding="same")(x)
        x = block(L.concatenate([skips.pop(), x], axis=3), width)
    return randomise(keras.Model(start, L.Conv2D(4, 1, activation="softmax")(x)))


def as_keras2(path: Path, version: str = "2.11.0") -> None:
    """Rewrite a whole model that Keras 3 wrote as `.h5` as Keras 2 writes it."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            layer["config"]["dtype"] = "float32"
            if "batch_shape" in layer["config"]:
                layer["config"]["batch_input_shape"] = layer["config"].pop("batch_shape")
            layer["inbound_nodes"] = [_old_node(node) for node in layer["inbound_nodes"]]
        for ends in ("input_layers", "output_layers"):
            found = config["config"][ends]
            config["config"][ends] = [found] if isinstance(found[0], str) else found
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["keras_version"] = version.encode()
        group = file["model_weights"]
        names = [name.encode() for name in group.attrs["layer_names"]]
        group.attrs["layer_names"] = np.array(names)
        for name in group:
            weights = [str(w) for w in group[name].attrs["weight_names"]]
            for weight in weights:
                group[name].move(weight, f"{weight}:0")
            group[name].attrs["weight_names"] = np.array([f"{weight}:0".encode() for weight in weights])


def _old_node(node: dict[str, Any]) -> list[Any]:
    found: list[Any] = []

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for one in value:
                walk(one)
        else:
            found.append([*value["config"]["keras_history"], {}])

    walk(node["args"])
    return found


def outputs(model: Any, inputs: np.ndarray) -> np.ndarray:
    """Return what Keras computes for (batch, channels, rows, columns), in that order of axes."""
    found = keras.ops.convert_to_numpy(model(inputs.transpose(0, 2, 3, 1), training=False))
    return np.ascontiguousarray(found.transpose(0, 3, 1, 2))
