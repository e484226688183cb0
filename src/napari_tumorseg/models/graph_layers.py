"""Modules for the layers of a `GraphNetwork`, with the padding of TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_tumorseg.models import graph_arguments as layers

Sides = tuple[int, int]


def same_padding(length: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Return the pixels before and after an axis that TensorFlow pads with ``same``."""
    total = max((-(-length // stride) - 1) * stride + (kernel - 1) * dilation + 1 - length, 0)
    return total // 2, total - total // 2


def _padded(x: Tensor, kernel: Sides, stride: Sides, dilation: Sides, value: float) -> Tensor:
    rows, columns = (same_padding(*axis) for axis in zip(x.shape[2:], kernel, stride, dilation, strict=True))
    edges = (*columns, *rows)
    return functional.pad(x, edges, value=value) if any(edges) else x


class ConvLayer(nn.Module):
    """Convolution; the padding is part of it where it is the same on both sides."""

    def __init__(self, given: layers.Conv) -> None:
        super().__init__()
        self._given = given
        plain = given.stride == (1, 1) and all(k % 2 for k in given.kernel)
        self._pads = given.padding == "same" and not plain
        inside = [(k - 1) * d // 2 for k, d in zip(given.kernel, given.dilation, strict=True)]
        self.conv = nn.Conv2d(
            given.channels_in,
            given.channels_out,
            given.kernel,
            given.stride,
            (inside[0], inside[1]) if given.padding == "same" and plain else 0,
            given.dilation,
            given.groups,
            given.bias,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of `x`."""
        if self._pads:
            x = _padded(x, self._given.kernel, self._given.stride, self._given.dilation, 0.0)
        found: Tensor = self.conv(x)
        return found

    def fuse(self, norm: nn.BatchNorm2d) -> None:
        """Make a batch norm that follows part of the convolution."""
        self.conv = fuse_conv_bn_eval(self.conv, norm)


class _ConvTranspose(nn.Module):
    """Transposed convolution: all of its output, cropped or filled up to a multiple of the input."""

    def __init__(self, given: layers.ConvTranspose) -> None:
        super().__init__()
        self._given = given
        self.conv = nn.ConvTranspose2d(
            given.channels_in, given.channels_out, given.kernel, given.stride, bias=given.bias
        )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.conv(x)
        for axis in (0, 1):
            found = self._fitted(found, axis, x.shape[2 + axis])
        return found

    def _fitted(self, found: Tensor, axis: int, length: int) -> Tensor:
        kernel, stride = self._given.kernel[axis], self._given.stride[axis]
        if kernel < stride:  # pixels that no kernel reaches hold the bias alone
            edges = [0, 0, 0, 0]
            edges[2 * (1 - axis) + 1] = stride - kernel
            filled = functional.pad(found, edges)
            if self.conv.bias is not None:
                filled.narrow(2 + axis, found.shape[2 + axis], stride - kernel)[:] = self.conv.bias[
                    :, None, None
                ]
            return filled
        if self._given.padding == "valid":
            return found
        return found.narrow(2 + axis, (kernel - stride) // 2, length * stride)


class _Activation(nn.Module):
    def __init__(self, given: layers.Activation) -> None:
        super().__init__()
        self._given = given

    def forward(self, x: Tensor) -> Tensor:
        found = _FUNCTIONS[self._given.function](x, self._given.slope)
        return found if self._given.most is None else found.clamp(max=self._given.most)


_FUNCTIONS: Mapping[str, Callable[[Tensor, float], Tensor]] = MappingProxyType(
    {
        "relu": lambda x, slope: functional.relu(x),
        "leaky-relu": functional.leaky_relu,
        "elu": functional.elu,
        "selu": lambda x, slope: functional.selu(x),
        "gelu": lambda x, slope: functional.gelu(x),
        "gelu-tanh": lambda x, slope: functional.gelu(x, approximate="tanh"),
        "silu": lambda x, slope: functional.silu(x),
        "sigmoid": lambda x, slope: x.sigmoid(),
        "tanh": lambda x, slope: x.tanh(),
        "softplus": lambda x, slope: functional.softplus(x),
        "hard-sigmoid": lambda x, slope: functional.hardsigmoid(x),
        "hard-sigmoid-keras2": lambda x, slope: (0.2 * x + 0.5).clamp(0, 1),
        "exponential": lambda x, slope: x.exp(),
        "softmax": lambda x, slope: x.softmax(dim=1),
    }
)


class _Pool(nn.Module):
    def __init__(self, given: layers.Pool) -> None:
        super().__init__()
        self._given = given

    def forward(self, x: Tensor) -> Tensor:
        size, stride = self._given.size, self._given.stride
        if self._given.function == "maximum":
            return functional.max_pool2d(self._padded(x, float("-inf")), size, stride)
        found = functional.avg_pool2d(self._padded(x, 0.0), size, stride)
        if self._given.padding == "valid":
            return found
        share = functional.avg_pool2d(self._padded(torch.ones_like(x[:1, :1]), 0.0), size, stride)
        return found / share

    def _padded(self, x: Tensor, value: float) -> Tensor:
        if self._given.padding == "valid":
            return x
        return _padded(x, self._given.size, self._given.stride, (1, 1), value)


class _GlobalPool(nn.Module):
    def __init__(self, given: layers.GlobalPool) -> None:
        super().__init__()
        self._maximum = given.function == "maximum"

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(dim=(2, 3), keepdim=True) if self._maximum else x.mean(dim=(2, 3), keepdim=True)


class _Upsample(nn.Module):
    def __init__(self, given: layers.Upsample) -> None:
        super().__init__()
        self._given = given

    def forward(self, x: Tensor) -> Tensor:
        height, width = (side * factor for side, factor in zip(x.shape[2:], self._given.size, strict=True))
        mode = self._given.mode
        return functional.interpolate(
            x, size=(height, width), mode=mode, align_corners=False if mode == "bilinear" else None
        )


class _Merge(nn.Module):
    def __init__(self, given: layers.Merge) -> None:
        super().__init__()
        self._function = given.function

    def forward(self, *inputs: Tensor) -> Tensor:
        if self._function == "concatenate":
            return torch.cat(inputs, dim=1)
        found = reduce(_MERGED[self._function], inputs)
        return found / len(inputs) if self._function == "mean" else found


_MERGED: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {
        "add": torch.add,
        "mean": torch.add,
        "subtract": torch.sub,
        "multiply": torch.mul,
        "maximum": torch.maximum,
        "minimum": torch.minimum,
    }
)


class _Pad(nn.Module):
    def __init__(self, given: layers.Pad) -> None:
        super().__init__()
        above, below, left, right = given.edges
        self._edges = (left, right, above, below)

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, self._edges)


class _Crop(nn.Module):
    def __init__(self, given: layers.Crop) -> None:
        super().__init__()
        self._edges = given.edges

    def forward(self, x: Tensor) -> Tensor:
        above, below, left, right = self._edges
        return x[:, :, above : x.shape[2] - below, left : x.shape[3] - right]


class _Rescale(nn.Module):
    def __init__(self, given: layers.Rescale) -> None:
        super().__init__()
        self._scale, self._offset = given.scale, given.offset

    def forward(self, x: Tensor) -> Tensor:
        return x * self._scale + self._offset


def _batch_norm(given: layers.BatchNorm) -> nn.Module:
    return nn.BatchNorm2d(given.channels, given.eps)


def _group_norm(given: layers.GroupNorm) -> nn.Module:
    return nn.GroupNorm(given.groups, given.channels, given.eps)


def _prelu(given: layers.PReLU) -> nn.Module:
    return nn.PReLU(given.channels)


_MODULES: Mapping[type[Any], Callable[[Any], nn.Module]] = MappingProxyType(
    {
        layers.Conv: ConvLayer,
        layers.ConvTranspose: _ConvTranspose,
        layers.BatchNorm: _batch_norm,
        layers.GroupNorm: _group_norm,
        layers.Activation: _Activation,
        layers.PReLU: _prelu,
        layers.Pool: _Pool,
        layers.GlobalPool: _GlobalPool,
        layers.Upsample: _Upsample,
        layers.Merge: _Merge,
        layers.Pad: _Pad,
        layers.Crop: _Crop,
        layers.Rescale: _Rescale,
    }
)


def module_of(layer: layers.Layer) -> nn.Module:
    """Return the module of a layer, with new weights."""
    return _MODULES[type(layer)](layer)
