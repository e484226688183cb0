"""ONNX files made with the `onnx` package, whose results can be told pixel for pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

Side = int | str | None

FREE: tuple[Side, ...] = ("batch", 1, "height", "width")


def model_of(
    nodes: Sequence[Any],
    weights: Mapping[str, Any] | None = None,
    takes: Sequence[Side] = FREE,
    gives: Sequence[Side] | None = None,
    kind: int = TensorProto.FLOAT,
    domains: Sequence[str] = (),
) -> Any:
    """Return a model of nodes that take `x` and give `y`."""
    ports = [helper.make_tensor_value_info("x", kind, takes)]
    results = [helper.make_tensor_value_info("y", kind, takes if gives is None else gives)]
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()]
    graph = helper.make_graph(nodes, "network", ports, results, held)
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def threshold_model(limit: float, takes: Sequence[Side] = FREE, last: str = "") -> Any:
    """Return a model that gives the input minus a limit, and through a last operator, if one is named."""
    nodes = [helper.make_node("Sub", ["x", "limit"], ["logits" if last else "y"])]
    if last:
        nodes.append(helper.make_node(last, ["logits"], ["y"], **({"axis": 1} if last == "Softmax" else {})))
    return model_of(nodes, {"limit": np.float32(limit)}, takes)


def save(model: Any, path: Path) -> Path:
    """Write a model as it is, valid or not."""
    path.write_bytes(model.SerializeToString())
    return path
