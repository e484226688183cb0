"""The network, slice by slice or in windows: devices, batches and handling of memory that runs out."""

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
from napari_tumorseg.inference.networks import Conversion, as_float32, memory_format
from napari_tumorseg.inference.prepare import Prepared
from napari_tumorseg.inference.volume import sliding
from napari_tumorseg.inference.volume.prepare import PreparedVolume
from napari_tumorseg.models.card import ModelCard
from napari_tumorseg.models.ensemble import Ensemble, disagreement, mean_logits, members_of
from napari_tumorseg.models.segmentation_network import SegmentationNetwork

_GPU_BATCH, _CPU_BATCH = 16, 4
_CPU_PIXELS, _GPU_VOXELS = 4 * 128 * 128, 128**3
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


def device_for(net: SegmentationNetwork, wanted: str) -> str:
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

    The batch halves until it is one slice or window; then the CPU takes over.

    Parameters
    ----------
    net : SegmentationNetwork
        In eval mode; a copy is run. Members of an ensemble run one after another.
    device : str
        As `choose_device` gives it.
    flip : bool
        Average the logits with those of flipped copies.
    batch : int or None
        Slices at a time, where they have equal windows, or windows of a volume.
    convert : callable
        Makes the copy that is run, such as one in bfloat16.
    mirrors : sequence of tuple of int
        Sets of axes, counted from the last one (-1); logits are averaged with those of a copy that is flipped
        along each set, if `flip` is set. By default the last axis alone.
    """

    def __init__(
        self,
        net: SegmentationNetwork,
        device: str,
        flip: bool = False,
        batch: int | None = None,
        convert: Conversion = as_float32,
        mirrors: Sequence[tuple[int, ...]] = ((-1,),),
    ) -> None:
        self.device = device
        self.mirrors = tuple(mirrors) if flip else ()
        self.dimensions, self.strides = net.dimensions, net.strides
        self.batch = batch or (_CPU_BATCH if device == "cpu" else _GPU_BATCH)
        self._pixels = None if batch is not None else _most_pixels(device, net.dimensions)
        self.notes: list[str] = []
        self._activation = net.activation if isinstance(net, Ensemble) else "sigmoid"
        self._mean = net.mean if isinstance(net, Ensemble) else "probabilities"
        self._part = "slice" if net.dimensions == 2 else "window"
        self._nets = [convert(member) for member in members_of(net)]
        try:
            self._move(device)
        except RuntimeError as error:
            self.batch = 1  # a smaller batch would not make the weights fit
            self._step_down(error)

    def batch_for(self, window: Sequence[int]) -> int:
        """Return how many slices or windows of this size are best run at a time."""
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
            yield mean_logits(torch.from_numpy(found), self._activation, self._mean).numpy()

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
            x = torch.from_numpy(inputs).to(self.device, memory_format=memory_format(self.dimensions))
            return np.stack([self._run(net, x) for net in self._nets], axis=1)

    def _run(self, net: nn.Module, x: Tensor) -> Array:
        out = net(x)
        for axes in self.mirrors:
            out = out + net(x.flip(axes)).flip(axes)
        if self.mirrors:
            out = out / (len(self.mirrors) + 1)
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
            self.notes.append(
                f"memory ran out on {self.device}; going on with {self.batch} {self._part}s at a time"
            )
        elif self.device != "cpu":
            self.notes.append(f"memory ran out on {self.device}; going on with the CPU")
            self.device = "cpu"
            self._move("cpu")
        else:
            raise DeviceError(
                f"memory ran out on the CPU with a single {self._part}; close other programs or take a "
                "smaller model"
            ) from error
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _most_pixels(device: str, dimensions: int) -> int | None:
    """Return the pixels of a batch beyond which there is nothing to gain; None for no such limit."""
    if device == "cpu":
        return _CPU_PIXELS
    return _GPU_VOXELS if dimensions == 3 else None


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
            members = np.stack([prepared.to_slice(index, logits) for logits in window])
            yield _result(prepared.card, index, members)
        position += len(chunk)


def _result(card: ModelCard, index: int, members: Array) -> SliceResult:
    """Return the result of a slice from its members' logits (M, O, H, W) on its own pixels.

    Members are averaged there, so that the result is the mean of their runs.
    """
    if len(members) == 1:
        return SliceResult(index, members[0])
    logits, output = torch.from_numpy(members), card.output
    levels = (disagreement(logits, output.activation) * 255).round().to(torch.uint8)
    return SliceResult(index, mean_logits(logits, output.activation, output.mean).numpy(), levels.numpy())


@dataclass(frozen=True, eq=False)
class Step:
    """State after a slice or a window.

    Attributes
    ----------
    done, total : int
        Slices or windows.
    finished : list of SliceResult
        Slices that are final now; none after a window that others overlap.
    preview : SliceResult or None
        A slice as it is so far, where none is final.
    """

    done: int
    total: int
    finished: list[SliceResult]
    preview: SliceResult | None = None


def steps(prepared: Prepared | PreparedVolume, runner: Runner, todo: Sequence[int]) -> Iterator[Step]:
    """Yield a step after each slice, or after each window of a volume.

    Raises
    ------
    ModelError
        As `slices`.
    DeviceError
        If memory runs out on the CPU, too.
    """
    if isinstance(prepared, PreparedVolume):
        yield from _volume_steps(prepared, runner, todo)
        return
    for done, result in enumerate(slices(prepared, runner, todo), start=1):
        yield Step(done, len(todo), [result])


def _volume_steps(prepared: PreparedVolume, runner: Runner, todo: Sequence[int]) -> Iterator[Step]:
    """Run the windows of a volume, in smaller ones if memory does not suffice for any of them."""
    begun = False
    try:
        for step in _window_steps(prepared, runner, todo):
            begun = begun or bool(step.finished)
            yield step
        return
    except DeviceError:
        smaller = prepared.with_smaller_windows(runner.strides)
        if begun or smaller is None:
            raise
    sides = " x ".join(str(side) for side in smaller.windows.patch)
    runner.notes.append(
        f"memory ran out with a single window; going on with windows of {sides} voxels, whose results differ "
        "a little from those of larger ones"
    )
    yield from _volume_steps(smaller, runner, todo)


def _window_steps(prepared: PreparedVolume, runner: Runner, todo: Sequence[int]) -> Iterator[Step]:
    card, flat = prepared.card, runner.dimensions == 2

    def run(inputs: Sequence[Array]) -> Iterator[Array]:
        for logits in runner.member_logits([x[:, 0] if flat else x for x in inputs]):
            if not np.isfinite(logits).all():
                raise ModelError(
                    f"the model {card.name} gives values that are no numbers; its weights or its card are "
                    "wrong"
                )
            yield logits[:, :, np.newaxis] if flat else logits

    for step in sliding.steps(prepared, todo, run, runner.batch_for(prepared.windows.patch)):
        finished = [_result(card, one.index, one.logits) for one in step.finished]
        seen = step.preview
        preview = None if seen is None else _result(card, seen.index, seen.logits)
        yield Step(step.done, step.total, finished, preview)


def chunk_of(prepared: Prepared, runner: Runner, todo: Sequence[int]) -> Sequence[int]:
    """Return the slices to run next: those ahead with windows of one size, as many as are run at a time."""
    size = prepared.window(todo[0])
    alike = itertools.takewhile(lambda index: prepared.window(index) == size, todo[: runner.batch_for(size)])
    return list(alike)


def stopwatch(clock: Callable[[], float] = time.perf_counter) -> Callable[[int, int], float | None]:
    """Return a function that estimates the seconds left from the steps done and their total."""
    start = clock()

    def left(done: int, total: int) -> float | None:
        return (clock() - start) / done * (total - done) if done else None

    return left
