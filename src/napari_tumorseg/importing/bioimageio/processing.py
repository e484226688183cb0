"""Steps before and after the network, as fields of a card, and as they are computed there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_tumorseg.errors import ModelError
from napari_tumorseg.importing.bioimageio.description import Step, Tensor
from napari_tumorseg.models.messages import quoted

Values: TypeAlias = NDArray[np.float32]

_EPSILON = 1e-6
_MOST_STEPS = 8


def normalisation_of(tensor: Tensor) -> dict[str, Any]:
    """Return the card's table ``normalisation`` for the steps before the network.

    Raises
    ------
    ModelError
        If a step has no counterpart in a card; the sentence names it.
    """
    found: dict[str, Any] = {}
    for step in tensor.steps[:_MOST_STEPS]:
        found = _with(step, found, tensor)
    return found or {"method": "none"}


def _with(step: Step, found: dict[str, Any], tensor: Tensor) -> dict[str, Any]:
    """Return the table with one more step."""
    if step.name == "ensure_dtype" and str(step.options.get("dtype")) in ("float32", "float64"):
        return found
    if step.name == "clip":
        return _clipped(step, found)
    makers: dict[str, Callable[[Step, Tensor], dict[str, Any]]] = {
        "zero_mean_unit_variance": _zscore,
        "fixed_zero_mean_unit_variance": _fixed,
        "scale_range": _range,
        "scale_linear": _linear,
    }
    if step.name not in makers or "method" in found:
        raise _no_counterpart(step, "" if step.name not in makers else "after another normalisation")
    return {**found, **makers[step.name](step, tensor)}


def _no_counterpart(step: Step, reason: str = "") -> ModelError:
    more = f" ({reason})" if reason else ""
    return ModelError(f"prepares images by {quoted(step.name)}{more}, which a card cannot state")


def _zscore(step: Step, tensor: Tensor) -> dict[str, Any]:
    if step.options.get("mode") == "fixed":
        return _fixed(step, tensor)
    return {"method": "zscore", "statistics": "all", "scope": _scope(step, tensor)}


def _fixed(step: Step, tensor: Tensor) -> dict[str, Any]:
    mean, std = step.options.get("mean"), step.options.get("std")
    if mean != 0 or not isinstance(std, int | float) or not std > 0:
        raise _no_counterpart(step, "with a mean other than 0, or one for each channel")
    return {"method": "divide", "divisor": float(std)}


def _range(step: Step, tensor: Tensor) -> dict[str, Any]:
    low, high = _percentiles(step)
    table = {"method": "minmax", "statistics": "all", "scope": _scope(step, tensor)}
    if (low, high) == (0.0, 100.0):
        return table
    if _clip_after(step, tensor) != ("clip", 0.0, 1.0):
        raise _no_counterpart(step, "with percentiles, beyond which values are not clipped")
    return {**table, "percentiles": [low, high]}


def _percentiles(step: Step) -> tuple[float, float]:
    if step.options.get("reference_tensor"):
        raise _no_counterpart(step, "by another tensor")
    low, high = step.options.get("min_percentile", 0), step.options.get("max_percentile", 100)
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        raise _no_counterpart(step, "with percentiles that are no numbers")
    return float(low), float(high)


def _clip_after(step: Step, tensor: Tensor) -> tuple[str, Any, Any]:
    following = tensor.steps[tensor.steps.index(step) + 1 :]
    after = following[0] if following else Step("", {})
    return after.name, after.options.get("min"), after.options.get("max")


def _linear(step: Step, tensor: Tensor) -> dict[str, Any]:
    gain, offset = step.options.get("gain", 1.0), step.options.get("offset", 0.0)
    if offset != 0 or not isinstance(gain, int | float) or not gain > 0:
        raise _no_counterpart(step, "with an offset, or a gain for each channel")
    return {"method": "divide", "divisor": 1 / float(gain)} if gain != 1 else {"method": "none"}


def _clipped(step: Step, found: dict[str, Any]) -> dict[str, Any]:
    low, high = step.options.get("min"), step.options.get("max")
    if "method" not in found:
        low, high = step.options.get("min_percentile"), step.options.get("max_percentile")
        if low is None or high is None:
            raise _no_counterpart(step, "before another normalisation")
        return {**found, "percentiles": [float(low), float(high)]}
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        raise _no_counterpart(step, "on one side")
    if found.get("method") == "minmax" and (low, high) == (0, 1):
        return found
    return {**found, "clip": [float(low), float(high)]}


def _scope(step: Step, tensor: Tensor) -> str:
    """Return the scope of statistics that are taken for each channel alone.

    Raises
    ------
    ModelError
        If they are taken over several channels, or not over both sides of an image.
    """
    axes = set(step.axes or tensor.axes) - {"b"}
    if "c" in axes and tensor.sizes.get("c", 2) != 1:
        raise _no_counterpart(step, "over all channels together")
    if not {"y", "x"} <= axes:
        raise _no_counterpart(step, "along one axis")
    return "volume" if step.options.get("mode") == "per_dataset" else "slice"


def output_of(tensor: Tensor) -> tuple[dict[str, Any], bool]:
    """Return fields of the card's table ``output``, and whether examples can be compared.

    Raises
    ------
    ModelError
        If a step after the network has no counterpart.
    """
    found: dict[str, Any] = {}
    comparable = True
    for step in tensor.steps[:_MOST_STEPS]:
        if step.name in ("sigmoid", "softmax"):
            found["activation"] = step.name
        elif step.name == "binarize":
            found["threshold"] = _threshold(step)
            comparable = False
        elif step.name != "ensure_dtype":
            raise ModelError(f"goes on with {quoted(step.name)} after the network, which is not done here")
    return found, comparable


def _threshold(step: Step) -> float:
    limit = step.options.get("threshold")
    if not isinstance(limit, int | float) or not 0 < limit < 1:
        raise ModelError("cuts its outputs at a threshold that is no probability")
    return float(limit)


def apply(steps: Sequence[Step], values: Values, axes: str) -> Values:
    """Return an image after the steps before the network, as BioImage.IO defines them.

    Parameters
    ----------
    steps : sequence of Step
        Steps that `normalisation_of` accepts.
    values : array
        The image.
    axes : str
        Letters of its axes.
    """
    for step in steps:
        over = tuple(n for n, axis in enumerate(axes) if axis in (step.axes or axes))
        values = _applied(step, values, over)
    return values.astype(np.float32)


def _applied(step: Step, values: Values, over: tuple[int, ...]) -> Any:
    options = step.options
    eps = float(options.get("eps", _EPSILON))
    if step.name == "fixed_zero_mean_unit_variance" or options.get("mode") == "fixed":
        return (values - options["mean"]) / options["std"]
    if step.name == "zero_mean_unit_variance":
        mean, std = (f(values, axis=over, keepdims=True) for f in (np.mean, np.std))
        return (values - mean) / (std + eps)
    if step.name == "scale_range":
        low, high = np.percentile(values, _percentiles(step), axis=over, keepdims=True)
        return (values - low) / (high - low + eps)
    if step.name == "scale_linear":
        return values * options.get("gain", 1.0)
    if step.name == "clip" and options.get("min_percentile") is not None:
        wanted = (options["min_percentile"], options["max_percentile"])
        low, high = np.percentile(values, wanted, axis=over, keepdims=True)
        return np.clip(values, low, high)
    return np.clip(values, options["min"], options["max"]) if step.name == "clip" else values
