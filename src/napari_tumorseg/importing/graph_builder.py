"""A `GraphNetwork` built layer by layer from the tensors of a PyTorch state dict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from napari_tumorseg.errors import ModelError
from napari_tumorseg.models.graph_arguments import GraphArguments
from napari_tumorseg.models.messages import quoted, some
from napari_tumorseg.models.weight_files import State

Edges = tuple[int, int]
Place = int
"""Place of a layer's output; 0 is the network's input."""

_NORM = ("weight", "bias", "running_mean", "running_var")


class GraphBuilder:
    """Layers in the order in which they are added, with PyTorch's padding.

    Parameters
    ----------
    state : mapping of str to Tensor
        Weights; each must be used once.
    channels : int
        Of the input.
    """

    def __init__(self, state: Mapping[str, Tensor], channels: int) -> None:
        self._state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
        self._layers: list[dict[str, Any]] = []
        self._weights: State = {}
        self._channels = [channels]

    def conv(self, name: str, x: Place, stride: int = 1, edges: Edges | None = None) -> Place:
        """Add a convolution; `edges` are pixels of padding before and behind, by default half a kernel."""
        weight = self._take(f"{name}.weight", 4)
        bias = self._state.pop(f"{name}.bias", None)
        out, inside, rows, columns = weight.shape
        if rows != columns or rows % 2 == 0 or self._channels[x] % inside:
            raise ModelError(f"{quoted(name)} is no convolution that this layout has")
        before, behind = edges or (rows // 2, rows // 2)
        if stride > 1 and before + behind:
            x = self._add({"op": "pad", "edges": (before, behind, before, behind)}, x, name=name)
        fields = {
            "op": "conv",
            "channels_in": self._channels[x],
            "channels_out": out,
            "kernel": (rows, columns),
            "stride": (stride, stride),
            "groups": self._channels[x] // inside,
            "padding": "same" if stride == 1 else "valid",
            "bias": bias is not None,
        }
        tensors = {"conv.weight": weight} | ({} if bias is None else {"conv.bias": bias})
        return self._add(fields, x, tensors=tensors, name=name, channels=out)

    def norm(self, name: str, x: Place, eps: float = 1e-5) -> Place:
        """Add a batch norm."""
        tensors = {part: self._take(f"{name}.{part}", 1) for part in _NORM}
        fields = {"op": "batch-norm", "channels": tensors["weight"].shape[0], "eps": eps}
        return self._add(fields, x, tensors=tensors, name=name)

    def activation(self, x: Place, function: str = "relu") -> Place:
        """Add an activation."""
        return self._add({"op": "activation", "function": function}, x)

    def add(self, x: Place, y: Place) -> Place:
        """Add the sum of two outputs."""
        return self._add({"op": "merge", "function": "add"}, x, y)

    def multiply(self, x: Place, y: Place) -> Place:
        """Add the product of two outputs."""
        return self._add({"op": "merge", "function": "multiply"}, x, y)

    def concatenate(self, x: Place, y: Place) -> Place:
        """Add the concatenation of two outputs along the channels."""
        channels = self._channels[x] + self._channels[y]
        return self._add({"op": "merge", "function": "concatenate"}, x, y, channels=channels)

    def upsample(self, x: Place) -> Place:
        """Add an enlargement by two to the nearest pixel."""
        return self._add({"op": "upsample", "size": (2, 2)}, x)

    def max_pool(self, x: Place) -> Place:
        """Add the maximum of 3 x 3 pixels at every second one, of values that are not negative."""
        x = self._add({"op": "pad", "edges": (1, 1, 1, 1)}, x)
        return self._add({"op": "pool", "function": "maximum", "size": (3, 3), "stride": (2, 2)}, x)

    def mean(self, x: Place) -> Place:
        """Add the mean of each channel, as one pixel."""
        return self._add({"op": "global-pool", "function": "mean"}, x)

    def channels(self, x: Place) -> int:
        """Return the channels of an output."""
        return self._channels[x]

    def size(self, name: str) -> int:
        """Return the output channels of a convolution that is not added yet; 0 if there is none."""
        return self._shape(name)[0]

    def kernel(self, name: str) -> int:
        """Return the side of the kernel of a convolution that is not added yet; 0 if there is none."""
        return self._shape(name)[2]

    def _shape(self, name: str) -> Sequence[int]:
        weight = self._state.get(f"{name}.weight")
        return tuple(weight.shape) if weight is not None and weight.ndim == 4 else (0, 0, 0, 0)

    def has(self, name: str) -> bool:
        """Return whether weights of this name are left."""
        return f"{name}.weight" in self._state

    def finish(self) -> tuple[dict[str, Any], State]:
        """Return the arguments of the network, whose output is the last layer's, and its weights.

        Raises
        ------
        ModelError
            If weights are left, or the layers make no network.
        """
        if self._state:
            raise ModelError(f"holds weights that its layout does not have: {some(self._state)}")
        sizes = {"in_channels": self._channels[0], "out_channels": self._channels[-1]}
        try:
            given = GraphArguments.of({**sizes, "layers": self._layers})
        except ValueError as error:
            raise ModelError(f"its layers make no network: {error}") from error
        return given.plain(), self._weights

    def _take(self, name: str, rank: int) -> Tensor:
        tensor = self._state.pop(name, None)
        if tensor is None or tensor.ndim != rank:
            raise ModelError(f"lacks {quoted(name)}, or it has another number of dimensions than {rank}")
        return tensor

    def _add(
        self,
        fields: Mapping[str, Any],
        *inputs: Place,
        tensors: Mapping[str, Tensor] | None = None,
        name: str = "",
        channels: int | None = None,
    ) -> Place:
        place = len(self._layers)
        self._layers.append({**fields, "inputs": inputs, "name": name})
        for part, tensor in (tensors or {}).items():
            self._weights[f"layers.{place}.{part}"] = tensor
        self._channels.append(self._channels[inputs[0]] if channels is None else channels)
        return place + 1
