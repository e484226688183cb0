"""Layers of Keras as layers of a `GraphNetwork`; what is not in this list is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from napari_tumorseg.importing.keras.activations import ADVANCED, activation_steps, advanced_activation
from napari_tumorseg.importing.keras.hdf5_weights import Floats
from napari_tumorseg.importing.keras.settings import Settings
from napari_tumorseg.importing.keras.steps import Step
from napari_tumorseg.models.messages import quoted


@dataclass(frozen=True)
class Call:
    """A call of a layer.

    Attributes
    ----------
    class_name : str
        Class of the layer.
    settings : Settings
        Of the layer.
    arrays : sequence of array
        Its weights in Keras' order.
    inputs : int
        Number of its inputs.
    version : int
        First number of Keras' version.
    axis : int
        Axis of the channels: 3, or 1 where they come first.
    """

    class_name: str
    settings: Settings
    arrays: Sequence[Floats]
    inputs: int = 1
    version: int = 3
    axis: int = 3

    def weights(self, *ranks: int) -> Sequence[Floats]:
        """Return the arrays, whose numbers of dimensions must be these."""
        found = tuple(array.ndim for array in self.arrays)
        if found != ranks:
            raise self.settings.error(
                f"has weights of {list(found)} dimensions instead of {list(ranks)}; the file is damaged, or "
                "holds weights of another model"
            )
        return self.arrays

    def check_stated(self, key: str, held: int) -> None:
        """Refuse weights for another number of channels than the layer states."""
        if (stated := self.settings.get(key)) is not None and stated != held:
            raise self.settings.error(f"states {key} {quoted(stated)}, and has weights for {held}")

    def check_axis(self, key: str = "axis") -> None:
        """Refuse an axis that is not that of the channels."""
        axis = self.settings.get(key, -1)
        if isinstance(axis, list) and len(axis) == 1:
            axis = axis[0]
        if axis not in (self.axis, self.axis - 4):
            raise self.settings.error(f"works along axis {axis!r}, which is not that of the channels")


def _conv(call: Call) -> list[Step]:
    bias = call.settings.flag("use_bias", True)
    kernel, *rest = call.weights(4, *([1] if bias else []))
    call.check_stated("filters", kernel.shape[3])
    groups = call.settings.integer("groups", 1)
    tensors = _named(kernel.transpose(3, 2, 0, 1), rest)
    channels = (kernel.shape[2] * groups, kernel.shape[3])
    return [_conv_step(call, channels, groups, tensors, bias), *activation_steps(call.settings, call.version)]


def _depthwise(call: Call) -> list[Step]:
    bias = call.settings.flag("use_bias", True)
    kernel, *rest = call.weights(4, *([1] if bias else []))
    step = _depthwise_step(call, kernel, rest)
    return [step, *activation_steps(call.settings, call.version)]


def _separable(call: Call) -> list[Step]:
    bias = call.settings.flag("use_bias", True)
    depthwise, pointwise, *rest = call.weights(4, 4, *([1] if bias else []))
    call.check_stated("filters", pointwise.shape[3])
    steps = [_depthwise_step(call, depthwise, []), _pointwise_step(pointwise.transpose(3, 2, 0, 1), rest)]
    return [*steps, *activation_steps(call.settings, call.version)]


def _depthwise_step(call: Call, kernel: Floats, bias: Sequence[Floats]) -> Step:
    rows, columns, channels, multiple = kernel.shape
    call.check_stated("depth_multiplier", multiple)
    weight = kernel.transpose(2, 3, 0, 1).reshape(channels * multiple, 1, rows, columns)
    tensors = _named(weight, bias)
    return _conv_step(call, (channels, channels * multiple), channels, tensors, bool(bias))


def _conv_step(
    call: Call, channels: tuple[int, int], groups: int, tensors: Mapping[str, Floats], bias: bool
) -> Step:
    kernel = call.settings.pair("kernel_size")
    if kernel != tensors["conv.weight"].shape[2:]:
        raise call.settings.error("has a kernel of another size than it states")
    fields = {
        "op": "conv",
        "channels_in": channels[0],
        "channels_out": channels[1],
        "kernel": kernel,
        "stride": call.settings.pair("strides", (1, 1)),
        "dilation": call.settings.pair("dilation_rate", (1, 1)),
        "groups": groups,
        "padding": call.settings.word("padding", "valid", "same"),
        "bias": bias,
    }
    return Step(fields, tensors)


def _conv_transpose(call: Call) -> list[Step]:
    settings = call.settings
    settings.refuse("output_padding")
    settings.refuse("dilation_rate", 1, [1, 1])
    bias = settings.flag("use_bias", True)
    kernel, *rest = call.weights(4, *([1] if bias else []))
    call.check_stated("filters", kernel.shape[2])
    fields = {
        "op": "conv-transpose",
        "channels_in": kernel.shape[3],
        "channels_out": kernel.shape[2],
        "kernel": kernel.shape[:2],
        "stride": settings.pair("strides", (1, 1)),
        "padding": settings.word("padding", "valid", "same"),
        "bias": bias,
    }
    return [
        Step(fields, _named(kernel.transpose(3, 2, 0, 1), rest)),
        *activation_steps(settings, call.version),
    ]


def _dense(call: Call) -> list[Step]:
    bias = call.settings.flag("use_bias", True)
    kernel, *rest = call.weights(2, *([1] if bias else []))
    call.check_stated("units", kernel.shape[1])
    return [_pointwise_step(kernel.T[:, :, None, None], rest), *activation_steps(call.settings, call.version)]


def _pointwise_step(weight: Floats, bias: Sequence[Floats]) -> Step:
    """Return the 1x1 convolution of a weight (outputs, inputs, 1, 1), with a bias if there is one."""
    fields = {
        "op": "conv",
        "channels_in": weight.shape[1],
        "channels_out": weight.shape[0],
        "kernel": (1, 1),
        "bias": bool(bias),
    }
    return Step(fields, _named(weight, bias))


def _batch_norm(call: Call) -> list[Step]:
    call.settings.refuse("renorm", False)
    call.check_axis()
    scale, center = call.settings.flag("scale", True), call.settings.flag("center", True)
    arrays = list(call.weights(*([1] * (2 + scale + center))))
    variance, mean = arrays.pop(), arrays.pop()
    tensors = {
        **_scale_and_center(scale, center, arrays, mean.size),
        "running_mean": mean,
        "running_var": variance,
    }
    eps = call.settings.number("epsilon", 1e-3)
    return [Step({"op": "batch-norm", "channels": mean.size, "eps": eps}, tensors)]


def _group_norm(call: Call) -> list[Step]:
    call.check_axis()
    scale, center = call.settings.flag("scale", True), call.settings.flag("center", True)
    arrays = list(call.weights(*([1] * (scale + center))))
    if not arrays:
        raise call.settings.error("has neither scale nor center, which is not supported")
    channels = arrays[0].size
    groups = call.settings.integer("groups", 32)
    fields = {
        "op": "group-norm",
        "channels": channels,
        "groups": channels if groups == -1 else groups,
        "eps": call.settings.number("epsilon", 1e-3),
    }
    return [Step(fields, _scale_and_center(scale, center, arrays, channels))]


def _scale_and_center(scale: bool, center: bool, arrays: list[Floats], channels: int) -> dict[str, Floats]:
    weight = arrays.pop(0) if scale else np.ones(channels, np.float32)
    bias = arrays.pop(0) if center else np.zeros(channels, np.float32)
    return {"weight": weight, "bias": bias}


def _pool(function: str) -> Callable[[Call], list[Step]]:
    def translate(call: Call) -> list[Step]:
        size = call.settings.pair("pool_size", (2, 2))
        fields = {
            "op": "pool",
            "function": function,
            "size": size,
            "stride": call.settings.pair("strides", size),
            "padding": call.settings.word("padding", "valid", "same"),
        }
        return [Step(fields)]

    return translate


def _global_pool(function: str) -> Callable[[Call], list[Step]]:
    return lambda call: [Step({"op": "global-pool", "function": function})]


def _upsample(call: Call) -> list[Step]:
    mode = call.settings.word("interpolation", "nearest", "bilinear")
    return [Step({"op": "upsample", "size": call.settings.pair("size", (2, 2)), "mode": mode})]


def _merge(function: str) -> Callable[[Call], list[Step]]:
    def translate(call: Call) -> list[Step]:
        if function == "concatenate":
            call.check_axis()
        if call.inputs < 2 or (function == "subtract" and call.inputs != 2):
            raise call.settings.error(f"takes {call.inputs} inputs")
        return [Step({"op": "merge", "function": function})]

    return translate


def _edges(op: str, key: str) -> Callable[[Call], list[Step]]:
    return lambda call: [Step({"op": op, "edges": call.settings.edges(key)})]


def _rescale(call: Call) -> list[Step]:
    scale, offset = call.settings.number("scale"), call.settings.number("offset", 0.0)
    return [Step({"op": "rescale", "scale": scale, "offset": offset})]


def _reshape(call: Call) -> list[Step]:
    shape = call.settings.get("target_shape")
    ones = shape[:2] if call.axis == 3 and isinstance(shape, list) else None
    if ones != [1, 1]:
        raise call.settings.error(f"gives an image the shape {shape!r}, which is not supported")
    return []


def _prelu(call: Call) -> list[Step]:
    shared = call.settings.get("shared_axes")
    spatial = [axis for axis in (1, 2, 3) if axis != call.axis]
    (slope,) = call.weights(3)
    if shared != spatial:
        raise call.settings.error("has a slope of its own for each pixel, which is not supported")
    return [Step({"op": "prelu", "channels": slope.size}, {"weight": slope.ravel()})]


def _identity(call: Call) -> list[Step]:
    return []


def _named(weight: Floats, bias: Sequence[Floats]) -> dict[str, Floats]:
    return {"conv.weight": weight, **({"conv.bias": bias[0]} if bias else {})}


OF_TRAINING = (
    "InputLayer",
    "Dropout",
    "SpatialDropout2D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "ActivityRegularization",
    "RandomFlip",
    "RandomRotation",
    "RandomZoom",
    "RandomTranslation",
    "RandomContrast",
    "RandomBrightness",
)
"""Classes of layers that give their input when a model predicts."""

LAYERS: Mapping[str, Callable[[Call], list[Step]]] = MappingProxyType(
    {
        "Conv2D": _conv,
        "Convolution2D": _conv,
        "DepthwiseConv2D": _depthwise,
        "SeparableConv2D": _separable,
        "SeparableConvolution2D": _separable,
        "Conv2DTranspose": _conv_transpose,
        "Convolution2DTranspose": _conv_transpose,
        "Dense": _dense,
        "BatchNormalization": _batch_norm,
        "GroupNormalization": _group_norm,
        "MaxPooling2D": _pool("maximum"),
        "MaxPool2D": _pool("maximum"),
        "AveragePooling2D": _pool("mean"),
        "AvgPool2D": _pool("mean"),
        "GlobalMaxPooling2D": _global_pool("maximum"),
        "GlobalAveragePooling2D": _global_pool("mean"),
        "UpSampling2D": _upsample,
        "Concatenate": _merge("concatenate"),
        "Add": _merge("add"),
        "Subtract": _merge("subtract"),
        "Multiply": _merge("multiply"),
        "Average": _merge("mean"),
        "Maximum": _merge("maximum"),
        "Minimum": _merge("minimum"),
        "ZeroPadding2D": _edges("pad", "padding"),
        "Cropping2D": _edges("crop", "cropping"),
        "Rescaling": _rescale,
        "Reshape": _reshape,
        "Activation": lambda call: activation_steps(call.settings, call.version),
        "PReLU": _prelu,
        **dict.fromkeys(ADVANCED, lambda call: [advanced_activation(call.settings, call.class_name)]),
        **dict.fromkeys(OF_TRAINING, _identity),
    }
)
"""Translation of each class of layers."""
