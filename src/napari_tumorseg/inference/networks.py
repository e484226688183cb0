"""Conversion of networks for inference: folded, in float32 or bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

from napari_tumorseg.errors import DeviceError
from napari_tumorseg.models.segmentation_network import CONVOLUTIONS, SegmentationNetwork

Conversion: TypeAlias = Callable[[SegmentationNetwork], nn.Module]
"""Converts a copy of a network in eval mode for inference; inputs and outputs stay float32."""


def as_float32(net: SegmentationNetwork) -> nn.Module:
    """Return a folded copy in the memory layout in which convolutions are fastest."""
    folded: nn.Module = net.folded()
    if net.dimensions == 2:
        folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return folded


def memory_format(dimensions: int) -> torch.memory_format:
    """Return the layout of inputs in which a network of slices or of volumes is fastest."""
    return torch.channels_last if dimensions == 2 else torch.contiguous_format


def as_bfloat16(net: SegmentationNetwork) -> nn.Module:
    """Return a folded copy whose convolutions run in bfloat16, but for the network's sensitive ones.

    Batch norms are folded in float32. Sums are accumulated in float32 by the libraries below torch.

    Raises
    ------
    DeviceError
        If another library than torch runs the network.
    """
    if net.runtime:
        raise DeviceError(f"bfloat16 is for networks that torch runs; {net.runtime} runs this one in float32")
    return _Bfloat16(as_float32(net))


class _Bfloat16(nn.Module):
    """Autocast around a network whose weights are bfloat16 already, so that no run converts them."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        sensitive = net.sensitive_layers() if isinstance(net, SegmentationNetwork) else ()
        for name, layer in list(net.named_modules()):
            if any(layer is other for other in sensitive):
                net.set_submodule(name, _Float32(layer))
            elif isinstance(layer, CONVOLUTIONS):
                layer.to(torch.bfloat16)
        self._net = net

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            logits: Tensor = self._net(x)
        return logits.float()


class _Float32(nn.Module):
    """A layer that is excluded from autocast."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self._layer = layer

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            values: Tensor = self._layer(x.float())
        return values
