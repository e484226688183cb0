"""The network, slice by slice: devices, batches and handling of memory that runs out."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from napari_tumorseg.errors import DeviceError, ModelError
from napari_tumorseg.geometry import Array
from napari_tumorseg.inference.networks import Conversion, as_float32
from napari_tumorseg.inference.prepare import Prepared
from napari_tumorseg.models.ensemble import Ensemble, disagreement, mean_logits, members_of
from napari_tumorseg.models.slice_network import SliceNetwork

_GPU_BATCH, _CPU_BATCH = 16, 4
_CPU_PIXELS = 4 * 128 * 128
"""Pixels of a batch beyond which the CPU gains nothing; below, a slice alone does not keep its cores busy."""
_MEMORY_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "alloc_cpu", "alloc_failed")
"""Words of back ends that have no exception of their own for a lack of memory."""


def available_devices() -> list[str]:
    """Return the devices that work here, the fastest first."""
    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def choose_device(wanted: str) -> str:
    """Return the device to use.

    Raises
    ------
    DeviceError
        If the one wanted is not there.
    """
    there = available_devices()
    wanted = wanted.lower()
    if wanted == "auto":
        return there[0]
    kind, _, number = wanted.partition(":")
    if kind not in there or (number and not (kind == "cuda" and number.isdigit())):
        raise DeviceError(f"the device {wanted!r} is not available here; there is {', '.join(there)}")
    return wanted


def device_for(net: SliceNetwork, wanted: str) -> str:
    """Return the device to run a network on.

    Raises
    ------
    DeviceError
        If the one wanted is not there, or is not the CPU and another library than torch runs the network.
    """
    if not net.runtime:
        return choose_device(wanted)
    if wanted.lower() not in ("auto", "cpu"):
        raise DeviceError(f"{net.runtime} runs this network on the CPU, not on {wanted}")
    return "cpu"


class Runner:
    """A network on a device, which steps down when memory runs out.

    The batch halves until it is one slice; then the CPU takes over.

    Parameters
    ----------
    net : SliceNetwork
        In eval mode; a copy is run. Members of an ensemble run one after another.
    device : str
        As `choose_device` gives it.
    flip : bool
        Average the logits with those of the left-right flipped slice.
    batch : int or None
        Slices at a time, where they have equal windows.
    convert : callable
        Makes the copy that is run, such as one in bfloat16.
    """

    def __init__(
        self,
        net: SliceNetwork,
        device: str,
        flip: bool = False,
        batch: int | None = None,
        convert: Conversion = as_float32,
    ) -> None:
        self.device = device
        self.flip = flip
        self.batch = batch or (_CPU_BATCH if device == "cpu" else _GPU_BATCH)
        self._pixels = _CPU_PIXELS if device == "cpu" and batch is None else None
        self.notes: list[str] = []
        self._activation = net.activation if isinstance(net, Ensemble) else "sigmoid"
        self._nets = [convert(member) for member in members_of(net)]
        try:
            self._move(device)
        except RuntimeError as error:
            self.batch = 1  # a smaller batch would not make the weights fit
            self._step_down(error)

    def batch_for(self, window: tuple[int, int]) -> int:
        """Return how many slices of this size are best run at a time."""
        if self._pixels is None:
            return self.batch
        return max(1, min(self.batch, self._pixels // math.prod(window)))

    def logits(self, batch: Sequence[Array]) -> Iterator[Array]:
        """Yield (O, H, W) logits for each (C, H, W) input, in order; of the mean probabilities of members.

        Raises
        ------
        DeviceError
            If memory runs out on the CPU, too.
        """
        for found in self.member_logits(batch):
            yield mean_logits(torch.from_numpy(found), self._activation).numpy()

    def member_logits(self, batch: Sequence[Array]) -> Iterator[Array]:
        """Yield (M, O, H, W) logits of each member for each (C, H, W) input, in order.

        Raises
        ------
        DeviceError
            If memory runs out on the CPU, too.
        """
        waiting = list(batch)
        while waiting:
            part = waiting[: self.batch]
            try:
                results = self._forward(np.stack(part))
            except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
                self._step_down(error)
                continue
            del waiting[: len(part)]
            yield from results

    def _forward(self, inputs: Array) -> Array:
        with torch.inference_mode():
            x = torch.from_numpy(inputs).to(self.device, memory_format=torch.channels_last)
            return np.stack([self._run(net, x) for net in self._nets], axis=1)

    def _run(self, net: nn.Module, x: Tensor) -> Array:
        out = net(x)
        if self.flip:
            out = (out + net(x.flip(-1)).flip(-1)) / 2
        return np.asarray(out.float().cpu().numpy())

    def _move(self, device: str) -> None:
        for net in self._nets:
            net.to(device)

    def _step_down(self, error: BaseException) -> None:
        """Halve the batch, or leave the device; raise what is not about memory."""
        if not _about_memory(error):
            raise error
        if self.batch > 1:
            self.batch //= 2
            self.notes.append(f"memory ran out on {self.device}; going on with {self.batch} slices at a time")
        elif self.device != "cpu":
            self.notes.append(f"memory ran out on {self.device}; going on with the CPU")
            self.device = "cpu"
            self._move("cpu")
        else:
            raise DeviceError(
                "memory ran out on the CPU with a single slice; close other programs or take a smaller model"
            ) from error
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _about_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return any(sign in text for sign in _MEMORY_SIGNS)


@dataclass(frozen=True, eq=False)
class SliceResult:
    """Logits of one slice on its own pixels: (outputs, rows, columns) that the window covers.

    Attributes
    ----------
    index : int
        Of the slice.
    logits : (O, H, W) array
        Those of the mean probabilities of an ensemble.
    disagreement : (H, W) array of uint8 or None
        Between the members, 255 for the most; None for a single one.
    """

    index: int
    logits: Array
    disagreement: Array | None = None


def slices(prepared: Prepared, runner: Runner, todo: Sequence[int]) -> Iterator[SliceResult]:
    """Yield the logits of each slice, on the slice's own pixels, in order.

    Work stops wherever the consumer stops: nothing is computed ahead beyond one batch.

    Raises
    ------
    ModelError
        If the network gives something that is not a number, which would pass for an empty mask.
    """
    position = 0
    while position < len(todo):
        chunk = chunk_of(prepared, runner, todo[position:])
        results = runner.member_logits([prepared.network_input(i) for i in chunk])
        for index, window in zip(chunk, results, strict=True):
            if not np.isfinite(window).all():
                raise ModelError(
                    f"the model {prepared.card.name} gives values that are no numbers on slice {index}; "
                    "its weights or its card are wrong"
                )
            yield _result(prepared, index, window)
        position += len(chunk)


def _result(prepared: Prepared, index: int, window: Array) -> SliceResult:
    """Return the result of a slice from its members' logits (M, O, H, W) in the network's window.

    Members are averaged on the slice's own pixels, so that the result is the mean of their runs.
    """
    members = np.stack([prepared.to_slice(index, logits) for logits in window])
    if len(members) == 1:
        return SliceResult(index, members[0])
    logits, activation = torch.from_numpy(members), prepared.card.output.activation
    levels = (disagreement(logits, activation) * 255).round().to(torch.uint8)
    return SliceResult(index, mean_logits(logits, activation).numpy(), levels.numpy())


def chunk_of(prepared: Prepared, runner: Runner, todo: Sequence[int]) -> Sequence[int]:
    """Return the slices to run next: those ahead with windows of one size, as many as are run at a time."""
    size = prepared.window(todo[0])
    alike = itertools.takewhile(lambda index: prepared.window(index) == size, todo[: runner.batch_for(size)])
    return list(alike)


def stopwatch(total: int, clock: Callable[[], float] = time.perf_counter) -> Callable[[int], float | None]:
    """Return a function that estimates the seconds left from the number of slices done."""
    start = clock()

    def left(done: int) -> float | None:
        return (clock() - start) / done * (total - done) if done else None

    return left
