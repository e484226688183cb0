"""Networks in ONNX files, run as they are by ONNX Runtime on the CPU behind the same card as all others."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from napari_tumorseg.errors import ModelError
from napari_tumorseg.extras import to_install
from napari_tumorseg.geometry import Array
from napari_tumorseg.models.architectures import OnnxArguments
from napari_tumorseg.models.messages import one_line
from napari_tumorseg.models.onnx.file import OnnxFile, read_onnx
from napari_tumorseg.models.onnx.ports import Port, single_ports
from napari_tumorseg.models.segmentation_network import SegmentationNetwork

_LEAST = 1e-7
"""Probabilities nearer to 0 or 1 are taken for this near: their logits shall be numbers."""

_SHARE_OF_MEMORY = 0.75
_ASSUMED_MEMORY = 8 << 30
"""Bytes of memory where the system does not state them."""

_MEMORY_SIGNS = ("allocate", "bad_alloc", "available memory", "arena")


class OnnxNetwork(SegmentationNetwork):
    """A network that ONNX Runtime runs; it takes and gives tensors as every other network does.

    Its weights are not torch's: it is neither trained, nor folded, nor converted to another precision.

    Parameters
    ----------
    found : OnnxFile
        The checked file.
    given : OnnxArguments
        Its arguments.

    Raises
    ------
    ModelError
        If ONNX Runtime is not installed, cannot run it, or it takes or gives other images than the arguments
        state.
    """

    runtime = "ONNX Runtime"

    def __init__(self, found: OnnxFile, given: OnnxArguments) -> None:
        super().__init__(given)
        self._given = given
        self._input, self._output = single_ports(found.inputs, found.outputs, given.output)
        _check_channels(self._input, given.in_channels, given.channels_last)
        _check_channels(self._output, given.out_channels, given.channels_last)
        if len(self._input.shape) != 2 + given.dimensions:
            taken = "volumes" if given.dimensions == 2 else "slices"
            raise ModelError(f"takes {taken}, which its card does not state")
        self._sides = fixed_sides(self._input, given.channels_last)
        if self._sides and list(self._sides) != given.sides:
            raise ModelError(
                f"takes images of {' x '.join(map(str, self._sides))} alone; its card must state these sides"
            )
        self._batch = self._input.shape[0]
        self._session = _session(found.content)

    @classmethod
    def from_file(cls, path: Path, arguments: Mapping[str, Any] | None) -> Self:
        """Return the network in a file.

        Raises
        ------
        ModelError
            If it cannot be run; one sentence that names the file.
        """
        return cls.of(read_onnx(path), arguments, path.name)

    @classmethod
    def of(cls, found: OnnxFile, arguments: Mapping[str, Any] | None, name: str) -> Self:
        """Return the network in a file that was read.

        Parameters
        ----------
        found : OnnxFile
            The file.
        arguments : mapping or None
            Arguments from a card; by default those that the file shows.
        name : str
            Name of the file, for messages.

        Raises
        ------
        ModelError
            If it cannot be run; one sentence that names the file.
        """
        try:
            given = OnnxArguments.of(arguments_of(found) if arguments is None else arguments)
            return cls(found, given)
        except ValueError as error:
            raise ModelError(f"{name}: its card does not fit: {error}") from error
        except ModelError as error:
            raise ModelError(f"{name}: {error}") from error

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (batch, out_channels, ...) with the sides of the input, on its device.

        A file that takes one size or one batch only gets its input in such parts.

        Raises
        ------
        ModelError
            If the file cannot be run on it, or gives another size.
        MemoryError
            If memory runs out.
        """
        self.check_input(x)
        values = x.detach().cpu().numpy()
        logits = self._tiled(values) if self._sides else self._batched(values)
        return torch.from_numpy(logits).to(x.device)

    def folded(self) -> Self:
        """Return itself: the runtime has folded it, and its session serves all copies."""
        return self

    def sensitive_layers(self) -> tuple[torch.nn.Module, ...]:
        """Return nothing: no precision but the file's own is available."""
        return ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def _tiled(self, values: Array, axis: int = 2) -> Array:
        """Return the logits of an image whose sides are multiples of the fixed ones, part by part."""
        assert self._sides is not None
        if axis == values.ndim:
            return self._batched(values)
        side = self._sides[axis - 2]
        parts = np.split(values, values.shape[axis] // side, axis=axis)
        return np.concatenate([self._tiled(part, axis + 1) for part in parts], axis=axis)

    def _batched(self, values: Array) -> Array:
        """Return logits of a batch of any size; a fixed batch is filled up with zeros."""
        if self._batch is None:
            return self._logits(values)
        found = []
        for first in range(0, len(values), self._batch):
            part = values[first : first + self._batch]
            missing = self._batch - len(part)
            full = (
                np.concatenate([part, np.zeros((missing, *part.shape[1:]), part.dtype)]) if missing else part
            )
            found.append(self._logits(full)[: len(part)])
        return np.concatenate(found)

    def _logits(self, values: Array) -> Array:
        last = self._given.channels_last
        result = self._run(np.ascontiguousarray(np.moveaxis(values, 1, -1) if last else values))
        out = np.moveaxis(result, -1, 1) if last else result
        if out.shape != (len(values), self._given.out_channels, *values.shape[2:]):
            raise ModelError(
                f"the ONNX file gives {_shape(out.shape)} for images of {_shape(values.shape)}; only "
                "networks whose result has the size of the image are run"
            )
        return as_logits(np.ascontiguousarray(out, dtype=np.float32), self._given.activation)

    def _run(self, values: Array) -> Array:
        try:
            (result,) = self._session.run([self._output.name], {self._input.name: values})
        except Exception as error:  # each of the runtime's exceptions is a direct subclass of Exception
            text = str(error).lower()
            if any(sign in text for sign in _MEMORY_SIGNS):
                raise MemoryError(one_line(error)) from error
            raise ModelError(f"the ONNX file cannot be run: {reason(error)}") from error
        return np.asarray(result)


def as_logits(values: Array, activation: str) -> Array:
    """Return logits (batch, outputs, ...) from what a file gives, whose last activation is stated."""
    if activation == "none":
        return values
    likely = np.clip(values, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(likely) - (np.log1p(-likely) if activation == "sigmoid" else 0))


def arguments_of(found: OnnxFile, channels_last: bool = False, output: str = "") -> dict[str, Any]:
    """Return the arguments that a file shows: its channels, and its sides where they are fixed.

    Raises
    ------
    ModelError
        If it does not fix its channels, or fixes only one side.
    """
    image, result = single_ports(found.inputs, found.outputs, output)
    channels = [port.shape[-1 if channels_last else 1] for port in (image, result)]
    if None in channels:
        raise ModelError("does not state its number of channels; its card must state them")
    sides = fixed_sides(image, channels_last)
    return {
        "volumes": len(image.shape) == 5,
        "in_channels": channels[0],
        "out_channels": channels[1],
        **({"sides": list(sides)} if sides else {}),
        "channels_last": channels_last,
        "output": output,
    }


def fixed_sides(image: Port, channels_last: bool) -> tuple[int, ...] | None:
    """Return the sides that a file fixes; None if all are free.

    Raises
    ------
    ModelError
        If it fixes some and leaves others open.
    """
    sides = image.shape[1:-1] if channels_last else image.shape[2:]
    fixed = tuple(side for side in sides if side is not None)
    if fixed and len(fixed) != len(sides):
        raise ModelError(f"takes {image.words()}, a size that is fixed in some axes and free in others")
    return fixed or None


def reason(error: BaseException) -> str:
    """Return the runtime's own words, without its codes and paths of its sources."""
    text = one_line(error)
    return text.rpartition(" : ")[2].partition("/onnxruntime_src")[0].strip() or text


def need_runtime() -> Any:
    """Return ONNX Runtime, which sends nothing home.

    Raises
    ------
    ModelError
        If it is not installed.
    """
    try:
        runtime = import_module("onnxruntime")
    except ImportError as error:
        raise ModelError(
            f"ONNX files are run by ONNX Runtime, which is not installed: {to_install('onnx')}"
        ) from error
    runtime.disable_telemetry_events()
    return runtime


def _session(content: bytes) -> Any:
    """Return a session on the CPU: threads as torch has them, that sleep while they wait.

    Raises
    ------
    ModelError
        If ONNX Runtime is not installed or does not accept the content.
    """
    runtime = need_runtime()
    _limit_memory(runtime)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        # from memory: no file beside it can be meant, and it is the content that was checked
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"ONNX Runtime does not accept it: {reason(error)}") from error


@cache
def _limit_memory(runtime: Any) -> None:
    """Let the sessions of this process share memory up to a limit, beyond which a run fails in words."""
    info = runtime.OrtMemoryInfo(
        "Cpu", runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, runtime.OrtMemType.DEFAULT
    )
    same_as_requested = 1
    wanted = {"max_mem": memory_limit(), "arena_extend_strategy": same_as_requested}
    runtime.create_and_register_allocator(info, runtime.OrtArenaCfg(wanted))


def memory_limit() -> int:
    """Return the bytes that sessions may take: three quarters of the machine's memory."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        total = _ASSUMED_MEMORY
    return int(total * _SHARE_OF_MEMORY)


def _check_channels(port: Port, stated: int, channels_last: bool) -> None:
    found = port.shape[-1 if channels_last else 1]
    if found is not None and found != stated:
        raise ModelError(f"{port.words()} has {found} channels, and its card states {stated}")


def _shape(sides: tuple[int, ...]) -> str:
    return " x ".join(map(str, sides))
