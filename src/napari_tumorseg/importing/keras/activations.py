"""Activations of Keras, as functions by name and as layers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from napari_tumorseg.importing.keras.config import class_of
from napari_tumorseg.importing.keras.settings import Settings
from napari_tumorseg.importing.keras.steps import Step

ADVANCED = ("ReLU", "LeakyReLU", "ELU", "Softmax")
"""Classes of layers that are activations without weights."""

_FUNCTIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "relu": {"function": "relu"},
        "relu6": {"function": "relu", "most": 6.0},
        "leaky_relu": {"function": "leaky-relu", "slope": 0.2},
        "elu": {"function": "elu", "slope": 1.0},
        "selu": {"function": "selu"},
        "gelu": {"function": "gelu"},
        "silu": {"function": "silu"},
        "swish": {"function": "silu"},
        "sigmoid": {"function": "sigmoid"},
        "tanh": {"function": "tanh"},
        "softplus": {"function": "softplus"},
        "exponential": {"function": "exponential"},
        "softmax": {"function": "softmax"},
        "hard_sigmoid": {"function": "hard-sigmoid"},
    }
)


def activation_steps(settings: Settings, version: int) -> list[Step]:
    """Return the step of a layer's activation; none for a linear one.

    Raises
    ------
    ModelError
        If it is not known, as functions of the model's author are not.
    """
    given = settings.get("activation")
    if given in (None, "linear"):
        return []
    if isinstance(given, Mapping) and class_of(given) in ADVANCED:
        config = given.get("config")
        inner = Settings(settings.layer, config if isinstance(config, Mapping) else {})
        return [advanced_activation(inner, str(given["class_name"]))]
    if not isinstance(given, str) or given not in _FUNCTIONS:
        name = given.get("config", given) if isinstance(given, Mapping) else given
        raise settings.error(
            f"has the activation {name!r:.80}, which is not among those that can be imported"
        )
    if given == "hard_sigmoid" and version < 3:
        return [Step({"op": "activation", "function": "hard-sigmoid-keras2"})]
    return [Step({"op": "activation", **_FUNCTIONS[given]})]


def advanced_activation(settings: Settings, class_name: str) -> Step:
    """Return the step of a layer that is an activation without weights."""
    fields: dict[str, Any]
    if class_name == "ELU":
        fields = {"function": "elu", "slope": settings.number("alpha", 1.0)}
    elif class_name == "LeakyReLU":
        key = "negative_slope" if settings.get("negative_slope") is not None else "alpha"
        fields = {"function": "leaky-relu", "slope": settings.number(key, 0.3)}
    elif class_name == "Softmax":
        settings.refuse("axis", -1, [-1], 3)
        fields = {"function": "softmax"}
    else:
        fields = _relu(settings)
    return Step({"op": "activation", **fields})


def _relu(settings: Settings) -> dict[str, Any]:
    settings.refuse("threshold", 0, 0.0)
    slope = settings.number("negative_slope", 0.0) if settings.get("negative_slope") is not None else 0.0
    fields: dict[str, Any] = {"function": "leaky-relu", "slope": slope} if slope else {"function": "relu"}
    if settings.get("max_value") is not None:
        fields["most"] = settings.number("max_value")
    return fields
