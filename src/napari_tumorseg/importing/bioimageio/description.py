"""The description of a BioImage.IO model, formats 0.4 and 0.5, as one form.

Source: https://github.com/bioimage-io/spec-bioimage-io
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.messages import quoted

FORMATS = ("0.4", "0.5")

_MM = {"millimeter": 1.0, "micrometer": 1e-3, "centimeter": 10.0, "meter": 1000.0, "nanometer": 1e-6}


@dataclass(frozen=True)
class Step:
    """A step before or after the network.

    Attributes
    ----------
    name : str
        Its identifier, such as ``zero_mean_unit_variance``.
    options : dict
        Its arguments.
    """

    name: str
    options: Mapping[str, Any]

    @property
    def axes(self) -> tuple[str, ...] | None:
        """Axes that share their statistics, by their first letters; None for all."""
        found = self.options.get("axes")
        return None if found is None else tuple(str(axis)[:1] for axis in found)


@dataclass(frozen=True)
class Tensor:
    """An input or output.

    Attributes
    ----------
    axes : str
        First letters of its axes in order, such as ``bcyx``.
    sizes : dict of str to int
        Sides that are fixed.
    spacing : float or None
        Of its pixels in mm, where it is stated and the same along both axes.
    channels : tuple of str
        Names of its channels, where they are stated.
    steps : tuple of Step
        Steps before or after the network.
    test : mapping or None
        File of the example: ``source`` and, where it is stated, ``sha256``.
    """

    axes: str
    sizes: Mapping[str, int]
    spacing: float | None = None
    channels: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    test: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Description:
    """Facts of a model's description that an import needs.

    Attributes
    ----------
    version : str
        Of the format.
    title, summary, licence, citation : str
        Texts.
    input, output : Tensor
        The one image that goes in, and the one that comes out.
    weights : dict of str to mapping
        Entries by the kind of weights.
    """

    version: str
    title: str
    summary: str
    licence: str
    citation: str
    input: Tensor
    output: Tensor
    weights: Mapping[str, Mapping[str, Any]]


def describe(content: Any) -> Description:
    """Return a description from the content of an ``rdf.yaml``.

    Raises
    ------
    ModelError
        If it is no model of a known format, or of several images.
    """
    top = table(content, "the description")
    version = str(top.get("format_version", ""))[:20]
    if top.get("type") != "model":
        raise ModelError(f"describes {quoted(text(top.get('type')) or 'nothing')}, not a model")
    if not version.startswith(tuple(f"{known}." for known in FORMATS)):
        raise ModelError(f"has format {quoted(version)}; known are {' and '.join(FORMATS)}")
    new = version.startswith("0.5")
    inputs, outputs = (_list(top.get(key), key) for key in ("inputs", "outputs"))
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(f"takes {len(inputs)} images and gives {len(outputs)}; one of each is run")
    tests = [None if new else _first(top.get(key)) for key in ("test_inputs", "test_outputs")]
    read = _new_tensor if new else _old_tensor
    weights = table(top.get("weights"), "weights")
    return Description(
        version,
        text(top.get("name")),
        text(top.get("description")),
        text(top.get("license")),
        _citation(top.get("cite")),
        read(table(inputs[0], "inputs"), "preprocessing", tests[0]),
        read(table(outputs[0], "outputs"), "postprocessing", tests[1]),
        {str(kind): table(entry, "weights") for kind, entry in weights.items() if entry},
    )


def table(value: Any, name: str) -> Mapping[str, Any]:
    """Return a table of the description.

    Raises
    ------
    ModelError
        If it is something else.
    """
    if not isinstance(value, dict):
        raise ModelError(f"states no table {quoted(name)}")
    return value


def text(value: Any, most: int = 2000) -> str:
    """Return a text in one line; an empty one if the value is none."""
    return " ".join(value.split())[:most] if isinstance(value, str) else ""


def _list(value: Any, name: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise ModelError(f"states no list {quoted(name)}")
    return value


def _first(value: Any) -> Mapping[str, Any] | None:
    """Return the file of the only example of format 0.4."""
    found = value[0] if isinstance(value, list) and value else None
    return {"source": found} if isinstance(found, str) else None


def _citation(value: Any) -> str:
    entries = [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
    parts = [text(entry.get(key)) for entry in entries[:3] for key in ("text", "doi")]
    return "; ".join(part for part in parts if part)


def _old_tensor(content: Mapping[str, Any], steps: str, test: Mapping[str, Any] | None) -> Tensor:
    axes, shape = text(content.get("axes")), content.get("shape")
    sides = shape if isinstance(shape, list) and len(shape) == len(axes) else []
    fixed = {axis: side for axis, side in zip(axes, sides, strict=False) if isinstance(side, int)}
    return Tensor(axes, fixed, steps=_steps(content.get(steps), "name"), test=test)


def _new_tensor(content: Mapping[str, Any], steps: str, test: Mapping[str, Any] | None) -> Tensor:
    axes = [_axis(axis) for axis in _list(content.get("axes"), "axes")]
    letters = "".join(_letter(axis) for axis in axes)
    fixed = {_letter(axis): axis["size"] for axis in axes if isinstance(axis.get("size"), int)}
    names = next((axis.get("channel_names") for axis in axes if _letter(axis) == "c"), None)
    channels = tuple(str(name) for name in names) if isinstance(names, list) else ()
    if channels:
        fixed["c"] = len(channels)
    example = content.get("test_tensor")
    return Tensor(
        letters,
        fixed,
        _spacing(axes),
        channels,
        _steps(content.get(steps), "id"),
        example if isinstance(example, dict) else None,
    )


def _axis(value: Any) -> Mapping[str, Any]:
    return {"type": value} if isinstance(value, str) else table(value, "axes")


def _letter(axis: Mapping[str, Any]) -> str:
    """Return the first letter of an axis: of its name in space, of its type otherwise."""
    kind = text(axis.get("type"))
    return text(axis.get("id"))[:1] if kind == "space" else kind[:1]


def _spacing(axes: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the spacing of the pixels in mm, if both axes state the same one."""
    steps = {
        float(axis["scale"]) * _MM[axis["unit"]]
        for axis in axes
        if axis.get("unit") in _MM and isinstance(axis.get("scale"), int | float)
    }
    return steps.pop() if len(steps) == 1 else None


def _steps(value: Any, key: str) -> tuple[Step, ...]:
    found = []
    for entry in value if isinstance(value, list) else []:
        step = table(entry, "processing")
        options = step.get("kwargs") or {}
        found.append(Step(text(step.get(key)), table(options, "kwargs")))
    return tuple(found)
